//! What is dumped, how and into what: the server is asked, the program found, the arguments put together.

use tokio_postgres::Client;

use super::manner::Manner;
use super::members;
use super::options::owned;
use super::room::{self, Room};
use super::{Format, Measuring, Params, Target, Work, session};
use crate::files;
use crate::postgres::{self, Pattern};
use crate::process;
use crate::step::{Look, Probe, StepError, Touch, Verdict};

/// What the server says of itself.
#[derive(Debug)]
pub struct Facts {
    pub version: String,
    /// The major version, like 15.
    pub major: u32,
    /// The number that tells one cluster from all others, where the user may ask for it.
    pub identifier: Option<String>,
    /// Bytes of the database on the server's disk.
    pub size: Option<u64>,
    /// Whether the user may read the passwords of roles.
    superuser: bool,
    /// What the database has besides its content.
    pub properties: Option<postgres::DatabaseProperties>,
}

/// Decides everything; see [`Work`].
pub async fn decide(params: Params, look: &Look) -> Result<Work, StepError> {
    let extra: Vec<Option<&str>> = params.extra_args.iter().map(|a| Some(a.as_str())).collect();
    if let Some((_, option, why)) = owned(&extra, params.format == Format::Directory).first() {
        return Err(StepError::new(format!("`{option}` is not for `extra_args`: {why}")));
    }
    let target = Target::of(&params)?;
    target.unused(look)?;
    if let Target::Archive(archive) = &target {
        archive.foresee(look);
    }
    let (jobs, manner) = manner(&params, &target)?;
    let database = params.database.resolve(&look.env).map_err(|e| StepError::new(e.to_string()))?;
    let client = postgres::connect(look, &database).await?;
    let server = facts(&client).await?;
    let near = postgres::visible_schemas(&client).await?;
    for pattern in params.exclude_tables.iter().chain(&params.exclude_table_data) {
        if !matches(&client, pattern, &near).await? {
            look.log.warn(format!("the pattern `{pattern}` excludes nothing: no table matches it"));
        }
    }
    for pattern in &params.tables {
        if let Some(text) = ambiguous(&client, pattern, &near).await? {
            return Err(StepError::new(text).hint(AMBIGUOUS_HINT));
        }
    }
    match missed(&client, &params).await {
        Ok(missed) => missed.into_iter().for_each(|text| look.log.warn(text)),
        Err(error) => look.log.warn(error.to_string()),
    }
    match members::left_out(&params, &client).await {
        Ok(text) => text.into_iter().for_each(|text| look.log.warn(format!("{text}; {}", members::HINT))),
        Err(error) => look.log.warn(error.to_string()),
    }
    let outlooks = Room::outlooks(look, &target, params.format, database.dbname.as_deref(), server.size);
    let total = outlooks.iter().find_map(|o| o.dump).or(server.size);
    // What does not fit at one place may fit at another.
    if let [first, ..] = outlooks.as_slice()
        && outlooks.iter().all(|o| o.in_vain)
    {
        return Err(StepError::new(&first.text).hint(room::HINT));
    }
    for outlook in outlooks {
        match outlook.verdict {
            Verdict::Problem => look.log.warn(&outlook.text),
            _ => look.log.debug(&outlook.text),
        }
    }
    let mut argv = vec![program(look, &params, server.major)?, "--no-password".to_owned()];
    argv.extend(match params.format {
        Format::Custom => ["--format=custom".to_owned(), "--compress=0".to_owned()].to_vec(),
        Format::Plain => ["--format=plain".to_owned()].to_vec(),
        Format::Directory => {
            let folder = files::Spool::path_of(target.path().as_ref());
            let fixed = ["--format=directory", "--compress=0", "--no-sync", "--verbose"].map(str::to_owned);
            let own = [format!("--jobs={jobs}"), format!("--file={}", folder.display())];
            fixed.into_iter().chain(own).collect()
        }
    });
    argv.push(format!("--lock-wait-timeout={}", params.lock_wait_timeout.0.as_millis()));
    if !params.schemas.is_empty() || !params.tables.is_empty() {
        argv.push("--strict-names".to_owned());
    }
    let lists = [
        ("schema", &params.schemas),
        ("table", &params.tables),
        ("exclude-table", &params.exclude_tables),
        ("exclude-table-data", &params.exclude_table_data),
    ];
    for (option, patterns) in lists {
        argv.extend(patterns.iter().map(|p| format!("--{option}={p}")));
    }
    let extra_digits = session::float_digits(&params.extra_args);
    argv.extend(params.extra_args);
    let globals = match params.globals {
        false => None,
        true => {
            let found = postgres::find(look, "pg_dumpall", server.major)?.to_string_lossy().into_owned();
            let mut argv = vec![found, "--no-password".to_owned(), "--globals-only".to_owned()];
            if !server.superuser {
                look.log.warn("the passwords of roles are left out of `globals.sql`: only a superuser may read them");
                argv.push("--no-role-passwords".to_owned());
            }
            Some(argv)
        }
    };
    let (format, depth) = (params.format, params.evidence);
    let session = session::settings(&client, &extra_digits).await?;
    let measuring = Measuring { depth, session, cross_check: params.cross_check, allow_empty: params.allow_empty };
    let placed = params.program.is_none() && postgres::distributed_major(argv[0].as_ref()).is_some();
    Ok(Work { argv, placed, globals, format, target, database, server, total, measuring, manner })
}

