//! The server process: sockets, routes, start and stop in order.
//!
//! Takes: settings and a data folder. Gives: a listening server.
//! Never: decides what an event means; handlers extract, make one call, and respond.

pub mod ai;
pub mod app;
pub mod arrive;
pub mod auth;
pub mod body;
pub mod bootstrap;
pub mod capture;
pub mod capture_v1;
pub mod care;
pub mod client_ip;
pub mod clock;
pub mod connection;
pub mod descriptors;
pub mod folder;
pub mod follow;
pub mod health;
pub mod iceberg;
pub mod inspect;
pub mod layer;
pub mod moments;
pub mod place;
pub mod pointers;
pub mod pressure;
pub mod problem;
pub mod pulse;
pub mod question;
pub mod remote_config;
pub mod role;
pub mod routes;
pub mod running;
pub mod settings;
pub mod shared_log;
pub mod signature;
pub mod start;
pub mod tables;

pub use bootstrap::FirstStart;
pub use folder::{has_data, metastore_path};
pub use running::Running;
pub use settings::Settings;
pub use start::start;
