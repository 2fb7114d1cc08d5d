//! Properties as their sender wrote them: an ordered map whose values stay JSON text.

mod read;
mod write;

use crate::json::{Json, ToJson};
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::ops::Range;
use write::push_field;
use xxhash_rust::xxh3::xxh3_64;

/// Fields found by looking at all of them; more are found through a hashed index, so that many cost no square.
const FEW: usize = 256;

/// An ordered map from names to canonical JSON text.
///
/// Behaves as an insertion-ordered map of JSON values does: a name that is written again keeps its place. Reading one
/// from a sender's JSON copies its text once and looks at every byte once; a value is parsed only by whoever needs
/// more than its text; writing it down again copies runs of untouched fields.
///
/// Names are compared by a hash of 32 bits first. It needs no seed: equal hashes cost one more comparison.
#[derive(Clone, Default)]
pub struct Properties {
    /// The text all fields lie in. New fields are added at its end.
    text: String,
    fields: Vec<Field>,
    /// Hashes of the names, beside the fields so that a look through them stays in few cache lines.
    tags: Vec<u32>,
    /// A bit for every hash that was ever in `tags`: most names that are asked for are not there, and this tells.
    marks: u128,
    /// Positions by name, when there are more than [`FEW`].
    index: Option<HashMap<Box<str>, usize>>,
    /// Bytes of `text` that no field uses any more.
    dead: usize,
}

/// Where a field lies in the text.
#[derive(Clone, Copy, Debug)]
struct Field {
    /// The name, without quotes and escapes.
    name: Span,
    value: Span,
    /// The name stands in the text as JSON, right before the value: `"name":value`.
    joined: bool,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(range: Range<usize>) -> Self {
        let offset = |at: usize| u32::try_from(at).expect("properties of one event are far below 4 GiB");
        Self { start: offset(range.start), end: offset(range.end) }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    fn len(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// A hash of a name that is the same everywhere and has its lowest bit to spare.
pub fn hash(name: &str) -> u64 {
    u64::from(tag(name)) << 1
}

fn tag(name: &str) -> u32 {
    // The low half; the high one would do as well.
    (xxh3_64(name.as_bytes()) & u64::from(u32::MAX)) as u32
}

/// The bit of a hash in [`Properties::marks`].
fn mark(tag: u32) -> u128 {
    1 << (tag % u128::BITS)
}

impl Properties {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty map with room for some fields whose text takes so many bytes.
    pub fn with_capacity(fields: usize, bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            fields: Vec::with_capacity(fields),
            tags: Vec::with_capacity(fields),
            ..Self::default()
        }
    }

    /// Makes room for more fields whose text takes so many bytes.
    pub fn reserve(&mut self, fields: usize, bytes: usize) {
        self.text.reserve(bytes);
        self.fields.reserve(fields);
        self.tags.reserve(fields);
    }

    /// How many fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        let index = self.index.as_ref().map_or(0, |index| index.capacity() * 64);
        self.text.capacity() + self.fields.capacity() * size_of::<Field>() + self.tags.capacity() * 4 + index
    }

    /// What [`Properties::to_json`] surely does not exceed in bytes.
    pub fn text_len(&self) -> usize {
        self.text.len() + 2
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<Json<'_>> {
        Some(self.value_at(self.position(name)?))
    }

    /// As [`Properties::get`], for a name whose [`hash`] is known: who asks every event for the same names hashes them
    /// once.
    pub fn find_hashed(&self, name: &str, hash: u64) -> Option<Json<'_>> {
        // The hash is the tag with one bit to spare.
        Some(self.value_at(self.find(name, (hash >> 1) as u32)?))
    }

    /// What a field says, if it is a string.
    pub fn text_of(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        self.get(name)?.as_str()
    }

    /// Whether the field exists and is `false`, `0`, `""` or `null` in no way.
    pub fn is_truthy(&self, name: &str) -> bool {
        self.get(name).is_some_and(Json::is_truthy)
    }

