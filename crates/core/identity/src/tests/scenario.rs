//! The rules one by one, where a recorded case does not already say it.

use super::{captured, fold_all, identify, minute, personless, seen};
use crate::definition::{Owner, PropertyType, observe};
use crate::tests::store::Bench;
use crate::{Action, EventRow, Folded, PersonMode, Restriction, Rules, person_id};
use event::{CapturedEvent, ProjectId, Warning};
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn event(name: &str, properties: Value) -> CapturedEvent {
    captured(name, "u", minute(0), properties)
}

fn fold_one(event: CapturedEvent, rules: Rules) -> Folded {
    Bench::new(rules).fold(event)
}

#[track_caller]
fn row(folded: &Folded) -> &EventRow {
    folded.event.as_ref().expect("an event row")
}

fn kinds(warnings: &[Warning]) -> Vec<&str> {
    warnings.iter().map(|warning| warning.kind.as_str()).collect()
}

/// Every order of the same identities ends with one person for every event.
#[test]
fn arrival_order_does_not_split_a_person() {
    for events in [
        [personless("anon", 0), identify("alice", "anon", 1)],
        [identify("alice", "anon", 1), personless("anon", 0)],
    ] {
        let (_, tables) = fold_all(events, Rules::default());
        let resolved: BTreeSet<_> = tables
            .folded
            .iter()
            .filter_map(|folded| folded.event.as_ref())
            .map(|row| tables.resolved(&row.distinct_id, row.person_id))
            .collect();
        assert_eq!(resolved.len(), 1);
    }
}

#[test]
fn fifty_anonymous_ids_become_one_person_in_any_order() {
    for step in [1, 7, 23] {
        for restart_at in [None, Some(60)] {
            let anons: Vec<String> = (0..50).map(|i| format!("anon-{i}")).collect();
            let order = (0..50).map(|i| &anons[i * step % 50]);
            let events =
                anons.iter().map(|anon| seen(anon, 0)).chain(order.map(|anon| identify("user", anon, 1)));
            let mut bench = Bench::new(Rules::default());
            let mut tables = super::Tables::default();
            for (i, event) in events.enumerate() {
                if restart_at == Some(i) {
                    bench.restart();
                }
                tables.folded.push(bench.fold(event));
            }
            bench.commit();
            assert_eq!((tables.living().len(), tables.tombstones().len()), (1, 49));
            assert_eq!((bench.store.persons.len(), bench.store.mappings.len()), (1, 51));
            let survivor = tables.living()[0].id;
            assert!(tables.mappings().values().all(|row| row.person_id == survivor));
            assert!(tables.folded.iter().all(|folded| folded.warnings.is_empty()));
        }
    }
}

#[test]
fn a_late_anonymous_event_is_written_under_the_survivor() {
    let (_, tables) = fold_all(
        [seen("anon", 0), seen("u", 1), identify("u", "anon", 2), seen("anon", 3)],
        Rules::default(),
    );
    assert_eq!(row(&tables.folded[3]).person_id, person_id(ProjectId(1), "u"));
    assert!(tables.folded[3].mappings.is_empty());
}

#[test]
fn versions_go_on_after_a_restart() {
    let (mut bench, _) = fold_all([seen("a", 0), seen("b", 1), seen("c", 2)], Rules::default());
    let merge = |into: &str, alias: &str, at| {
        captured("$merge_dangerously", into, minute(at), json!({"alias": alias}))
    };
    bench.fold(merge("b", "a", 3));
    bench.restart();
    let folded = bench.fold(merge("c", "b", 4));
    let versions: Vec<_> =
        folded.mappings.iter().map(|row| (row.distinct_id.as_str(), row.version)).collect();
    assert_eq!(versions, [("a", 2), ("b", 1)]);
    let [survivor, tombstone] = &folded.persons[..] else { panic!("two rows") };
    assert_eq!((survivor.version, survivor.is_deleted), (2, false));
    assert_eq!((tombstone.version, tombstone.is_deleted), (101, true));
}

#[test]
fn a_second_person_on_a_shared_browser_is_reported() {
    let (_, tables) = fold_all([identify("alice", "anon", 0), identify("bob", "anon", 1)], Rules::default());
    assert_eq!(kinds(&tables.folded[1].warnings), ["joined_identified_person"]);
    assert_eq!(tables.living().len(), 1);
}

