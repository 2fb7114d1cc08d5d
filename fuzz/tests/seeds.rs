//! The stable driver: every recorded request through every entry point, as it is and damaged.
//! `FUZZ_ROUNDS` says how often; a finding names its entry, seed and round.

use base64::Engine as _;
use serde_json::Value;
use tenrec_fuzz::ENTRIES;

/// Bodies of the recorded requests.
fn seeds() -> Vec<Vec<u8>> {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../fixtures/capture/cases.json")).expect("cases");
    let body = |case: &Value| match (&case["request"]["body"]["text"], &case["request"]["body"]["base64"]) {
        (Value::String(text), _) => Some(text.replace("$TOKEN", "phc_fixture").into_bytes()),
        (_, Value::String(text)) => base64::engine::general_purpose::STANDARD.decode(text).ok(),
        _ => None,
    };
    cases.iter().filter_map(body).collect()
}

/// splitmix64.
fn draw(state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 16) as usize
}

fn damage(seed: &[u8], other: &[u8], state: &mut u64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=draw(state) % 4 {
        let at = draw(state) % (bytes.len() + 1);
        let to = (at + draw(state) % 32).min(bytes.len());
        match draw(state) % 6 {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..to)),
            2 if at < bytes.len() => bytes[at] = draw(state) as u8,
            3 if at < bytes.len() => bytes[at] ^= 1 << (draw(state) % 8),
            4 => {
                let from = draw(state) % (other.len() + 1);
                let piece = other[from..(from + 40).min(other.len())].to_vec();
                drop(bytes.splice(at..to, piece));
            }
            _ => {
                let piece = bytes[at..to].to_vec();
                drop(bytes.splice(at..at, piece));
            }
        }
    }
    bytes
}

#[test]
fn no_entry_panics() {
    let rounds: u64 = std::env::var("FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let seeds = seeds();
    assert!(seeds.len() >= 60);
    for (name, entry) in ENTRIES {
        // Opening a log costs a hundred times what reading a body does.
        let rounds = if *name == "log" { rounds.div_ceil(10) } else { rounds };
        for (number, seed) in seeds.iter().enumerate() {
            for round in 0..rounds {
                let mut state = (number as u64) << 32 | round;
                let other = &seeds[draw(&mut state) % seeds.len()];
                let data = if round == 0 { seed.clone() } else { damage(seed, other, &mut state) };
                let caught = std::panic::catch_unwind(|| entry(&data));
                assert!(caught.is_ok(), "{name}, seed {number}, round {round}: {}", String::from_utf8_lossy(&data));
            }
        }
    }
}
