//! How OTLP/JSON writes what protobuf has other types for.
//!
//! Ids are hexadecimal, 64-bit integers are strings or numbers, enumerations are numbers or names, bytes are
//! base64, and `null` or an empty object stands for nothing.

use super::proto::{AnyValue, ArrayValue, KeyValueList, Kind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

pub(super) fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(reader: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

pub(super) fn text<'de, D: Deserializer<'de>>(reader: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}

pub(super) fn hex<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<u8>, D::Error> {
    let text: Option<Cow<'de, str>> = Option::deserialize(reader)?;
    let text = text.unwrap_or_default();
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<Vec<u8>>>().ok_or_else(|| D::Error::custom("an id is not hexadecimal"))
}

/// A number, or a number in quotes.
fn digits<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<String>, D::Error> {
    let raw: Option<&RawValue> = Option::deserialize(reader)?;
    Ok(raw.map(|raw| raw.get().trim_matches('"').trim().to_owned()))
}

pub(super) fn unsigned<'de, D: Deserializer<'de>>(reader: D) -> Result<u64, D::Error> {
    let Some(digits) = digits(reader)? else { return Ok(0) };
    digits.parse().map_err(|_| D::Error::custom("a time is not a whole number of nanoseconds"))
}

pub(super) fn status_code<'de, D: Deserializer<'de>>(reader: D) -> Result<i32, D::Error> {
    let Some(code) = digits(reader)? else { return Ok(0) };
    match code.as_str() {
        "STATUS_CODE_UNSET" => Ok(0),
        "STATUS_CODE_OK" => Ok(1),
        "STATUS_CODE_ERROR" => Ok(2),
        code => code.parse().map_err(|_| D::Error::custom("a status code is not known")),
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(Variants)
    }
}

/// Reads the one variant that an object holds; a variant that is not known is nothing.
struct Variants;

impl<'de> Visitor<'de> for Variants {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one value")
    }

    fn visit_unit<E>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        let mut kind = None;
        while let Some(variant) = map.next_key::<Variant>()? {
            let read = match variant {
                Variant::StringValue => map.next_value::<Option<String>>()?.map(Kind::Text),
                Variant::BoolValue => map.next_value::<Option<bool>>()?.map(Kind::Bool),
                Variant::IntValue => number(map.next_value()?, "intValue")?.map(Kind::Int),
                Variant::DoubleValue => number(map.next_value()?, "doubleValue")?.map(Kind::Double),
                Variant::ArrayValue => map.next_value::<Option<ArrayValue>>()?.map(Kind::Array),
                Variant::KvlistValue => map.next_value::<Option<KeyValueList>>()?.map(Kind::Object),
                Variant::BytesValue => bytes(map.next_value()?)?.map(Kind::Bytes),
                Variant::Other => map.next_value::<IgnoredAny>().map(|_| None)?,
            };
            kind = kind.or(read);
        }
        Ok(AnyValue { kind })
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Variant {
    StringValue,
    BoolValue,
    IntValue,
    DoubleValue,
    ArrayValue,
    KvlistValue,
    BytesValue,
    #[serde(other)]
    Other,
}

fn number<T: FromStr, E: Error>(raw: Option<&RawValue>, name: &str) -> Result<Option<T>, E> {
    let Some(raw) = raw else { return Ok(None) };
    let parsed = raw.get().trim_matches('"').trim().parse();
    parsed.map(Some).map_err(|_| E::custom(format_args!("{name} is not such a number")))
}

fn bytes<E: Error>(text: Option<Cow<'_, str>>) -> Result<Option<Vec<u8>>, E> {
    let Some(text) = text else { return Ok(None) };
    STANDARD.decode(text.as_bytes()).map(Some).map_err(|_| E::custom("a bytesValue is not base64"))
}
