//! What holds for any log.

use super::store::Bench;
use super::{Tables, captured, minute};
use crate::{Folded, Rules, person_id};
use event::{CapturedEvent, ProjectId};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const IDS: [&str; 6] = ["alice", "bob", "anon-1", "anon-2", "anon-3", "null"];

fn any_id() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&IDS[..])
}

fn any_key() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&["k", "email", "$browser", "$current_url"][..])
}

/// An event as SDKs send them, over few ids so that they meet.
fn any_event() -> impl Strategy<Value = CapturedEvent> {
    let name = proptest::sample::select(
        &[
            "seen",
            "seen",
            "$identify",
            "$identify",
            "$create_alias",
            "$merge_dangerously",
            "$set",
            "$exception",
            "$groupidentify",
            "$feature_flag_called",
            "$ai_span",
        ][..],
    );
    let flags = (any::<bool>(), 0..4u8);
    (name, any_id(), any_id(), any_key(), 0..3i64, 0..200i64, flags).prop_map(
        |(name, id, other, key, value, at, (once, kind))| {
            let mut properties = json!({
                "$anon_distinct_id": other, "alias": other, "$browser": value,
                "$group_type": other, "$group_key": id, "$group_set": {key: value},
                "$groups": {other: id},
            });
            properties[if once { "$set_once" } else { "$set" }] = json!({key: value});
            if kind == 0 {
                properties["$process_person_profile"] = json!(false);
            }
            if kind == 1 {
                properties["$unset"] = json!([key]);
            }
            captured(name, id, minute(at), properties)
        },
    )
}

fn any_log() -> impl Strategy<Value = Vec<CapturedEvent>> {
    prop::collection::vec(any_event(), 1..40)
}

/// What happens after an event besides folding the next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pause {
    None,
    Commit,
    Forget,
    Restart,
}

fn any_pauses() -> impl Strategy<Value = Vec<Pause>> {
    let pause = prop_oneof![
        3 => Just(Pause::None), 1 => Just(Pause::Commit), 1 => Just(Pause::Forget), 1 => Just(Pause::Restart)
    ];
    prop::collection::vec(pause, 40)
}

fn run(log: &[CapturedEvent], pauses: &[Pause]) -> (Bench, Vec<Folded>) {
    let mut bench = Bench::new(Rules::default());
    let mut folded = Vec::new();
    for (event, pause) in log.iter().zip(pauses) {
        folded.push(bench.fold(event.clone()));
        match pause {
            Pause::None => {}
            Pause::Commit => bench.commit(),
            Pause::Restart => bench.restart(),
            Pause::Forget => {
                bench.commit();
                bench.state.forget(1_000);
            }
        }
        assert_eq!(bench.state.bytes(), bench.state.measure(), "after {pause:?}");
    }
    bench.commit();
    (bench, folded)
}

