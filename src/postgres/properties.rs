//! What a database has besides its content: encoding, locale, tablespace, and settings. Kept with a dump, so that it is
//! restored into a database of the same kind.

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::{asked, escape_identifier};
use crate::step::StepError;

/// The properties of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseProperties {
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    /// `libc`, `icu` or `builtin`.
    pub provider: String,
    /// The locale of ICU or of PostgreSQL itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icu_rules: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation_version: Option<String>,
    pub tablespace: String,
    /// The tablespaces of the server that somebody made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tablespaces: Vec<String>,
    /// `ALTER DATABASE … SET` and `ALTER ROLE … IN DATABASE … SET`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<DatabaseSetting>,
}

/// One setting that new sessions with the database have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSetting {
    /// The role whose sessions have it; none: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    pub name: String,
    pub value: String,
}

/// Settings whose value is a list of quoted names (`variable_is_guc_list_quote` in PostgreSQL's `dumputils.c`).
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// Asks for the properties of the database of a session.
///
/// # Errors
/// The server does not answer.
pub async fn properties(client: &Client) -> Result<DatabaseProperties, StepError> {
    let wrong = |e: tokio_postgres::Error| asked("asking for the properties of the database", &e);
    // The columns differ from version to version, so the row is taken as a whole.
    let sql = "SELECT pg_catalog.pg_encoding_to_char(d.encoding)::text, t.spcname::text, pg_catalog.to_jsonb(d)::text, \
               ARRAY(SELECT spcname::text FROM pg_catalog.pg_tablespace WHERE spcname !~ '^pg_' ORDER BY 1) \
               FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace \
               WHERE d.datname = pg_catalog.current_database()";
    let row = client.query_one(sql, &[]).await.map_err(wrong)?;
    let columns: serde_json::Value = serde_json::from_str(row.get(2)).unwrap_or_default();
    let text = |names: &[&str]| names.iter().find_map(|name| columns[*name].as_str()).map(str::to_owned);
    let provider = match columns["datlocprovider"].as_str() {
        Some("i") => "icu",
        Some("b") => "builtin",
        _ => "libc",
    };
    let sql = "SELECT r.rolname::text, s FROM pg_catalog.pg_db_role_setting c CROSS JOIN LATERAL pg_catalog.unnest(c.setconfig) s \
               LEFT JOIN pg_catalog.pg_roles r ON r.oid = c.setrole \
               WHERE c.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
               AND (c.setrole = 0 OR r.oid IS NOT NULL) ORDER BY 1 NULLS FIRST, 2";
    let settings = client.query(sql, &[]).await.map_err(wrong)?;
    let setting = |row: &tokio_postgres::Row| {
        let (name, value) = row.get::<_, &str>(1).split_once('=')?;
        Some(DatabaseSetting { role: row.get(0), name: name.to_owned(), value: value.to_owned() })
    };
    Ok(DatabaseProperties {
        encoding: row.get(0),
        collate: text(&["datcollate"]).unwrap_or_default(),
        ctype: text(&["datctype"]).unwrap_or_default(),
        provider: provider.to_owned(),
        locale: text(&["datlocale", "daticulocale"]),
        icu_rules: text(&["daticurules"]),
        collation_version: text(&["datcollversion"]),
        tablespace: row.get(1),
        tablespaces: row.get(3),
        settings: settings.iter().filter_map(setting).collect(),
    })
}

fn literal(text: &str) -> String {
    postgres_protocol::escape::escape_literal(text).trim_start().to_owned()
}

impl DatabaseProperties {
    /// The same encoding with the locale `C`, which every machine has.
    pub fn with_locale_c(&self) -> Self {
        self.with_locale("C")
    }

    /// The same with another locale of the operating system.
    pub fn with_locale(&self, locale: &str) -> Self {
        let (collate, ctype) = (locale.to_owned(), locale.to_owned());
        Self { collate, ctype, provider: "libc".to_owned(), locale: None, icu_rules: None, ..self.clone() }
    }

