//! `verify`: an archive read through.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::archive;
use crate::proof::{self, Compared};
use crate::secret::Secret;
use crate::step::{Look, Preview, Step, StepError, Touch};

/// Reads an archive through and says whether it is good, without a database.
///
/// Its record, size and SHA-256; the authentication code or checksum of every entry; the dump's table of contents and all
/// its data: the rows and checksum of every table, every sequence and every large object, as the manifest says. What could
/// not be measured is named. All checks that fail are said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The archive, or a bare dump.
    #[schemars(extend("x-runplan-path" = true))]
    archive: String,
    /// Its password, when it has one.
    #[serde(default)]
    password: Option<Secret>,
    /// Whether its record is written again when that is all that is missing: from the manifest inside, after every byte was
    /// read.
    #[serde(default)]
    write_record: bool,
}

/// What was found good.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Output {
    /// The archive.
    path: String,
    /// Its size in bytes.
    bytes: u64,
    /// Its SHA-256, in hexadecimal.
    sha256: String,
    /// How many entries it has.
    entries: u64,
    /// How many tables were compared with the manifest.
    tables: u64,
    /// How many rows these have.
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