/// Few cases, because unoptimized; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if default.cases == 256 { 48 } else { default.cases };
    ProptestConfig { cases, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_same_log_gives_the_same_rows_wherever_it_is_interrupted(log in any_log(), pauses in any_pauses()) {
        let (straight, rows) = run(&log, &[Pause::None; 40]);
        let (again, same_rows) = run(&log, &[Pause::None; 40]);
        prop_assert_eq!(&rows, &same_rows);
        prop_assert_eq!(&straight.store, &again.store);
        let (interrupted, interrupted_rows) = run(&log, &pauses);
        prop_assert_eq!(&rows, &interrupted_rows);
        prop_assert_eq!(&straight.store, &interrupted.store);
    }

    /// After a crash the log is folded again from the last checkpoint, over what was written before it.
    #[test]
    fn folding_a_suffix_again_from_the_checkpoint_changes_nothing(log in any_log(), at in 0..40usize) {
        let at = at.min(log.len());
        let mut bench = Bench::new(Rules::default());
        for event in &log[..at] {
            bench.fold(event.clone());
        }
        bench.restart();
        let lost: Vec<_> = log[at..].iter().map(|event| bench.fold(event.clone())).collect();
        bench.state = bench.store.open();
        let replayed: Vec<_> = log[at..].iter().map(|event| bench.fold(event.clone())).collect();
        prop_assert_eq!(lost, replayed);
    }

    #[test]
    fn a_second_identical_identify_changes_nothing(log in any_log(), id in any_id(), anon in any_id()) {
        let (mut bench, _) = run(&log, &[Pause::None; 40]);
        let identify = captured("$identify", id, minute(300), json!({"$anon_distinct_id": anon, "$set": {"k": 9}}));
        bench.fold(identify.clone());
        bench.commit();
        let before = bench.store.clone();
        let folded = bench.fold(identify);
        prop_assert!(folded.persons.is_empty() && folded.mappings.is_empty(), "{:?}", folded);
        bench.commit();
        prop_assert_eq!(before, bench.store);
    }

    #[test]
    fn every_id_has_one_living_person_and_the_tables_agree(log in any_log(), pauses in any_pauses()) {
        let (bench, folded) = run(&log, &pauses);
        let tables = Tables { folded };
        let used: BTreeSet<_> = bench.store.mappings.values().map(|mapping| mapping.person).collect();
        let living: BTreeSet<_> = bench.store.persons.keys().copied().collect();
        prop_assert_eq!(used, living);
        let rows: BTreeMap<_, _> =
            tables.living().into_iter().map(|row| (row.id, (row.version, row.properties.clone()))).collect();
        let stored: BTreeMap<_, _> =
            bench.store.persons.values().map(|p| (p.uuid, (p.version, p.properties.clone()))).collect();
        prop_assert_eq!(rows, stored);
        let mappings = tables.mappings();
        prop_assert_eq!(mappings.len(), bench.store.mappings.len());
        for (id, mapping) in &bench.store.mappings {
            let row = mappings[id.as_str()];
            prop_assert_eq!((row.person_id, row.version), (mapping.person, mapping.version));
        }
    }

    #[test]
    fn versions_only_grow_and_nothing_follows_a_tombstone(log in any_log()) {
        let (_, folded) = run(&log, &[Pause::None; 40]);
        let tables = Tables { folded };
        let mut last = BTreeMap::new();
        for row in tables.person_rows() {
            let before = last.insert(row.id, (row.version, row.is_deleted));
            prop_assert!(before.is_none_or(|(version, deleted)| version < row.version && !deleted), "{:?}", row);
        }
        let mut last = BTreeMap::new();
        for row in tables.mapping_rows() {
            let before = last.insert(&row.distinct_id, row.version);
            prop_assert!(before.is_none_or(|version| version < row.version), "{:?}", row);
        }
    }

    /// The override rule: whatever was written on an event, readers find the person its id has now.
    #[test]
    fn every_event_resolves_to_the_person_its_id_has_now(log in any_log()) {
        let (bench, folded) = run(&log, &[Pause::None; 40]);
        let tables = Tables { folded };
        for row in tables.folded.iter().filter_map(|folded| folded.event.as_ref()) {
            let now = match bench.store.mappings.get(&row.distinct_id) {
                Some(mapping) => mapping.person,
                None => person_id(ProjectId(1), &row.distinct_id),
            };
            prop_assert_eq!(tables.resolved(&row.distinct_id, row.person_id), now, "{:?}", row);
        }
    }

    #[test]
    fn any_json_is_folded(
        name in proptest::sample::select(&["$identify", "$create_alias", "$groupidentify", "$$heatmap", "$set",
            "survey shown", "$ai_generation", "$exception", "\0", "$$client_ingestion_warning"][..]),
        values in prop::collection::vec((proptest::sample::select(&KEYS[..]), any_json()), 0..12),
        id in ".{0,3}",
    ) {
        let properties = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let mut bench = Bench::new(Rules::default());
        for at in 0..2 {
            let folded = bench.fold(captured(name, &id, minute(at), Value::Object(Clone::clone(&properties))));
            if let Some(row) = &folded.event {
                crate::definition::observe(row, folded.group_type_index);
            }
            bench.restart();
        }
    }
}

const KEYS: [&str; 26] = [
    "$set",
    "$set_once",
    "$unset",
    "$groups",
    "$group_type",
    "$group_key",
    "$group_set",
    "$group_0",
    "alias",
    "$anon_distinct_id",
    "$elements",
    "$elements_chain",
    "$heatmap_data",
    "$viewport_height",
    "$viewport_width",
    "$session_id",
    "$process_person_profile",
    "$os_name",
    "$current_url",
    "$prev_pageview_pathname",
    "$prev_pageview_max_scroll",
    "$ai_input_tokens",
    "$ai_output_token_price",
    "$ai_input_token_price",
    "$ai_model_parameters",
    "$ip",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "[a-z]{1,5}://[a-z/?#]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((".{0,4}|tag_name|attr__class|x|y|type", inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
