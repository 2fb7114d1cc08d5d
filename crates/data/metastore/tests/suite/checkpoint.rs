//! Commits: whole, in order, harmless when repeated.

use crate::sample::{ONE, at, checkpoint, ids, mapping, person, uuid};
use identity::{Changes, Group};
use metastore::definition::{Event, EventProperty, Owner, Property, PropertyType};
use metastore::{Checkpoint, Definitions, Kind, Metastore, Page};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub async fn a_commit_is_idempotent(store: Arc<dyn Metastore>) {
    assert_eq!(store.checkpoint().await.expect("read").map(|reach| reach.total()), None);
    let changes = Changes {
        persons: vec![person(1, 1)],
        deleted_persons: vec![uuid(9)],
        mappings: vec![("a".to_owned(), mapping(1, 1))],
        personless: vec![("p".to_owned(), true)],
        group_types: vec![("company".to_owned(), 0)],
        groups: vec![(
            0,
            "acme".to_owned(),
            Group { created_at: at(1), properties: Default::default(), version: 4 },
        )],
    };
    let seen = Definitions {
        events: vec![Event { name: "e".to_owned(), created_at: at(1), last_seen_at: at(1) }],
        properties: vec![Property {
            owner: Owner::Person,
            name: "p".to_owned(),
            kind: Some(PropertyType::String),
        }],
        event_properties: vec![EventProperty { event: "e".to_owned(), property: "p".to_owned() }],
    };
    let whole = Checkpoint {
        reach: 77.into(),
        projects: vec![(ONE, changes)],
        definitions: vec![(ONE, seen.clone())],
    };
    for _ in 0..3 {
        store.commit(whole.clone().into()).await.expect("committed");
        assert_eq!(store.checkpoint().await.expect("read").map(|reach| reach.total()), Some(77));
        let loaded = store.load_identity(ONE, &ids(["a", "p"])).await.expect("loaded");
        assert_eq!(loaded.persons[&uuid(1)], person(1, 1));
        assert_eq!((loaded.mappings["a"], loaded.personless["p"]), (Some(mapping(1, 1)), Some(true)));
        assert_eq!(store.persons(ONE, &Page::default()).await.expect("listed").len(), 1);
        assert_eq!(store.group(ONE, 0, "acme").await.expect("asked").map(|group| group.version), Some(4));
        let events = store.event_definitions(ONE, &Page::default()).await.expect("listed");
        assert_eq!((events.count, events.rows), (1, seen.events.clone()));
    }
}

pub async fn an_older_checkpoint_is_refused_whole(store: Arc<dyn Metastore>) {
    store.commit(checkpoint(10, Changes::default())).await.expect("committed");
    let late = Changes { persons: vec![person(1, 1)], ..Changes::default() };
    let error = store.commit(checkpoint(9, late.clone())).await.expect_err("older");
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
    let huge = store.commit(checkpoint(u64::MAX, late)).await.expect_err("too large");
    assert_eq!(huge.kind(), Kind::Invalid);
    assert_eq!(store.checkpoint().await.expect("read").map(|reach| reach.total()), Some(10));
    assert!(store.persons(ONE, &Page::default()).await.expect("listed").is_empty(), "nothing was written");
    store.commit(checkpoint(i64::MAX.unsigned_abs(), Changes::default())).await.expect("the greatest offset");
}

/// Two persons always get the same version in one commit: a reader that sees two versions has seen half a commit.
pub async fn readers_see_whole_commits(store: Arc<dyn Metastore>) {
    let pair = |version: i64| Changes {
        persons: vec![person(1, version), person(2, version)],
        mappings: vec![("a".to_owned(), mapping(1, version)), ("b".to_owned(), mapping(2, version))],
        ..Changes::default()
    };
    store.commit(checkpoint(0, pair(0))).await.expect("committed");
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..6)
        .map(|_| {
            let (store, done) = (Arc::clone(&store), Arc::clone(&done));
            tokio::spawn(async move {
                let (mut last, mut reads) = (0, 0_u32);
                while !done.load(Ordering::Acquire) {
                    let loaded = store.load_identity(ONE, &ids(["a", "b"])).await.expect("loaded");
                    let versions = [loaded.persons[&uuid(1)].version, loaded.persons[&uuid(2)].version];
                    assert_eq!(versions[0], versions[1]);
                    assert_eq!(loaded.mappings["a"].map(|mapping| mapping.version), Some(versions[0]));
                    assert!(versions[0] >= last, "a reader never goes back");
                    last = versions[0];
                    reads += 1;
                }
                reads
            })
        })
        .collect();
    for version in 1..=60_i64 {
        store.commit(checkpoint(version.unsigned_abs(), pair(version))).await.expect("committed");
        let own = store.load_identity(ONE, &ids(["a"])).await.expect("loaded");
        assert_eq!(own.persons[&uuid(1)].version, version, "a commit is seen as soon as it returns");
    }
    done.store(true, Ordering::Release);
    for reader in readers {
        assert!(reader.await.expect("no reader failed") > 0);
    }
}

pub async fn a_row_given_twice_is_written_as_it_was_last(store: Arc<dyn Metastore>) {
    let group = |version| Group { created_at: at(1), properties: Default::default(), version };
    let changes = Changes {
        persons: vec![person(1, 1), person(2, 1), person(1, 2)],
        mappings: vec![("a".to_owned(), mapping(2, 1)), ("a".to_owned(), mapping(1, 2))],
        personless: vec![("p".to_owned(), true), ("p".to_owned(), false)],
        group_types: vec![("company".to_owned(), 0), ("firm".to_owned(), 0)],
        groups: vec![(0, "acme".to_owned(), group(1)), (0, "acme".to_owned(), group(2))],
        ..Changes::default()
    };
    let event = |first, last| Event { name: "e".to_owned(), created_at: at(first), last_seen_at: at(last) };
    let property = |kind| Property { owner: Owner::Person, name: "p".to_owned(), kind };
    let pair = || EventProperty { event: "e".to_owned(), property: "p".to_owned() };
    let kinds = [None, Some(PropertyType::Boolean), Some(PropertyType::String)];
    let seen = Definitions {
        events: vec![event(5, 6), event(3, 9), event(4, 4)],
        properties: kinds.map(property).to_vec(),
        event_properties: vec![pair(), pair()],
    };
    let projects = vec![(ONE, changes.clone()), (ONE, changes)];
    let twice = Checkpoint { reach: 1.into(), projects, definitions: vec![(ONE, seen.clone()), (ONE, seen)] };
    store.commit(twice.into()).await.expect("committed");
    let loaded = store.load_identity(ONE, &ids(["a", "p"])).await.expect("loaded");
    assert_eq!((loaded.mappings["a"], loaded.personless["p"]), (Some(mapping(1, 2)), Some(false)));
    assert_eq!(loaded.persons[&uuid(1)].version, 2);
    assert_eq!(store.group_types(ONE).await.expect("listed"), [("firm".to_owned(), 0)]);
    assert_eq!(store.group(ONE, 0, "acme").await.expect("asked"), Some(group(2)));
    let page = Page::default();
    assert_eq!(store.event_definitions(ONE, &page).await.expect("listed").rows, [event(3, 9)]);
    let properties = store.property_definitions(ONE, Owner::Person, &page).await.expect("listed").rows;
    assert_eq!(properties, [property(Some(PropertyType::Boolean))], "the first known type stays");
}
