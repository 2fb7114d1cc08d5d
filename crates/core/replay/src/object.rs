//! Reads a few fields of a JSON object and leaves the rest as text.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The named fields of `object`, as raw text; a repeated name counts with its last value.
///
/// Anything else than an object has no fields.
pub(crate) fn fields<'a, const N: usize>(
    object: &'a RawValue,
    names: [&str; N],
) -> [Option<&'a RawValue>; N] {
    let mut reader = serde_json::Deserializer::from_str(object.get());
    reader.deserialize_map(Fields { names }).unwrap_or([None; N])
}

/// A JSON number, if `value` is one and finite.
pub(crate) fn number(value: &RawValue) -> Option<f64> {
    value.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()).then_some(())?;
    value.get().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A JSON number without fraction.
pub(crate) fn integer(value: &RawValue) -> Option<i64> {
    let number = number(value)?;
    (number.fract() == 0.0).then_some(number as i64)
}

/// The content of a JSON string.
pub(crate) fn string(value: &RawValue) -> Option<String> {
    value.get().starts_with('"').then_some(())?;
    serde_json::from_str(value.get()).ok()
}

struct Fields<'n, const N: usize> {
    names: [&'n str; N],
}

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(place) = map.next_key_seed(Place { names: &self.names })? {
            match place {
                Some(place) => found[place] = Some(map.next_value::<&'de RawValue>()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// Finds a key among the wanted names without keeping it.
struct Place<'n> {
    names: &'n [&'n str],
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.names.iter().position(|name| *name == key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn last_value_of_a_repeated_name_counts() {
        let [a, b] = fields(raw(r#"{"a":1,"x":{"a":9},"a":[2, 3],"\u0062":"q"}"#), ["a", "b"]);
        assert_eq!(a.unwrap().get(), "[2, 3]");
        assert_eq!(b.unwrap().get(), "\"q\"");
    }

    #[test]
    fn other_values_have_no_fields() {
        for text in ["null", "7", "\"a\"", "[{\"a\":1}]", "{}"] {
            assert!(fields(raw(text), ["a"])[0].is_none(), "{text}");
        }
    }

    #[test]
    fn numbers() {
        for (text, expected) in
            [("1", Some(1.0)), ("-2.5e1", Some(-25.0)), ("1e999", None), ("\"1\"", None), ("null", None)]
        {
            assert_eq!(number(raw(text)), expected, "{text}");
        }
        assert_eq!(integer(raw("3")), Some(3));
        assert_eq!(integer(raw("3.5")), None);
    }
}
