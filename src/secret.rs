//! `Secret`, a value that is never shown, and the one `Redactor` that keeps it out of every text.
//!
//! A secret has no `Display`, its `Debug` is `***`, and it is wiped from memory when the last holder lets go.

mod beginnings;
mod forms;
mod guess;
mod pieces;
mod redactor;
mod weak;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

pub use guess::why as why_guessable;
pub use redactor::Redactor;

/// What stands in place of a secret wherever text is shown.
pub const MASK: &str = "***";

/// The name under which a deserializer of ours hands a secret over; see [`Secret`]'s `Deserialize`.
pub const TOKEN: &str = "$runplan::Secret";

/// The key of a JSON Schema that marks a place where a secret may stand.
pub const SCHEMA_MARK: &str = "x-runplan-secret";

/// The key of a JSON Schema that marks, beside [`SCHEMA_MARK`], a place where what stands need not be a secret.
pub const PLAIN_MARK: &str = "x-runplan-plain";

/// A value that is never shown.
///
/// It may be sealed: its source is known, its value was not fetched. A dry run holds only sealed ones (a database
/// password apart), so nothing in it can use one.
#[derive(Clone)]
pub struct Secret {
    value: Option<Arc<SecretString>>,
    shown: Option<Arc<str>>,
    origin: Option<Arc<str>>,
}

impl Secret {
    /// Why it is easily guessed as a password; none also when its value was not fetched.
    pub fn why_guessable(&self) -> Option<&'static str> {
        self.expose().and_then(why_guessable)
    }

    /// A secret whose value is at hand.
    pub fn new(value: impl Into<String>) -> Self {
        let value: String = value.into();
        Self { value: Some(Arc::new(SecretString::from(value))), shown: None, origin: None }
    }

    /// A secret whose value was not fetched.
    pub fn sealed() -> Self {
        Self { value: None, shown: None, origin: None }
    }

    /// The same secret, a text that has others in it, with what may be shown of it: [`MASK`] stands in place of each.
    #[must_use]
    pub fn showing(self, shown: &str) -> Self {
        Self { shown: Some(shown.into()), ..self }
    }

    /// What may be shown of a text that has secrets in it, if it is more than a secret alone.
    pub fn shown(&self) -> Option<&str> {
        self.shown.as_deref()
    }

    /// The same secret with where it came from, like the name of a variable: for messages.
    #[must_use]
    pub fn with_origin(self, origin: &str) -> Self {
        Self { origin: Some(origin.into()), ..self }
    }

    /// Where it came from, if that is known; never its value.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whether the value was not fetched.
    pub fn is_sealed(&self) -> bool {
        self.value.is_none()
    }

    /// Whether the value is at hand and is the empty text.
    pub fn is_empty(&self) -> bool {
        self.expose().is_some_and(str::is_empty)
    }

    /// Why the value may be met in texts by chance, if it may; see [`Redactor`]. `names` are those of roles, databases and
    /// plans.
    pub fn weakness(&self, names: &[String]) -> Option<&'static str> {
        weak::why(self.value.as_deref().map(ExposeSecret::expose_secret)?, names)
    }

    /// The value, for the few places that hand it to a server, a cipher or a child; none when sealed. Everything else
    /// asks `Touch::open`, which a dry run does not have.
    pub(crate) fn expose(&self) -> Option<&str> {
        self.value.as_deref().map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

/// A text that may be a secret and need not be one.
#[derive(Debug, Clone, PartialEq)]
pub enum MaybeSecret {
    Plain(String),
    Secret(Secret),
}

impl MaybeSecret {
    /// Whether it is a secret.
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    /// The text for people: [`MASK`] in place of what is secret in it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.shown().unwrap_or(MASK),
        }
    }
}

/// Reads what a deserializer of ours gives under the newtype name [`TOKEN`]: the value, none when it is sealed, what
/// may be shown, and where it came from. Other deserializers give a text.
pub(crate) fn handed_over<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MaybeSecret, D::Error> {
    struct Parts;
    impl<'de> Visitor<'de> for Parts {
        type Value = MaybeSecret;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("a text or a secret")
        }
        fn visit_str<E>(self, v: &str) -> Result<MaybeSecret, E> {
            Ok(MaybeSecret::Plain(v.to_owned()))
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<MaybeSecret, A::Error> {
            let value: Option<Option<String>> = parts.next_element()?;
            let shown: Option<Option<String>> = parts.next_element()?;
            let origin: Option<Option<String>> = parts.next_element()?;
            let mut secret = value.flatten().map_or_else(Secret::sealed, Secret::new);
            secret.origin = origin.flatten().map(Into::into);
            Ok(MaybeSecret::Secret(match shown.flatten() {
                Some(shown) => secret.showing(&shown),
                None => secret,
            }))
        }
    }
    deserializer.deserialize_any(Parts)
}

impl<'de> Deserialize<'de> for MaybeSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = MaybeSecret;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a text or a secret")
            }
            fn visit_str<E>(self, v: &str) -> Result<MaybeSecret, E> {
                Ok(MaybeSecret::Plain(v.to_owned()))
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(self, d: D) -> Result<MaybeSecret, D::Error> {
                handed_over(d)
            }
        }
        deserializer.deserialize_newtype_struct(TOKEN, Reader)
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Reads a text, or the secret that a deserializer of ours hands over.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match MaybeSecret::deserialize(deserializer)? {
            MaybeSecret::Plain(text) => Self::new(text),
            MaybeSecret::Secret(secret) => secret,
        })
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", SCHEMA_MARK: true })
    }
}

impl JsonSchema for MaybeSecret {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "MaybeSecret".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", SCHEMA_MARK: true, PLAIN_MARK: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter22")), "***");
    }
}
