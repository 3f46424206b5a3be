//! `verify`: an archive read through.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive;
use crate::proof::{self, Compared};
use crate::secret::Secret;
use crate::step::{Look, Preview, Step, StepError, Touch};

/// Read an archive completely and check it, without a database.
///
/// Checked are the record, the size and the SHA-256; the authentication code or checksum of every entry; the table of
/// contents of the dump; and, against the manifest, the rows and checksum of every table, every sequence and every
/// large object. What could not be measured is named. All problems are reported, not only the first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Path of the archive, or of a dump file.
    #[schemars(extend("x-runplan-path" = true))]
    archive: String,
    /// Password of the archive. Not needed for an archive without encryption.
    #[serde(default)]
    password: Option<Secret>,
    /// Write the record again if nothing else is missing. It is made from the manifest in the archive, after every byte
    /// was read.
    #[serde(default)]
    write_record: bool,
}

/// Result of the step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// Path of the archive.
    path: String,
    /// Size in bytes.
    bytes: u64,
    /// SHA-256, in hexadecimal.
    sha256: String,
    /// Number of entries in the archive.
    entries: u64,
    /// Number of tables that were compared with the manifest.
    tables: u64,
    /// Number of rows in these tables.
    rows: u64,
}

/// Everything decided.
#[derive(Debug)]
pub struct Work {
    archive: PathBuf,
    password: Option<Secret>,
    write_record: bool,
}

/// The executor.
pub struct Verify;

impl Step for Verify {
    const NAME: &'static str = "verify";
    const EXAMPLE: &'static str = "archive: ${{ steps.dump.outputs.path }}\npassword: ${{ secrets.zip_password }}\n";
    const PUBLISHES: bool = true;
    type Params = Params;
    type Output = Output;
    type Work = Work;

    fn stands(outputs: &serde_json::Value, look: &Look) -> Result<(), StepError> {
        archive::stand(look, outputs, false)
    }

    async fn plan(params: Params, look: &Look) -> Result<Work, StepError> {
        let archive = proof::there(look, &params.archive)?;
        Ok(Work { archive, password: params.password, write_record: params.write_record })
    }

    fn preview(work: &Work) -> Preview {
        Preview::new([format!("reads `{}` through", work.archive.display())])
    }

    async fn apply(work: Work, touch: &Touch) -> Result<Output, StepError> {
        let own = touch.again();
        let path = work.archive.clone();
        let verifying = tokio::task::spawn_blocking(move || {
            let password = work.password.as_ref().map(|p| own.open(p).to_owned());
            if work.write_record {
                proof::write_record(&own, &work.archive, password.as_deref())
                    .map_err(|e| e.with_password_origin(work.password.as_ref()))?;
            }
            proof::verify(&own, &work.archive, password.as_deref())
                .map_err(|e| e.with_password_origin(work.password.as_ref()))
        });
        let verified = verifying.await.map_err(|e| StepError::because("reading the archive", &e))??;
        let Compared { tables, rows, summary } = verified.compared;
        touch.log().info(format!("`{}` is good: {summary}", path.display()));
        let record = verified.record;
        Ok(Output {
            path: path.to_string_lossy().into_owned(),
            bytes: record.bytes,
            sha256: record.sha256,
            entries: verified.entries,
            tables,
            rows,
        })
    }
}
