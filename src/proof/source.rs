//! An archive that was read to its end, so that its dump may be handed on.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::sql_input::Vetting;
use crate::archive::read::Archive;
use crate::dump::evidence::Evidence;
use crate::dump::head::{HEAD_LIMIT, Head};
use crate::dump::{FOLDER, Form, MANIFEST, MANIFEST_LIMIT, Manifest};
use crate::files;
use crate::postgres::{self, DatabaseProperties, Settings};
use crate::step::{StepError, Touch};

/// The first version whose `pg_restore` sets `transaction_timeout`, which older servers refuse.
pub(super) const TRANSACTION_TIMEOUT: u32 = 17;

/// An archive whose dump was read to its end, so that it may be restored: what stands before the authentication code is
/// not to be trusted, and nothing is handed on before that.
#[derive(Clone)]
pub struct Source {
    pub(super) path: PathBuf,
    pub(super) password: Option<Zeroizing<String>>,
    pub(super) manifest: Manifest,
    /// The dump's place among the entries.
    pub(super) index: usize,
    /// Arguments of `pg_restore` that pick single tables; none when all of it is restored.
    pub(super) tables: Vec<String>,
    /// The head of a dump for `pg_restore`.
    pub(super) head: Option<Head>,
}

impl Source {
    /// Opens an archive and reads its dump to the end.
    ///
    /// # Errors
    /// It is no archive of a dump, or not good.
    pub async fn open(touch: &Touch, path: &Path, password: Option<&str>) -> Result<Self, StepError> {
        let (touch, path) = (touch.again(), path.to_path_buf());
        let password = password.map(|p| Zeroizing::new(p.to_owned()));
        let checking = tokio::task::spawn_blocking(move || {
            let (manifest, index, head) = checked(&touch, &path, password.as_ref().map(|p| p.as_bytes()))?;
            Ok(Self { path, password, manifest, index, head, tables: Vec::new() })
        });
        checking.await.map_err(|e| StepError::because("reading the archive", &e))?
    }

    /// Bytes of the dump.
    pub fn dump_bytes(&self) -> u64 {
        self.manifest.dump_bytes
    }

    /// The properties of the database that was dumped, where the archive has them.
    pub fn properties(&self) -> Option<&DatabaseProperties> {
        self.manifest.properties.as_ref()
    }

    /// Whether it is restored by `psql`, which cannot leave tablespaces out.
    pub fn is_sql(&self) -> bool {
        self.manifest.form() == Form::Plain
    }

    /// Whether several connections can restore it at a time.
    pub fn takes_jobs(&self) -> bool {
        self.manifest.form() != Form::Plain
    }

    /// The major version of a server that is made to take the dump: that of the server that it comes from, or a newer one
    /// where the dump's programs need it.
    ///
    /// # Errors
    /// The manifest does not say it.
    pub fn server_major(&self) -> Result<u32, StepError> {
        let version = &self.manifest.server_version;
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        let wrong = |_| StepError::new(format!("the manifest names the server version `{version}`"));
        let server: u32 = digits.parse().map_err(wrong)?;
        let needed = self.head.as_ref().map_or(0, Head::readable_by);
        Ok(if needed >= TRANSACTION_TIMEOUT { server.max(needed) } else { server })
    }

    /// Makes the roles that the dump needs on a server that is there for nothing else, without the right to log in. They are
    /// superusers, since only such may own subscriptions, event triggers and foreign-data wrappers.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn create_roles(&self, touch: &Touch, server: &Settings) -> Result<(), StepError> {
        let session = postgres::connect_rw(touch, server).await?;
        for role in self.manifest.evidence.iter().flat_map(Evidence::role_names) {
            let there = session.client.query_opt("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", &[&role]).await;
            if there.map_err(|e| postgres::asked("asking for the roles", &e))?.is_some() {
                continue;
            }
            let sql = format!("CREATE ROLE {} SUPERUSER", postgres::escape_identifier(&role));
            let made = session.client.batch_execute(&sql).await;
            made.map_err(|e| postgres::asked(&format!("making the role `{role}`"), &e))?;
        }
        Ok(())
    }
}

pub(super) fn open(touch: &Touch, path: &Path) -> Result<Archive<File>, StepError> {
    let wrong = |e: &(dyn std::error::Error + 'static)| StepError::because(format!("opening `{}`", path.display()), e);
    let file = files::open(touch.look(), path).map_err(|e| wrong(&e))?;
    Archive::open(file, u64::MAX).map_err(|e| wrong(&e))
}

/// The manifest, the place of the dump among the entries, and its head, after the dump was read to its end. SQL is checked
/// for what would run programs.
fn checked(touch: &Touch, path: &Path, password: Option<&[u8]>) -> Result<(Manifest, usize, Option<Head>), StepError> {
    let mut archive = open(touch, path)?;
    super::verify::check_password(&mut archive, path, password)?;
    let bad = |why: String| StepError::new(format!("`{}` cannot be restored: {why}", path.display()));
    let names: Vec<String> = archive.entries().iter().map(|e| e.name.clone()).collect();
    let find = |name: &str| names.iter().position(|n| n == name);
    let index = find(MANIFEST).ok_or_else(|| bad("it has no manifest, so it is no dump of runplan's".to_owned()))?;
    let mut text = Vec::new();
    let content = archive.read(index, password).map_err(|e| bad(e.to_string()))?;
    content.take(MANIFEST_LIMIT + 1).read_to_end(&mut text).map_err(|e| bad(e.to_string()))?;
    let manifest = Manifest::parse(&text).map_err(|why| bad(format!("its manifest {why}")))?;
    let index = find(&manifest.dump).ok_or_else(|| bad(format!("it has no `{}`", manifest.dump)))?;
    let folder = manifest.form() == Form::Directory;
    let mut buffer = vec![0u8; 1 << 18];
    let mut head = Vec::new();
    let mut vetting = (manifest.form() == Form::Plain).then(Vetting::default);
    for (at, _) in names.iter().enumerate().filter(|(at, n)| *at == index || folder && n.starts_with(FOLDER)) {
        let mut content = archive.read(at, password).map_err(|e| bad(e.to_string()))?;
        loop {
            let count = content.read(&mut buffer).map_err(|e| bad(e.to_string()))?;
            if count == 0 {
                break;
            }
            if let Some(vetting) = &mut vetting {
                vetting.take(&buffer[..count]).map_err(&bad)?;
            }
            if at == index && head.len() < HEAD_LIMIT {
                head.extend_from_slice(&buffer[..count.min(HEAD_LIMIT)]);
            }
            if touch.cancel().is_cancelled() {
                return Err(StepError::cancelled());
            }
        }
    }
    Ok((manifest, index, Head::parse(&head)))
}
