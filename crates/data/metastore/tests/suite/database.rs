//! What only a database server can do: refuse a login, hang up, be silent, be shared.

use crate::place::Place;
use crate::sample::{ONE, at, checkpoint, ids, mapping, person, uuid};
use crate::server::{connect, server};
use identity::Changes;
use metastore::postgres::Settings;
use metastore::project::NewProject;
use metastore::{Error, Kind, Metastore, Postgres};
use rand::{SeedableRng, rngs::StdRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// "TNRC", as the store's locks are numbered.
const LOCKS: i32 = 0x544E_5243;

fn impatient() -> Settings {
    Settings { busy_timeout_ms: 50, connect_timeout_ms: 2_000, ..Settings::default() }
}

async fn refused(url: &str) -> Error {
    match Postgres::open_with(url, &impatient()).await {
        Ok(_) => panic!("{url} must not open"),
        Err(error) => error,
    }
}

fn changes(version: i64) -> Changes {
    Changes {
        persons: vec![person(1, version)],
        mappings: vec![("a".to_owned(), mapping(1, version))],
        ..Changes::default()
    }
}

/// Everything an operator may come to read about an error.
fn chain(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text += &format!(": {next} {next:?}");
        cause = next.source();
    }
    text
}

#[tokio::test]
async fn schemas_of_others_are_refused() {
    let place = Place::postgres().await;
    drop(place.open().await);
    let other = connect(place.url()).await;
    other.execute("INSERT INTO tenrec.migrations (version) VALUES (999)", &[]).await.expect("newer");
    let error = refused(place.url()).await;
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(error.to_string().contains("999"), "{error}");

    let theirs = Place::postgres().await;
    let other = connect(theirs.url()).await;
    other.batch_execute("CREATE SCHEMA tenrec; CREATE TABLE tenrec.theirs (x int)").await.expect("made");
    assert_eq!(refused(theirs.url()).await.kind(), Kind::Invalid);
    other.batch_execute("DROP TABLE tenrec.theirs; CREATE TABLE public.theirs (x int)").await.expect("moved");
    drop(theirs.open().await);

    let latin = server().database("ENCODING 'LATIN1'").await;
    let error = refused(&server().url(&latin)).await;
    assert_eq!(error.kind(), Kind::Invalid, "{error}");
    assert!(error.to_string().contains("LATIN1"), "{error}");
}

#[tokio::test]
async fn a_writer_elsewhere_is_busy_and_then_works() {
    let place = Place::postgres().await;
    let store = Postgres::open_with(place.url(), &impatient()).await.expect("a store");
    let store: &dyn Metastore = &store;
    let other = connect(place.url()).await;
    other.execute("SELECT pg_advisory_lock($1, 3)", &[&LOCKS]).await.expect("locked");
    let new = NewProject::generate("Shop", &mut StdRng::seed_from_u64(1));
    let error = store.create_project(new.clone(), at(0)).await.expect_err("locked");
    assert_eq!(error.kind(), Kind::Busy, "{error}");
    assert!(store.projects().await.expect("readers go on").is_empty());
    store.commit(checkpoint(1, changes(1))).await.expect("folding goes on");
    other.execute("SELECT pg_advisory_unlock($1, 3)", &[&LOCKS]).await.expect("unlocked");
    let made = store.create_project(new, at(0)).await.expect("created");
    assert_eq!(made.id, ONE, "a refused project uses up no number");
}

#[tokio::test]
async fn a_second_process_that_folds_is_refused_by_name() {
    let place = Place::postgres().await;
    let first = Postgres::open_with(place.url(), &impatient()).await.expect("a store");
    let second = Postgres::open_with(place.url(), &impatient()).await.expect("a store");
    let (one, two): (&dyn Metastore, &dyn Metastore) = (&first, &second);
    one.commit(checkpoint(1, changes(1))).await.expect("the first folds");
    let errors = [two.claim().await, two.commit(checkpoint(2, changes(2))).await];
    for error in errors.map(|refused| refused.expect_err("the first still folds")) {
        assert_eq!(error.kind(), Kind::Conflict, "{error}");
        let name = format!("tenrec (process {})", std::process::id());
        assert!(error.to_string().contains(&name), "{error}");
    }
    one.commit(checkpoint(2, changes(2))).await.expect("the first goes on");
    drop(first);
    let patient = Postgres::open(place.url()).await.expect("a store");
    let third: &dyn Metastore = &patient;
    third.claim().await.expect("the first has gone");
    third.commit(checkpoint(3, changes(3))).await.expect("and its place is free");
}

/// Hangs up on everybody who uses this database.
async fn hang_up(url: &str) {
    let other = connect(url).await;
    let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    other.query(sql, &[]).await.expect("allowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_are_replaced() {
    let place = Place::postgres().await;
    let store = place.open().await;
    for version in 1..=5_i64 {
        let offset = version.unsigned_abs();
        // What is refused because a connection was lost works when it is tried again, as the pump does.
        let mut tries = 0;
        while let Err(error) = store.commit(checkpoint(offset, changes(version))).await {
            assert_eq!(error.kind(), Kind::Unavailable, "{}", chain(&error));
            tries += 1;
            assert!(tries < 3, "{}", chain(&error));
        }
        let loaded = loop {
            match store.load_identity(ONE, &ids(["a"])).await {
                Ok(loaded) => break loaded,
                Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{}", chain(&error)),
            }
        };
        assert_eq!(loaded.persons[&uuid(1)].version, version);
        hang_up(place.url()).await;
    }
}

/// Passes bytes on until a COMMIT passes while `cut` is set: the server hears it, its answer is never heard.
async fn deaf(to: u16, cut: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("localhost", to)).await.expect("the server");
            tokio::spawn(pass(client, server, Arc::clone(&cut)));
        }
    });
    port
}

