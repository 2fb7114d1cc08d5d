//! URLs that are not called, and why.

use super::listener::{Book, client, post};
use crate::{Kind, Reason, Settings};

/// Names of the table, and what they mean there.
const NAMES: &[(&str, &[&str])] = &[
    ("public.test", &["93.184.216.34"]),
    ("localhost", &["127.0.0.1,::1"]),
    ("loop.test", &["127.0.0.1"]),
    ("inner.test", &["10.20.30.40"]),
    ("home.test", &["192.168.1.1"]),
    ("metadata.google.internal", &["169.254.169.254"]),
    ("mixed.test", &["93.184.216.34,10.0.0.1"]),
    ("mixed-six.test", &["93.184.216.34,fd00::1"]),
    ("six.test", &["::1"]),
    ("mapped.test", &["::ffff:127.0.0.1"]),
    ("nat.test", &["64:ff9b::a9fe:a9fe"]),
    ("tunnel.test", &["2002:7f00:1::1"]),
];

/// One URL a line with the reason of its refusal.
const REFUSED: &str = "
address http://127.0.0.1/
address https://127.0.0.1:8443/admin
address http://127.1/
address http://127.0.1/
address http://127.255.255.254/
address http://2130706433/
address http://0x7f000001/
address http://0x7f.0.0.1/
address http://0x7F.1/
address http://0177.0.0.1/
address http://0177.0.0.01/
address http://017700000001/
address http://127.0.0.1./
address http://0/
address http://0.0.0.0/
address http://00000000.0/
address http://%31%32%37.0.0.1/
address http://127%2e0%2e0%2e1/
address http://１２７.０.０.１/
address http://127。0。0。1/
address http://①②⑦.⓪.⓪.①/
address http://10.0.0.1/
address http://10.255.255.255:8080/
address http://0xa000001/
address http://172.16.0.1/
address http://172.31.255.255/
address http://192.168.0.1/
address http://3232235521/
address http://169.254.169.254/latest/meta-data/
address http://2852039166/
address http://0xA9FEA9FE/
address http://0251.0376.0251.0376/
address http://169.254.43518/
address http://100.64.0.1/
address http://100.100.100.200/
address http://168.63.129.16/
address http://192.0.0.192/
address http://198.18.0.1/
address http://203.0.113.9/
address http://224.0.0.1/
address http://255.255.255.255/
address http://[::1]/
address http://[0:0:0:0:0:0:0:1]/
address http://[::]/
address http://[::ffff:127.0.0.1]/
address http://[::ffff:7f00:1]/
address http://[::ffff:169.254.169.254]/
address http://[::127.0.0.1]/
address http://[::ffff:0:127.0.0.1]/
address http://[64:ff9b::127.0.0.1]/
address http://[64:ff9b::10.0.0.1]/
address http://[64:ff9b:1::1]/
address http://[2002:7f00:1::]/
address http://[2002:a9fe:a9fe::1]/
address http://[2001:0:a00:1::]/
address http://[2001:db8::1]/
address http://[fc00::1]/
address http://[fd00:ec2::254]/
address http://[fe80::1]/
address http://[fec0::1]/
address http://[ff02::1]/
address http://[100::1]/
address http://localhost/
address http://LOCALHOST./
address http://loop.test/
address http://inner.test/
address http://home.test/
address http://metadata.google.internal/computeMetadata/v1/
address http://mixed.test/
address http://mixed-six.test/
address http://six.test/
address http://mapped.test/
address http://nat.test/
address http://tunnel.test/
address http:127.0.0.1/
address http:/127.0.0.1/
address http:\\\\127.0.0.1/
address http://127.0.0.1\\@public.test/
address http://127.0.0.1#@public.test/
address http://127.0.0.1?@public.test/
userinfo http://public.test@127.0.0.1/
userinfo http://public.test:80@127.0.0.1/
userinfo http://user:pass@public.test/
userinfo http://:pass@public.test/
userinfo http://public.test%20@127.0.0.1/
port http://public.test:22/
port http://public.test:25/
port http://public.test:6379/
port http://public.test:8123/
port http://public.test:0/
port http://127.0.0.1:11211/
scheme file:///etc/passwd
scheme ftp://public.test/
scheme gopher://127.0.0.1:6379/_INFO
scheme dict://127.0.0.1:11211/
scheme ldap://127.0.0.1/
scheme data:text/plain,hello
scheme ws://public.test/
scheme jar:http://127.0.0.1!/
url http://[fe80::1%25eth0]/
url http://127.0.0.1:99999/
url http://256.256.256.256/
url http://0x7f.0.0.0.1/
url http://
url http://[::1/
url //127.0.0.1/
url /admin
url public.test
";

#[tokio::test]
async fn no_spelling_of_an_inner_address_is_called() {
    let book = Book::of(NAMES);
    let client = client(&[], &Settings::default().ports, &book);
    let lines: Vec<&str> = REFUSED.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.len() >= 60, "{} URLs", lines.len());
    for line in lines {
        let (reason, url) = line.split_once(' ').unwrap_or((line, ""));
        let error = client.send(post(url)).await.map(|answer| answer.status).expect_err(url);
        assert_eq!(error.reason().tag(), reason, "{url}: {error}");
        assert_eq!(error.kind(), Kind::Invalid, "{url}");
    }
    // A name that is not called for its URL's sake is not even looked up.
    assert!(!book.asked().contains(&"public.test".to_owned()), "{:?}", book.asked());
}

#[tokio::test]
async fn what_a_private_name_means_is_not_told() {
    let book = Book::of(NAMES);
    let error =
        client(&[], &[80], &book).send(post("http://inner.test/?token=s3cret")).await.expect_err("private");
    let told = format!("{error} {error:?}");
    assert!(
        error.to_string().contains("inner.test") && !told.contains("10.20") && !told.contains("s3cret"),
        "{told}"
    );
}

#[tokio::test]
async fn a_name_that_nobody_knows_may_be_known_later() {
    let error = client(&[], &[80], &Book::of(&[])).send(post("http://new.test/")).await.expect_err("unknown");
    assert_eq!((error.reason(), error.kind()), (Reason::Connection, Kind::Unavailable));
}

#[test]
fn the_operators_list_is_read_strictly() {
    for bad in ["", "10.0.0.0/33", "http://hooks.test/", "two words", "10.0.0.0/8/8", "[::1]"] {
        let settings = Settings { allow: vec![bad.to_owned()], ..Settings::default() };
        let error = crate::Client::open(settings).err().unwrap_or_else(|| panic!("{bad} was taken"));
        assert_eq!(error.reason(), Reason::Url, "{bad}");
    }
}
