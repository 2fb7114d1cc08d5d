//! Persons, distinct ids and groups: what is committed is what is loaded.

use crate::sample::{ONE, at, checkpoint, ids, mapping, person, uuid};
use event::{ProjectId, Properties};
use identity::{Changes, Group, Needs};
use jiff::Timestamp;
use metastore::definition::Event;
use metastore::person::Find;
use metastore::{Checkpoint, Definitions, Metastore, Page};
use serde_json::json;
use std::sync::Arc;

fn needs(distinct_ids: &[&str], members_of: &[&str]) -> Needs {
    Needs {
        members_of: members_of.iter().map(|id| (*id).to_owned()).collect(),
        ..ids(distinct_ids.iter().copied())
    }
}

pub async fn every_asked_id_is_answered(store: Arc<dyn Metastore>) {
    let changes = Changes {
        persons: vec![person(1, 0)],
        mappings: vec![("a".to_owned(), mapping(1, 0))],
        personless: vec![("p".to_owned(), false), ("a".to_owned(), true)],
        ..Changes::default()
    };
    store.commit(checkpoint(1, changes)).await.expect("committed");
    let loaded =
        store.load_identity(ONE, &needs(&["a", "p", "nobody"], &["a", "stranger"])).await.expect("loaded");
    assert_eq!(loaded.mappings.len(), 4);
    assert_eq!(loaded.mappings["a"], Some(mapping(1, 0)));
    for id in ["p", "nobody", "stranger"] {
        assert_eq!(loaded.mappings[id], None, "{id}");
    }
    let marks = ["a", "p", "nobody", "stranger"].map(|id| loaded.personless[id]);
    assert_eq!(marks, [Some(true), Some(false), None, None]);
    assert_eq!(loaded.persons.len(), 1);
    assert_eq!(loaded.members.len(), 1);

    let nothing = store.load_identity(ONE, &Needs::default()).await.expect("loaded");
    assert!(nothing.mappings.is_empty() && nothing.persons.is_empty() && nothing.groups.is_empty());
}

pub async fn a_merge_survives_with_its_versions(store: Arc<dyn Metastore>) {
    let before = Changes {
        persons: vec![person(1, 3), person(2, 5)],
        mappings: vec![("anon".to_owned(), mapping(1, 0)), ("user".to_owned(), mapping(2, 0))],
        ..Changes::default()
    };
    store.commit(checkpoint(10, before)).await.expect("committed");
    for (offset, version) in [(20, 1), (30, 2)] {
        let merge = Changes {
            persons: vec![person(2, 5 + version)],
            deleted_persons: vec![uuid(1)],
            mappings: vec![("anon".to_owned(), mapping(2, version))],
            ..Changes::default()
        };
        store.commit(checkpoint(offset, merge)).await.expect("committed");
        let loaded = store.load_identity(ONE, &needs(&["user"], &["anon"])).await.expect("loaded");
        assert_eq!(loaded.mappings["anon"], Some(mapping(2, version)));
        assert_eq!(loaded.mappings["user"], Some(mapping(2, 0)));
        assert_eq!(loaded.persons[&uuid(2)].version, 5 + version);
        let members: Vec<_> =
            loaded.members[&uuid(2)].iter().map(|(id, m)| (id.as_str(), m.version)).collect();
        assert_eq!(members, [("anon", version), ("user", 0)]);
        assert_eq!(store.person(ONE, Find::Uuid(uuid(1))).await.expect("asked"), None);
    }
}

pub async fn values_come_back_as_they_were(store: Arc<dyn Metastore>) {
    let mut odd = person(1, i64::MAX);
    let mut properties = Properties::new();
    for (key, value) in [
        ("z first", json!("\u{0}\u{1f600} \"quoted\" \\")),
        ("", json!(null)),
        ("n", json!([1, -1, 18_446_744_073_709_551_615_u64, 1e300, 0.1, -0.0, {"deep": [[]]}])),
        ("a last", json!(true)),
    ] {
        properties.insert(key, value);
    }
    odd.properties = Arc::new(properties);
    let mut people = vec![odd];
    for (number, micros) in [(2, -62_135_596_800_000_000_i64), (3, 253_402_207_200_000_000), (4, -1), (5, 1)]
    {
        let mut other = person(number, 0);
        other.created_at = Timestamp::from_microsecond(micros).expect("in range");
        other.last_seen_at = Some(other.created_at);
        people.push(other);
    }
    let distinct_ids = ["Alice", "alice", "a\u{301}", "\u{e1}", "x".repeat(400).as_str()].map(str::to_owned);
    let mappings = distinct_ids.iter().cloned().zip((1..).map(|number| mapping(number, 7))).collect();
    let changes = Changes { persons: people.clone(), mappings, ..Changes::default() };
    store.commit(checkpoint(1, changes)).await.expect("committed");
    let loaded =
        store.load_identity(ONE, &ids(distinct_ids.iter().map(String::as_str))).await.expect("loaded");
    for (number, id) in (1..).zip(&distinct_ids) {
        assert_eq!(loaded.mappings[id], Some(mapping(number, 7)), "{id}");
    }
    for one in people {
        let found = &loaded.persons[&one.uuid];
        assert_eq!(found, &one);
        let keys = |map: &Properties| map.iter().map(|(key, _)| key.to_owned()).collect::<Vec<_>>();
        assert_eq!(keys(&found.properties), keys(&one.properties), "the order is kept");
    }
}

