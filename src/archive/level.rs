//! How small an archive is to be, as a plan says it.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// Compression level: `fast`, `small`, or a number from 1 to 9 as in `gzip` and `zstd`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Fast,
    Small,
    Number(u8),
}

const EXPECTED: &str = "`fast`, `small` or a number from 1 to 9";

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reading;
        impl Visitor<'_> for Reading {
            type Value = Level;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Level, E> {
                match text {
                    "fast" => Ok(Level::Fast),
                    "small" => Ok(Level::Small),
                    _ => Err(E::custom(format!("`{text}` is no level; expected {EXPECTED}"))),
                }
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Level, E> {
                match u8::try_from(number) {
                    Ok(number @ 1..=9) => Ok(Level::Number(number)),
                    _ => Err(E::custom(format!("{number} is no level; expected {EXPECTED}"))),
                }
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Level, E> {
                self.visit_u64(u64::try_from(number).unwrap_or(0))
            }
        }
        from.deserialize_any(Reading)
    }
}

impl JsonSchema for Level {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "level".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "enum": ["fast", "small", 1, 2, 3, 4, 5, 6, 7, 8, 9] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_read_and_others_named() {
        let read = |json: &str| serde_json::from_str::<Level>(json).map_err(|e| e.to_string());
        assert_eq!(read("\"fast\""), Ok(Level::Fast));
        assert_eq!(read("\"small\""), Ok(Level::Small));
        assert_eq!(read("9"), Ok(Level::Number(9)));
        for wrong in ["0", "10", "-1", "\"tiny\"", "true", "1.5", "300"] {
            assert!(read(wrong).is_err_and(|e| e.contains("`fast`, `small` or a number from 1 to 9")), "{wrong}");
        }
    }
}