/// How many tables are dumped at a time, and how much of the machine is taken.
fn manner(params: &Params, target: &Target) -> Result<(u8, Manner), StepError> {
    let jobs = params.jobs.unwrap_or(1);
    if params.format == Format::Directory {
        if !matches!(target, Target::Archive(_)) {
            return Err(StepError::new("`format: directory` needs an `archive`: a bare file holds one dump"));
        }
        if cfg!(not(target_os = "linux")) {
            return Err(StepError::new("`format: directory` needs Linux, which says when a file is complete")
                .hint("use `format: custom`"));
        }
    } else if params.jobs.is_some() {
        return Err(StepError::new(
            "`jobs` needs `format: directory`: only there `pg_dump` writes several tables at a time",
        ));
    }
    let manner = Manner { nice: params.nice, rate: params.max_rate };
    if manner.nice.is_some_and(|nice| nice > 19) {
        return Err(StepError::new("`nice` is from 0 to 19"));
    }
    if manner.rate.is_some() && params.format == Format::Directory {
        return Err(StepError::new("`max_rate` holds a pipe back, and `format: directory` has none"));
    }
    if !(1..=64).contains(&jobs) {
        return Err(StepError::new("`jobs` is from 1 to 64"));
    }
    Ok((jobs, manner))
}

/// The `pg_dump` that is written, else the one that fits the server.
///
/// # Errors
/// There is none that is new enough.
pub fn program(look: &Look, params: &Params, server: u32) -> Result<String, StepError> {
    match &params.program {
        Some(program) => Ok(program.clone()),
        None => postgres::find(look, "pg_dump", server).map(|p| p.to_string_lossy().into_owned()),
    }
}

/// Whether the program can dump the server, asked where its place does not say it.
///
/// # Errors
/// It is older.
pub async fn fits(touch: &Touch, work: &Work) -> Result<(), StepError> {
    let (program, server) = (&work.argv[0], &work.server);
    let dumper = match work.placed {
        true => postgres::distributed_major(program.as_ref()),
        false => {
            let number = version(&Probe::of(touch), program, &server.version, server.major).await?;
            postgres::numbers(&number).first().copied()
        }
    };
    if let Some(text) = dumper.and_then(|dumper| one_way(dumper, server.major, work.format)) {
        touch.log().warn(format!("{text}; {}", one_way_hint(server.major)));
    }
    Ok(())
}

/// The first version whose archives no server before it takes: its `pg_restore` alone reads them, and that sets
/// `transaction_timeout`.
const ONE_WAY: u32 = 17;

/// Whether a dump cannot be restored into a server of the version that it comes from.
pub fn one_way(dumper: u32, server: u32, format: Format) -> Option<String> {
    (format != Format::Plain && dumper >= ONE_WAY && server < ONE_WAY).then(|| {
        format!(
            "a dump by `pg_dump` {dumper} cannot be restored into a server of version {server} like this one, only into \
             {ONE_WAY} or newer"
        )
    })
}

/// What to do about it.
pub fn one_way_hint(server: u32) -> String {
    format!("install the client programs of PostgreSQL {server} (postgresql-client-{server}), or use `format: plain`")
}

/// The version of a `pg_dump`. One that is older than the server cannot dump it (PostgreSQL manual, pg_dump, "Notes").
///
/// # Errors
/// It is older, or says no version.
pub async fn version(probe: &Probe, program: &str, server: &str, major: u32) -> Result<String, StepError> {
    let said = process::version(probe, program).await?;
    // `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, `… 18beta1`
    let number = said.split_whitespace().find(|w| w.starts_with(|c: char| c.is_ascii_digit())).unwrap_or_default();
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    let wrong = |_| StepError::new(format!("`{program}` says it is `{said}`, which is no version"));
    if digits.parse::<u32>().map_err(wrong)? >= major {
        return Ok(number.to_owned());
    }
    let what = format!("`{program}` is version {number} and cannot dump the server, which is version {server}");
    Err(StepError::new(what).hint(format!("install the client programs of PostgreSQL {major}")))
}

