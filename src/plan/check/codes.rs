//! The codes of the checker. A code keeps its meaning for good; one that is given up is not used again.

use crate::diag::Code;

pub use crate::document::codes::{DOUBTFUL, LIMIT};

/// Unknown key.
pub const UNKNOWN_KEY: Code = Code(102);
/// A required key is missing.
pub const MISSING_KEY: Code = Code(103);
/// The value has the wrong type.
pub const WRONG_TYPE: Code = Code(104);
/// The value is not allowed.
pub const WRONG_VALUE: Code = Code(105);
/// An id or a target name is used twice.
pub const DUPLICATE_ID: Code = Code(106);
/// An expression is not allowed here.
pub const NO_TEMPLATE: Code = Code(107);
/// A parameter declaration contradicts itself.
pub const BAD_PARAM: Code = Code(108);
/// Targets need exactly one source.
pub const TARGET_SOURCE: Code = Code(109);
/// Unknown executor.
pub const UNKNOWN_STEP: Code = Code(201);
/// A required parameter is missing.
pub const MISSING_PARAM: Code = Code(202);
/// The parameters do not fit together.
pub const FAULT: Code = Code(203);
/// The expression has a syntax error.
pub const SYNTAX: Code = Code(301);
/// Unknown filter, test or function.
pub const CALL: Code = Code(302);
/// Unknown name.
pub const NAME: Code = Code(303);
/// The types do not match.
pub const TYPE: Code = Code(304);
/// Values that depend on each other.
pub const CYCLE: Code = Code(305);
/// A condition inside `${{ }}`.
pub const WRAPPED_WHEN: Code = Code(306);
/// A step is read before it has run.
pub const TOO_EARLY: Code = Code(307);
/// The value may be missing.
pub const MAYBE_MISSING: Code = Code(308);
/// The expression fails.
pub const FAILS: Code = Code(309);
/// A secret in a place where others can see it.
pub const EXPOSED: Code = Code(401);
/// A secret needs exactly one source.
pub const SECRET_SOURCE: Code = Code(402);
/// A password is written in the plan.
pub const LITERAL_SECRET: Code = Code(403);
/// A password is not declared as a secret.
pub const NOT_SECRET: Code = Code(404);
/// The name of an environment variable has a `$`.
pub const ENV_NAME: Code = Code(405);
/// A token in a URL.
pub const TOKEN_IN_URL: Code = Code(406);
/// The archive password is easy to guess.
pub const WEAK_PASSWORD: Code = Code(407);
/// The condition is always true.
pub const CONSTANT_WHEN: Code = Code(501);
/// A declaration is not used.
pub const UNUSED: Code = Code(502);
/// The step never runs.
pub const NEVER_RUNS: Code = Code(503);
/// A long step without a timeout.
pub const NO_TIMEOUT: Code = Code(504);
/// Old archives are removed too early.
pub const RETENTION_FIRST: Code = Code(505);
/// Retention in a folder that the plan does not fill.
pub const RETENTION_ELSEWHERE: Code = Code(506);
/// The mail has no recipients.
pub const NO_ADDRESS: Code = Code(507);
/// Text that looks like an expression.
pub const LOOKS_LIKE_TEMPLATE: Code = Code(508);
/// A retry setting has no effect.
pub const IDLE_RETRY: Code = Code(509);
/// Several targets write the same archive.
pub const SAME_ARCHIVE: Code = Code(510);
/// No target is selected.
pub const NO_TARGET: Code = Code(511);
/// Only a shell would expand this path.
pub const SHELL_PATH: Code = Code(512);
/// A Windows path on another system.
pub const WINDOWS_PATH: Code = Code(513);
/// The archive has the same name in every run.
pub const FIXED_NAME: Code = Code(514);
/// A date with `/` in a file name.
pub const DATE_IN_NAME: Code = Code(515);
/// Copies are never removed.
pub const COPIES_STAY: Code = Code(516);
/// A parameter of type `string` is used as a path.
pub const TEXT_AS_PATH: Code = Code(517);
/// No database is named for the step.
pub const NO_DATABASE: Code = Code(518);
/// Unsupported version of the plan language.
pub const VERSION: Code = Code(601);
