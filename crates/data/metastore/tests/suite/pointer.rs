//! Pointers to tables in a real PostgreSQL server: moved once by whoever is first, listed, renamed, forgotten.

use crate::server::server;
use metastore::{Kind, Postgres};

const EVENTS: [&str; 3] = ["tenrec", "tenrec", "events"];

async fn two() -> [Postgres; 2] {
    let url = server().url(&server().database("").await);
    let one = Postgres::open(&url).await.expect("opens");
    let other = Postgres::open(&url).await.expect("opens again");
    one.make_pointers().await.expect("made");
    other.make_pointers().await.expect("there already");
    [one, other]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pointer_is_moved_by_one() {
    let [one, other] = two().await;
    assert_eq!(one.pointer(EVENTS).await.expect("asked"), None);
    one.add_pointer(EVENTS, "s3://b/0").await.expect("added");
    assert_eq!(other.add_pointer(EVENTS, "s3://b/x").await.expect_err("taken").kind(), Kind::Conflict);
    for round in 0..20 {
        let (old, new) = (format!("s3://b/{round}"), format!("s3://b/{}", round + 1));
        let lost = format!("s3://b/lost-{round}");
        let race =
            tokio::join!(one.move_pointer(EVENTS, [&old, &new]), other.move_pointer(EVENTS, [&old, &lost]));
        let (first, second) = (race.0.expect("asked"), race.1.expect("asked"));
        assert!(first != second, "one moves it, the other is told");
        if second {
            assert!(one.move_pointer(EVENTS, [&lost, &new]).await.expect("asked"));
        }
    }
    assert_eq!(other.pointer(EVENTS).await.expect("asked").as_deref(), Some("s3://b/20"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_and_names_live_their_life() {
    let [one, other] = two().await;
    let properties = vec![("owner".to_owned(), "me".to_owned())];
    one.write_properties("tenrec", "lab.deep", Some(properties.clone())).await.expect("written");
    one.write_properties("another", "elsewhere", Some(Vec::new())).await.expect("written");
    one.add_pointer(EVENTS, "s3://b/0").await.expect("added");
    let mut names = other.pointed_namespaces("tenrec").await.expect("listed");
    names.sort();
    assert_eq!(names, ["lab.deep", "tenrec"]);
    assert_eq!(other.namespace_properties("tenrec", "lab.deep").await.expect("read"), properties);
    other.rename_pointer(EVENTS, ["lab.deep", "old"]).await.expect("renamed");
    assert_eq!(one.pointed_tables("tenrec", "lab.deep").await.expect("listed"), ["old"]);
    assert_eq!(one.rename_pointer(EVENTS, ["lab", "x"]).await.expect_err("gone").kind(), Kind::NotFound);
    one.remove_pointer(["tenrec", "lab.deep", "old"]).await.expect("removed");
    assert_eq!(other.remove_pointer(EVENTS).await.expect_err("gone").kind(), Kind::NotFound);
    other.write_properties("tenrec", "lab.deep", None).await.expect("forgotten");
    assert!(one.pointed_namespaces("tenrec").await.expect("listed").is_empty());
}
