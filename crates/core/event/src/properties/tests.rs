use super::*;
use proptest::prelude::*;
use serde_json::json;

fn read(text: &str) -> (Properties, Vec<String>) {
    let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
    let mut unreadable = Vec::new();
    let properties = Properties::read(&raw, |name| unreadable.push(name.to_owned())).unwrap();
    (properties, unreadable)
}

/// What a map of JSON values makes of the same text.
fn model(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

fn text_of(map: &Map<String, Value>) -> String {
    serde_json::to_string(map).unwrap()
}

#[test]
fn any_text_is_written_as_a_map_of_values_writes_it() {
    for text in [
        "{}",
        "{ }",
        r#"{"a":1}"#,
        r#" { "a" : 1 , "b" : [ 1 , 2 ] , "c" : { "d" : "e f" } } "#,
        r#"{"a":1,"b":2,"a":3}"#,
        r#"{"a":1e5,"b":1.50,"c":-0,"d":12345678901234567890123,"e":0.00001}"#,
        r#"{"a":"\/\u00e9\n","b":"\\\"","\u0061b":1,"c\"d":2,"\n":3}"#,
        r#"{"a":{"b":1,"b":2},"c":[{"d":1.0e1}],"":null}"#,
        r#"{"ab":1,"\u0061b":2,"c":3}"#,
        "{\n  \"a\": \"b\",\n  \"c\": true\n}",
    ] {
        let (properties, unreadable) = read(text);
        assert_eq!(properties.to_json(), text_of(&model(text)), "{text}");
        assert_eq!(properties.to_map(), model(text), "{text}");
        assert_eq!(serde_json::to_string(&properties).unwrap(), properties.to_json());
        assert_eq!(serde_json::from_str::<Properties>(text).unwrap(), properties);
        assert_eq!(serde_json::from_value::<Properties>(json!(properties)).unwrap(), properties);
        assert!(unreadable.is_empty());
        let mut compact = properties.clone();
        compact.compact();
        assert_eq!((compact.to_json(), &compact), (properties.to_json(), &properties));
    }
    let (properties, unreadable) = read(r#"{"a":1e999,"b":[{"c":-1e999}],"d":1}"#);
    assert_eq!(properties.to_json(), r#"{"a":"1e999","b":"[{\"c\":-1e999}]","d":1}"#);
    assert_eq!(unreadable, ["a", "b"]);
    assert!(serde_json::from_str::<Properties>("[1]").is_err());
}

#[test]
fn fields_are_changed_as_in_a_map() {
    let text = r#"{"a":1,"b":"x","c":{"d":[1]},"e":null}"#;
    let (mut properties, mut model) = (read(text).0, model(text));
    properties.insert("b", "y\"");
    model.insert("b".into(), json!("y\""));
    properties.insert("new\n", true);
    model.insert("new\n".into(), json!(true));
    properties.or_insert("a", json!(9.5));
    properties.or_insert("z", json!({"q": [1.5]}));
    model.insert("z".into(), json!({"q": [1.5]}));
    assert_eq!(properties.to_json(), text_of(&model));
    assert!(properties.remove("a") && !properties.remove("a"));
    model.shift_remove("a");
    assert_eq!(properties.take("c"), model.shift_remove("c"));
    properties.update("z", |value| value["q"][0] = json!(2));
    model["z"]["q"][0] = json!(2);
    let inner = properties.object("z").unwrap();
    properties.insert("copy", &inner);
    model.insert("copy".into(), json!({"q": [2]}));
    assert_eq!(properties.to_json(), text_of(&model));
    assert_eq!(properties.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "e", "new\n", "z", "copy"]);
    properties.retain(|name| name.len() > 1);
    assert_eq!(properties.to_json(), r#"{"new\n":true,"copy":{"q":[2]}}"#);
    assert_eq!((properties.value("new\n"), properties.value("a")), (json!(true), Value::Null));
    assert_eq!(Properties::from(model.clone()).to_map(), model);
}

#[test]
fn maps_are_equal_whatever_the_order() {
    let equal = |a: &str, b: &str| read(a).0 == read(b).0;
    assert!(equal(r#"{"a":1,"b":{"c":1,"d":2}}"#, r#"{"b":{"d":2,"c":1},"a":1}"#));
    assert!(!equal(r#"{"a":1}"#, r#"{"a":1,"b":2}"#));
    assert!(!equal(r#"{"a":1}"#, r#"{"a":"1"}"#));
}

#[test]
fn thousands_of_fields_are_found_and_removed() {
    let text = |from: usize, to: usize| {
        let fields: Vec<String> = (from..to).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let (mut properties, _) = read(&text(0, 5_000));
    for n in (0..5_000).step_by(7) {
        assert!(properties.remove(&format!("k{n}")));
        assert!(!properties.contains_key(&format!("k{n}")));
    }
    properties.extend(&read(&text(4_990, 5_010)).0);
    for n in 0..5_010 {
        let expect = (n % 7 != 0 || n >= 4_990).then(|| n.to_string());
        assert_eq!(properties.get(&format!("k{n}")).map(|json| json.text().to_owned()), expect, "{n}");
    }
}

#[test]
fn what_changes_again_and_again_does_not_grow() {
    let (mut properties, _) = read(r#"{"a":1,"url":""}"#);
    for n in 0..10_000 {
        properties.insert("url", format!("https://example.com/{n}").as_str());
    }
    assert!(properties.bytes() < 4_000, "{}", properties.bytes());
    assert_eq!(properties.to_json(), r#"{"a":1,"url":"https://example.com/9999"}"#);
}

/// JSON text of any value, written in any way.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?",
        "-?(0|[1-9][0-9]{0,8})\\.[0-9]{1,5}",
        any_string(),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let field = (any_string(), any_space(), inner.clone())
            .prop_map(|(name, space, value)| format!("{name}{space}:{space}{value}"));
        prop_oneof![
            (prop::collection::vec(inner, 0..4), any_space())
                .prop_map(|(items, space)| format!("[{}]", items.join(&format!(",{space}")))),
            (prop::collection::vec(field, 0..4), any_space())
                .prop_map(|(fields, space)| format!("{{{space}{}}}", fields.join(&format!("{space},")))),
        ]
    })
}

/// Few names, so that some are written twice.
fn any_string() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(
        &[
            "a",
            "b",
            "é",
            "😀",
            "/",
            "\u{7f}",
            "\\n",
            "\\/",
            "\\u0061",
            "\\u00e9",
            "\\u0000",
            "\\\\",
            "\\\"",
            "\\ud83d\\ude00",
        ][..],
    );
    prop::collection::vec(piece, 0..3).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn any_space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["", "", "", " ", "\n\t"][..])
}

proptest! {
    #[test]
    fn any_object_is_read_and_written_as_a_map_does_it(
        fields in prop::collection::vec((any_string(), any_json()), 0..12), space in any_space(), key in any_string()
    ) {
        let fields: Vec<String> = fields.into_iter().map(|(name, value)| format!("{name}{space}:{space}{value}")).collect();
        let text = format!("{{{space}{}}}", fields.join(&format!(",{space}")));
        let (mut properties, unreadable) = read(&text);
        let mut model = model(&text);
        prop_assert!(unreadable.is_empty());
        prop_assert_eq!(properties.to_json(), text_of(&model));
        let name: String = serde_json::from_str(&key).unwrap();
        prop_assert_eq!(properties.get(&name).map(Json::value), model.get(&name).cloned());
        properties.insert(&name, 1.5_f64.to_string().as_str());
        model.insert(name.clone(), json!("1.5"));
        prop_assert_eq!(properties.to_json(), text_of(&model));
        properties.compact();
        prop_assert_eq!(properties.take(&name), model.shift_remove(&name));
        prop_assert_eq!(properties.to_json(), text_of(&model));
        prop_assert_eq!(Properties::from(model.clone()), properties);
    }
}

#[test]
fn a_known_hash_finds_what_the_name_finds() {
    for count in [3, FEW + 10] {
        let properties: Properties =
            (0..count).map(|number| (format!("name {number}"), number % 2 == 0)).collect();
        for name in ["name 0", "name 2", "name 270", "other"] {
            assert_eq!(properties.find_hashed(name, hash(name)), properties.get(name), "{name} of {count}");
        }
    }
}
