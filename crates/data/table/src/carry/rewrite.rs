//! Metadata, manifest lists and manifests with the locations of another place.
//!
//! They are changed field by field and otherwise kept as their writers made them: tables of other programs too, with
//! fields this program knows nothing about.

use super::{Changed, Role};
use crate::error::Context;
use crate::{Error, Kind, Result};
use apache_avro::types::Value as Avro;
use apache_avro::{Codec, Reader, Writer};
use serde_json::Value as Json;
use std::collections::HashMap;

/// From one warehouse to another, both as `file:///.../warehouse`.
#[derive(Clone, Debug)]
pub struct Move {
    from: String,
    to: String,
}

impl Move {
    /// A move between two roots.
    pub fn new(from: &str, to: &str) -> Self {
        Self { from: bare(from).to_owned(), to: bare(to).to_owned() }
    }

    /// Whether anything moves.
    pub fn is_same(&self) -> bool {
        self.from == self.to
    }

    /// A location in the new place; one that was outside of the old place stays as it is.
    pub fn location(&self, location: &str) -> String {
        match self.below(location) {
            Some(path) => format!("file://{}{path}", self.to),
            None => location.to_owned(),
        }
    }

    /// What follows the old root in a location, its slash included.
    pub fn below<'a>(&self, location: &'a str) -> Option<&'a str> {
        bare(location).strip_prefix(&self.from).filter(|path| path.is_empty() || path.starts_with('/'))
    }

    /// A table's metadata in the new place. It forgets the metadata files of the past, which are not carried.
    ///
    /// # Errors
    /// `Corrupt` when it is no table metadata.
    pub fn metadata(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let broken = || "read table metadata".to_owned();
        let mut metadata: Json = serde_json::from_slice(bytes).context(Kind::Corrupt, broken)?;
        let fields = metadata.as_object_mut().ok_or_else(|| Error::new(Kind::Corrupt, broken()))?;
        fields.insert("metadata-log".to_owned(), Json::Array(Vec::new()));
        if let Some(location) = fields.get_mut("location") {
            self.text(location);
        }
        if let Some(Json::Object(properties)) = fields.get_mut("properties") {
            properties.values_mut().for_each(|value| self.text(value));
        }
        for (list, field) in PATHS {
            let entries = fields.get_mut(list).and_then(Json::as_array_mut);
            let paths = entries.into_iter().flatten().filter_map(|entry| entry.get_mut(field));
            paths.for_each(|path| self.text(path));
        }
        serde_json::to_vec(&metadata).context(Kind::Bug, || "write table metadata".to_owned())
    }

    fn text(&self, value: &mut Json) {
        if let Json::String(text) = value {
            *text = self.location(text);
        }
    }

    /// A manifest in the new place, where these data files, by their new locations, were written anew.
    ///
    /// # Errors
    /// `Corrupt` when it is no manifest; `Invalid` when it names files that delete rows by the paths of other files.
    pub fn manifest(&self, bytes: &[u8], changed: &HashMap<String, Changed>) -> Result<Vec<u8>> {
        rewrite(bytes, |entry| {
            let Some(file) = field(entry, "data_file") else { return Ok(()) };
            let positions = matches!(field(file, "content"), Some(Avro::Int(1)));
            let puffin = matches!(field(file, "file_format"), Some(Avro::String(name)) if name.eq_ignore_ascii_case("puffin"));
            if positions && !puffin && !self.is_same() {
                let text = "a table has position delete files, which name other files by their paths: have the program \
                            that made them compact the table first, or restore to the same path";
                return Err(Error::new(Kind::Invalid, text));
            }
            self.path(file, "file_path");
            self.path(file, "referenced_data_file");
            let is_new = string(file, "file_path").and_then(|path| changed.get(&path));
            if let Some(changed) = is_new {
                adjust(file, changed);
            }
            Ok(())
        })
    }

    /// A manifest list in the new place, where manifests have these lengths by their new locations.
    ///
    /// # Errors
    /// `Corrupt` when it is no manifest list.
    pub fn list(&self, bytes: &[u8], lengths: &HashMap<String, u64>) -> Result<Vec<u8>> {
        rewrite(bytes, |manifest| {
            self.path(manifest, "manifest_path");
            let length = match field(manifest, "manifest_path") {
                Some(Avro::String(path)) => lengths.get(path.as_str()).copied(),
                _ => None,
            };
            if let (Some(length), Some(Avro::Long(old))) = (length, field(manifest, "manifest_length")) {
                *old = i64::try_from(length).unwrap_or(i64::MAX);
            }
            Ok(())
        })
    }

    fn path(&self, record: &mut Avro, name: &str) {
        if let Some(Avro::String(path)) = field(record, name) {
            *path = self.location(path);
        }
    }
}

