//! Connection settings and TLS, queries, identifiers, versions of server and tools.

mod settings;

pub use settings::{Settings, SslMode};