async fn facts(client: &Client) -> Result<Facts, StepError> {
    let sql = "SELECT pg_catalog.current_setting('server_version'), pg_catalog.current_setting('server_version_num')::int, \
               pg_catalog.pg_database_size(pg_catalog.current_database()), pg_catalog.current_setting('is_superuser') = 'on'";
    let row = client.query_one(sql, &[]).await;
    let row = row.map_err(|e| postgres::asked("asking the server for its version", &e))?;
    let (number, size): (i32, i64) = (row.get(1), row.get(2));
    // Not every role may ask; the record then says nothing of it.
    let identifier = client.query_one("SELECT system_identifier::text FROM pg_catalog.pg_control_system()", &[]).await;
    Ok(Facts {
        version: row.get(0),
        major: u32::try_from(number / 10_000).unwrap_or(0),
        identifier: identifier.ok().map(|r| r.get(0)),
        size: u64::try_from(size).ok(),
        superuser: row.get(3),
        // Without them the database is restored with those of the other server.
        properties: postgres::properties(client).await.ok(),
    })
}

/// The patterns of what is to be dumped that match nothing, at which `pg_dump` fails: it judges by itself, so this is said
/// and stops nothing.
///
/// # Errors
/// The server cannot say it.
pub async fn missed(client: &Client, params: &Params) -> Result<Vec<String>, StepError> {
    let mut missed = Vec::new();
    let near = postgres::visible_schemas(client).await?;
    for pattern in &params.tables {
        if !matches(client, pattern, &near).await? {
            missed.push(format!("no table matches the pattern `{pattern}` of `tables`, and pg_dump would fail at it"));
        }
    }
    for pattern in &params.schemas {
        let name = Pattern::parse(pattern).name;
        let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname ~ $1 COLLATE pg_catalog.default)";
        let row = client.query_one(sql, &[&name]).await;
        let row = row.map_err(|e| postgres::asked(&format!("looking for schemas like `{pattern}`"), &e))?;
        if !row.get::<_, bool>(0) {
            missed
                .push(format!("no schema matches the pattern `{pattern}` of `schemas`, and pg_dump would fail at it"));
        }
    }
    Ok(missed)
}

/// What to do about a name that several schemas have.
pub const AMBIGUOUS_HINT: &str = "write the schema, like `public.orders`";

/// Why a pattern of `tables` without a schema may mean another table than the user thinks: several schemas of the search path
/// have one of that name, and `pg_dump` takes the first. Who may create a schema may put one in front.
///
/// # Errors
/// The server cannot say it.
pub async fn ambiguous(client: &Client, pattern: &str, near: &[String]) -> Result<Option<String>, StepError> {
    let Pattern { schema: None, name } = Pattern::parse(pattern) else { return Ok(None) };
    let sql = "SELECT pg_catalog.string_agg(n.nspname::pg_catalog.text || '.' || c.relname::pg_catalog.text, ', ' \
               ORDER BY pg_catalog.array_position($2::pg_catalog.text[], n.nspname::pg_catalog.text)) \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND c.relname ~ $1 COLLATE pg_catalog.default \
               AND n.nspname::pg_catalog.text = ANY ($2::pg_catalog.text[]) \
               GROUP BY c.relname HAVING pg_catalog.count(*) > 1 ORDER BY c.relname LIMIT 1";
    let row = client.query_opt(sql, &[&name, &near]).await;
    let row = row.map_err(|e| postgres::asked(&format!("looking for tables like `{pattern}`"), &e))?;
    Ok(row.map(|row| {
        let found: String = row.get(0);
        format!("`{pattern}` of `tables` names no schema, and more than one has such a table: {found}")
    }))
}

/// Whether a pattern of `pg_dump` matches a table, or what `pg_dump` treats like one. `near` are the schemas in which a
/// name without one is looked up.
async fn matches(client: &Client, pattern: &str, near: &[String]) -> Result<bool, StepError> {
    let Pattern { schema, name } = Pattern::parse(pattern);
    let visible = postgres::visible("$3");
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND c.relname ~ $1 COLLATE pg_catalog.default \
         AND CASE WHEN $2::text IS NULL THEN {visible} ELSE n.nspname ~ $2 COLLATE pg_catalog.default END)"
    );
    let row = client.query_one(&sql, &[&name, &schema, &near]).await;
    Ok(row.map_err(|e| postgres::asked(&format!("looking for tables like `{pattern}`"), &e))?.get(0))
}
