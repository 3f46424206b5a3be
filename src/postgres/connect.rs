//! A session with a server, for looking: read-only, with the settings that `pg_dump` gets too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::tls::TlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::messages::Limits;
use super::notices::Notices;
use super::prepare::Purpose;
use super::wire::{Address, Asked, Raw, Refused, Rule, Tls, Watched};
use super::{Settings, SslMode, certificate};
use crate::process::minimal_env;
use crate::secret::Secret;
use crate::step::{Class, Env, Look, StepError, Touch, chain};

/// How long a connection may take when nothing else is said.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where systems keep the certificate authorities that they trust, in one file.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

impl Settings {
    /// Where this leads, for people: `app on db.example.org:5432 as backup`.
    pub fn place(&self) -> String {
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        format!(
            "database `{}` on {}:{} as `{}`",
            text(&self.dbname),
            text(&self.host),
            self.port.unwrap_or(5432),
            text(&self.user)
        )
    }

    /// The environment that gives a child of ours the same settings: every `PG*` variable of its own is replaced. The
    /// password travels here and never on a command line.
    pub fn child_env(&self, base: &Env) -> Env {
        let mut env: Env = base
            .iter()
            .filter(|(k, _)| {
                (!k.starts_with("PG") || *k == "PGPASSFILE") && !matches!(k.as_str(), "LC_ALL" | "LANGUAGE")
            })
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        let mut put = |name: &str, value: Option<String>| env.extend(value.map(|v| (name.to_owned(), v)));
        put("PGHOST", self.host.clone());
        put("PGPORT", self.port.map(|p| p.to_string()));
        put("PGUSER", self.user.clone());
        put("PGDATABASE", self.dbname.clone());
        put("PGPASSWORD", self.password.as_ref().and_then(Secret::expose).map(str::to_owned));
        put(
            "PGSSLMODE",
            self.sslmode.and_then(|m| serde_json::to_value(m).ok()).and_then(|v| v.as_str().map(str::to_owned)),
        );
        let verify = matches!(self.sslmode, Some(SslMode::VerifyCa | SslMode::VerifyFull));
        // Our client then asks the system whom to trust; libpq wants a file.
        let system = || SYSTEM_ROOTS.iter().find(|f| std::path::Path::new(f).is_file()).map(|f| (*f).to_owned());
        put("PGSSLROOTCERT", self.sslrootcert.clone().or_else(|| if verify { system() } else { None }));
        put("PGCONNECT_TIMEOUT", self.connect_timeout.map(|t| t.0.as_secs().max(1).to_string()));
        put("PGAPPNAME", Some("runplan".to_owned()));
        // What our own session refuses, libpq refuses too, from version 16 on; an older one is only started after ours.
        let rule = rules(self, self.is_here(), base).1;
        let refuse = rule.no_clear_text.then(|| "!password".to_owned());
        put("PGREQUIREAUTH", rule.required.or(refuse));
        // What the program says is looked through for failures that pass, and those are known in one language.
        put("LC_MESSAGES", Some("C".to_owned()));
        env
    }

    /// The environment of a confined child of ours with the same settings, and nothing else that we know. It cannot read
    /// the password file, so what that has for these settings is handed over.
    pub fn isolated_env(&self, base: &Env) -> Env {
        let password = self.password.clone().or_else(|| super::passfile::lookup(self, base));
        let all = Self { password, ..self.clone() }.child_env(base);
        let own = |name: &str| name.starts_with("PG") && name != "PGPASSFILE" || name == "LC_MESSAGES";
        minimal_env(base, all.into_iter().filter(|(name, _)| own(name)).collect())
    }
}

/// Opens a session that cannot write.
///
/// # Errors
/// The server cannot be reached, refuses, or its certificate does not fit.
pub async fn connect(look: &Look, settings: &Settings) -> Result<Client, StepError> {
    open(look, settings, Purpose::Read).await.map(|s| s.client)
}

/// Opens a session that cannot write and reads whole tables, whose rows may be long.
///
/// # Errors
/// As [`connect`].
pub async fn connect_for_rows(look: &Look, settings: &Settings) -> Result<Client, StepError> {
    open(look, settings, Purpose::Rows).await.map(|s| s.client)
}

