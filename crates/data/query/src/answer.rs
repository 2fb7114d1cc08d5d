//! Answers, and the shapes they are written in.

mod cell;
mod kind;
mod parquet;
mod posthog;
mod text;

use arrow::{array::RecordBatch, datatypes::SchemaRef};

pub(crate) use kind::name as type_name;
pub use parquet::write_parquet;
pub use posthog::{to_posthog_json, write_results};
pub use text::{write_csv, write_jsonl, write_table};

/// The rows of one statement, cut at the row limit.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Column names in order; a name may appear twice.
    pub columns: Vec<String>,
    /// Column types under ClickHouse's names, as PostHog shows them.
    pub types: Vec<String>,
    /// Arrow schema of the batches.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Vec<RecordBatch>,
    /// Whether rows were cut off by the limit.
    pub has_more: bool,
    /// The row limit in force.
    pub limit: usize,
    /// The rows skipped by the statement's OFFSET.
    pub offset: usize,
}

impl Answer {
    pub(crate) fn new(schema: SchemaRef, names: Option<Vec<String>>) -> Self {
        let columns = match names {
            Some(names) if names.len() == schema.fields().len() => names,
            _ => schema.fields().iter().map(|field| field.name().clone()).collect(),
        };
        let types = schema.fields().iter().map(|field| kind::name(field)).collect();
        Self { columns, types, schema, batches: Vec::new(), has_more: false, limit: 0, offset: 0 }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}
