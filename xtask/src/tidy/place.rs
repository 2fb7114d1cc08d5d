//! Wall clock, environment and randomness: only where settings, clocks and keys live.

use super::checkout::{Checkout, Complaint};
use super::word::{Word, words};

/// What a word reaches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Clock,
    Environment,
    Randomness,
}

/// What, the part of a path that may, and why.
const ALLOWED: &[(Reach, &str, &str)] = &[
    (Reach::Clock, "/clock.rs", "the clock itself, which settings can freeze"),
    (Reach::Randomness, "/clock.rs", "what differs from run to run comes from one file"),
    (Reach::Randomness, "/random.rs", "what differs from run to run comes from one file"),
    (Reach::Clock, "crates/apps/cli/src/command/", "a command at a terminal happens now"),
    (Reach::Randomness, "crates/apps/cli/src/command/", "a command at a terminal draws the key it prints"),
    (Reach::Randomness, "crates/apps/server/src/bootstrap.rs", "the keys of the first start"),
    (
        Reach::Randomness,
        "crates/data/ingest/src/directory.rs",
        "the secret keys of a project made by `open` mode",
    ),
    (
        Reach::Randomness,
        "crates/data/ingest/src/salts.rs",
        "a day's salt is drawn once, then kept in the metastore",
    ),
    (Reach::Clock, "crates/data/table/src/write.rs", "names of data files, which must never repeat"),
    (Reach::Environment, "crates/apps/cli/src/settings.rs", "the one reader of the environment"),
    (Reach::Environment, "crates/apps/cli/src/settings/", "the one reader of the environment"),
];

/// Endings of paths that reach outside.
const REACHES: &[(Reach, &str)] = &[
    (Reach::Clock, "SystemTime::now"),
    (Reach::Clock, "Timestamp::now"),
    (Reach::Clock, "Zoned::now"),
    (Reach::Clock, "Utc::now"),
    (Reach::Clock, "Uuid::now_v7"),
    (Reach::Randomness, "Uuid::new_v4"),
    (Reach::Randomness, "rand::rng"),
    (Reach::Randomness, "rand::random"),
    (Reach::Randomness, "rand::thread_rng"),
    (Reach::Randomness, "getrandom::fill"),
    (Reach::Randomness, "OsRng"),
];

/// Places that read the outside world without being one of [`ALLOWED`]. Dev crates and xtask are free.
pub fn complaints(checkout: &Checkout) -> Vec<Complaint> {
    let mut found = Vec::new();
    for file in checkout.rust() {
        let Some((_, room)) = file.home() else { continue };
        if matches!(room, "dev" | "client") || file.path.ends_with("/build.rs") {
            continue;
        }
        for word in words(file) {
            let Some(reach) = reach(&word) else { continue };
            if !ALLOWED.iter().any(|(what, part, _)| *what == reach && file.path.contains(part)) {
                let text = match reach {
                    Reach::Clock => "take the time from a clock.rs, or as an argument",
                    Reach::Environment => {
                        "read the environment in cli's settings only; take a setting as an argument"
                    }
                    Reach::Randomness => "draw seeds and keys in a random.rs, or take them as arguments",
                };
                found.push(file.refuse(word.line, format!("`{}`: {text}", word.path)));
            }
        }
    }
    found
}

fn reach(word: &Word) -> Option<Reach> {
    if word.is_under("std::env") || word.ends_with("env::var") {
        return Some(Reach::Environment);
    }
    REACHES.iter().find(|(_, ending)| word.ends_with(ending)).map(|(reach, _)| *reach)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outside_world_has_a_place() {
        let text = "fn f() { Timestamp::now(); std::env::var(\"A\"); rand::random::<u64>(); Instant::now(); }\nuse rand::Rng;\n";
        let count = |path: &str| complaints(&Checkout::of(&[(path, text)])).len();
        assert_eq!(count("crates/data/ingest/src/accept.rs"), 3);
        assert_eq!(count("crates/apps/server/src/clock.rs"), 1);
        assert_eq!(count("crates/apps/cli/src/settings.rs"), 2);
        assert_eq!(count("xtask/src/main.rs"), 0);
    }
}
