//! Durations and sizes as people write them: `30s`, `15m`, `1h30m`, `20GiB`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};

/// The pattern of a duration, for schemas.
pub const SPAN_PATTERN: &str = "^([0-9]+(ms|s|m|h|d|w))+$";
/// The pattern of a size, for schemas.
pub const SIZE_PATTERN: &str = "^[0-9]+(\\.[0-9]+)?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$";

/// The pattern of a rate, for schemas.
pub const RATE_PATTERN: &str = "^[0-9]+(\\.[0-9]+)?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)(/s)?$";

/// A duration: whole numbers with `ms`, `s`, `m`, `h`, `d` (24 h) or `w` (7 d), the larger unit first, like `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(pub Duration);

/// A size in bytes: a number with `B`, `kB`, `MB`, `GB`, `TB` (powers of 1000) or `KiB`, `MiB`, `GiB`, `TiB` (powers of
/// 1024), like `20GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Size(pub u64);

/// A rate in bytes per second: a size, optionally followed by `/s`, like `50MB/s`. It is never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub std::num::NonZeroU64);

/// Why a text is no quantity; says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

const SPAN_UNITS: [(&str, u64); 6] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("w", 604_800_000)];

impl FromStr for Span {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Malformed(format!(
                "`{text}` needs a unit: write `{text}s` for seconds, or `ms`, `m`, `h`, `d`, `w`"
            )));
        }
        let wrong = || {
            Malformed(format!(
                "`{text}` is not a duration: write whole numbers with a unit, like `30s`, `15m`, `1h30m`"
            ))
        };
        let mut rest = text;
        let mut total: u64 = 0;
        let mut last = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = rest.split_at(digits);
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, after) = after.split_at(letters);
            let factor = SPAN_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, f)| *f).ok_or_else(wrong)?;
            if factor >= last {
                return Err(wrong());
            }
            last = factor;
            let number: u64 = number.parse().map_err(|_| wrong())?;
            total = number.checked_mul(factor).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
            rest = after;
        }
        if text.is_empty() { Err(wrong()) } else { Ok(Self(Duration::from_millis(total))) }
    }
}

impl fmt::Display for Span {
    /// The shortest exact spelling, or `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in SPAN_UNITS.iter().rev().filter(|(unit, _)| *unit != "w") {
            if rest >= *factor {
                write!(f, "{}{unit}", rest / factor)?;
                rest %= factor;
            }
        }
        Ok(())
    }
}

const SIZE_UNITS: [(&str, u64); 10] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

impl FromStr for Size {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Malformed(format!(
                "`{text}` needs a unit: write `{text}B` for bytes, or `KiB`, `MiB`, `GiB`, `MB`, `GB`"
            )));
        }
        let wrong = || Malformed(format!("`{text}` is not a size: write a number with a unit, like `500MB`, `20GiB`"));
        let split = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, unit) = text.split_at(split);
        let factor = SIZE_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, f)| *f).ok_or_else(wrong)?;
        let bytes = match number.parse::<u64>() {
            Ok(whole) => whole.checked_mul(factor).ok_or_else(wrong)?,
            Err(_) => {
                let fraction: f64 = number.parse().map_err(|_| wrong())?;
                (fraction * factor as f64).round() as u64
            }
        };
        Ok(Self(bytes))
    }
}

impl fmt::Display for Size {
    /// Three significant figures in a binary unit: `512 B`, `1.50 MiB`, `112 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64;
        let mut unit = "B";
        for name in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
            if value < 1023.5 {
                break;
            }
            value /= 1024.0;
            unit = name;
        }
        let decimals = if value < 9.995 {
            2
        } else if value < 99.95 {
            1
        } else {
            0
        };
        write!(f, "{value:.decimals$} {unit}")
    }
}

impl serde::Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl serde::Serialize for Size {
    /// The shortest exact spelling in a binary unit, unlike what people are shown.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let binary = SIZE_UNITS.iter().rev().filter(|(name, _)| name.ends_with("iB"));
        let fits = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        let (unit, factor) = binary.copied().find(|u| fits(&u)).unwrap_or(("B", 1));
        serializer.collect_str(&format_args!("{}{unit}", self.0 / factor))
    }
}

impl FromStr for Rate {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let Size(bytes) = text.strip_suffix("/s").unwrap_or(text).parse()?;
        let bytes = std::num::NonZeroU64::new(bytes);
        bytes.map(Self).ok_or_else(|| Malformed(format!("`{text}` is no rate: nothing would ever be done")))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Size(self.0.get()))
    }
}

macro_rules! reads_text {
    ($type:ident, $name:literal, $pattern:expr, $example:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "x-runplan-unit": $name, "examples": [$example] })
            }
        }
    };
}

reads_text!(Span, "duration", SPAN_PATTERN, "30s");
reads_text!(Size, "size", SIZE_PATTERN, "20GiB");
reads_text!(Rate, "rate", RATE_PATTERN, "50MB/s");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print() {
        for (text, ms) in [("30s", 30_000), ("15m", 900_000), ("1h30m", 5_400_000), ("250ms", 250), ("7d", 604_800_000)]
        {
            assert_eq!(text.parse::<Span>().map(|s| s.0.as_millis()), Ok(ms), "{text}");
            assert_eq!(text.parse::<Span>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "30", "s", "1m1h", "1.5h", "-3s", "3 s", "99999999999999999999s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        let error = "30".parse::<Span>().expect_err("no unit");
        assert!(error.to_string().contains("`30s`"), "{error}");
    }

    #[test]
    fn rates_read_with_and_without_their_second() {
        for (text, bytes) in [("50MB/s", 50_000_000), ("1MiB", 1 << 20)] {
            assert_eq!(text.parse::<Rate>().map(|r| r.0.get()), Ok(bytes), "{text}");
        }
        for text in ["0B/s", "0MB", "50", "50/s", "MB/s", "5MB/m"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_written_exactly() {
        for (bytes, text) in [(0, "0B"), (1023, "1023B"), (5 << 20, "5MiB"), (1536, "1536B"), (3 << 40, "3TiB")] {
            assert_eq!(serde_json::json!(Size(bytes)), text);
        }
    }

    #[test]
    fn sizes_read_and_print() {
        assert_eq!("20GiB".parse(), Ok(Size(20 << 30)));
        assert_eq!("1.5MB".parse(), Ok(Size(1_500_000)));
        assert!("20".parse::<Size>().is_err());
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.50 KiB"), (117_000_000, "112 MiB"), (1 << 40, "1.00 TiB")]
        {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
