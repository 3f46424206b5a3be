//! The codes of the checker. A code keeps its meaning for good; one that is given up is not used again.

use crate::diag::Code;

pub use crate::document::codes::{DOUBTFUL, LIMIT};

/// A key that the plan language does not have at that place.
pub const UNKNOWN_KEY: Code = Code(102);
/// A key that must be there.
pub const MISSING_KEY: Code = Code(103);
/// A value of the wrong type.
pub const WRONG_TYPE: Code = Code(104);
/// A value that is out of bounds, no choice, or malformed.
pub const WRONG_VALUE: Code = Code(105);
/// An id that stands twice.
pub const DUPLICATE_ID: Code = Code(106);
/// A template where none is rendered.
pub const NO_TEMPLATE: Code = Code(107);
/// A declared parameter that contradicts itself.
pub const BAD_PARAM: Code = Code(108);
/// Targets without a list, or with two.
pub const TARGET_SOURCE: Code = Code(109);
/// An executor that is not there.
pub const UNKNOWN_STEP: Code = Code(201);
/// A parameter that an executor needs.
pub const MISSING_PARAM: Code = Code(202);
/// Parameters that do not go together.
pub const FAULT: Code = Code(203);
/// An expression that does not parse.
pub const SYNTAX: Code = Code(301);
/// A filter, test or function that is not there, or its arguments.
pub const CALL: Code = Code(302);
/// A name that is not there.
pub const NAME: Code = Code(303);
/// Types that do not go together.
pub const TYPE: Code = Code(304);
/// Values that read each other.
pub const CYCLE: Code = Code(305);
/// A condition in the marks of a template.
pub const WRAPPED_WHEN: Code = Code(306);
/// A step that is read before it ran.
pub const TOO_EARLY: Code = Code(307);
/// A value that may not be there.
pub const MAYBE_MISSING: Code = Code(308);
/// An expression that fails.
pub const FAILS: Code = Code(309);
/// A secret where it would be seen.
pub const EXPOSED: Code = Code(401);
/// A secret without a source, or with several.
pub const SECRET_SOURCE: Code = Code(402);
/// A password that stands in the plan.
pub const LITERAL_SECRET: Code = Code(403);
/// A password that is computed from what is no secret.
pub const NOT_SECRET: Code = Code(404);
/// The name of a variable with the `$` of a shell.
pub const ENV_NAME: Code = Code(405);
/// A token in an address.
pub const TOKEN_IN_URL: Code = Code(406);
/// A password that is easily guessed.
pub const WEAK_PASSWORD: Code = Code(407);
/// A condition that is always true.
pub const CONSTANT_WHEN: Code = Code(501);
/// A declaration that nothing reads.
pub const UNUSED: Code = Code(502);
/// A step that never runs.
pub const NEVER_RUNS: Code = Code(503);
/// Long work without a limit.
pub const NO_TIMEOUT: Code = Code(504);
/// Archives are removed before they are copied or checked.
pub const RETENTION_FIRST: Code = Code(505);
/// Archives are removed where the plan puts none.
pub const RETENTION_ELSEWHERE: Code = Code(506);
/// A mail to nobody.
pub const NO_ADDRESS: Code = Code(507);
/// Plain text that looks like an expression.
pub const LOOKS_LIKE_TEMPLATE: Code = Code(508);
/// A retry that changes nothing.
pub const IDLE_RETRY: Code = Code(509);
/// Two targets that write the same archive.
pub const SAME_ARCHIVE: Code = Code(510);
/// A selection that leaves no target.
pub const NO_TARGET: Code = Code(511);
/// A path that only a shell would expand.
pub const SHELL_PATH: Code = Code(512);
/// A path of Windows, elsewhere.
pub const WINDOWS_PATH: Code = Code(513);
/// An archive with the same name in each run.
pub const FIXED_NAME: Code = Code(514);
/// A date with `/` in the name of a file.
pub const DATE_IN_NAME: Code = Code(515);
/// Copies that no step removes.
pub const COPIES_STAY: Code = Code(516);
/// A path in a parameter that is a plain text.
pub const TEXT_AS_PATH: Code = Code(517);
/// A step whose database nothing names.
pub const NO_DATABASE: Code = Code(518);
/// Another version of the plan language.
pub const VERSION: Code = Code(601);
