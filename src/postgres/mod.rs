//! Connection settings and TLS, queries, versions of server and tools.

mod connect;
mod program;
mod settings;

pub use connect::{asked, connect};
pub use program::find;
pub use settings::{Settings, SslMode, Unusable};