pub async fn all_members_of_a_person_are_loaded(store: Arc<dyn Metastore>) {
    let mut mappings: Vec<_> = (0..700).map(|n| (format!("id{n:03}"), mapping(1, n))).collect();
    mappings.push(("other".to_owned(), mapping(2, 0)));
    let changes = Changes { persons: vec![person(1, 0), person(2, 0)], mappings, ..Changes::default() };
    store.commit(checkpoint(1, changes)).await.expect("committed");
    let loaded = store.load_identity(ONE, &needs(&["other"], &["id350", "id001"])).await.expect("loaded");
    assert_eq!(loaded.members.len(), 1, "only the person that was asked for");
    let members = &loaded.members[&uuid(1)];
    assert_eq!(members.len(), 700);
    assert!(members.iter().zip(0..).all(|((id, m), n)| *id == format!("id{n:03}") && *m == mapping(1, n)));
    assert_eq!(loaded.mappings.len(), 3);
}

pub async fn projects_do_not_see_each_other(store: Arc<dyn Metastore>) {
    let changes = |version| Changes {
        persons: vec![person(1, version)],
        mappings: vec![("a".to_owned(), mapping(1, version))],
        personless: vec![("p".to_owned(), version == 1)],
        group_types: vec![("company".to_owned(), 0)],
        ..Changes::default()
    };
    let two = ProjectId(2);
    let both = Checkpoint {
        reach: 1.into(),
        projects: vec![(ONE, changes(1)), (two, changes(2))],
        definitions: Vec::new(),
    };
    store.commit(both.into()).await.expect("committed");
    let delete = Changes { deleted_persons: vec![uuid(1)], ..Changes::default() };
    let gone =
        Checkpoint { reach: 2.into(), projects: vec![(ProjectId(3), delete)], definitions: Vec::new() };
    store.commit(gone.into()).await.expect("committed");
    for (project, version) in [(ONE, 1), (two, 2)] {
        let loaded = store.load_identity(project, &needs(&["a", "p"], &["a"])).await.expect("loaded");
        assert_eq!(loaded.persons[&uuid(1)].version, version);
        assert_eq!(loaded.members[&uuid(1)], [("a".to_owned(), mapping(1, version))]);
        assert_eq!(loaded.personless["p"], Some(version == 1));
    }
    let third = store.load_identity(ProjectId(3), &needs(&["a"], &["a"])).await.expect("loaded");
    assert!(third.persons.is_empty() && third.mappings["a"].is_none());
    assert!(store.group_types(ProjectId(3)).await.expect("listed").is_empty());
}

pub async fn ten_thousand_persons_load_at_once(store: Arc<dyn Metastore>) {
    let count = 10_000;
    let names: Vec<String> = (0..count).map(|number| format!("user-{number}")).collect();
    let changes = Changes {
        persons: (0..count).map(|number| person(number, 1)).collect(),
        mappings: names.iter().cloned().zip(0..).map(|(id, number)| (id, mapping(number, 0))).collect(),
        ..Changes::default()
    };
    store.commit(checkpoint(1, changes)).await.expect("committed");
    let asked = names.iter().map(String::as_str).chain(["x", "y", "z"]);
    let loaded = store.load_identity(ONE, &ids(asked)).await.expect("loaded");
    assert_eq!((loaded.mappings.len(), loaded.persons.len()), (10_003, 10_000));
    for (number, name) in (0..).zip(&names) {
        assert_eq!(loaded.mappings[name], Some(mapping(number, 0)));
        assert_eq!(loaded.persons[&uuid(number)], person(number, 1));
    }
}

pub async fn persons_are_looked_up(store: Arc<dyn Metastore>) {
    let changes = Changes {
        persons: (0..5).map(|number| person(number, 0)).collect(),
        mappings: (0..5).map(|number| (format!("id{number}"), mapping(number, 0))).collect(),
        ..Changes::default()
    };
    store.commit(checkpoint(1, changes)).await.expect("committed");
    let found = store.person(ONE, Find::DistinctId("id3".to_owned())).await.expect("asked").expect("found");
    assert_eq!((found.person.clone(), found.distinct_ids.len()), (person(3, 0), 1));
    assert_eq!(store.person(ONE, Find::Uuid(uuid(3))).await.expect("asked"), Some(found));
    assert_eq!(store.person(ONE, Find::DistinctId("id9".to_owned())).await.expect("asked"), None);

    let numbers = async |search: Option<&str>, limit, offset| -> Vec<String> {
        let page = Page { search: search.map(str::to_owned), limit, offset };
        let found = store.persons(ONE, &page).await.expect("listed");
        found.into_iter().map(|profile| profile.distinct_ids[0].0.clone()).collect()
    };
    let all = numbers(None, 10, 0).await;
    assert_eq!(all.len(), 5);
    assert_eq!([numbers(None, 2, 0).await, numbers(None, 9, 2).await].concat(), all);
    assert_eq!(numbers(Some("USER4@example"), 10, 0).await, ["id4"]);
    assert_eq!(numbers(Some("id2"), 10, 0).await, ["id2"]);
    assert!(numbers(Some("%"), 10, 0).await.is_empty(), "no wildcards");
}

