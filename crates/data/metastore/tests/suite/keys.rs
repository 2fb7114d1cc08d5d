//! Public and secret keys.

use crate::sample::at;
use event::ProjectId;
use metastore::key::{Access, Grant, Kind, generate};
use metastore::project::{Find, NewProject};
use metastore::{Kind as Outcome, Metastore, NewKey};
use rand::{SeedableRng, rngs::StdRng};
use std::sync::Arc;

async fn project(store: &dyn Metastore, rng: &mut StdRng) -> metastore::Project {
    store.create_project(NewProject::generate("Shop", rng), at(0)).await.expect("created")
}

fn fixed(kind: Kind, value: &str) -> NewKey {
    NewKey::fixed(kind, value).expect("a good key")
}

pub async fn a_project_has_several_keys(store: Arc<dyn Metastore>) {
    let mut rng = StdRng::seed_from_u64(3);
    let (one, two) = (project(&*store, &mut rng).await, project(&*store, &mut rng).await);
    let added = fixed(Kind::Project, "phc_mobile");
    let key = store.add_project_key(one.id, added.clone(), "mobile", at(1)).await.expect("added");
    assert_eq!((key.value.0.as_str(), key.label.as_str(), key.disabled_at), ("phc_mobile", "mobile", None));

    let found = store.find_project(Find::Key("phc_mobile".into())).await.expect("asked").expect("found");
    assert_eq!((found.id, &found.api_token), (one.id, &one.api_token), "the token stays");
    assert_eq!(found.keys.iter().map(|key| key.label.as_str()).collect::<Vec<_>>(), ["", "mobile"]);

    let taken = store.add_project_key(two.id, added, "", at(2)).await.expect_err("taken");
    assert_eq!(taken.kind(), Outcome::Conflict);
    let nowhere = store.add_project_key(ProjectId(9), generate(Kind::Project, &mut rng), "", at(2)).await;
    assert_eq!(nowhere.expect_err("no project").kind(), Outcome::NotFound);
    let secret = store.add_project_key(one.id, generate(Kind::Secret, &mut rng), "", at(2)).await;
    assert_eq!(secret.expect_err("not public").kind(), Outcome::Invalid);
}

pub async fn a_rotated_key_lives_until_it_is_disabled(store: Arc<dyn Metastore>) {
    let mut rng = StdRng::seed_from_u64(3);
    let before = project(&*store, &mut rng).await;
    let new = generate(Kind::Project, &mut rng);
    let early = store.disable_project_key(&before.api_token.0, at(1)).await.expect_err("still the token");
    assert_eq!(early.kind(), Outcome::Conflict);

    let old = store.rotate_project_key(before.id, new.clone(), at(1)).await.expect("rotated");
    assert_eq!(old, before.api_token);
    for key in [old.0.as_str(), new.value()] {
        let found = store.find_project(Find::Key(key.to_owned())).await.expect("asked").expect("found");
        assert_eq!(found.api_token.0, new.value());
    }
    store.disable_project_key(&old.0, at(2)).await.expect("disabled");
    store.disable_project_key(&old.0, at(3)).await.expect("again");
    assert_eq!(store.find_project(Find::Key(old.0.clone())).await.expect("asked"), None);
    let after = store.find_project(Find::Id(before.id)).await.expect("asked").expect("found");
    assert_eq!(after.keys[0].disabled_at, Some(at(2)), "listed with the time it was first disabled");

    let reused = NewProject { key: fixed(Kind::Project, &old.0), ..NewProject::generate("Other", &mut rng) };
    let error = store.create_project(reused, at(4)).await.expect_err("old clients would feed it");
    assert_eq!(error.kind(), Outcome::Conflict);
    assert_eq!(
        store.disable_project_key("phc_no", at(4)).await.expect_err("unknown").kind(),
        Outcome::NotFound
    );
}