/// The locations that a file names, without those that a manifest says are gone.
///
/// # Errors
/// `Corrupt` when the file is not what its role says.
pub fn named(role: Role, bytes: &[u8]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    match role {
        Role::Data => {}
        Role::Metadata => {
            let broken = || "read table metadata".to_owned();
            let metadata: Json = serde_json::from_slice(bytes).context(Kind::Corrupt, broken)?;
            for (list, name) in PATHS {
                let entries = metadata.get(list).and_then(Json::as_array).into_iter().flatten();
                let paths = entries.filter_map(|entry| entry.get(name)?.as_str());
                found.extend(paths.map(str::to_owned));
            }
        }
        Role::List => drop(rewrite(bytes, |manifest| {
            found.extend(string(manifest, "manifest_path"));
            Ok(())
        })?),
        Role::Manifest => drop(rewrite(bytes, |entry| {
            let is_gone = matches!(field(entry, "status"), Some(Avro::Int(2)));
            if let Some(file) = field(entry, "data_file").filter(|_| !is_gone) {
                found.extend(string(file, "file_path"));
            }
            Ok(())
        })?),
    }
    Ok(found)
}

/// Where table metadata names files: a list and the field of its entries.
const PATHS: [(&str, &str); 3] = [
    ("snapshots", "manifest-list"),
    ("statistics", "statistics-path"),
    ("partition-statistics", "statistics-path"),
];

/// The path of a location without its scheme.
fn bare(location: &str) -> &str {
    location.strip_prefix("file://").or_else(|| location.strip_prefix("file:")).unwrap_or(location)
}

/// What a manifest says about a data file, after that was written anew.
fn adjust(file: &mut Avro, changed: &Changed) {
    if let Some(Avro::Long(bytes)) = field(file, "file_size_in_bytes") {
        *bytes = i64::try_from(changed.bytes).unwrap_or(i64::MAX);
    }
    for name in ["lower_bounds", "upper_bounds"] {
        if let Some(Avro::Array(bounds)) = field(file, name) {
            bounds.retain_mut(|bound| match field(bound, "key") {
                Some(Avro::Int(key)) => Some(*key) != changed.column,
                _ => true,
            });
        }
    }
    // Row groups begin elsewhere. A single one begins where every file's first does.
    if let Some(Avro::Array(offsets)) = field(file, "split_offsets") {
        offsets.truncate(1);
    }
}

/// A text of a record.
fn string(record: &mut Avro, name: &str) -> Option<String> {
    match field(record, name) {
        Some(Avro::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// A field of a record, without the union around it.
fn field<'a>(record: &'a mut Avro, name: &str) -> Option<&'a mut Avro> {
    let Avro::Record(fields) = record else { return None };
    let value = fields.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value)?;
    match value {
        Avro::Union(_, inner) => Some(inner),
        other => Some(other),
    }
}

/// Reads an Avro file, changes its records and writes it again with the same schema and the same facts in its head.
fn rewrite(bytes: &[u8], mut change: impl FnMut(&mut Avro) -> Result<()>) -> Result<Vec<u8>> {
    let broken = || "read an Avro file of a table".to_owned();
    let reader = Reader::new(bytes).context(Kind::Corrupt, broken)?;
    let schema = reader.writer_schema().clone();
    let facts = reader.user_metadata().clone();
    let mut writer = Writer::with_codec(&schema, Vec::new(), Codec::Deflate(Default::default()));
    let unwritten = || "write an Avro file of a table".to_owned();
    for (name, value) in facts {
        writer.add_user_metadata(name, value).context(Kind::Bug, unwritten)?;
    }
    for record in reader {
        let mut record = record.context(Kind::Corrupt, broken)?;
        change(&mut record)?;
        writer.append_value_ref(&record).context(Kind::Bug, unwritten)?;
    }
    writer.into_inner().context(Kind::Bug, unwritten)
}