/// A session that may write, and what the server said beside its answers.
pub struct Session {
    pub client: Client,
    notices: Arc<Mutex<Notices>>,
    way: Way,
}

impl Session {
    /// Asks the server to break off what the session is doing, over a connection like the session's own.
    pub async fn break_off(&self) {
        // A server that cannot be asked is left to notice that the session is gone.
        if let Ok((stream, tls)) = self.way.open(&Asked::nothing()).await {
            let _ = self.client.cancel_token().cancel_query_raw(stream, tls).await;
        }
    }

    /// The warnings of the server since the last time they were taken, a bounded number.
    pub fn take_warnings(&self) -> Vec<String> {
        self.take_notices().texts()
    }

    /// The same with what they mean for a VACUUM.
    pub fn take_notices(&self) -> Notices {
        std::mem::take(&mut self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Opens a session for statements of ours that write.
///
/// # Errors
/// As [`connect`].
pub async fn connect_rw(touch: &Touch, settings: &Settings) -> Result<Session, StepError> {
    open(touch.look(), settings, Purpose::Write).await
}

/// Opens a session for the plan's own statements.
///
/// # Errors
/// As [`connect`].
pub async fn connect_for_plan(touch: &Touch, settings: &Settings) -> Result<Session, StepError> {
    open(touch.look(), settings, Purpose::Plan).await
}

/// The way to a server, to be taken more than once.
#[derive(Clone)]
struct Way {
    address: Address,
    host: String,
    tls: MakeRustlsConnect,
    /// What must not be answered outside of TLS and within.
    rules: (Rule, Rule),
    negotiates: bool,
    limits: Limits,
    peer: Option<u32>,
}

impl Way {
    /// Connects, as far as to the question for TLS.
    async fn open(&self, asked: &Asked) -> std::io::Result<(Raw, Tls)> {
        let stream = self.address.dial(self.peer).await?;
        let stream = Watched::new(stream, self.rules.0.clone(), asked.clone(), self.limits, self.negotiates);
        Ok((stream, Tls::new(&self.tls, &self.host, self.rules.1.clone(), asked.clone(), self.limits)?))
    }
}

/// What must not be answered outside of TLS and within it: a password is only sent as it is where nobody else can listen,
/// on this machine or over TLS that `sslmode` demands.
fn rules(settings: &Settings, local: bool, env: &Env) -> (Rule, Rule) {
    // A throwaway server of our own is known by its user id and asks for nothing, whatever the user demands of others.
    let required = env.get("PGREQUIREAUTH").filter(|_| settings.peer.is_none()).cloned();
    let mode = settings.sslmode.unwrap_or_default();
    let demanded = !matches!(mode, SslMode::Disable | SslMode::Prefer);
    let rule = |no_clear_text| Rule { no_clear_text, required: required.clone() };
    (rule(!local), rule(!(local || demanded)))
}

async fn open(look: &Look, settings: &Settings, purpose: Purpose) -> Result<Session, StepError> {
    let mut config = Config::new();
    config.user(settings.user.as_deref().unwrap_or_default()).dbname(settings.dbname.as_deref().unwrap_or_default());
    config.application_name("runplan");
    let (password, withheld) = password(look, settings);
    if let Some(password) = &password {
        match password.expose() {
            Some(password) => config.password(password),
            None => {
                return Err(StepError::new(format!("{}: its password is not fetched in a dry run", settings.place()))
                    .class(Class::Sealed));
            }
        };
    }
    if withheld && settings.password.as_ref().is_some_and(Secret::is_sealed) {
        return Err(not_connected(settings));
    }
    let mode = settings.sslmode.unwrap_or_default();
    let tls = MakeRustlsConnect::new(certificate::tls(mode, settings.sslrootcert.as_deref())?);
    let limit = settings.connect_timeout.map_or(PATIENCE, |t| t.0);
    let given = password.is_some().then(|| origin(look, settings));
    let passwords = Passwords { given, withheld };
    let attempt = reach(&config, settings, (mode, tls), &look.env, purpose, passwords);
    tokio::select! {
        opened = tokio::time::timeout(limit, attempt) => opened.unwrap_or_else(|_| {
            let what = format!("connecting to {}: no answer in {} s", settings.place(), limit.as_secs());
            Err(StepError::new(what).class(Class::Unreachable))
        }),
        _ = look.cancel.cancelled() => Err(StepError::cancelled()),
    }
}

/// What is known of a password.
#[derive(Debug, Clone, Copy)]
struct Passwords {
    /// Where it came from, if there is one that is sent when the server asks for it.
    given: Option<&'static str>,
    /// There is one, and it is not sent.
    withheld: bool,
}

/// The password, and whether there is one that is withheld: a dry run sends none to a server that only the plan names.
fn password(look: &Look, settings: &Settings) -> (Option<Secret>, bool) {
    if !look.facts.own_servers_only || settings.is_users_own(&look.env) {
        return (settings.password.clone().or_else(|| super::passfile::lookup(settings, &look.env)), false);
    }
    match &settings.password {
        Some(_) => (None, true),
        None => match super::passfile::lookup_named(settings, &look.env) {
            Some(password) => (Some(password), false),
            None => (None, super::passfile::lookup(settings, &look.env).is_some()),
        },
    }
}

/// Where a password that is there came from.
fn origin(look: &Look, settings: &Settings) -> &'static str {
    let of_env = look.env.get("PGPASSWORD").filter(|p| !p.is_empty());
    match settings.password.as_ref().map(Secret::expose) {
        None => "the password file",
        Some(given) if given.is_some() && given == of_env.map(String::as_str) => "PGPASSWORD",
        Some(_) => "`database.password`",
    }
}

fn not_connected(settings: &Settings) -> StepError {
    let what = format!(
        "{}: not connected: the plan names this server, and a dry run sends it no password (`--connect` allows it)",
        settings.place()
    );
    StepError::new(what).class(Class::Sealed)
}

/// Connects to the first address of the host that answers, logs in, and sets the session.
async fn reach(
    config: &Config,
    settings: &Settings,
    (mode, tls): (SslMode, MakeRustlsConnect),
    env: &Env,
    purpose: Purpose,
    passwords: Passwords,
) -> Result<Session, StepError> {
    let unreachable = |error: &std::io::Error| {
        let what = format!("connecting to {}: {}", settings.place(), chain(error));
        StepError::new(what).class(Class::Unreachable).hint("is the server running, and are `host` and `port` right?")
    };
    let host = settings.host.clone().unwrap_or_else(|| "localhost".to_owned());
    let found = Address::of(&host, settings.port.unwrap_or(5432)).await.map_err(|e| unreachable(&e))?;
    let mut failed = StepError::new("the host has no address");
    for address in found {
        // A Unix socket has no TLS.
        let mode = if address.is_socket() { SslMode::Disable } else { mode };
        let mut config = config.clone();
        config.ssl_mode(match mode {
            SslMode::Disable => tokio_postgres::config::SslMode::Disable,
            SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
            _ => tokio_postgres::config::SslMode::Require,
        });
        // The name that TLS is made out for.
        config.host(&host);
        let rules = rules(settings, address.is_local(), env);
        let negotiates = mode != SslMode::Disable;
        let limits = purpose.limits();
        let way = Way { address, host: host.clone(), tls: tls.clone(), rules, negotiates, limits, peer: settings.peer };
        let asked = Asked::nothing();
        let (stream, tls) = match way.open(&asked).await {
            Ok(pair) => pair,
            Err(error) => {
                let other = error.get_ref().is_some_and(|e| e.is::<Refused>());
                let what = || StepError::new(format!("connecting to {}: {}", settings.place(), chain(&error)));
                failed = if other { what() } else { unreachable(&error) };
                continue;
            }
        };
        match config.connect_raw(stream, tls).await {
            Ok((client, connection)) => return begin(settings, way, client, connection, purpose).await,
            Err(_) if passwords.withheld && asked.for_password() => return Err(not_connected(settings)),
            Err(error) => failed = refused(settings, passwords.given, asked.for_password(), &error),
        }
    }
    Err(failed)
}

/// Lets a session run, and sets it.
async fn begin(
    settings: &Settings,
    way: Way,
    client: Client,
    mut connection: Connection<Raw, <Tls as TlsConnect<Raw>>::Stream>,
    purpose: Purpose,
) -> Result<Session, StepError> {
    let version = connection.parameter("server_version").unwrap_or_default();
    let sql = super::prepare::statements(purpose, version);
    let notices = Arc::new(Mutex::new(Notices::default()));
    let said = Arc::clone(&notices);
    // Ends with the client; what goes wrong is seen by whoever asks next.
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message {
                said.lock().unwrap_or_else(PoisonError::into_inner).hear(&notice);
            }
        }
    });
    let set = client.batch_execute(&sql).await;
    set.map_err(|e| asked(&format!("setting the session with {}", settings.place()), &e))?;
    Ok(Session { client, notices, way })
}