    /// Whether there is such a field.
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// The fields in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, Json<'_>)> {
        self.fields.iter().map(|field| (self.slice(field.name), Json::canonical(self.slice(field.value))))
    }

    /// The values in order, each with a hash of its name that is the same everywhere and has its lowest bit to spare.
    pub fn hashed(&self) -> impl Iterator<Item = (u64, Json<'_>)> {
        let values = self.fields.iter().map(|field| Json::canonical(self.slice(field.value)));
        self.tags.iter().map(|tag| u64::from(*tag) << 1).zip(values)
    }

    /// A copy of an object that a field holds; `None` when it holds none.
    pub fn object(&self, name: &str) -> Option<Self> {
        Self::of(self.get(name)?)
    }

    /// A copy of an object; `None` for any other value.
    pub fn of(json: Json<'_>) -> Option<Self> {
        Self::read_text(json.text(), &mut |_| {}, &mut |_, _| {})
    }

    /// Sets a field: in its place if there is one of that name, else at the end.
    pub fn insert(&mut self, name: &str, value: impl ToJson) {
        let tag = tag(name);
        match self.find(name, tag) {
            Some(position) => self.replace(position, value),
            None => self.push(name, tag, value),
        }
    }

    /// Adds a field unless there is one of that name.
    pub fn or_insert(&mut self, name: &str, value: impl ToJson) {
        let tag = tag(name);
        if self.find(name, tag).is_none() {
            self.push(name, tag, value);
        }
    }

    /// Sets every field of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (name, value) in other.iter() {
            self.insert(name, value);
        }
    }

    /// Removes a field; the others keep their order. Gives whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(position) = self.position(name) else { return false };
        let field = self.fields.remove(position);
        self.tags.remove(position);
        self.dead += field.value.len() + field.name.len() + 4;
        if let Some(index) = &mut self.index {
            index.remove(name);
            for other in index.values_mut().filter(|other| **other > position) {
                *other -= 1;
            }
        }
        true
    }

    /// Removes a field and gives what it held.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let value = self.get(name)?.value();
        self.remove(name);
        Some(value)
    }

    /// Keeps only the fields whose names are wanted.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        if self.iter().any(|(name, _)| !wanted(name)) {
            *self = self.iter().filter(|(name, _)| wanted(name)).collect();
        }
    }

    /// Changes the tree of a field, if there is one.
    pub fn update(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        let Some(position) = self.position(name) else { return };
        let mut value = self.value_at(position).value();
        change(&mut value);
        self.replace(position, value);
    }

    /// Gives back the memory of what was replaced or removed.
    pub fn compact(&mut self) {
        let mut text = String::with_capacity(self.text.len().saturating_sub(self.dead));
        let mut fields = Vec::with_capacity(self.fields.len());
        for (name, value) in self.iter() {
            fields.push(push_field(&mut text, name, value));
        }
        self.text = text;
        self.fields = fields;
        self.tags.shrink_to_fit();
        self.dead = 0;
    }

    /// Everything as a tree.
    pub fn to_map(&self) -> Map<String, Value> {
        self.iter().map(|(name, value)| (name.to_owned(), value.value())).collect()
    }

    /// The value of a field as a tree; null when there is none.
    pub fn value(&self, name: &str) -> Value {
        self.get(name).map(Json::value).unwrap_or_default()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.find(name, tag(name))
    }

    /// The position of a field, given the hash of its name.
    fn find(&self, name: &str, tag: u32) -> Option<usize> {
        /// Hashes compared at once, which the compiler makes wide.
        const STEP: usize = 8;
        if self.marks & mark(tag) == 0 {
            return None;
        }
        if let Some(index) = &self.index {
            return index.get(name).copied();
        }
        let named = |at: &usize| {
            self.tags[*at] == tag && &self.text.as_bytes()[self.fields[*at].name.range()] == name.as_bytes()
        };
        let (steps, rest) = self.tags.as_chunks::<STEP>();
        for (step, tags) in steps.iter().enumerate() {
            if tags.iter().fold(false, |found, other| found | (*other == tag))
                && let Some(at) = (step * STEP..(step + 1) * STEP).find(named)
            {
                return Some(at);
            }
        }
        (self.tags.len() - rest.len()..self.tags.len()).find(named)
    }

    fn value_at(&self, position: usize) -> Json<'_> {
        Json::canonical(self.slice(self.fields[position].value))
    }

    fn slice(&self, span: Span) -> &str {
        &self.text[span.range()]
    }

    fn push(&mut self, name: &str, tag: u32, value: impl ToJson) {
        let field = push_field(&mut self.text, name, value);
        self.add(field, name, tag);
    }

    /// Takes a field into the list; there is none of its name.
    fn add(&mut self, field: Field, name: &str, tag: u32) {
        self.fields.push(field);
        self.tags.push(tag);
        self.marks |= mark(tag);
        if let Some(index) = &mut self.index {
            index.insert(name.into(), self.fields.len() - 1);
        } else if self.fields.len() > FEW {
            let named = self.iter().enumerate().map(|(position, (name, _))| (name.into(), position));
            self.index = Some(named.collect());
        }
    }

    fn replace(&mut self, position: usize, value: impl ToJson) {
        let name = self.fields[position].name;
        self.dead += self.fields[position].value.len() + name.len() + 4;
        let name = self.slice(name).to_owned();
        self.fields[position] = push_field(&mut self.text, &name, value);
        // What is changed again and again must not grow.
        if self.dead > self.text.len() / 2 && self.dead > 512 {
            self.compact();
        }
    }
}

impl PartialEq for Properties {
    /// As maps compare: whatever the order, and numbers by value.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().all(|(name, value)| other.get(name).is_some_and(|known| known.equals(value)))
    }
}

impl From<&Map<String, Value>> for Properties {
    fn from(map: &Map<String, Value>) -> Self {
        map.iter().map(|(name, value)| (name.as_str(), value)).collect()
    }
}

impl From<Map<String, Value>> for Properties {
    fn from(map: Map<String, Value>) -> Self {
        Self::from(&map)
    }
}

impl<N: AsRef<str>, V: ToJson> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut properties = Self::new();
        for (name, value) in fields {
            properties.insert(name.as_ref(), value);
        }
        properties
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        Self::read(&raw, |_| {}).ok_or_else(|| D::Error::custom("expected an object"))
    }
}

#[cfg(test)]
mod tests;
