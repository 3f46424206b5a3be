//! Values to and from the server: parameters go as text, which the server reads by the type it expects; results come back
//! as JSON.
//!
//! The binary formats of results are those of PostgreSQL's `*_send` functions (its source, `src/backend/utils/adt`).

use std::error::Error;

use bytes::BytesMut;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};
use serde_json::Value as Json;
use tokio_postgres::Row;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type};

type Fault = Box<dyn Error + Sync + Send>;

/// A parameter for a statement, of whatever type the server expects there.
#[derive(Debug)]
pub struct Bound(Option<String>);

impl Bound {
    /// Null, a number, a boolean and a text as they are; a list as an array, a map as JSON.
    pub fn new(value: &Json) -> Self {
        Self(match value {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            Json::Array(items) => Some(array(items)),
            other => Some(other.to_string()),
        })
    }
}

/// The literal of an array (PostgreSQL manual, "Array Input and Output Syntax").
fn array(items: &[Json]) -> String {
    let one = |item: &Json| match item {
        Json::Null => "NULL".to_owned(),
        Json::Array(inner) => array(inner),
        Json::String(text) => quoted(text),
        other => quoted(&other.to_string()),
    };
    format!("{{{}}}", items.iter().map(one).collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl ToSql for Bound {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Fault> {
        self.to_sql(ty, out)
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }
}

/// A row as a map of its columns.
///
/// # Errors
/// A column whose type is not known here, and what to write instead.
pub fn row(row: &Row) -> Result<Json, String> {
    let mut map = serde_json::Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let cell: Cell = row.try_get(index).map_err(|_| {
            let (name, kind) = (column.name(), column.type_().name());
            format!("the column `{name}` is of the type `{kind}`, which is not read: write `{name}::text`")
        })?;
        map.insert(column.name().to_owned(), cell.0);
    }
    Ok(Json::Object(map))
}

/// A value of a result.
struct Cell(Json);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Fault> {
        decode(ty, raw).map(Self)
    }

    fn from_sql_null(_: &Type) -> Result<Self, Fault> {
        Ok(Self(Json::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn decode(ty: &Type, raw: &[u8]) -> Result<Json, Fault> {
    match ty.kind() {
        Kind::Domain(inner) => return decode(inner, raw),
        Kind::Enum(_) => return Ok(<&str>::from_sql(&Type::TEXT, raw)?.into()),
        Kind::Array(_) => return Ok(Vec::<Cell>::from_sql(ty, raw)?.into_iter().map(|c| c.0).collect()),
        _ => {}
    }
    let float = |f: f64| serde_json::Number::from_f64(f).map_or_else(|| f.to_string().into(), Json::Number);
    Ok(match *ty {
        Type::BOOL => bool::from_sql(ty, raw)?.into(),
        Type::INT2 => i16::from_sql(ty, raw)?.into(),
        Type::INT4 => i32::from_sql(ty, raw)?.into(),
        Type::INT8 => i64::from_sql(ty, raw)?.into(),
        Type::OID => u32::from_sql(ty, raw)?.into(),
        Type::FLOAT4 => float(f32::from_sql(ty, raw)?.into()),
        Type::FLOAT8 => float(f64::from_sql(ty, raw)?),
        Type::NUMERIC => numeric(raw)?.into(),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::XML => {
            std::str::from_utf8(raw)?.into()
        }
        Type::JSON => serde_json::from_slice(raw)?,
        // The first byte is the version of the format.
        Type::JSONB => serde_json::from_slice(raw.get(1..).unwrap_or_default())?,
        Type::DATE => NaiveDate::from_sql(ty, raw)?.to_string().into(),
        Type::TIME => NaiveTime::from_sql(ty, raw)?.to_string().into(),
        Type::TIMESTAMP => NaiveDateTime::from_sql(ty, raw)?.format("%Y-%m-%dT%H:%M:%S%.f").to_string().into(),
        Type::TIMESTAMPTZ => DateTime::<Utc>::from_sql(ty, raw)?.to_rfc3339_opts(SecondsFormat::AutoSi, true).into(),
        Type::UUID => uuid(raw).into(),
        Type::BYTEA => format!("\\x{}", hex(raw)).into(),
        Type::VOID => Json::Null,
        _ if ty.name() == "citext" => std::str::from_utf8(raw)?.into(),
        _ => return Err("a type that is not read".into()),
    })
}

fn hex(raw: &[u8]) -> String {
    raw.iter().map(|b| format!("{b:02x}")).collect()
}

/// Eight, four, four, four and twelve digits (RFC 9562).
fn uuid(raw: &[u8]) -> String {
    let digits = hex(raw);
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if matches!(i, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(c);
    }
    out
}

/// A `numeric` as a text, so that no digit is lost: the count of base-10000 digits, the weight of the first, the sign and
/// the number of decimals, each two bytes, then the digits (`numeric_send`).
fn numeric(raw: &[u8]) -> Result<String, Fault> {
    let word = |i: usize| -> Result<u16, Fault> {
        let pair = raw.get(2 * i..2 * i + 2).ok_or("a numeric that is cut short")?;
        Ok(u16::from_be_bytes([pair[0], pair[1]]))
    };
    let (count, weight, sign, decimals) = (word(0)?, word(1)?.cast_signed(), word(2)?, word(3)?);
    match sign {
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        _ => {}
    }
    let digit = |place: i32| -> Result<u16, Fault> {
        let index = i32::from(weight) - place;
        match usize::try_from(index) {
            Ok(index) if index < usize::from(count) => word(4 + index),
            _ => Ok(0),
        }
    };
    let mut out = if sign == 0x4000 { "-".to_owned() } else { String::new() };
    if weight < 0 {
        out.push('0');
    }
    for place in (0..=i32::from(weight)).rev() {
        let value = digit(place)?;
        out += &if place == i32::from(weight) { value.to_string() } else { format!("{value:04}") };
    }
    if decimals > 0 {
        let mut fraction = String::new();
        let mut place = -1;
        while fraction.len() < usize::from(decimals) {
            fraction += &format!("{:04}", digit(place)?);
            place -= 1;
        }
        fraction.truncate(usize::from(decimals));
        out += &format!(".{fraction}");
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn send(weight: i16, sign: u16, decimals: u16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).expect("few digits");
        let head = [count, weight.cast_unsigned(), sign, decimals];
        head.iter().chain(digits).flat_map(|w| w.to_be_bytes()).collect()
    }

    #[test]
    fn numerics_keep_every_digit() {
        for (raw, text) in [
            (send(0, 0, 0, &[7]), "7"),
            (send(1, 0, 2, &[1, 2345, 6700]), "12345.67"),
            (send(-1, 0x4000, 4, &[5]), "-0.0005"),
            (send(0, 0, 2, &[]), "0.00"),
            (send(2, 0, 0, &[1]), "100000000"),
            (send(0, 0xC000, 0, &[]), "NaN"),
        ] {
            assert_eq!(numeric(&raw).ok().as_deref(), Some(text));
        }
        assert!(numeric(&[0, 1]).is_err());
    }

    #[test]
    fn lists_become_array_literals_that_nothing_escapes_from() {
        let bound = |v: Json| Bound::new(&v).0;
        assert_eq!(bound(json!(["a", "b\"},{\\", null, 3])).as_deref(), Some(r#"{"a","b\"},{\\",NULL,"3"}"#));
        assert_eq!(bound(json!({"k": [1]})).as_deref(), Some(r#"{"k":[1]}"#));
        assert_eq!((bound(json!(null)), bound(json!("x"))), (None, Some("x".to_owned())));
    }
}
