//! What reaches a socket: redirects, names that change, answers without end.

use super::listener::{Book, Listener, client, ok, post, to};
use crate::{Client, Reason, Settings};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test]
async fn an_allowed_host_is_called_with_all_it_was_given() {
    let hook = Listener::start("127.0.0.1:0", |_| ok("thanks")).await;
    let book = Book::of(&[("hooks.test", &["127.0.0.1"])]);
    let url = format!("http://Hooks.test:{}/a?b=c", hook.at.port());
    let answer = client(&["hooks.test"], &[], &book).send(post(&url)).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"thanks"[..]));
    let seen = hook.seen().concat().to_lowercase();
    assert!(seen.starts_with("post /a?b=c http/1.1") && seen.ends_with("{\"a\":1}"), "{seen}");
    assert!(
        seen.contains("bearer s3cret") && seen.contains(&format!("host: hooks.test:{}", hook.at.port())),
        "{seen}"
    );
}

#[tokio::test]
async fn an_allowed_network_is_called_by_address_and_by_name() {
    let hook = Listener::start("127.0.0.2:0", |_| ok("")).await;
    let port = hook.at.port();
    let book = Book::of(&[("hooks.test", &["127.0.0.2"]), ("other.test", &["127.0.0.3"])]);
    let client = client(&["127.0.0.2/32"], &[port], &book);
    for host in ["127.0.0.2", "[::ffff:127.0.0.2]", "hooks.test"] {
        let sent = client.send(post(&format!("http://{host}:{port}/"))).await;
        // Whether the mapped spelling can be connected to is the system's matter; it is allowed.
        assert!(sent.is_ok() || sent.is_err_and(|error| error.reason() == Reason::Connection), "{host}");
    }
    assert!(hook.seen().len() >= 2);
    let other = client.send(post(&format!("http://other.test:{port}/"))).await.expect_err("another address");
    assert_eq!(other.reason(), Reason::Address);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_reaches_nobody_inside() {
    let (good, secret) = Listener::pair("good", "secret").await;
    let port = good.at.port();
    let book = Book::of(&[("flip.test", &["127.0.0.2", "127.0.0.3"])]);
    let client = client(&["127.0.0.2"], &[port], &book);
    let url = format!("http://flip.test:{port}/");
    let first = client.send(post(&url)).await.expect("the name means an allowed address");
    assert_eq!(&first.body[..], b"good");
    // Looked up once: what was looked at is what was called.
    assert_eq!(book.asked().len(), 1);
    for _ in 0..3 {
        let error = client.send(post(&url)).await.expect_err("the name means another address now");
        assert_eq!(error.reason(), Reason::Address);
    }
    assert_eq!((good.seen().len(), secret.seen().len()), (1, 0));
}

#[tokio::test]
async fn one_inner_address_among_others_spoils_a_name() {
    let (good, secret) = Listener::pair("good", "secret").await;
    let port = good.at.port();
    let book = Book::of(&[("both.test", &["127.0.0.2,127.0.0.3", "127.0.0.3,127.0.0.2"])]);
    let client = client(&["127.0.0.2"], &[port], &book);
    for _ in 0..2 {
        let error = client.send(post(&format!("http://both.test:{port}/"))).await.expect_err("spoilt");
        assert_eq!(error.reason(), Reason::Address);
    }
    assert_eq!((good.seen().len(), secret.seen().len()), (0, 0));
}

#[tokio::test]
async fn every_redirect_is_looked_at() {
    let secret = Listener::start("127.0.0.3:0", |_| ok("secret")).await;
    let port = secret.at.port();
    let places = [
        (format!("http://127.0.0.3:{port}/"), Reason::Port),
        (format!("//127.0.0.3:{port}/"), Reason::Port),
        ("http://127.0.0.3/".to_owned(), Reason::Address),
        ("http://0x7f000003/".to_owned(), Reason::Address),
        ("http://inner.test/".to_owned(), Reason::Address),
        ("http://[::1]/".to_owned(), Reason::Address),
        ("http://hook.test@127.0.0.3/".to_owned(), Reason::Userinfo),
        ("file:///etc/passwd".to_owned(), Reason::Scheme),
        ("gopher://127.0.0.3/".to_owned(), Reason::Scheme),
        ("http://[/".to_owned(), Reason::Redirect),
        ("/around".to_owned(), Reason::Redirect),
    ];
    let book = Book::of(&[("hook.test", &["127.0.0.2"]), ("inner.test", &["127.0.0.3"])]);
    let client = client(&["hook.test"], &[80], &book);
    for (place, reason) in places {
        for status in [301, 302, 303, 307, 308] {
            let sent_on = place.clone();
            let hook = Listener::start("127.0.0.2:0", move |_| to(status, &sent_on)).await;
            let url = format!("http://hook.test:{}/", hook.at.port());
            let error = client.send(post(&url)).await.expect_err(&place);
            assert_eq!(error.reason(), reason, "{status} to {place}: {error}");
            let calls = if place == "/around" { 4 } else { 1 };
            assert_eq!(hook.seen().len(), calls, "{status} to {place}");
        }
    }
    assert_eq!(secret.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_redirect_to_a_stranger_takes_no_secret_along() {
    for (status, method, body) in [(302, "GET", ""), (308, "POST", "{\"a\":1}")] {
        let stranger = Listener::start("127.0.0.1:0", |_| ok("there")).await;
        let place = format!("http://stranger.test:{}/next", stranger.at.port());
        let script = move |path: &str| if path == "/" { to(status, "/same") } else { to(status, &place) };
        let hook = Listener::start("127.0.0.1:0", script).await;
        let book = Book::of(&[("hook.test", &["127.0.0.1"]), ("stranger.test", &["127.0.0.1"])]);
        let client = client(&["hook.test", "stranger.test"], &[], &book);
        let answer =
            client.send(post(&format!("http://hook.test:{}/", hook.at.port()))).await.expect("an answer");
        assert_eq!((answer.url.path(), &answer.body[..]), ("/next", &b"there"[..]));
        let at_home = hook.seen();
        assert!(at_home.len() == 2 && at_home.iter().all(|seen| seen.contains("s3cret")), "{at_home:?}");
        let seen = stranger.seen().concat();
        assert!(seen.starts_with(&format!("{method} /next ")) && seen.ends_with(body), "{seen}");
        assert!(!seen.contains("s3cret"), "{seen}");
    }
}

#[tokio::test]
async fn headers_of_the_connection_cannot_be_given() {
    let hook = Listener::start("127.0.0.1:0", |_| ok("")).await;
    let book = Book::of(&[("hook.test", &["127.0.0.1"])]);
    let client = client(&["hook.test"], &[], &book);
    for name in ["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "expect"] {
        let mut request = post(&format!("http://hook.test:{}/", hook.at.port()));
        request.headers.insert(http::HeaderName::from_static(name), "1".parse().expect("a value"));
        assert_eq!(client.send(request).await.expect_err(name).reason(), Reason::Header, "{name}");
    }
    assert_eq!(hook.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn answers_are_bounded_in_size_and_time() {
    let endless = |length: &str| format!("HTTP/1.1 200 OK\r\n{length}\r\n{}", "x".repeat(70_000));
    let cases = [
        (endless("connection: close\r\n"), Some(Reason::Size)),
        (endless("content-length: 70000\r\n"), Some(Reason::Size)),
        (endless("content-encoding: gzip\r\ncontent-length: 70000\r\n"), Some(Reason::Size)),
        (format!("HTTP/1.1 200 OK\r\ncontent-length: 64000\r\n\r\n{}", "x".repeat(64_000)), None),
        ("nonsense".to_owned(), Some(Reason::Connection)),
    ];
    let book = Book::of(&[("hook.test", &["127.0.0.1"])]);
    let settings = |deadline| Settings {
        allow: vec!["hook.test".to_owned()],
        answer_bytes: 64_000,
        deadline,
        ..Settings::default()
    };
    for (text, reason) in cases {
        let shown = text[..30.min(text.len())].to_owned();
        let hook = Listener::start("127.0.0.1:0", move |_| text.clone()).await;
        let client =
            Client::with(settings(Duration::from_secs(10)), Arc::clone(&book) as _).expect("a client");
        let sent = client.send(post(&format!("http://hook.test:{}/", hook.at.port()))).await;
        assert_eq!(sent.err().map(|error| error.reason()), reason, "{shown}");
    }
    // Accepts connections into its queue and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free address");
    let url = format!("http://hook.test:{}/", silent.local_addr().expect("an address").port());
    let client = Client::with(settings(Duration::from_millis(200)), book as _).expect("a client");
    assert_eq!(client.send(post(&url)).await.expect_err("silence").reason(), Reason::Time);
}
