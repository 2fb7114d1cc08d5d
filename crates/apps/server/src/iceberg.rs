//! `/iceberg/v1`: the tables as an Iceberg REST catalog, so that pyiceberg, DuckDB, ClickHouse, Trino and Spark attach
//! with one URL.
//!
//! # Compat
//! The paths, bodies and error types are those of Iceberg's REST catalog specification (`rest-catalog-open-api.yaml`).
//! What may be changed is decided in [`table::outside`].

pub mod access;
pub mod config;
pub mod namespace;
pub mod refusal;
pub mod request;
pub mod storage;
pub mod table;
pub mod token;
pub mod view;

pub use refusal::Refusal;
