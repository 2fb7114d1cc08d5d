//! What the sources of a room may not speak of: core is a function of its arguments, data knows no HTTP server.

use super::checkout::{Checkout, Complaint};
use super::word::words;

/// Room, path prefix, what to do instead.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("core", "std::fs", "take bytes as an argument"),
    ("core", "std::net", "take parsed values as arguments"),
    ("core", "std::env", "take settings as an argument"),
    ("core", "std::process", "return a value"),
    ("core", "std::thread", "stay a plain function"),
    ("core", "std::time::SystemTime", "take the time as an argument"),
    ("core", "std::time::Instant", "take the time as an argument"),
    ("core", "SystemTime", "take the time as an argument"),
    ("core", "Instant", "take the time as an argument"),
    ("core", "rand", "take a seed as an argument"),
    ("core", "tokio", "stay a plain function"),
    ("core", "tracing", "return a value; whoever calls logs it"),
    ("core", "log", "return a value; whoever calls logs it"),
    ("core", "metrics", "return a value; whoever calls counts it"),
    ("core", "axum", "HTTP stays in server"),
    ("core", "arrow", "Arrow stays in table"),
    ("data", "axum", "HTTP stays in server"),
    ("data", "hyper", "HTTP stays in server"),
    ("data", "std::env", "take settings as an argument"),
    ("data", "std::process::exit", "return an error"),
    ("data", "clap", "flags stay in cli"),
];

/// Address types are plain data; only opening sockets is forbidden.
const PLAIN: &[&str] =
    &["std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr", "std::net::SocketAddr"];

/// Words that a room forbids, outside tests.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust() {
        let Some((_, room)) = file.home() else { continue };
        if !matches!(room, "core" | "data") || file.path.ends_with("/build.rs") {
            continue;
        }
        for word in words(file) {
            let rule = FORBIDDEN.iter().find(|(where_, path, _)| *where_ == room && word.is_under(path));
            if let Some((_, path, instead)) = rule.filter(|_| !PLAIN.iter().any(|plain| word.is_under(plain)))
            {
                found.push(file.refuse(word.line, format!("{room} crates do not know `{path}`: {instead}")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impure_core_is_refused() {
        let text = "use std::net::IpAddr;\nuse std::time::SystemTime;\nfn f() { std::fs::read(\"a\"); Instant::now(); }\nfn g(metrics: u8) { metrics.checked_add(1); }\n#[cfg(test)]\nmod tests { use std::fs; }\n";
        let core = Checkout::of(&[("crates/core/wire/src/a.rs", text)]);
        let lines: Vec<usize> = complaints(&core).iter().map(|one| one.line).collect();
        assert_eq!(lines, [2, 3, 3]);
        let data = Checkout::of(&[(
            "crates/data/table/src/a.rs",
            "fn f() { std::env::var(\"A\"); std::fs::read(\"a\"); }",
        )]);
        assert_eq!(complaints(&data).len(), 1);
    }
}