pub async fn secret_keys_authenticate_until_revoked(store: Arc<dyn Metastore>) {
    let mut rng = StdRng::seed_from_u64(3);
    let (one, two) = (project(&*store, &mut rng).await, project(&*store, &mut rng).await);
    let personal = fixed(Kind::Personal, "phx_bootstrap_0123456789");
    let secret = generate(Kind::Secret, &mut rng);
    let grant = Grant {
        label: "flags".to_owned(),
        scopes: vec!["feature_flag:read".to_owned()],
        projects: Some(vec![two.id]),
    };
    store.create_key(personal.clone(), Grant::all("bootstrap"), at(1)).await.expect("created");
    let stored = store.create_key(secret.clone(), grant.clone(), at(2)).await.expect("created");
    assert_eq!((stored.kind, stored.mask.clone()), (Kind::Secret, secret.mask()));

    let who = store.authenticate(personal.value(), at(3)).await.expect("asked").expect("known");
    assert_eq!((who.kind, who.label.as_str()), (Kind::Personal, "bootstrap"));
    assert!(who.allows("query", Access::Write) && who.reaches(one.id) && who.reaches(two.id));
    let who = store.authenticate(secret.value(), at(3)).await.expect("asked").expect("known");
    assert!(who.allows("feature_flag", Access::Read) && !who.allows("query", Access::Read));
    assert!(who.reaches(two.id) && !who.reaches(one.id));

    for stranger in ["", "phx_", "phx_bootstrap_012345678", one.api_token.0.as_str()] {
        assert_eq!(store.authenticate(stranger, at(3)).await.expect("asked"), None, "{stranger:?}");
    }
    let again = store.create_key(secret.clone(), grant, at(4)).await.expect_err("stored already");
    assert_eq!(again.kind(), Outcome::Conflict);
    assert!(!again.to_string().contains(secret.value()));

    assert!(store.revoke_key(stored.id).await.expect("revoked"));
    assert!(!store.revoke_key(stored.id).await.expect("gone"));
    assert_eq!(store.authenticate(secret.value(), at(5)).await.expect("asked"), None);
    let left = store.keys().await.expect("listed");
    assert_eq!(left.iter().map(|key| key.label.as_str()).collect::<Vec<_>>(), ["bootstrap"]);
}

pub async fn last_use_is_noted_once_an_hour(store: Arc<dyn Metastore>) {
    let key = fixed(Kind::Personal, "phx_clock");
    let stored = store.create_key(key.clone(), Grant::all("clock"), at(0)).await.expect("created");
    assert_eq!(stored.last_used_at, None);
    for (now, noted) in [(10, 10), (3_000, 10), (3_610, 3_610), (20, 3_610)] {
        store.authenticate(key.value(), at(now)).await.expect("asked").expect("known");
        let listed = store.keys().await.expect("listed");
        assert_eq!(listed[0].last_used_at, Some(at(noted)), "used at {now}");
    }
}

pub async fn bad_grants_are_refused(store: Arc<dyn Metastore>) {
    let mut rng = StdRng::seed_from_u64(3);
    let one = project(&*store, &mut rng).await.id;
    let grant = |scope: &str, projects: Option<Vec<ProjectId>>| Grant {
        label: "x".to_owned(),
        scopes: vec![scope.to_owned()],
        projects,
    };
    let cases = [
        (Kind::Personal, Grant::all(" "), Outcome::Invalid),
        (Kind::Personal, Grant { scopes: Vec::new(), ..Grant::all("x") }, Outcome::Invalid),
        (Kind::Personal, grant("query", None), Outcome::Invalid),
        (Kind::Personal, grant("query:admin", None), Outcome::Invalid),
        (Kind::Personal, grant(":read", None), Outcome::Invalid),
        (Kind::Personal, grant("query:read", Some(vec![ProjectId(9)])), Outcome::NotFound),
        (Kind::Secret, grant("query:read", None), Outcome::Invalid),
        (Kind::Secret, grant("query:read", Some(vec![one, ProjectId(2)])), Outcome::Invalid),
        (Kind::Project, grant("query:read", None), Outcome::Invalid),
    ];
    for (kind, grant, outcome) in cases {
        let error =
            store.create_key(generate(kind, &mut rng), grant.clone(), at(1)).await.expect_err("refused");
        assert_eq!(error.kind(), outcome, "{kind:?} {grant:?}: {error}");
    }
    assert!(store.keys().await.expect("listed").is_empty());
}
