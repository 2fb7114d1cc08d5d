//! The clicked element and its ancestors as PostHog's text form, the elements chain.
//!
//! One element is `tag.class.class:key="value"key="value"`, keys in dictionary order; elements are joined
//! by `;`, innermost first.

use crate::js;
use event::Properties;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cmp::Ordering;

/// Takes `$elements` and `$elements_chain` out of the properties and gives the chain.
///
/// A chain that was sent is kept as it is. Elements that are not what they should be give an empty chain.
pub fn take_chain(properties: &mut Properties) -> String {
    let chain = properties.take("$elements_chain");
    if let Some(chain) = chain.filter(|chain| js::truthy(Some(chain))) {
        properties.remove("$elements");
        return match chain {
            Value::String(text) => text,
            other => js::text(&other).into_owned(),
        };
    }
    match properties.take("$elements") {
        Some(Value::Array(elements)) => chain_of(&elements).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The chain of `elements`, or `None` when one of them is malformed.
pub fn chain_of(elements: &[Value]) -> Option<String> {
    let mut chain = String::new();
    for (i, element) in elements.iter().enumerate() {
        if i > 0 {
            chain.push(';');
        }
        push_element(&mut chain, element.as_object()?)?;
    }
    Some(chain)
}

fn push_element(chain: &mut String, element: &Map<String, Value>) -> Option<()> {
    if let Some(tag) = element.get("tag_name").filter(|tag| js::truthy(Some(tag))) {
        chain.push_str(&js::text(tag));
    }
    for class in classes(element)? {
        chain.push('.');
        chain.extend(class.chars().filter(|c| *c != '"'));
    }
    chain.push(':');
    let mut attributes = attributes(element)?;
    attributes.sort_by(|a, b| compare(a.0, b.0));
    for (key, value) in attributes {
        push_escaped(chain, key);
        chain.push_str("=\"");
        push_escaped(chain, &value);
        chain.push('"');
    }
    Some(())
}

fn push_escaped(chain: &mut String, text: &str) {
    for c in text.chars() {
        if c == '"' {
            chain.push('\\');
        }
        chain.push(c);
    }
}

fn classes(element: &Map<String, Value>) -> Option<Vec<Cow<'_, str>>> {
    let mut classes: Vec<Cow<'_, str>> = match element.get("attr__class") {
        Some(Value::String(text)) if !text.is_empty() => text.split(' ').map(Cow::Borrowed).collect(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(Cow::Borrowed)).collect::<Option<_>>()?
        }
        value if js::truthy(value) => return None,
        _ => Vec::new(),
    };
    classes.sort();
    Some(classes)
}

fn attributes(element: &Map<String, Value>) -> Option<Vec<(&str, Cow<'_, str>)>> {
    let mut attributes = Vec::new();
    for (key, from, max) in
        [("text", "$el_text", Some(400)), ("href", "attr__href", Some(2048)), ("attr_id", "attr__id", None)]
    {
        let Some(value) = element.get(from).filter(|value| !value.is_null()) else { continue };
        let text = match (value, max) {
            (Value::String(text), Some(max)) => Cow::Borrowed(js::cut(text, max)),
            // Only text can be cut.
            (_, Some(_)) => return None,
            (value, None) => js::text(value),
        };
        if js::truthy(Some(value)) {
            attributes.push((key, text));
        }
    }
    for (key, from) in [("nth-child", "nth_child"), ("nth-of-type", "nth_of_type")] {
        let value = element.get(from).filter(|value| !value.is_null());
        attributes.push((key, value.map_or(Cow::Borrowed("0"), js::text)));
    }
    for (key, value) in element {
        if key.starts_with("attr__") {
            if value.is_null() {
                return None;
            }
            attributes.push((key, js::text(value)));
        }
    }
    Some(attributes)
}

/// Compares keys as a dictionary does: letters without case first, punctuation before digits before letters;
/// lower case before upper only when nothing else differs.
fn compare(a: &str, b: &str) -> Ordering {
    let primary = |s: &str| s.chars().map(weight).collect::<Vec<_>>();
    primary(a)
        .cmp(&primary(b))
        .then_with(|| a.chars().map(|c| c.is_uppercase()).cmp(b.chars().map(|c| c.is_uppercase())))
        .then_with(|| a.cmp(b))
}

