//! Connection settings and TLS, queries, patterns, versions of server and tools.

mod certificate;
mod connect;
mod databases;
mod hold;
mod messages;
mod notices;
mod passfile;
mod pattern;
mod power;
mod preflight;
mod prepare;
mod program;
mod properties;
mod settings;
mod text;
mod visible;
mod wire;

pub use connect::{CHECK_DBNAME, Session, asked, connect, connect_for_plan, connect_for_rows, connect_rw};
pub use databases::{NewDatabase, apply_settings, connect_beside, create_database, create_tablespaces, drop_database};
pub use hold::{Hold, hold};
pub use messages::TOO_LONG;
pub use notices::{Meaning, Notice, Notices};
pub use passfile::passwords;
pub use pattern::Pattern;
pub use postgres_protocol::escape::escape_identifier;
pub use power::{Power, gravest_power};
pub use preflight::{Server, meet};
pub use program::{Chosen, choose, distributed_major, find, installation, major_of, numbers};
pub use properties::{DatabaseProperties, properties};
pub use settings::{Settings, SslMode, Unusable};
pub use text::{Bound, row};
pub use visible::{visible, visible_schemas};
