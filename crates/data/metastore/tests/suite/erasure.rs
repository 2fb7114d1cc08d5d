//! Forgetting a person: everybody its ids lead to, once, and nobody else.

use crate::sample::{ONE, at, checkpoint, ids, mapping, person, uuid};
use event::ProjectId;
use identity::Changes;
use metastore::erasure::Stage;
use metastore::{Erasure, Kind, Metastore};
use std::collections::BTreeSet;
use std::sync::Arc;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn two_persons() -> Changes {
    Changes {
        persons: vec![person(1, 3), person(2, 5)],
        mappings: vec![
            ("ann".to_owned(), mapping(1, 0)),
            ("ann's \0phone".to_owned(), mapping(1, 1)),
            ("bob".to_owned(), mapping(2, 0)),
        ],
        personless: vec![("ann".to_owned(), true), ("bob".to_owned(), true)],
        ..Changes::default()
    }
}

pub async fn a_person_is_forgotten_once(store: Arc<dyn Metastore>) {
    store.commit(checkpoint(1, two_persons())).await.expect("committed");
    let asked = store.ask_erasure(ONE, &names(&["ann"]), &BTreeSet::new(), at(5)).await.expect("asked");
    assert_eq!((asked.stage, asked.project, asked.asked_at), (Stage::Asked, ONE, at(5)));
    let elsewhere = store.ask_erasure(ProjectId(2), &names(&["bob"]), &BTreeSet::new(), at(5)).await;
    let elsewhere = elsewhere.expect("asked");
    assert!(elsewhere.id > asked.id);
    for id in [asked.id, elsewhere.id] {
        store.forget_person(id, "marks").await.expect("forgotten");
    }
    let forgotten = store.erasure(asked.id).await.expect("read").expect("there");
    assert_eq!(forgotten.distinct_ids, names(&["ann", "ann's \0phone"]));
    assert_eq!(forgotten.person_ids, BTreeSet::from([uuid(1)]));
    assert_eq!((forgotten.stage, forgotten.marks.as_str()), (Stage::Forgotten, "marks"));
    let loaded = store.load_identity(ONE, &ids(["ann", "ann's \0phone", "bob"])).await.expect("loaded");
    assert_eq!((loaded.mappings["ann"], loaded.personless["ann"]), (None, None));
    assert_eq!(loaded.mappings["ann's \0phone"], None);
    assert_eq!((loaded.mappings["bob"], loaded.personless["bob"]), (Some(mapping(2, 0)), Some(true)));
    // The same id comes back: asking again must not forget the new person.
    store.commit(checkpoint(2, two_persons())).await.expect("committed");
    let again = store.forget_person(asked.id, "later").await.expect("known");
    assert_eq!(again, forgotten);
    let loaded = store.load_identity(ONE, &ids(["ann"])).await.expect("loaded");
    assert_eq!(loaded.mappings["ann"], Some(mapping(1, 0)));
}

pub async fn erasures_are_noted_and_listed(store: Arc<dyn Metastore>) {
    let nobody = store.ask_erasure(ONE, &BTreeSet::new(), &BTreeSet::new(), at(0)).await;
    assert_eq!(nobody.expect_err("nobody").kind(), Kind::Invalid);
    let persons = BTreeSet::from([uuid(7)]);
    let asked = store.ask_erasure(ONE, &BTreeSet::new(), &persons, at(0)).await.expect("asked");
    let noted = Erasure {
        stage: Stage::Erased,
        person_ids: BTreeSet::new(),
        report: "{\"rows\":3}".to_owned(),
        erased_at: Some(at(9)),
        ..asked.clone()
    };
    store.note_erasure(&noted).await.expect("noted");
    assert_eq!(store.erasures().await.expect("listed"), std::slice::from_ref(&noted));
    assert_eq!(store.erasure(99).await.expect("read"), None);
    let unknown = store.note_erasure(&Erasure { id: 99, ..noted }).await;
    assert_eq!(unknown.expect_err("unknown").kind(), Kind::NotFound);
    let unknown = store.forget_person(99, "").await;
    assert_eq!(unknown.expect_err("unknown").kind(), Kind::NotFound);
}
