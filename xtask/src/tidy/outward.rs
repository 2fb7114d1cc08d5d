//! Connections to other machines: opened in `outbound`, which looks at every address, or to endpoints that the operator
//! named. A URL of a user that finds another way out can reach what only the server can.

use super::arrow::{dependencies, line_of};
use super::checkout::{Checkout, Complaint};
use super::word::{Word, words};

/// The part of a path that may, with what, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("crates/data/outbound/", "", "the door itself"),
    ("crates/data/table/src/catalog/rest", "reqwest", "the catalog that the settings name"),
    ("crates/apps/cli/src/command/", "ureq", "the address of a running server, given at a terminal"),
    ("crates/apps/server/src/connection.rs", "TcpSocket", "it listens"),
];

/// Paths that open a connection or look a name up, by a segment that stands in them.
const WORDS: &[&str] = &[
    "TcpStream::connect",
    "TcpStream::connect_timeout",
    "TcpSocket",
    "UdpSocket",
    "ToSocketAddrs",
    "lookup_host",
    "reqwest",
    "ureq",
    "hyper_util::client",
    "hyper::client",
];

/// HTTP clients and resolvers that nobody needs beside `reqwest` in outbound and `ureq` in cli.
const CLIENTS: &[&str] = &[
    "attohttpc",
    "awc",
    "curl",
    "hickory-resolver",
    "hyper-rustls",
    "hyper-tls",
    "isahc",
    "minreq",
    "surf",
    "tokio-tungstenite",
];

/// Places that find a way out of their own. Dev crates, tests and xtask are free.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust() {
        let Some((_, room)) = file.home() else { continue };
        if matches!(room, "dev" | "client") {
            continue;
        }
        for word in words(file) {
            let Some(way) = way(&word) else { continue };
            let may =
                |(part, with, _): &(&str, &str, &str)| file.path.contains(part) && way.starts_with(with);
            if !ALLOWED.iter().any(may) {
                let text = format!(
                    "`{}`: requests to what a user named leave through `outbound`; for what only an operator can name, \
                     add a row in xtask/src/tidy/outward.rs",
                    word.path
                );
                found.push(file.refuse(word.line, text));
            }
        }
    }
    for (file, manifest) in checkout.manifests() {
        let Some((_, room)) = file.home() else { continue };
        for (section, dependency) in dependencies(&manifest) {
            if room != "dev" && section != "dev-dependencies" && CLIENTS.contains(&dependency.as_str()) {
                let text = format!("`{dependency}`: use `outbound`, which looks at every address");
                found.push(file.refuse(line_of(file, &dependency), text));
            }
        }
    }
    found
}

/// The way out that a path speaks of.
fn way(word: &Word) -> Option<&'static str> {
    let path = format!("::{}::", word.path);
    WORDS.iter().find(|way| path.contains(&format!("::{way}::"))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_way_out() {
        let text = "use tokio::net::TcpListener;\nfn f() { TcpStream::connect(a); reqwest::get(b); ureq::get(c); }\n\
                    use tokio::net::{TcpSocket, TcpStream};\nfn g(stream: TcpStream) { stream.connected(); }\n\
                    #[cfg(test)] mod tests { fn t() { TcpStream::connect(a); } }\n";
        let lines = |path: &str| -> Vec<usize> {
            complaints(&Checkout::of(&[(path, text)])).iter().map(|one| one.line).collect()
        };
        assert_eq!(lines("crates/data/ingest/src/hook.rs"), [2, 2, 2, 3]);
        assert_eq!(lines("crates/apps/server/src/connection.rs"), [2, 2, 2]);
        assert_eq!(lines("crates/apps/cli/src/command/query.rs"), [2, 2, 3]);
        assert_eq!(lines("crates/data/outbound/src/names.rs"), [0; 0]);
        assert_eq!(lines("crates/dev/testkit/src/api.rs"), [0; 0]);
    }

    #[test]
    fn other_clients_stay_out() {
        let with = |section: &str| {
            let text = format!("[{section}]\ncurl = \"1\"\n");
            complaints(&Checkout::of(&[("crates/data/ingest/Cargo.toml", &text)])).len()
        };
        assert_eq!((with("dependencies"), with("dev-dependencies")), (1, 0));
    }
}
