//! Projects and the revision.

use crate::sample::{at, checkpoint, person};
use event::{ProjectId, Resource};
use identity::Changes;
use metastore::project::{Action, Find, NewProject, Restriction, Update};
use metastore::{Kind, Metastore, NewKey, key};
use rand::{SeedableRng, rngs::StdRng};
use std::sync::Arc;
use uuid::Uuid;

pub async fn projects_are_created_found_and_listed(store: Arc<dyn Metastore>) {
    let mut rng = StdRng::seed_from_u64(7);
    let one = store.create_project(NewProject::generate("Shop", &mut rng), at(1)).await.expect("created");
    let fixed = NewKey::fixed(key::Kind::Project, "phc_fixed").expect("a key");
    let new = NewProject { key: fixed, ..NewProject::generate("Blog", &mut rng) };
    let two = store.create_project(new, at(2)).await.expect("created");

    assert_eq!((one.id, two.id), (ProjectId(1), ProjectId(2)));
    assert_eq!(one.organization, two.organization, "one organization per server");
    assert_ne!(one.organization, one.uuid);
    assert!(one.api_token.0.starts_with("phc_") && one.api_token.0.len() == 47);
    assert_eq!(
        (two.api_token.0.as_str(), two.timezone.as_str(), two.created_at),
        ("phc_fixed", "UTC", at(2))
    );
    assert_eq!(two.keys.len(), 1);

    assert_eq!(store.projects().await.expect("listed"), [one.clone(), two.clone()]);
    let finds = [
        Find::Id(two.id),
        Find::Uuid(two.uuid),
        Find::Key("phc_fixed".to_owned()),
        Find::Name("Blog".to_owned()),
    ];
    for find in finds {
        assert_eq!(store.find_project(find.clone()).await.expect("asked"), Some(two.clone()), "{find:?}");
    }
    for find in
        [Find::Id(ProjectId(3)), Find::Uuid(Uuid::nil()), Find::Key("phc".into()), Find::Name("S".into())]
    {
        assert_eq!(store.find_project(find.clone()).await.expect("asked"), None, "{find:?}");
    }
}

pub async fn a_project_is_changed_field_by_field(store: Arc<dyn Metastore>) {
    let mut rng = StdRng::seed_from_u64(7);
    let before = store.create_project(NewProject::generate("Shop", &mut rng), at(1)).await.expect("created");
    let mut settings = before.settings.clone();
    settings.anonymize_ips = true;
    settings.drop_events_older_than_seconds = Some(3600);
    settings.other.insert("week_start_day".to_owned(), 1.into());
    let restrictions = vec![Restriction {
        action: Action::SkipPersonProcessing,
        tokens: Vec::new(),
        distinct_ids: vec!["bot".to_owned()],
        session_ids: Vec::new(),
        events: Vec::new(),
        uuids: vec![before.uuid],
    }];
    let update = Update {
        name: Some("Store".to_owned()),
        settings: Some(settings.clone()),
        exhausted: Some(vec![Resource::Recordings, Resource::LlmEvents]),
        restrictions: Some(restrictions.clone()),
        ..Update::default()
    };
    let after = store.update_project(before.id, update).await.expect("changed");
    assert_eq!(store.projects().await.expect("listed"), std::slice::from_ref(&after));
    assert_eq!((after.name.as_str(), after.timezone.as_str()), ("Store", "UTC"));
    assert_eq!((&after.settings, &after.restrictions), (&settings, &restrictions));
    assert_eq!(after.exhausted, [Resource::Recordings, Resource::LlmEvents]);
    assert_eq!(after.api_token, before.api_token);

    let rules =
        after.rules(identity::Rules { update_all_person_properties: true, ..identity::Rules::default() });
    assert!(rules.anonymize_ips && !rules.update_all_person_properties && rules.flag_called_personless);
    assert_eq!(rules.drop_events_older_than, Some(jiff::SignedDuration::from_hours(1)));
    assert_eq!(rules.restrictions.len(), 1);

    let unchanged = store.update_project(before.id, Update::default()).await.expect("nothing to do");
    assert_eq!(unchanged, after);
}

pub async fn bad_projects_are_refused(store: Arc<dyn Metastore>) {
    let mut rng = StdRng::seed_from_u64(7);
    let first = NewProject::generate("Shop", &mut rng);
    store.create_project(first.clone(), at(1)).await.expect("created");
    let secret = key::generate(key::Kind::Personal, &mut rng);
    let cases = [
        (NewProject { uuid: Uuid::nil(), ..first.clone() }, Kind::Conflict, "key taken"),
        (
            NewProject { key: NewProject::generate("x", &mut rng).key, ..first.clone() },
            Kind::Conflict,
            "uuid taken",
        ),
        (NewProject::generate(" ", &mut rng), Kind::Invalid, "empty name"),
        (NewProject { key: secret, ..NewProject::generate("y", &mut rng) }, Kind::Invalid, "secret key"),
    ];
    for (new, kind, why) in cases {
        let error = store.create_project(new, at(2)).await.expect_err(why);
        assert_eq!(error.kind(), kind, "{why}: {error}");
    }
    assert_eq!(store.projects().await.expect("listed").len(), 1, "a refused project leaves nothing");
    let missing = store.update_project(ProjectId(9), Update::default()).await.expect_err("no such project");
    assert_eq!(missing.kind(), Kind::NotFound);
    let empty = Update { timezone: Some(String::new()), ..Update::default() };
    assert_eq!(store.update_project(ProjectId(1), empty).await.expect_err("empty").kind(), Kind::Invalid);
}

pub async fn the_revision_moves_with_projects_and_keys_only(store: Arc<dyn Metastore>) {
    let mut rng = StdRng::seed_from_u64(7);
    let mut last = store.revision().await.expect("read");
    let mut moved = async |what: &str, expected: bool| {
        let now = store.revision().await.expect("read");
        assert_eq!(now > last, expected, "{what}");
        last = now;
    };
    let project = store.create_project(NewProject::generate("Shop", &mut rng), at(1)).await.expect("created");
    moved("project created", true).await;
    let key = key::generate(key::Kind::Project, &mut rng);
    store.rotate_project_key(project.id, key, at(2)).await.expect("rotated");
    moved("key rotated", true).await;
    store.disable_project_key(&project.api_token.0, at(3)).await.expect("disabled");
    moved("key disabled", true).await;
    let secret = key::generate(key::Kind::Personal, &mut rng);
    let stored = store.create_key(secret.clone(), key::Grant::all("ci"), at(4)).await.expect("created");
    moved("secret key created", true).await;
    store.authenticate(secret.value(), at(5)).await.expect("asked").expect("known");
    moved("secret key used", false).await;
    let changes = Changes { persons: vec![person(1, 0)], ..Changes::default() };
    store.commit(checkpoint(5, changes)).await.expect("committed");
    moved("checkpoint committed", false).await;
    store.revoke_key(stored.id).await.expect("revoked");
    moved("secret key revoked", true).await;
}
