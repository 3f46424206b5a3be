//! A session with a server, for looking: read-only, with the settings that `pg_dump` gets too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Settings, SslMode};
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
        // What the program says is looked through for failures that pass, and those are known in one language.
        put("LC_MESSAGES", Some("C".to_owned()));
        env
    }
}

/// Opens a session that cannot write.
///
/// # Errors
/// The server cannot be reached, refuses, or its certificate does not fit.
pub async fn connect(look: &Look, settings: &Settings) -> Result<Client, StepError> {
    open(look, settings, true).await.map(|s| s.client)
}

/// A session that may write, and what the server said beside its answers.
pub struct Session {
    pub client: Client,
    notices: Arc<Mutex<Vec<String>>>,
    tls: MakeRustlsConnect,
}

impl Session {
    /// Asks the server to break off what the session is doing, over a connection like the session's own.
    pub async fn break_off(&self) {
        // A server that cannot be asked is left to notice that the session is gone.
        let _ = self.client.cancel_token().cancel_query(self.tls.clone()).await;
    }

    /// The warnings of the server since the last time they were taken.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Opens a session that may write.
///
/// # Errors
/// As [`connect`].
pub async fn connect_rw(touch: &Touch, settings: &Settings) -> Result<Session, StepError> {
    open(touch.look(), settings, false).await
}

async fn open(look: &Look, settings: &Settings, read_only: bool) -> Result<Session, StepError> {
    let mut config = Config::new();
    config.host(settings.host.as_deref().unwrap_or("localhost")).port(settings.port.unwrap_or(5432));
    config.user(settings.user.as_deref().unwrap_or_default()).dbname(settings.dbname.as_deref().unwrap_or_default());
    config.application_name("runplan");
    if read_only {
        config.options("-c default_transaction_read_only=on");
    }
    config.connect_timeout(settings.connect_timeout.map_or(PATIENCE, |t| t.0));
    let password = settings.password.clone().or_else(|| super::passfile::lookup(settings, &look.env));
    if let Some(password) = &password {
        match password.expose() {
            Some(password) => config.password(password),
            None => {
                return Err(StepError::new(format!("{}: its password is not fetched in a dry run", settings.place()))
                    .class(Class::Sealed));
            }
        };
    }
    let mode = settings.sslmode.unwrap_or_default();
    config.ssl_mode(match mode {
        SslMode::Disable => tokio_postgres::config::SslMode::Disable,
        SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
        _ => tokio_postgres::config::SslMode::Require,
    });
    let tls = MakeRustlsConnect::new(tls(mode, settings.sslrootcert.as_deref())?);
    let attempt = config.connect(tls.clone());
    let limit = settings.connect_timeout.map_or(PATIENCE, |t| t.0);
    let connected = tokio::select! {
        connected = tokio::time::timeout(limit, attempt) => connected,
        _ = look.cancel.cancelled() => return Err(StepError::cancelled()),
    };
    let (client, mut connection) = match connected {
        Ok(Ok(pair)) => pair,
        Ok(Err(error)) => return Err(refused(settings, password.is_some(), &error)),
        Err(_) => {
            let what = format!("connecting to {}: no answer in {} s", settings.place(), limit.as_secs());
            return Err(StepError::new(what).class(Class::Unreachable));
        }
    };
    let notices = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&notices);
    // Ends with the client; what goes wrong is seen by whoever asks next.
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message
                && notice.severity() == "WARNING"
            {
                said.lock().unwrap_or_else(PoisonError::into_inner).push(notice.message().to_owned());
            }
        }
    });
    Ok(Session { client, notices, tls })
}

const NO_PASSWORD: &str = "the server wants a password: give `database.password` a secret, or set PGPASSWORD, or write a line \
                           for it into `~/.pgpass`, which counts only with mode 600";

fn refused(settings: &Settings, password: bool, error: &tokio_postgres::Error) -> StepError {
    let said = StepError::new(format!("connecting to {}: {}", settings.place(), chain(error)));
    let Some(database) = error.as_db_error() else {
        let source = std::error::Error::source(error).and_then(|s| s.downcast_ref::<std::io::Error>());
        return match source.map(std::io::Error::kind) {
            // rustls hands its own faults over as invalid data.
            Some(std::io::ErrorKind::InvalidData) => {
                said.hint("check `sslmode` and `sslrootcert`, and the server's certificate")
            }
            Some(_) => said.class(Class::Unreachable).hint("is the server running, and are `host` and `port` right?"),
            None if error.is_closed() => {
                said.class(Class::Unreachable).hint("the server hung up: is it going down, or full, or starting?")
            }
            None if !password => said.hint(NO_PASSWORD),
            None => said.hint("check `sslmode`, and whether the server speaks TLS"),
        };
    };
    match database.code().code() {
        "28P01" | "28000" if password => said.hint("check `user` and `password`, and the server's pg_hba.conf"),
        "28P01" | "28000" => said.hint(NO_PASSWORD),
        "3D000" => said.hint("check `dbname`"),
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

fn tls(mode: SslMode, roots: Option<&str>) -> Result<ClientConfig, StepError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| StepError::because("TLS", &e))?;
    let verify = match (mode, roots) {
        (SslMode::VerifyCa | SslMode::VerifyFull, _) => true,
        // libpq checks the certificate when it was told whom to trust.
        (SslMode::Require, Some(_)) => true,
        _ => false,
    };
    if !verify {
        let verifier = Unverified(provider);
        return Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth());
    }
    let store = crate::tls::authorities("sslrootcert", roots)?;
    let inner = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
    let inner = inner.map_err(|e| StepError::because("the certificate authorities", &e))?;
    if mode == SslMode::VerifyFull {
        return Ok(builder.with_webpki_verifier(inner).with_no_client_auth());
    }
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(inner))).with_no_client_auth())
}

/// `prefer` and `require`: encrypted, whoever it is.
#[derive(Debug)]
struct Unverified(Arc<rustls::crypto::CryptoProvider>);

/// `verify-ca`: a certificate of a trusted authority, made out for any name.
#[derive(Debug)]
struct AnyName(Arc<rustls::client::WebPkiServerVerifier>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(m, c, d, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(m, c, d, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        e: &CertificateDer<'_>,
        i: &[CertificateDer<'_>],
        n: &ServerName<'_>,
        o: &[u8],
        t: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.0.verify_server_cert(e, i, n, o, t) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }
    fn verify_tls12_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(m, c, d)
    }
    fn verify_tls13_signature(
        &self,
        m: &[u8],
        c: &CertificateDer<'_>,
        d: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(m, c, d)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
