//! Which third-party crates may stand in which of ours. Dev crates and xtask are free.

use super::arrow::{dependencies, line_of};
use super::checkout::{Checkout, Complaint};

/// Third-party crate, the crates of ours that may name it, and why it stays there.
const PLACES: &[(&str, &[&str], &str)] = &[
    ("datafusion", &["query"], "query is the only crate that knows DataFusion"),
    ("datafusion-functions-json", &["query"], "query is the only crate that knows DataFusion"),
    ("axum", &["server"], "HTTP server types stay in server"),
    ("tower-http", &["server"], "HTTP server types stay in server"),
    ("tower", &["server"], "HTTP server types stay in server"),
    ("hyper", &["server"], "HTTP server types stay in server"),
    ("hyper-util", &["server"], "HTTP server types stay in server"),
    ("arrow", &["table", "query", "cli"], "rows become Arrow in table"),
    ("parquet", &["table", "query", "cli"], "rows become Parquet in table"),
    ("iceberg", &["table", "query"], "Iceberg is table's"),
    ("iceberg-storage-opendal", &["table"], "Iceberg is table's"),
    ("object_store", &["table", "query", "backup"], "objects are table's and backup's"),
    ("apache-avro", &["table"], "Iceberg is table's"),
    ("rusqlite", &["metastore", "table"], "SQL stores are metastore's and the catalog's"),
    ("tokio-postgres", &["metastore"], "SQL stores are metastore's"),
    ("deadpool-postgres", &["metastore"], "SQL stores are metastore's"),
    ("tokio-postgres-rustls", &["metastore"], "SQL stores are metastore's"),
    ("flate2", &["wire"], "bodies are opened in wire::encoding, size-capped, and nowhere else"),
    ("libdeflater", &["wire"], "bodies are opened in wire::encoding, size-capped, and nowhere else"),
    ("ruzstd", &["wire"], "bodies are opened in wire::encoding, size-capped, and nowhere else"),
    ("brotli", &["wire"], "bodies are opened in wire::encoding, size-capped, and nowhere else"),
    ("brotli-decompressor", &["wire"], "bodies are opened in wire::encoding, size-capped, and nowhere else"),
    ("chrono", &["flags"], "dates are jiff's; flags only hold it out to dateparser, without its clock"),
    ("lz-str", &["wire"], "bodies are opened in wire::encoding, size-capped, and nowhere else"),
    ("rdkafka", &["eventlog"], "the log's client is the log's"),
    ("zstd", &["ingest", "eventlog"], "the log compresses its own records only"),
    ("snap", &["replay"], "replay blocks are replay's"),
    ("metrics", &["telemetry"], "metric names live in telemetry"),
    ("metrics-exporter-prometheus", &["telemetry"], "metric names live in telemetry"),
    ("metrics-util", &["telemetry"], "metric names live in telemetry"),
    ("clap", &["cli"], "flags are read by the binary"),
    ("tracing-subscriber", &["cli"], "log output is chosen by the binary"),
    ("anyhow", &["cli"], "libraries have an error type with kinds"),
    (
        "reqwest",
        &["outbound", "table"],
        "calls to addresses that a user gave leave through outbound, to a catalog from table",
    ),
    ("maxminddb", &["ingest"], "enrichment happens on the ingest path"),
    ("ureq", &["cli"], "only the command line calls a running server"),
];

/// Kinds of crate that no core crate names.
const NOT_IN_CORE: &[&str] = &[
    "tokio",
    "async-trait",
    "futures",
    "async-std",
    "rand",
    "getrandom",
    "tracing",
    "log",
    "metrics",
    "http",
    "parking_lot",
    "rustix",
    "libc",
    "tempfile",
];

/// Dependencies that stand in the wrong crate.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for (file, manifest) in checkout.manifests() {
        let Some((name, room)) = file.home() else { continue };
        if matches!(room, "dev" | "client") {
            continue;
        }
        for (section, dependency) in dependencies(&manifest) {
            if section == "dev-dependencies" {
                continue;
            }
            let line = line_of(file, &dependency);
            let place = PLACES.iter().find(|(known, ..)| *known == dependency);
            if let Some((_, allowed, why)) = place.filter(|(_, allowed, _)| !allowed.contains(&name)) {
                let text = format!("`{dependency}` belongs to {}: {why}", allowed.join(", "));
                found.push(file.refuse(line, text));
            } else if room == "core" && NOT_IN_CORE.contains(&dependency.as_str()) {
                found.push(
                    file.refuse(line, format!("core is pure: take what `{dependency}` gives as an argument")),
                );
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavy_crates_stay_where_they_belong() {
        let checkout = Checkout::of(&[
            ("crates/data/query/Cargo.toml", "[dependencies]\ndatafusion.workspace = true\n"),
            ("crates/data/table/Cargo.toml", "[dependencies]\ndatafusion.workspace = true\n"),
            ("crates/core/event/Cargo.toml", "[dependencies]\nserde = \"1\"\ntokio.workspace = true\n"),
            ("crates/core/wire/Cargo.toml", "[dependencies]\nz = { package = \"zstd\", version = \"1\" }\n"),
            ("crates/data/ingest/Cargo.toml", "[dev-dependencies]\nflate2.workspace = true\n"),
            ("xtask/Cargo.toml", "[dependencies]\nanyhow.workspace = true\n"),
        ]);
        let found = complaints(&checkout);
        let paths: Vec<&str> = found.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(
            paths,
            ["crates/data/table/Cargo.toml", "crates/core/event/Cargo.toml", "crates/core/wire/Cargo.toml"]
        );
        assert_eq!(found[1].line, 3);
    }
}
