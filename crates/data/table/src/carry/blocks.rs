//! Rows that name files by their locations: those of session replay blocks, which say where the bytes of a block are.
//!
//! Only they are written anew; every other data file is carried as it is.

use super::Move;
use crate::error::Context;
use crate::schema::{NAMESPACE, SESSION_REPLAY_BLOCKS};
use crate::{Kind, Result};
use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::sync::Arc;

/// The column.
const COLUMN: &str = "block_url";
/// Where Parquet schemas keep the column's number.
const FIELD_ID: &str = "PARQUET:field_id";

/// A data file that was written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its size now.
    pub bytes: u64,
    /// The column whose values changed, by its number: what a manifest says about their bounds holds no more.
    pub column: Option<i32>,
}

/// Whether the rows of a data file, by its path below the data folder, name files.
pub fn names_files(path: &str) -> bool {
    path.starts_with(&format!("warehouse/{}/{}/data/", NAMESPACE, SESSION_REPLAY_BLOCKS.name))
        && path.ends_with(".parquet")
}

impl Move {
    /// A data file of session replay blocks in the new place: the same rows, columns and order.
    ///
    /// # Errors
    /// `Corrupt` when it is no Parquet file.
    pub fn blocks(&self, bytes: Vec<u8>) -> Result<(Vec<u8>, Changed)> {
        let broken = || "read the rows of session replay blocks".to_owned();
        let unwritten = || "write the rows of session replay blocks".to_owned();
        let bytes = Bytes::from(bytes);
        let open = || ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).context(Kind::Corrupt, broken);
        let builder = open()?;
        let schema = builder.schema().clone();
        let groups = builder.metadata().row_groups();
        let sorted = groups.first().and_then(|group| group.sorting_columns().cloned());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("tenrec ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_max_row_group_row_count(Some(usize::MAX))
            .set_sorting_columns(sorted)
            .build();
        let mut written = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut written, schema.clone(), Some(properties))
            .context(Kind::Bug, unwritten)?;
        for group in 0..groups.len() {
            let rows = open()?.with_row_groups(vec![group]).build().context(Kind::Corrupt, broken)?;
            for batch in rows {
                let batch = batch.context(Kind::Corrupt, broken)?;
                let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| match column
                    .as_string_opt::<i32>()
                    .filter(|_| field.name() == COLUMN)
                {
                    Some(texts) => self.texts(texts),
                    None => column.clone(),
                });
                let moved =
                    RecordBatch::try_new(schema.clone(), columns.collect()).context(Kind::Bug, unwritten)?;
                writer.write(&moved).context(Kind::Bug, unwritten)?;
            }
            // Rows are in order within a row group, not beyond it.
            writer.flush().context(Kind::Bug, unwritten)?;
        }
        writer.close().context(Kind::Bug, unwritten)?;
        let id = schema.field_with_name(COLUMN).ok().and_then(|field| field.metadata().get(FIELD_ID));
        let changed = Changed { bytes: written.len() as u64, column: id.and_then(|id| id.parse().ok()) };
        Ok((written, changed))
    }

    fn texts(&self, texts: &StringArray) -> ArrayRef {
        let moved: StringArray = texts.iter().map(|text| text.map(|text| self.location(text))).collect();
        Arc::new(moved)
    }
}