/// Punctuation and symbols in the order of the Unicode root collation.
const PUNCTUATION: &str = " _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

fn weight(c: char) -> (u8, u32) {
    match PUNCTUATION.chars().position(|p| p == c) {
        Some(at) => (0, u32::try_from(at).unwrap_or(u32::MAX)),
        None if c.is_ascii_control() => (0, 0),
        None if c.is_ascii_digit() => (1, u32::from(c)),
        None => (2, u32::from(c.to_lowercase().next().unwrap_or(c))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_chain_of_three_elements() {
        let elements = json!([
            {"tag_name": "a", "$el_text": "Sign \"up\"", "attr__href": "/signup", "attr__class": "btn primary btn",
             "attr__id": "cta", "nth_child": 2, "nth_of_type": 1},
            {"tag_name": "div", "attr__class": ["z", "a"], "nth_child": 1, "nth_of_type": 1},
            {"tag_name": "body"}
        ]);
        let mut properties = Properties::new();
        properties.insert("$elements", elements);
        assert_eq!(
            take_chain(&mut properties),
            concat!(
                r#"a.btn.btn.primary:attr__class="btn primary btn"attr__href="/signup"attr__id="cta"attr_id="cta""#,
                r#"href="/signup"nth-child="2"nth-of-type="1"text="Sign \"up\"";"#,
                r#"div.a.z:attr__class="z,a"nth-child="1"nth-of-type="1";body:nth-child="0"nth-of-type="0""#
            )
        );
        assert!(properties.is_empty());
    }

    #[test]
    fn a_chain_that_was_sent_is_kept() {
        let mut properties = Properties::new();
        properties.insert("$elements_chain", json!("a:x"));
        properties.insert("$elements", json!([{"tag_name": "b"}]));
        assert_eq!(take_chain(&mut properties), "a:x");
        assert!(properties.is_empty());
    }

    #[test]
    fn quotes_cuts_and_defaults() {
        for (element, chain) in [
            (json!({"attr__a\"b": "c\"d"}), r#":attr__a\"b="c\"d"nth-child="0"nth-of-type="0""#.to_owned()),
            (json!({"tag_name": "a", "attr__class": "x\"y  z"}), {
                r#"a..xy.z:attr__class="x\"y  z"nth-child="0"nth-of-type="0""#.to_owned()
            }),
            (json!({"$el_text": "é".repeat(401), "nth_child": 0, "nth_of_type": null}), {
                format!(r#":nth-child="0"nth-of-type="0"text="{}""#, "é".repeat(400))
            }),
            (json!({"$el_text": "", "attr_id": null}), r#":nth-child="0"nth-of-type="0""#.to_owned()),
            (json!({"attr__on": true, "attr__n": 1.0, "attr__l": [1, [2, null]], "nth_child": 3}), {
                r#":attr__l="1,2,"attr__n="1"attr__on="true"nth-child="3"nth-of-type="0""#.to_owned()
            }),
        ] {
            assert_eq!(chain_of(std::slice::from_ref(&element)).as_ref(), Some(&chain), "{element}");
        }
    }

    #[test]
    fn malformed_elements_give_no_chain() {
        for elements in [
            json!({}),
            json!([1]),
            json!([null]),
            json!([{"attr__class": 5}]),
            json!([{"attr__class": ["a", 1]}]),
            json!([{"attr__x": null}]),
            json!([{"$el_text": 5}]),
            json!([{"attr__href": {}}]),
        ] {
            let mut properties = Properties::new();
            properties.insert("$elements", elements);
            assert_eq!(take_chain(&mut properties), "");
        }
    }

    #[test]
    fn keys_are_in_dictionary_order() {
        let expected = [
            "attr__class",
            "attr__Data",
            "attr__data-x",
            "attr__id",
            "attr_id",
            "href",
            "nth-child",
            "nth-of-type",
            "text",
        ];
        let mut keys = expected;
        keys.reverse();
        keys.sort_by(|a, b| compare(a, b));
        assert_eq!(keys, expected);
    }
}