#[test]
fn refused_ids_do_not_identify() {
    for (target, source) in [("null", "anon"), ("alice", "undefined"), ("alice", " ")] {
        let (_, tables) = fold_all([identify(target, source, 0)], Rules::default());
        assert_eq!(kinds(&tables.folded[0].warnings), ["cannot_merge_with_illegal_distinct_id"]);
        assert!(tables.living().iter().all(|row| !row.is_identified));
        assert_eq!(tables.mappings().len(), 1);
    }
}

#[test]
fn elements_become_a_chain_and_leave_the_properties() {
    let folded =
        fold_one(event("$autocapture", json!({"$elements": [{"tag_name": "a"}], "x": 1})), Rules::default());
    assert_eq!(row(&folded).elements_chain, r#"a:nth-child="0"nth-of-type="0""#);
    assert_eq!(json!(row(&folded).properties), json!({"x": 1}));
}

#[test]
fn a_person_too_large_is_trimmed() {
    let properties = json!({"$set": {"email": "a@x", "blob": "x".repeat(700_000), "small": 1}});
    for events in [vec![event("a", properties.clone())], vec![seen("u", 0), event("a", properties.clone())]] {
        let (_, tables) = fold_all(events, Rules::default());
        let last = tables.folded.last().expect("one");
        assert_eq!(kinds(&last.warnings), ["person_properties_size_violation"]);
        assert!(last.event.is_some());
        let person = tables.living()[0];
        assert_eq!(
            (person.properties.value("email"), person.properties.value("small")),
            (json!("a@x"), json!(1))
        );
        assert!(!person.properties.contains_key("blob"));
    }
}

#[test]
fn a_person_that_cannot_be_trimmed_stays_as_it_was() {
    let huge = json!({"$set": {"email": "x".repeat(700_000)}});
    let (_, tables) =
        fold_all([event("a", json!({"$set": {"name": "n"}})), event("b", huge)], Rules::default());
    assert_eq!(tables.living()[0].properties.get("email"), None);
    assert_eq!(tables.living()[0].properties.value("name"), "n");
}

#[test]
fn a_row_too_large_is_dropped() {
    let rules = Rules { max_row_bytes: 100, ..Rules::default() };
    let folded = fold_one(event("a", json!({"x": "y".repeat(100)})), rules);
    assert_eq!(folded.dropped.map(crate::Drop::tag), Some("message_size_too_large"));
    assert_eq!(kinds(&folded.warnings), ["message_size_too_large"]);
}

#[test]
fn old_events_are_dropped_when_the_project_says_so() {
    for (limit, kept) in [(None, true), (Some(0), true), (Some(3600), false), (Some(7200), true)] {
        let rules =
            Rules { drop_events_older_than: limit.map(SignedDuration::from_secs), ..Rules::default() };
        let old = CapturedEvent { received_at: minute(120), ..seen("u", 0) };
        let folded = fold_one(old, rules);
        assert_eq!(folded.event.is_some(), kept, "{limit:?}");
        if !kept {
            assert_eq!(folded.warnings[0].details["ageInSeconds"], 7200);
        }
    }
}

#[test]
fn definitions_of_a_page_view() {
    let properties =
        json!({"$current_url": "https://x", "utm_source": "g", "foo": 1, "$feature/x": true, "n": null});
    let folded = fold_one(event("$pageview", properties), Rules::default());
    let seen = observe(row(&folded), None);
    assert_eq!((seen.events[0].name.as_str(), seen.events[0].last_seen_at), ("$pageview", minute(0)));
    let of_event: Vec<_> = seen.event_properties.iter().map(|p| p.property.as_str()).collect();
    assert_eq!(of_event, ["$current_url", "foo", "n", "utm_source"]);
    let property = |owner, name: &str| {
        seen.properties.iter().find(|p| p.owner == owner && p.name == name).map(|property| property.kind)
    };
    assert_eq!(property(Owner::Event, "foo"), Some(Some(PropertyType::Numeric)));
    assert_eq!(property(Owner::Event, "utm_source"), Some(Some(PropertyType::String)));
    assert_eq!(property(Owner::Event, "$feature/x"), Some(Some(PropertyType::String)));
    assert_eq!(property(Owner::Event, "n"), Some(None));
    assert_eq!(property(Owner::Event, "$set"), None);
    assert_eq!(property(Owner::Person, "$initial_utm_source"), Some(Some(PropertyType::String)));
}

#[test]
fn definitions_of_a_group() {
    let properties =
        json!({"$group_type": "company", "$group_key": "acme", "$group_set": {"name": "A", "seats": 3}});
    let folded = fold_one(event("$groupidentify", properties), Rules::default());
    let seen = observe(row(&folded), folded.group_type_index);
    assert!(seen.event_properties.is_empty());
    let properties: Vec<_> = seen.properties.iter().map(|p| (p.owner, p.name.as_str(), p.kind)).collect();
    assert_eq!(
        properties,
        [
            (Owner::Group(0), "name", Some(PropertyType::String)),
            (Owner::Group(0), "seats", Some(PropertyType::Numeric)),
        ]
    );
}

#[test]
fn a_definition_is_given_once_and_the_first_type_stays() {
    let mut seen = crate::Seen::new(100);
    let mut take = |minutes, value: Value| {
        let at = CapturedEvent { received_at: minute(minutes), ..event("a", json!({"p": value})) };
        seen.observe(row(&fold_one(at, Rules::default())), None);
        seen.take()
    };
    assert_eq!(take(0, json!(null)).properties[0].kind, None);
    assert_eq!(take(1, json!(5)).properties[0].kind, Some(PropertyType::Numeric));
    assert!(take(2, json!("text")).is_empty());
    let later = take(61, json!(true));
    assert_eq!((later.events.len(), later.properties.len(), later.event_properties.len()), (1, 0, 0));
}

#[test]
fn seen_definitions_are_bounded() {
    let mut seen = crate::Seen::new(10);
    for i in 0..10 {
        let folded = fold_one(event(&format!("e{i}"), json!({"p": 1, "q": 1})), Rules::default());
        seen.observe(row(&folded), None);
    }
    assert!(seen.ignored() > 0);
    assert!(!seen.take().is_empty());
    seen.observe(row(&fold_one(event("later", json!({})), Rules::default())), None);
    assert_eq!(seen.take().events[0].name, "later");
}

#[test]
fn restrictions() {
    let on = |restriction: Restriction| Rules { restrictions: vec![restriction], ..Rules::default() };
    let mine = |action| Restriction { tokens: vec!["phc_test".to_owned()], ..Restriction::on_all(action) };

    let dropped = fold_one(seen("u", 0), on(mine(Action::Drop)));
    assert_eq!(dropped, Folded { dropped: Some(crate::Drop::Restricted), ..Folded::default() });

    let aside = fold_one(seen("u", 0), on(mine(Action::DeadLetter)));
    let letter = aside.dead_letter.expect("a dead letter");
    assert_eq!((letter.reason, letter.event), ("restricted", seen("u", 0)));

    let skipped = fold_one(seen("u", 0), on(mine(Action::SkipPerson)));
    assert_eq!(row(&skipped).person_mode, PersonMode::Propertyless);
    assert!(skipped.persons.is_empty());

    let other = Restriction { distinct_ids: vec!["v".to_owned()], ..mine(Action::Drop) };
    assert!(fold_one(seen("u", 0), on(other)).event.is_some());

    let both = Rules { restrictions: vec![mine(Action::SkipPerson), mine(Action::Drop)], ..Rules::default() };
    assert!(fold_one(seen("u", 0), both).dropped.is_some());
}

#[test]
fn a_forced_personless_event_looks_nobody_up() {
    let (_, tables) = fold_all(
        [identify("u", "anon", 0), CapturedEvent { force_personless: true, ..identify("anon", "x", 9) }],
        Rules::default(),
    );
    let forced = row(&tables.folded[1]);
    assert_eq!(
        (forced.person_mode, forced.person_id),
        (PersonMode::Propertyless, person_id(ProjectId(1), "anon"))
    );
    assert_eq!(forced.person_created_at.as_second(), 5);
    // What it asked for does not happen silently.
    assert_eq!(kinds(&tables.folded[1].warnings), ["cannot_merge_with_illegal_distinct_id"]);
    assert_eq!(tables.mappings().len(), 2);
}

#[test]
fn opted_out_projects_have_no_persons() {
    let rules = Rules { person_processing_opt_out: true, ..Rules::default() };
    let (bench, tables) = fold_all([seen("u", 0), identify("u", "anon", 1)], rules);
    assert_eq!(tables.folded[0].event.as_ref().map(|row| row.person_mode), Some(PersonMode::Propertyless));
    assert_eq!(tables.folded[1].dropped, Some(crate::Drop::InvalidEventForFlags));
    assert!(bench.state.person_of("u").is_none());
}

#[test]
fn a_flag_call_alone_makes_no_person() {
    let call = |properties| event("$feature_flag_called", properties);
    let mode = |folded: Folded| folded.event.map(|row| row.person_mode);
    assert_eq!(mode(fold_one(call(json!({})), Rules::default())), Some(PersonMode::Propertyless));
    for properties in [json!({"$process_person_profile": true}), json!({"$groups": {"company": "x"}})] {
        assert_eq!(mode(fold_one(call(properties), Rules::default())), Some(PersonMode::Full));
    }
    let off = Rules { flag_called_personless: false, ..Rules::default() };
    assert_eq!(mode(fold_one(call(json!({})), off)), Some(PersonMode::Full));
    let (_, tables) = fold_all([seen("u", 0), call(json!({"$set": {"k": 1}}))], Rules::default());
    assert_eq!(tables.living()[0].properties.value("k"), 1);
}

#[test]
fn exceptions_and_ai_events_only_read_persons() {
    for name in ["$exception", "$ai_generation"] {
        let (bench, tables) = fold_all(
            [
                captured(name, "anon", minute(0), json!({"$set": {"k": 1}})),
                seen("u", 1),
                identify("u", "anon", 2),
                captured(name, "u", minute(3), json!({"$set": {"k": 1}})),
            ],
            Rules::default(),
        );
        let first = row(&tables.folded[0]);
        assert_eq!((first.person_mode, first.person_id), (PersonMode::Full, person_id(ProjectId(1), "anon")));
        assert!(tables.folded[0].persons.is_empty() && tables.folded[3].persons.is_empty());
        // The event before the merge follows the id to the person.
        assert_eq!(tables.resolved("anon", first.person_id), person_id(ProjectId(1), "u"));
        assert!(!bench.state.person_of("u").expect("a person").properties.contains_key("k"));
        assert_eq!(row(&tables.folded[3]).properties.contains_key("$set"), name == "$exception");
    }
}

#[test]
fn an_ai_event_gets_its_cost() {
    let folded = fold_one(
        event("$ai_generation", json!({"$ai_input_cost_usd": 1, "$ai_output_cost_usd": 2})),
        Rules::default(),
    );
    assert_eq!(row(&folded).properties.value("$ai_total_cost_usd"), 3.0);
}

#[test]
fn a_lenient_project_loses_only_the_heatmap() {
    let rules = Rules { heatmap_strict_drop: false, ..Rules::default() };
    let points =
        json!({"$heatmap_data": {"https://x": [{"x": 1, "y": 1, "target_fixed": true, "type": "click"}]}});
    let folded = fold_one(event("a", points), rules);
    assert!(row(&folded).properties.is_empty() && folded.heatmaps.is_empty());
    assert_eq!(kinds(&folded.warnings), ["invalid_heatmap_data"]);
}

#[test]
fn a_project_without_heatmaps_loses_only_them() {
    let rules = Rules { heatmap_opt_out: true, ..Rules::default() };
    let data = json!({"$heatmap_data": {"https://x": [{"x": 1, "y": 1, "target_fixed": true, "type": "click"}]},
        "$viewport_height": 160, "$viewport_width": 320});
    let page = fold_one(event("$pageview", data.clone()), rules.clone());
    assert!(page.heatmaps.is_empty() && !row(&page).properties.contains_key("$heatmap_data"));
    let only = fold_one(event("$$heatmap", data), rules);
    assert_eq!((only.heatmaps.len(), only.dropped), (0, Some(crate::Drop::HeatmapOptOut)));
}

#[test]
fn unusable_pages_and_points_are_left_out() {
    let data = json!({"$viewport_height": 160, "$viewport_width": 320, "$heatmap_data": {
        " ": [], "https://a": "x", "https://b": [1, {"x": 1, "y": 1, "type": "click"}]}});
    let folded = fold_one(event("$$heatmap", data), Rules::default());
    assert_eq!(
        kinds(&folded.warnings),
        ["rejecting_heatmap_data_with_invalid_url", "rejecting_heatmap_data_with_invalid_items"]
    );
    assert_eq!((folded.heatmaps.len(), folded.dropped), (0, None));
}

#[test]
fn a_warning_of_the_door_names_its_event() {
    let warnings = vec![Warning::new("ignored_invalid_timestamp").with("field", "timestamp")];
    let sent = CapturedEvent { warnings, ..seen("u", 0) };
    let uuid = sent.uuid.to_string();
    let details = Value::Object(fold_one(sent, Rules::default()).warnings[0].details.clone());
    assert_eq!(details, json!({"field": "timestamp", "eventUuid": uuid, "distinctId": "u"}));
}

#[test]
fn a_client_warning_is_no_event() {
    let folded = fold_one(
        event("$$client_ingestion_warning", json!({"$$client_ingestion_warning_message": "m"})),
        Rules::default(),
    );
    assert_eq!(folded.warnings[0].details["message"], "m");
    assert_eq!((folded.event, folded.dropped), (None, None));
}

#[test]
fn an_event_shows_the_properties_of_its_groups() {
    let group = json!({"$group_type": "company", "$group_key": 5, "$group_set": {"name": "A"}});
    let member = json!({"$groups": {"company": 5, "team": "t"}});
    let mut bench = Bench::new(Rules::default());
    bench.fold(event("$groupidentify", group.clone()));
    for restart in [false, true] {
        if restart {
            bench.restart();
        }
        let folded = bench.fold(event("a", member.clone()));
        assert_eq!(json!(row(&folded).group_properties), json!({"company": {"name": "A"}}));
        assert_eq!(row(&folded).groups, [Some("5".to_owned()), Some("t".to_owned()), None, None, None]);
    }
    assert!(bench.fold(event("$groupidentify", group)).groups.is_empty(), "nothing changed");
}

#[test]
fn addresses_are_removed_when_the_project_says_so() {
    for (anonymize_ips, ip) in [(false, Some("1.2.3.4")), (true, None)] {
        let rules = Rules { anonymize_ips, ..Rules::default() };
        let folded = fold_one(CapturedEvent { ip: Some("1.2.3.4".to_owned()), ..seen("u", 0) }, rules);
        assert_eq!(row(&folded).properties.text_of("$ip").as_deref(), ip);
    }
}

#[test]
fn being_seen_is_a_new_version_once_an_hour() {
    let quiet = captured("a", "u", minute(600), json!({"$update_person_last_seen_at": false}));
    let (_, tables) =
        fold_all([seen("u", 5), seen("u", 59), seen("u", 60), seen("u", 1), quiet], Rules::default());
    let rows: Vec<_> = tables.person_rows().map(|row| (row.version, row.last_seen_at)).collect();
    assert_eq!(rows, [(0, Some(minute(0))), (1, Some(minute(60)))]);
}

#[test]
fn a_personless_mark_is_settled_when_the_id_gets_a_person() {
    for event in [seen("u", 1), identify("u", "anon", 1), identify("user", "u", 1)] {
        let (mut bench, _) = fold_all([personless("u", 0), event], Rules::default());
        bench.commit();
        assert_eq!(bench.store.personless.get("u"), Some(&true));
    }
}

#[test]
fn forgetting_keeps_what_was_used_last() {
    let (mut bench, _) = fold_all((0..100).map(|i| seen(&format!("u{i}"), 0)), Rules::default());
    let keep = bench.state.bytes() / 4;
    bench.state.forget(keep);
    assert_eq!(bench.state.len(), 200, "nothing is forgotten while it is not written");
    bench.commit();
    bench.state.forget(keep);
    assert!((30..=50).contains(&bench.state.len()) && bench.state.bytes() <= keep);
    assert!(bench.state.person_of("u99").is_some());
    assert!(bench.state.person_of("u0").is_none());
    bench.fold(identify("u99", "u0", 1));
    bench.commit();
    assert_eq!(bench.store.persons.len(), 99);
}
