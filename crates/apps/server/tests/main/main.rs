//! The server as its clients see it: a real one per test, over TCP.

mod auth;
mod capture;
mod care;
mod case;
mod client;
mod cors;
mod durable;
mod enrich;
mod escapes;
mod iceberg;
mod identity;
mod limits;
mod matrix;
mod operations;
mod recorded;
mod rules;
mod signature;
mod start;
mod turn;
mod world;
