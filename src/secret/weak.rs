//! Secrets that a text may have by chance: masked everywhere they would make messages unreadable, and show what they are.

/// Words that are met in the messages of programs and in lists of the most common passwords.
const COMMON: &[&str] = &[
    "access",
    "admin",
    "administrator",
    "archive",
    "backup",
    "backups",
    "changeme",
    "connection",
    "copy",
    "data",
    "database",
    "default",
    "dump",
    "error",
    "example",
    "exemplo",
    "false",
    "file",
    "folder",
    "guest",
    "host",
    "localhost",
    "login",
    "mail",
    "master",
    "nightly",
    "none",
    "null",
    "pass",
    "passwd",
    "password",
    "pgpass",
    "postgres",
    "postgresql",
    "public",
    "qwerty",
    "root",
    "runplan",
    "schema",
    "secret",
    "select",
    "senha",
    "server",
    "service",
    "superuser",
    "system",
    "table",
    "teste",
    "test",
    "true",
    "user",
    "vacuum",
    "welcome",
];

/// The shortest secret that is masked also within words, in characters.
const SHORT: usize = 4;

/// Why a secret is weak, if it is: it is short, a common word, or one of the names that the texts have anyway.
pub fn why(secret: &str, names: &[String]) -> Option<&'static str> {
    if secret.chars().count() < SHORT {
        return Some("has fewer than four characters");
    }
    if names.iter().any(|name| name == secret) {
        return Some("is also the name of a role, a database or a plan");
    }
    let lower = secret.to_lowercase();
    COMMON.contains(&lower.as_str()).then_some("is a common word")
}