const NO_PASSWORD: &str = "the server wants a password: give `database.password` a secret, or set PGPASSWORD, or write a line \
                           for it into `~/.pgpass`, which counts only with mode 600";

/// The hint of an error about a database that does not exist.
pub const CHECK_DBNAME: &str = "check `dbname`: `psql -l` lists the databases of a server";

fn refused(settings: &Settings, password: Option<&str>, asked: bool, error: &tokio_postgres::Error) -> StepError {
    let said = StepError::new(format!("connecting to {}: {}", settings.place(), chain(error)));
    let Some(database) = error.as_db_error() else {
        let source = std::error::Error::source(error).and_then(|s| s.downcast_ref::<std::io::Error>());
        if let Some(Refused(why)) = source.and_then(std::io::Error::get_ref).and_then(|e| e.downcast_ref()) {
            return StepError::new(format!("connecting to {}: {why}", settings.place())).hint(
                "set `sslmode: verify-full` (or `require`), or have the server ask with scram-sha-256 in its pg_hba.conf",
            );
        }
        return match source.map(std::io::Error::kind) {
            // rustls hands its own faults over as invalid data.
            Some(std::io::ErrorKind::InvalidData) => {
                said.hint("check `sslmode` and `sslrootcert`, and the server's certificate")
            }
            Some(_) => said.class(Class::Unreachable).hint("is the server running, and are `host` and `port` right?"),
            None if error.is_closed() => {
                said.class(Class::Unreachable).hint("the server hung up: is it going down, or full, or starting?")
            }
            None if asked && password.is_none() => said.hint(NO_PASSWORD),
            None => said.hint("check `sslmode`, and whether the server speaks TLS"),
        };
    };
    match database.code().code() {
        "28P01" | "28000" => said.hint(match password {
            Some(origin) => {
                format!("check `user` and `password` (it came from {origin}), and the server's pg_hba.conf")
            }
            None => NO_PASSWORD.to_owned(),
        }),
        "3D000" => said.hint(CHECK_DBNAME),
        "57P01" | "57P02" | "57P03" => said.class(Class::Unreachable),
        "53300" => said.class(Class::Transient),
        _ => said,
    }
}

