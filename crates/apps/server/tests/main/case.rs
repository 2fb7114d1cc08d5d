//! One entry of `fixtures/capture/cases.json`: its request as bytes, and its expectations of an answer.

use crate::client::{Answer, Request};
use crate::world::NOW;
use serde::Deserialize;
use serde_json::{Map, Value};

const CASES: &str = include_str!("../../../../../fixtures/capture/cases.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub id: String,
    pub title: String,
    #[serde(default)]
    pub needs: Vec<String>,
    /// Why a server cannot be brought into the state that the case needs.
    pub not_over_http: Option<String>,
    pub request: Sent,
    pub expect: Expect,
    /// Events that were stored, where listing them would be long.
    pub count: Option<u64>,
    /// Persons that exist afterwards; only `[]` has a meaning.
    pub persons: Option<[Value; 0]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    method: String,
    path: String,
    headers: Map<String, Value>,
    pub body: Option<Body>,
    #[serde(default = "once")]
    pub times: usize,
}

fn once() -> usize {
    1
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Body {
    Text(String),
    Base64(String),
    Fill { prefix: String, unit: String, times: usize, suffix: String },
    Stall { send: String, content_length: usize },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    status: u16,
    body: Option<String>,
    body_contains: Option<Value>,
    json: Option<Value>,
    headers: Option<Map<String, Value>>,
    pub events: Option<Vec<Map<String, Value>>>,
    pub recordings: Option<Vec<Map<String, Value>>>,
}

/// All entries.
pub fn all() -> Vec<Case> {
    serde_json::from_str(CASES).expect("the cases have their form")
}

/// Puts the key and the time where the cases leave them open.
pub fn bind(text: &str, token: &str) -> String {
    text.replace("$TOKEN", token).replace("$NOW", NOW)
}

pub fn bind_value(value: &Value, token: &str) -> Value {
    match value {
        Value::String(text) => Value::String(bind(text, token)),
        Value::Array(items) => items.iter().map(|item| bind_value(item, token)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), bind_value(value, token))).collect()
        }
        other => other.clone(),
    }
}

impl Case {
    /// Whether the key cannot be chosen: bytes that are encoded contain the one of project 1, or there is none.
    pub fn has_fixed_key(&self) -> bool {
        let (one, other) = (self.request("phc_1"), self.request("phc_2"));
        let named = self.request.path.contains(crate::world::TOKEN);
        named || (one.path, one.headers, one.body) == (other.path, other.headers, other.body)
    }

    pub fn needs(&self, need: &str) -> bool {
        self.needs.iter().any(|has| has == need)
    }

    pub fn request(&self, token: &str) -> Request {
        use base64::Engine;
        let sent = &self.request;
        let text = |value: &Value| bind(value.as_str().expect("headers are text"), token);
        let body = sent.body.as_ref().map(|body| match body {
            Body::Text(text) => bind(text, token).into_bytes(),
            Body::Base64(text) => base64::engine::general_purpose::STANDARD.decode(text).expect("base64"),
            Body::Fill { prefix, unit, times, suffix } => {
                format!("{}{}{suffix}", bind(prefix, token), unit.repeat(*times)).into_bytes()
            }
            Body::Stall { send, .. } => send.clone().into_bytes(),
        });
        let no_body = (sent.method == "POST" && body.is_none()).then(Vec::new);
        Request {
            method: sent.method.clone(),
            path: bind(&sent.path, token),
            headers: sent.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
            body: body.or(no_body),
        }
    }

    /// What is wrong with an answer.
    pub fn check(&self, answer: &Answer, token: &str) -> Result<(), String> {
        let expect = &self.expect;
        let body = answer.text();
        if answer.status != expect.status {
            return Err(format!("status {} instead of {}: {body}", answer.status, expect.status));
        }
        if expect.body.as_ref().is_some_and(|wanted| bind(wanted, token) != body) {
            return Err(format!("body {body:?}"));
        }
        let parts = match &expect.body_contains {
            Some(Value::Array(parts)) => parts.as_slice(),
            Some(part) => std::slice::from_ref(part),
            None => &[],
        };
        for part in parts.iter().map(|part| bind(part.as_str().expect("text"), token)) {
            if !body.contains(&part) {
                return Err(format!("body {body:?} lacks {part:?}"));
            }
        }
        if let Some(json) = &expect.json
            && !holds(&answer.json(), &bind_value(json, token))
        {
            return Err(format!("body {body:?}"));
        }
        for (name, wanted) in expect.headers.iter().flatten() {
            let found = answer.header(name);
            let right = match wanted.as_str() {
                None => found.is_none(),
                Some("*") => found.is_some(),
                Some(text) => match text.strip_prefix('~') {
                    Some(part) => found.as_ref().is_some_and(|f| f.to_lowercase().contains(part)),
                    None => found.as_deref() == Some(text),
                },
            };
            if !right {
                return Err(format!("header {name} should be {wanted}, is {found:?}"));
            }
        }
        Ok(())
    }
}

/// Whether `found` has all of `wanted`: objects by the fields named, lists item by item.
pub fn holds(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| found.get(key).is_some_and(|found| holds(found, wanted)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(f, w)| holds(f, w))
        }
        _ => found == wanted,
    }
}
