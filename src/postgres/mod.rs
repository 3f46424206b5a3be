//! Connection settings and TLS, queries, patterns, versions of server and tools, what a database
//! holds.

mod connect;
mod databases;
pub mod evidence;
mod passfile;
mod pattern;
mod preflight;
mod program;
mod settings;
mod text;

pub use connect::{Session, asked, connect, connect_rw};
pub use databases::{create_database, drop_database};
pub use passfile::passwords;
pub use pattern::Pattern;
pub use postgres_protocol::escape::escape_identifier;
pub use preflight::{Server, meet};
pub use program::{find, is_distributed};
pub use settings::{Settings, SslMode, Unusable};
pub use text::{Bound, row};
