//! Connection settings and TLS, queries, patterns, versions of server and tools, what a dump and a database
//! hold.

mod blocks;
mod connect;
mod databases;
pub mod evidence;
mod manifest;
mod passfile;
mod pattern;
mod preflight;
mod program;
pub mod rows;
mod settings;
mod text;
pub mod toc;

pub use connect::{Session, asked, connect, connect_rw};
pub use databases::{create_database, drop_database};
pub use manifest::{FOLDER, Form, MANIFEST, MANIFEST_LIMIT, Manifest, TOC};
pub use passfile::passwords;
pub use pattern::Pattern;
pub use postgres_protocol::escape::escape_identifier;
pub use preflight::{Server, meet};
pub use program::{find, is_distributed};
pub use settings::{Settings, SslMode, Unusable};
pub use text::{Bound, row};
