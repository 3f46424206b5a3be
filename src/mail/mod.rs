//! Mail: how to reach a mail server, what a letter is, and sending it.
//!
//! A connection that is to be encrypted is encrypted or not made: nothing falls back to clear text. What a server says is
//! quoted in errors, in one line; the run masks it before it is shown.

mod address;
mod bounded;
mod letter;
mod refusal;
mod send;
mod settings;

pub use address::{Mailbox, address};
pub use letter::{Attachment, Letter, one_line};
pub use refusal::Unsent;
pub use send::{greet, send};
pub use settings::{Security, Settings, Unfit, unfit};