async fn pass(mut client: TcpStream, mut server: TcpStream, cut: Arc<AtomicBool>) {
    let (mut asked, mut answered) = ([0; 65_536], [0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(count @ 1..) = read else { return };
                if server.write_all(&asked[..count]).await.is_err() {
                    return;
                }
                let is_commit = asked[..count].windows(6).any(|word| word == b"COMMIT");
                if is_commit && cut.swap(false, Ordering::AcqRel) {
                    let heard = server.read(&mut answered).await;
                    assert!(heard.is_ok_and(|count| count > 0), "the server has committed");
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(count @ 1..) = read else { return };
                if client.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_was_lost_may_be_repeated() {
    let place = Place::postgres().await;
    let cut = Arc::new(AtomicBool::new(false));
    let port = deaf(server().port(), Arc::clone(&cut)).await;
    let url = place.url().replace(&format!(":{}/", server().port()), &format!(":{port}/"));
    let store = metastore::open(&url, &place.path()).await.expect("a store");
    store.commit(checkpoint(1, changes(1))).await.expect("committed");
    cut.store(true, Ordering::Release);
    let error = store.commit(checkpoint(2, changes(2))).await.expect_err("no answer");
    assert_eq!(error.kind(), Kind::Unavailable, "{}", chain(&error));
    assert_eq!(
        store.checkpoint().await.expect("read").map(|reach| reach.total()),
        Some(2),
        "it was written all the same"
    );
    store.commit(checkpoint(2, changes(2))).await.expect("known");
    store.commit(checkpoint(3, changes(3))).await.expect("and on");
}

#[tokio::test]
async fn passwords_stay_secret() {
    let place = Place::postgres().await;
    let admin = connect(place.url()).await;
    let owner = "DROP ROLE IF EXISTS guarded; CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 'right canary'";
    admin.batch_execute(owner).await.expect("a role");
    let guarded = |password: &str| place.url().replace("tenrec@", &format!("guarded:{password}@"));
    let store = Postgres::open(&guarded("right%20canary")).await.expect("the password is right");
    assert!(!store.place().contains("canary") && store.place().contains("guarded@localhost"));
    let at = |port: &str| guarded("right%20canary").replace(&format!(":{}/", server().port()), port);
    let urls = [
        (guarded("wrong%20canary"), Kind::Unavailable),
        (guarded("right%20canary").replace("/case_", "/nowhere_"), Kind::Unavailable),
        (at(":1/"), Kind::Unavailable),
        (at(":canary/"), Kind::Invalid),
        (guarded("wrong?canary"), Kind::Unavailable),
    ];
    for (url, kind) in urls {
        let error = refused(&url).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert!(!chain(&error).contains("canary"), "{}", chain(&error));
    }
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let url = format!("postgres://u@127.0.0.1:{port}/db");
    let settings = Settings { connect_timeout_ms: 50, ..Settings::default() };
    let Err(error) = Postgres::open_with(&url, &settings).await else { panic!("nobody answered") };
    assert_eq!(error.kind(), Kind::Unavailable, "{error}");
}

#[tokio::test]
async fn tls_is_used_and_checked_as_the_url_says() {
    let place = Place::postgres().await;
    let plain = place.url();
    let with = |options: &str| plain.replace("sslmode=disable", options);
    let root = format!("sslmode=verify-full&sslrootcert={}", server().certificate().display());
    for options in ["sslmode=prefer", "sslmode=require", &root] {
        let store = Postgres::open(&with(options)).await.expect(options);
        let store: &dyn Metastore = &store;
        store.claim().await.expect("connected");
        let sql = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let found = connect(plain).await.query_one(sql, &[]).await.expect("asked");
        assert_eq!(found.get::<_, Option<bool>>(0), Some(true), "{options}");
        hang_up(plain).await;
    }
    let elsewhere = with(&root).replace("localhost", "127.0.0.1");
    for url in [with("sslmode=verify-full"), elsewhere, with("sslmode=require&sslrootcert=/nowhere.pem")] {
        assert_eq!(refused(&url).await.kind(), Kind::Unavailable, "{url}");
    }
}

/// The pump has a runtime of its own, which knows no sockets and ends before the server does.
#[test]
fn a_runtime_without_sockets_may_use_the_store() {
    let home =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("home");
    let (place, store) = home.block_on(async {
        let place = Place::postgres().await;
        let store = place.open().await;
        (place, store)
    });
    for version in 1..=2_i64 {
        let guest = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
        guest.expect("a guest").block_on(async {
            store.commit(checkpoint(version.unsigned_abs(), changes(version))).await.expect("committed");
            let loaded = store.load_identity(ONE, &ids(["a"])).await.expect("loaded");
            assert_eq!(loaded.persons[&uuid(1)].version, version);
        });
    }
    home.block_on(async {
        assert_eq!(store.checkpoint().await.expect("read").map(|reach| reach.total()), Some(2))
    });
    drop(place);
}
