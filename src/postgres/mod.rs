//! Connection settings and TLS, queries, versions of server and tools.

mod connect;
mod program;
mod settings;

pub use connect::{Session, asked, connect, connect_rw};
pub use postgres_protocol::escape::escape_identifier;
pub use program::find;
pub use settings::{Settings, SslMode, Unusable};
