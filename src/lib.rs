//! `runplan` reads a plan (one YAML file), checks it, and runs its steps.
//!
//! # The map of the house
//!
//! Data goes down, imports point up:
//!
//! ```text
//! plans/nightly.yaml
//!    | document   text -> values that know their place            Document
//!    | plan       values -> shape -> cross-checks                 Plan -> Checked        every finding, with its place
//!    | template   `with:` x scope -> plain values                 rendered parameters
//!    | step       typed Params -> decided Work                    plan(): may look       a dry run stops here
//!    | steps/x    Work -> Output                                  apply(): touches the world
//!    | run        order, retry, timeout, cancel, lock             Event, Event, Event…   masked here, once
//!    v journal · report                                           read events; nobody reads them back
//! ```
//!
//! `Checked` is made only by `plan::check`, the decided work only by a step's `plan`, and `apply` takes only decided
//! work: running an unchecked plan, or doing what was not decided and shown, does not compile.
//!
//! Rooms, in layer order. A room imports only rooms above it, and only those that `tests/house.rs` lists for it:
//!
//! | room | what it knows |
//! |---|---|
//! | [`diag`] | a finding: code, severity, span, message, hints; rendered as text or data |
//! | [`secret`] | a value that is never shown, and the redactor that keeps it out of every text |
//! | [`value`] | a plain value of the language, a secret and a "known at run time" among them |
//! | [`cancel`] | a shared flag and deadline one can wait on |
//! | [`quantity`] | durations and sizes as people write them |
//! | [`document`] | YAML text to values with places; the only room that names a YAML crate |
//! | [`template`] | `${{ … }}`: parse, list the names read, infer the type, render |
//! | [`step`] | the contract of an executor, the registry, leave to look and leave to touch |
//! | [`event`] | the facts of a run, serialisable, versioned |
//! | [`process`] | run a program in its own group, piped, stopped on cancel |
//! | [`files`] | listing, atomic publication, copy, delete inside a root, free space, locks |
//! | [`tls`] | whom to trust: certificate authorities, what is wrong with a certificate, which names stay here |
//! | [`vault`] | where a secret comes from, and fetching it |
//! | [`postgres`] | connection settings and TLS, queries, identifiers, versions of server and tools |
//! | [`dump`] | the formats of pg_dump: table of contents, data blocks, SQL; the manifest; what a dump says that it holds |
//! | [`mail`] | SMTP settings, a message, sending it |
//! | [`web`] | HTTP: an address, a request, the way to the server, its answer |
//! | [`archive`] | the zip engine: compression, AES-256, records, reading back |
//! | [`proof`] | what shows that an archive is good: read through, restored, compared |
//! | [`steps`] | one executor a file, and the list |
//! | [`plan`] | model, schema from the registry, checks |
//! | [`run`] | secrets, targets, preflight, next step, attempts, preview, doctor, resume; emits events |
//! | [`journal`], [`report`] | readers of events |
//! | [`cli`] | arguments, wiring, signals, exit codes |

pub mod archive;
pub mod cancel;
pub mod cli;
pub mod diag;
pub mod document;
pub mod dump;
pub mod event;
pub mod files;
pub mod journal;
pub mod mail;
pub mod plan;
pub mod postgres;
pub mod process;
pub mod proof;
pub mod quantity;
pub mod report;
pub mod run;
pub mod secret;
pub mod step;
pub mod steps;
pub mod template;
pub mod tls;
pub mod value;
pub mod vault;
pub mod web;
