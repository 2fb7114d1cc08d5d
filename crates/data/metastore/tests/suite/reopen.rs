//! Stores that are opened again, or by several at once.

use crate::place::Place;
use crate::sample::{ONE, at, checkpoint, ids, mapping, person, uuid};
use identity::Changes;
use metastore::Kind;
use metastore::project::NewProject;
use rand::{SeedableRng, rngs::StdRng};

pub async fn everything_is_there_after_reopening(place: Place) {
    let changes = Changes {
        persons: (0..500).map(|number| person(number, 1)).collect(),
        mappings: (0..500).map(|number| (format!("id{number}"), mapping(number, 1))).collect(),
        ..Changes::default()
    };
    place.open().await.commit(checkpoint(5, changes)).await.expect("committed");
    for version in [2, 3] {
        let store = place.open().await;
        let loaded = store.load_identity(ONE, &ids(["id7"])).await.expect("loaded");
        assert_eq!(loaded.persons[&uuid(7)].version, version - 1);
        let changes = Changes { persons: vec![person(7, version)], ..Changes::default() };
        store.commit(checkpoint(5 + version.unsigned_abs(), changes)).await.expect("committed");
        assert_eq!(
            store.checkpoint().await.expect("read").map(|reach| reach.total()),
            Some(5 + version.unsigned_abs())
        );
    }
}

pub async fn another_process_is_seen(place: Place) {
    let (server, cli) = (place.open().await, place.open().await);
    server.claim().await.expect("nobody else folds");
    let before = server.revision().await.expect("read");
    let new = NewProject::generate("Shop", &mut StdRng::seed_from_u64(1));
    let project = cli.create_project(new, at(0)).await.expect("created");
    assert!(server.revision().await.expect("read") > before);
    assert_eq!(server.projects().await.expect("listed"), [project]);
}

pub async fn many_may_open_a_new_one_at_once(place: Place) {
    let (url, path) = (place.url().to_owned(), place.path());
    let openers: Vec<_> = (0..6)
        .map(|_| {
            let (url, path) = (url.clone(), path.clone());
            tokio::spawn(async move { metastore::open(&url, &path).await.map(drop) })
        })
        .collect();
    for opener in openers {
        opener.await.expect("no panic").expect("opened");
    }
}

pub async fn a_distinct_id_without_its_person_is_damage(place: Place) {
    let store = place.open().await;
    let changes = Changes { mappings: vec![("lost".to_owned(), mapping(1, 0))], ..Changes::default() };
    store.commit(checkpoint(1, changes)).await.expect("committed");
    let error = store.load_identity(ONE, &ids(["lost"])).await.expect_err("no person");
    assert_eq!(error.kind(), Kind::Corrupt);
    assert!(error.to_string().contains("\"lost\""), "{error}");
}
