//! The formats of `pg_dump`, read in one place: the table of contents and the data blocks of the custom and the directory
//! format, SQL dumps as `psql` reads them, what a dump holds by its own bytes, and the manifest that goes into an archive.

mod blocks;
pub mod contents;
pub mod evidence;
pub mod head;
mod manifest;
pub mod objects;
mod roles;
pub mod rows;
pub mod sql;
pub mod toc;

pub use manifest::{FOLDER, Form, MANIFEST, MANIFEST_LIMIT, MANIFEST_VERSION, Manifest, Origin, TOC};
