//! Every table and column, once: the Iceberg schema, the Parquet schema and the reference derive from here.
//!
//! Columns are only ever added, at the end. Ids are one-based positions. A promoted column is called `p_`
//! followed by the property's name without `$`; no other column starts with `p_`.

mod bind;
mod events;
mod persons;
mod reference;
mod replay;
mod signals;

pub use bind::Bound;
pub(crate) use bind::Fit;
pub use reference::reference;

use iceberg::spec::{
    NestedField, NullOrder, PrimitiveType, Schema, SortDirection, SortField, SortOrder, Transform, Type,
    UnboundPartitionSpec,
};

use crate::{Error, Kind as ErrorKind, Result, error::Context};

/// The namespace of all Tenrec tables in the catalog.
pub const NAMESPACE: &str = "tenrec";

/// Table property holding the number of declared columns, so that an older program refuses a newer table.
pub(crate) const COLUMNS_PROPERTY: &str = "tenrec.columns";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// A UUID as lower-case hyphenated text.
    Uuid,
    /// A JSON value as text.
    Json,
    /// 64-bit integer.
    Long,
    /// 32-bit integer.
    Int,
    /// True or false.
    Bool,
    /// Instant in UTC, microseconds.
    Timestamp,
}

impl Kind {
    /// The Iceberg type.
    pub fn iceberg(self) -> PrimitiveType {
        match self {
            Self::Text | Self::Uuid | Self::Json => PrimitiveType::String,
            Self::Long => PrimitiveType::Long,
            Self::Int => PrimitiveType::Int,
            Self::Bool => PrimitiveType::Boolean,
            Self::Timestamp => PrimitiveType::Timestamptz,
        }
    }

    /// The name used in the reference.
    pub fn label(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Uuid => "string (UUID)",
            Self::Json => "string (JSON)",
            Self::Long => "long",
            Self::Int => "int",
            Self::Bool => "boolean",
            Self::Timestamp => "timestamptz",
        }
    }
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// One-based position, the field id at creation.
    pub id: i32,
    /// Column name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Never null.
    pub required: bool,
    /// Meaning, one sentence or two.
    pub doc: &'static str,
    /// The event property this column repeats: a string's content, a number's, boolean's, object's or array's
    /// JSON text, null when the property is null or absent.
    pub promoted_from: Option<&'static str>,
}

impl Column {
    const fn required(id: i32, name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { id, name, kind, required: true, doc, promoted_from: None }
    }

    const fn optional(id: i32, name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { id, name, kind, required: false, doc, promoted_from: None }
    }

    const fn promoted(id: i32, name: &'static str, property: &'static str, doc: &'static str) -> Self {
        Self { id, name, kind: Kind::Text, required: false, doc, promoted_from: Some(property) }
    }
}

/// How rows are spread over files: always by `team_id`, then by the UTC day of this column.
#[derive(Clone, Copy, Debug)]
pub struct Partition {
    /// Timestamp column whose day is the second partition field.
    pub day_of: &'static str,
}

/// One table.
#[derive(Clone, Copy, Debug)]
pub struct TableDef {
    /// Table name in [`NAMESPACE`].
    pub name: &'static str,
    /// What one row is.
    pub doc: &'static str,
    /// Columns in order.
    pub columns: &'static [Column],
    /// See [`Partition`].
    pub partition: Partition,
    /// Rows within a file are ordered by these columns, ascending.
    pub sort: &'static [&'static str],
}

/// Events.
pub const EVENTS: TableDef = events::EVENTS;
/// Versions of persons.
pub const PERSONS: TableDef = persons::PERSONS;
/// Versions of distinct id mappings.
pub const PERSON_DISTINCT_IDS: TableDef = persons::PERSON_DISTINCT_IDS;
/// Versions of groups.
pub const GROUPS: TableDef = persons::GROUPS;
/// Heatmap points.
pub const HEATMAPS: TableDef = signals::HEATMAPS;
/// Ingestion warnings.
pub const INGESTION_WARNINGS: TableDef = signals::INGESTION_WARNINGS;
/// Events that could not be folded.
pub const DEAD_LETTER: TableDef = signals::DEAD_LETTER;
/// Session replay blocks.
pub const SESSION_REPLAY_BLOCKS: TableDef = replay::SESSION_REPLAY_BLOCKS;

/// All tables, in the order rows are committed: events last, so that a reader never meets an event whose
/// person is committed later.
pub const TABLES: [&TableDef; 8] = [
    &PERSONS,
    &PERSON_DISTINCT_IDS,
    &GROUPS,
    &HEATMAPS,
    &INGESTION_WARNINGS,
    &DEAD_LETTER,
    &SESSION_REPLAY_BLOCKS,
    &EVENTS,
];

/// The table called `name`, if it is one of ours.
pub fn table(name: &str) -> Option<&'static TableDef> {
    TABLES.into_iter().find(|def| def.name == name)
}

impl TableDef {
    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column promoted from `property` (with its `$`).
    pub fn promoted(&self, property: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.promoted_from == Some(property))
    }

    /// The Iceberg schema of a new table.
    ///
    /// # Errors
    /// `Bug` when the declaration itself is inconsistent.
    pub fn iceberg_schema(&self) -> Result<Schema> {
        let fields = self.columns.iter().map(|column| {
            let kind = Type::Primitive(column.kind.iceberg());
            NestedField::new(column.id, column.name, kind, column.required).with_doc(column.doc).into()
        });
        Schema::builder().with_fields(fields).build().context(ErrorKind::Bug, || self.name.to_owned())
    }

    /// `identity(team_id)`, `day(<time column>)`.
    ///
    /// # Errors
    /// `Bug` when the declaration itself is inconsistent.
    pub fn partition_spec(&self) -> Result<UnboundPartitionSpec> {
        let day = format!("{}_day", self.partition.day_of);
        UnboundPartitionSpec::builder()
            .with_spec_id(0)
            .add_partition_field(self.id_of("team_id")?, "team_id", Transform::Identity)
            .and_then(|spec| {
                let source = self.column(self.partition.day_of).map_or(0, |column| column.id);
                spec.add_partition_field(source, day, Transform::Day)
            })
            .map(|spec| spec.build())
            .context(ErrorKind::Bug, || self.name.to_owned())
    }

    /// The sort order readers may rely on within one file.
    ///
    /// # Errors
    /// `Bug` when the declaration itself is inconsistent.
    pub fn sort_order(&self) -> Result<SortOrder> {
        let mut fields = Vec::new();
        for name in self.sort {
            fields.push(SortField {
                source_id: self.id_of(name)?,
                transform: Transform::Identity,
                direction: SortDirection::Ascending,
                null_order: NullOrder::First,
            });
        }
        SortOrder::builder()
            .with_order_id(1)
            .with_fields(fields)
            .build_unbound()
            .context(ErrorKind::Bug, || self.name.to_owned())
    }

    fn id_of(&self, name: &str) -> Result<i32> {
        self.column(name)
            .map(|column| column.id)
            .ok_or_else(|| Error::new(ErrorKind::Bug, format!("{} has no column {name}", self.name)))
    }
}

#[cfg(test)]
mod tests;
