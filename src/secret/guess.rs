//! Passwords that are easily guessed by whoever can try as many as he likes.

/// Why a password is easily guessed. Never quotes it.
pub fn why(password: &str) -> Option<&'static str> {
    /// Of the lists of passwords that are tried first, what is as long as a good one, or names what it protects.
    const COMMON: [&str; 30] = [
        "password",
        "passw0rd",
        "senha",
        "secret",
        "changeme",
        "letmein",
        "welcome",
        "qwerty",
        "qwertyuiop",
        "abc",
        "admin",
        "administrator",
        "root",
        "postgres",
        "postgresql",
        "backup",
        "runplan",
        "database",
        "dba",
        "test",
        "teste",
        "default",
        "master",
        "mudar",
        "segredo",
        "iloveyou",
        "monkey",
        "dragon",
        "asdfghjkl",
        "zaq",
    ];
    // `Postgres-2026!` is `postgres`.
    let word: String = password.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect();
    let common = word.is_empty() && password.chars().count() < 20 || COMMON.contains(&word.as_str());
    let repeated = || {
        let first = password.chars().next();
        password.chars().all(|c| Some(c) == first)
    };
    match password {
        "" => None,
        _ if common || repeated() => Some("is easily guessed"),
        _ if password.chars().count() < 12 => Some("has fewer than 12 characters"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::why;

    #[test]
    fn common_and_short_passwords_are_told_from_good_ones() {
        for (password, weak) in [
            ("1234", true),
            ("202611292026", true),
            ("Postgres-2026!", true),
            ("SENHA123", true),
            ("aaaaaaaaaaaaaaaaaaaaaa", true),
            ("kX9-w2", true),
            ("kX9-w2qT7pLz", false),
            ("five words make a password", false),
            ("ação coração 123", false),
        ] {
            assert_eq!(why(password).is_some(), weak, "{password}");
        }
    }
}