    /// The options of `CREATE DATABASE … TEMPLATE template0` on a server of a major version.
    pub(super) fn options(&self, major: u32) -> String {
        let mut options = format!(
            " ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            literal(&self.encoding),
            literal(&self.collate),
            literal(&self.ctype)
        );
        let locale = self.locale.as_deref().unwrap_or_default();
        match self.provider.as_str() {
            "icu" => options.push_str(&format!(" LOCALE_PROVIDER icu ICU_LOCALE {}", literal(locale))),
            "builtin" => options.push_str(&format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", literal(locale))),
            _ if major >= 15 => options.push_str(" LOCALE_PROVIDER libc"),
            _ => {}
        }
        if let Some(rules) = &self.icu_rules {
            options.push_str(&format!(" ICU_RULES {}", literal(rules)));
        }
        options
    }
}

impl DatabaseSetting {
    /// The statement that gives the setting to a database, as `pg_dump --create` writes it (`makeAlterConfigCommand`).
    pub(super) fn statement(&self, database: &str) -> String {
        let database = escape_identifier(database);
        let target = match &self.role {
            Some(role) => format!("ROLE {} IN DATABASE {database}", escape_identifier(role)),
            None => format!("DATABASE {database}"),
        };
        let value = match LISTS.contains(&self.name.to_ascii_lowercase().as_str()) {
            true => names(&self.value).iter().map(|name| literal(name)).collect::<Vec<_>>().join(", "),
            false => literal(&self.value),
        };
        let value = if value.is_empty() { "''".to_owned() } else { value };
        // A setting of an extension is `name.part`.
        let name: Vec<String> = self.name.split('.').map(escape_identifier).collect();
        format!("ALTER {target} SET {} TO {value}", name.join("."))
    }
}

/// The names of a list as the server keeps it: separated by commas, in double quotes where they need them.
fn names(list: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut quoted = false;
    let mut chars = list.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                names.last_mut().into_iter().for_each(|name| name.push('"'));
            }
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(String::new()),
            c if !quoted && c.is_whitespace() => {}
            c => names.last_mut().into_iter().for_each(|name| name.push(c)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_written_as_pg_dump_writes_it() {
        let setting = |role: Option<&str>, name: &str, value: &str| {
            let (role, name, value) = (role.map(str::to_owned), name.to_owned(), value.to_owned());
            DatabaseSetting { role, name, value }.statement("d")
        };
        assert_eq!(
            setting(None, "search_path", r#""$user", "a ""b,", public"#),
            r#"ALTER DATABASE "d" SET "search_path" TO '$user', 'a "b,', 'public'"#
        );
        assert_eq!(setting(None, "search_path", "\"\""), r#"ALTER DATABASE "d" SET "search_path" TO ''"#);
        assert_eq!(
            setting(Some("a\"b"), "app.x", "it's"),
            r#"ALTER ROLE "a""b" IN DATABASE "d" SET "app"."x" TO 'it''s'"#
        );
    }

    #[test]
    fn a_database_is_made_of_the_same_kind() {
        let of = |provider: &str, locale: Option<&str>| DatabaseProperties {
            encoding: "UTF8".to_owned(),
            collate: "de_DE.utf8".to_owned(),
            ctype: "C".to_owned(),
            provider: provider.to_owned(),
            locale: locale.map(str::to_owned),
            ..DatabaseProperties::default()
        };
        assert_eq!(of("libc", None).options(14), " ENCODING 'UTF8' LC_COLLATE 'de_DE.utf8' LC_CTYPE 'C'");
        assert!(of("libc", None).options(15).ends_with(" LOCALE_PROVIDER libc"));
        assert!(of("icu", Some("de-x")).options(15).ends_with(" LOCALE_PROVIDER icu ICU_LOCALE 'de-x'"));
        let builtin = of("builtin", Some("C.UTF-8"));
        assert!(builtin.options(17).ends_with(" LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'"));
        assert_eq!(
            builtin.with_locale_c().options(17),
            " ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc"
        );
    }
}
