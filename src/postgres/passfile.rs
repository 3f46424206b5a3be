//! The password file of libpq (PostgreSQL manual, "The Password File"): lines of `host:port:database:user:password`, in
//! which `*` stands for anything and a backslash takes `:` and `\` literally.

use std::path::{Path, PathBuf};

use super::Settings;
use crate::files::{self, Links};
use crate::secret::Secret;
use crate::step::Env;

/// The largest password file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// `PGPASSFILE`, else `~/.pgpass` (`%APPDATA%\postgresql\pgpass.conf` on Windows).
fn path(env: &Env) -> Option<PathBuf> {
    let set = |name: &str| env.get(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let usual = || match cfg!(windows) {
        true => set("APPDATA").map(|d| d.join("postgresql").join("pgpass.conf")),
        false => set("HOME").map(|d| d.join(".pgpass")),
    };
    set("PGPASSFILE").or_else(usual)
}

/// The text of the file; none when it is missing or, as for libpq, when others may read it.
fn read(path: &Path) -> Option<String> {
    let file = files::open_regular(path, Links::Follow).ok()?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata().ok()?.permissions().mode() & 0o077 != 0 {
            return None;
        }
    }
    String::from_utf8(files::read_limited(file, LIMIT).ok()?).ok()
}

/// The password that the file has for these settings, which are resolved: the first line that fits counts.
pub fn lookup(settings: &Settings, env: &Env) -> Option<Secret> {
    find(&read(&path(env)?)?, settings).map(|found| found.password)
}

/// The same, if that line names the server: the host, and the port unless it is the user's own. Anybody can listen on a
/// port of this machine.
pub fn lookup_named(settings: &Settings, env: &Env) -> Option<Secret> {
    let own_port = Settings::default().resolve(env).ok().and_then(|own| own.port);
    find_named(&read(&path(env)?)?, settings, own_port)
}

/// Every password in the file, for the redactor.
pub fn passwords(env: &Env) -> Vec<Secret> {
    let text = path(env).and_then(|p| read(&p)).unwrap_or_default();
    text.lines().filter_map(fields).map(|[.., password]| Secret::new(password)).collect()
}

/// What a line says.
struct Found {
    password: Secret,
    names_host: bool,
    names_port: bool,
}

fn find_named(text: &str, settings: &Settings, own_port: Option<u16>) -> Option<Secret> {
    let is_own = own_port == Some(settings.port.unwrap_or(5432));
    find(text, settings).filter(|f| f.names_host && (f.names_port || is_own)).map(|f| f.password)
}

fn find(text: &str, settings: &Settings) -> Option<Found> {
    let given = |t: &Option<String>| t.clone().unwrap_or_default();
    let host = given(&settings.host);
    // A Unix socket in the folder that libpq was built with is `localhost` to the file (PostgreSQL manual, "The Password
    // File"). Everybody may make a socket in `/tmp`, so a line for `localhost` does not name the server there.
    let own_folder = matches!(host.as_str(), "/var/run/postgresql" | "/run/postgresql");
    let is_socket = host.starts_with('/');
    let host = if own_folder || host == "/tmp" { "localhost".to_owned() } else { host };
    let port = settings.port.unwrap_or(5432).to_string();
    let wanted = [host, port, given(&settings.dbname), given(&settings.user)];
    let mut lines = text.lines().filter_map(fields);
    let line = lines.find(|line| line.iter().zip(&wanted).all(|(field, want)| field == "*" || field == want))?;
    let names_host = line[0] != "*" && (own_folder || !is_socket || line[0].starts_with('/'));
    let names_port = line[1] != "*";
    let [.., password] = line;
    Some(Found { password: Secret::new(password), names_host, names_port })
}

/// The five fields of a line; none for a comment or a line that has fewer. All after the fourth colon is the password.
fn fields(line: &str) -> Option<[String; 5]> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields: Vec<String> = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => fields.last_mut()?.extend(chars.next()),
            ':' if fields.len() < 5 => fields.push(String::new()),
            ':' => break,
            c => fields.last_mut()?.push(c),
        }
    }
    fields.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_fits_counts() {
        let settings = |host: &str, user: &str| Settings {
            host: Some(host.to_owned()),
            port: Some(5432),
            dbname: Some("app".to_owned()),
            user: Some(user.to_owned()),
            ..Settings::default()
        };
        let text = "# db:5432:app:ann:no\nother:*:*:*:wrong\ndb:5432:app:ann:s\\:e\\\\c\ndb:*:*:*:second\nbroken\n";
        let found = |host, user| find(text, &settings(host, user)).and_then(|f| f.password.expose().map(str::to_owned));
        assert_eq!(found("db", "ann").as_deref(), Some("s:e\\c"));
        assert_eq!(found("db", "bob").as_deref(), Some("second"));
        assert_eq!(found("elsewhere", "ann"), None);
        assert_eq!(
            find("localhost:*:*:*:sock", &settings("/run/postgresql", "ann"))
                .and_then(|f| f.password.expose().map(str::to_owned))
                .as_deref(),
            Some("sock")
        );
        let named = |text, host| find_named(text, &settings(host, "ann"), Some(5432)).is_some();
        assert!(named(text, "db") && !named("*:*:*:*:any", "db"));
        // Anybody can make a socket in a folder of his own and name it in a plan.
        assert!(find("localhost:*:*:*:sock", &settings("/tmp/evil", "ann")).is_none());
        assert!(named("localhost:*:*:*:sock", "/run/postgresql") && !named("localhost:*:*:*:sock", "/tmp"));
        // Anybody can listen on a port of this machine and name it in a plan.
        let at_port = |text, own| find_named(text, &settings("127.0.0.1", "ann"), own).is_some();
        assert!(!at_port("127.0.0.1:*:*:*:any", Some(5433)) && !at_port("127.0.0.1:*:*:*:any", None));
        assert!(at_port("127.0.0.1:5432:*:*:this", Some(5433)) && at_port("127.0.0.1:*:*:*:own", Some(5432)));
    }
}
