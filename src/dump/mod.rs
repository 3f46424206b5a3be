//! The formats of `pg_dump`, read in one place: the table of contents and the data blocks of the custom and the directory
//! format, SQL dumps as `psql` reads them, and the manifest that goes into an archive.

mod blocks;
pub mod head;
mod manifest;
pub mod rows;
pub mod sql;
pub mod toc;

pub use manifest::{FOLDER, Form, MANIFEST, MANIFEST_LIMIT, Manifest, Origin, TOC};