pub async fn groups_are_answered_by_slot(store: Arc<dyn Metastore>) {
    let group = |version| Group { created_at: at(version), properties: person(1, 0).properties, version };
    let changes = Changes {
        group_types: vec![("company".to_owned(), 1), ("team".to_owned(), 0)],
        groups: vec![(1, "acme".to_owned(), group(1)), (0, "acme".to_owned(), group(2))],
        ..Changes::default()
    };
    store.commit(checkpoint(1, changes)).await.expect("committed");
    let update = Changes { groups: vec![(0, "acme".to_owned(), group(3))], ..Changes::default() };
    store.commit(checkpoint(2, update)).await.expect("committed");
    let types = store.group_types(ONE).await.expect("listed");
    assert_eq!(types, [("team".to_owned(), 0), ("company".to_owned(), 1)]);

    let asked = [("company", "acme"), ("team", "acme"), ("team", "none"), ("new type", "acme")];
    let groups = asked.iter().map(|(kind, key)| ((*kind).to_owned(), (*key).to_owned())).collect();
    let loaded =
        store.load_identity(ONE, &Needs { groups, ..Needs::default() }).await.expect("loaded").groups;
    assert_eq!(loaded.len(), 3, "a type that is not stored has no slot to answer by");
    assert_eq!(loaded[&(1, "acme".to_owned())], Some(group(1)));
    assert_eq!(loaded[&(0, "acme".to_owned())], Some(group(3)));
    assert_eq!(loaded[&(0, "none".to_owned())], None);
    assert_eq!(store.group(ONE, 0, "acme").await.expect("asked"), Some(group(3)));
    assert_eq!(store.group(ONE, 4, "acme").await.expect("asked"), None);
}

/// Clients send what they like: a commit that a store can never take would hold up the log for ever.
pub async fn text_may_hold_every_character(store: Arc<dyn Metastore>) {
    let names =
        ["\0", "a\0b", "a\u{fffd}b", "a\u{10ffff}0b", "\u{10ffff}", "\u{7f}\u{1}", "\u{feff}\u{1f600}"];
    let names = names.map(str::to_owned);
    let group = |version| Group { created_at: at(version), properties: Arc::default(), version };
    let numbered = || names.iter().cloned().zip(1..);
    let seen = |name: &String| Event { name: name.clone(), created_at: at(0), last_seen_at: at(0) };
    let changes = Changes {
        persons: (1..=7).map(|number| person(number, 0)).collect(),
        mappings: numbered().map(|(name, number)| (name, mapping(number, 0))).collect(),
        personless: names.iter().cloned().map(|name| (name, true)).collect(),
        group_types: vec![("\0type".to_owned(), 0)],
        groups: numbered().map(|(name, number)| (0, name, group(number.cast_signed()))).collect(),
        ..Changes::default()
    };
    let definitions = Definitions { events: names.iter().map(seen).collect(), ..Definitions::default() };
    let all =
        Checkpoint { reach: 1.into(), projects: vec![(ONE, changes)], definitions: vec![(ONE, definitions)] };
    store.commit(all.into()).await.expect("committed");
    let mut asked = needs(&[], &names.each_ref().map(String::as_str));
    asked.groups = names.iter().map(|name| ("\0type".to_owned(), name.clone())).collect();
    let loaded = store.load_identity(ONE, &asked).await.expect("loaded");
    for (name, number) in numbered() {
        assert_eq!(loaded.mappings[&name], Some(mapping(number, 0)), "{name:?}");
        assert_eq!(loaded.personless[&name], Some(true), "{name:?}");
        assert_eq!(loaded.members[&uuid(number)], [(name.clone(), mapping(number, 0))], "{name:?}");
        let stored = loaded.groups[&(0, name.clone())].as_ref().map(|group| group.version);
        assert_eq!(stored, Some(number.cast_signed()), "{name:?}");
        let found = store.person(ONE, Find::DistinctId(name.clone())).await.expect("asked").expect("found");
        assert_eq!(found.distinct_ids[0].0, name);
    }
    let events = store.event_definitions(ONE, &Page::default()).await.expect("listed").rows;
    let mut listed: Vec<String> = events.into_iter().map(|event| event.name).collect();
    let mut sent = names.to_vec();
    listed.sort();
    sent.sort();
    assert_eq!(listed, sent);
    store.advance_cursor("a\0", "b\0").await.expect("advanced");
    assert_eq!(store.cursor("a\0").await.expect("read").as_deref(), Some("b\0"));
}
