//! The open tables: what every column means, rows on their way in, Parquet files and Iceberg commits.
//!
//! Takes: [`Rows`] folded from the log, with the log offset they came from. Gives: [`View`], a consistent
//! picture of committed files and fresh rows, and tables any Iceberg reader opens.
//! Never: loses or doubles a row across a crash, reads a clock to decide a row, or speaks SQL.
//!
//! A row lives first in the tail (memory, visible at once) and then in a data file (durable). The swap
//! between the two is one step under one lock, so a reader sees it exactly once.

pub mod care;
pub mod carry;
pub mod catalog;
mod commit;
mod disk;
mod encoding;
mod error;
pub mod objects;
pub mod outside;
pub mod plan;
pub mod row;
pub mod schema;
mod seal;
mod sink;
mod tail;
mod turn;
mod view;
mod warehouse;
mod write;

pub use commit::{Begun, Summary};
pub use error::{Error, Kind, Result};
pub use plan::{DataFileRef, Plan, plan};
pub use row::{DeadLetterRow, ReplayBlockRow, Rows};
pub use schema::{Column, TableDef};
pub use seal::verify_new;
pub use view::{TableView, View};
pub use warehouse::{Held, Settings, Stats, TableStats, Warehouse};
