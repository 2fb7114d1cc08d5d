//! Where a PostgreSQL server is and how it is spoken to, from a URL whose password nobody else gets to see.

use super::tls::Tls;
use crate::{Kind, Result};
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// What a URL says.
pub(super) struct Address {
    /// For the client; holds the password and is never printed.
    pub config: Config,
    /// How the connection is protected.
    pub tls: Tls,
    /// For people: user, host, port and database.
    pub place: String,
}

const SHAPE: &str = "write postgres://user:password@host:5432/database, with special characters of the password \
                     percent-encoded";

/// Whether this is meant for PostgreSQL at all.
fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

/// Refuses a URL that could never be opened, without opening it.
///
/// # Errors
/// `Invalid`, in words that hold no part of the URL that may be its password.
pub fn check(url: &str) -> Result<()> {
    Address::parse(url).map(drop)
}

/// The URL as it may be shown: without its password.
pub fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://").filter(|_| is_postgres(url)) else {
        return if url.is_empty() { String::new() } else { "***".to_owned() };
    };
    // The last `@`: a password that should have been percent-encoded may hold one.
    let (user, place) = match rest.rsplit_once('@') {
        None => (None, rest),
        Some((login, place)) => (Some(login), place),
    };
    let login = match user.map(|login| login.split_once(':').map_or((login, ""), |(user, _)| (user, ":***")))
    {
        None => String::new(),
        Some((user, hidden)) => format!("{user}{hidden}@"),
    };
    let (place, options) = place.split_once('?').map_or((place, None), |(place, all)| (place, Some(all)));
    let hide = |option: &str| match option.split_once('=') {
        Some((key, _)) if key.eq_ignore_ascii_case("password") => format!("{key}=***"),
        _ => option.to_owned(),
    };
    let options = options.map(|all| all.split('&').map(hide).collect::<Vec<_>>().join("&"));
    let options = options.map(|all| format!("?{all}")).unwrap_or_default();
    format!("{scheme}://{login}{place}{options}")
}

impl Address {
    /// Reads `postgres://user:password@host:port/database?sslmode=...`.
    ///
    /// `sslmode` means what it means to PostgreSQL's own programs: `disable`, `prefer` (the default: encrypt if the
    /// server can), `require` (encrypt), `verify-full` (encrypt, and check that the certificate is the host's).
    /// With `sslrootcert=FILE` the certificate is checked against that file instead of the system's authorities.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let refuse = |why: &str| Err(Kind::Invalid.error(format!("the metastore URL cannot be used: {why}")));
        if !is_postgres(url) {
            return refuse(&format!("it must start with postgres://; {SHAPE}"));
        }
        // Options come after the login, which the first `@` ends, as the client's own parser sees it.
        let login = url.find('@').unwrap_or_default();
        let (base, options) = match url[login..].find('?') {
            Some(at) => (&url[..login + at], &url[login + at + 1..]),
            None => (url, ""),
        };
        let (mut mode, mut roots, mut others) = ("prefer", None, Vec::new());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", given)) => mode = given,
                Some(("sslrootcert", "system")) => roots = None,
                Some(("sslrootcert", file)) => roots = Some(PathBuf::from(file)),
                _ => others.push(option),
            }
        }
        let (ssl, tls) = match (mode, roots) {
            ("disable", _) => (SslMode::Disable, Tls::Off),
            ("prefer", None) => (SslMode::Prefer, Tls::Unchecked),
            ("require", None) => (SslMode::Require, Tls::Unchecked),
            ("prefer" | "require" | "verify-full", roots) => (SslMode::Require, Tls::Checked(roots)),
            _ => return refuse("sslmode must be disable, prefer, require or verify-full"),
        };
        // What the parser says may quote the URL, so its words go no further.
        let Ok(mut config) = format!("{base}?{}", others.join("&")).parse::<Config>() else {
            return refuse(SHAPE);
        };
        if config.get_hosts().is_empty() {
            return refuse(&format!("it names no host; {SHAPE}"));
        }
        config.ssl_mode(ssl);
        // A server that vanished without a word is noticed within half a minute.
        config.keepalives_idle(Duration::from_secs(10));
        config.keepalives_interval(Duration::from_secs(5));
        config.keepalives_retries(4);
        config.tcp_user_timeout(Duration::from_secs(30));
        if config.get_application_name().is_none() {
            config.application_name(format!("tenrec (process {})", std::process::id()));
        }
        let place = place(&config);
        Ok(Self { config, tls, place })
    }
}

fn place(config: &Config) -> String {
    let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
        let port = config.get_ports().get(at).or(config.get_ports().first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(name) => format!("{name}:{port}"),
            #[cfg(unix)]
            Host::Unix(path) => format!("{}:{port}", path.display()),
        }
    });
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    let database = config.get_dbname().map(|name| format!("/{name}")).unwrap_or_default();
    format!("{user}{}{database}", hosts.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked() {
        let cases = [
            ("", ""),
            ("postgres://host/db", "postgres://host/db"),
            ("postgres://u@host/db", "postgres://u@host/db"),
            (
                "postgresql://u:canary@host:1/db?sslmode=require",
                "postgresql://u:***@host:1/db?sslmode=require",
            ),
            ("postgres://u:can@ary:/?#@host/db", "postgres://u:***@host/db"),
            ("postgres://host/db?user=u&password=canary", "postgres://host/db?user=u&password=***"),
            ("host=h password=canary", "***"),
            ("mysql://u:canary@h/db", "***"),
        ];
        for (url, expected) in cases {
            assert_eq!(masked(url), expected);
        }
    }

    #[test]
    fn bad_urls_are_refused_without_their_password() {
        let cases = [
            "host=h password=canary",
            "mysql://u:canary@h/db",
            "postgres://u:canary#@h:port/db",
            "postgres://u:canary@h/db?sslmode=canary",
            "postgres://u:canary@h/db?canary=1",
            "postgres://u:canary@/db",
        ];
        for url in cases {
            let Err(error) = Address::parse(url) else { panic!("{url} must be refused") };
            assert_eq!(error.kind(), Kind::Invalid, "{url}");
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_place_names_everything_but_the_password() {
        let address = Address::parse("postgres://u:canary%40x@h:77/db?sslmode=disable").expect("good");
        assert_eq!(address.place, "u@h:77/db");
        assert_eq!(address.config.get_password(), Some(&b"canary@x"[..]));
        assert!(matches!(address.tls, Tls::Off));
        let address = Address::parse("postgres://u:a?canary@h/db?sslmode=require").expect("good");
        assert_eq!(
            (address.place.as_str(), address.config.get_ssl_mode()),
            ("u@h:5432/db", SslMode::Require)
        );
    }

    #[test]
    fn protection_is_chosen_as_postgresql_does() {
        let tls = |options: &str| {
            let address = Address::parse(&format!("postgres://u@h/db?{options}")).expect("good");
            (address.config.get_ssl_mode(), address.tls)
        };
        let file = || Some(PathBuf::from("/ca.pem"));
        assert_eq!(tls(""), (SslMode::Prefer, Tls::Unchecked));
        assert_eq!(tls("sslmode=require"), (SslMode::Require, Tls::Unchecked));
        assert_eq!(tls("sslmode=verify-full"), (SslMode::Require, Tls::Checked(None)));
        assert_eq!(tls("sslmode=require&sslrootcert=/ca.pem"), (SslMode::Require, Tls::Checked(file())));
        assert_eq!(tls("sslrootcert=/ca.pem&sslmode=verify-full"), (SslMode::Require, Tls::Checked(file())));
    }
}