/// What a question to the server failed at, and whether asking again may help: a lost connection, a lock that was not
/// had, a conflict between transactions, a server that has no room or goes down (PostgreSQL manual, "PostgreSQL Error
/// Codes").
pub fn asked(doing: &str, error: &tokio_postgres::Error) -> StepError {
    let said = StepError::new(format!("{doing}: {}", words(error)));
    // Each of two server processes knows its own prepared statements alone.
    let said = match error.as_db_error().map(|d| d.code().code()) {
        Some("26000" | "42P05") => said.hint(
            "is there a connection pooler in transaction mode in between? connect to the server itself, or use session mode",
        ),
        _ => said,
    };
    let passing = match error.as_db_error().map(|d| d.code().code()) {
        Some(code) => {
            matches!(&code[..2], "08" | "53")
                || matches!(code, "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03")
        }
        None => error.is_closed() || std::error::Error::source(error).is_some_and(|s| s.is::<std::io::Error>()),
    };
    if passing { said.class(Class::Transient) } else { said }
}

/// The error with what the server adds to it: detail, hint and where.
fn words(error: &tokio_postgres::Error) -> String {
    let Some(database) = error.as_db_error() else { return chain(error) };
    let mut text = format!("{} ({})", database.message(), database.code().code());
    text.extend(database.detail().map(|d| format!("; detail: {d}")));
    text.extend(database.hint().map(|h| format!("; hint: {h}")));
    if let Some(tokio_postgres::error::ErrorPosition::Original(at)) = database.position() {
        text += &format!("; at character {at}");
    }
    text
}
