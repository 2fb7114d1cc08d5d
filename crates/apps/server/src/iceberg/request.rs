//! What a request of the catalog says: names in its path, options in its query, JSON in its body.

use super::Refusal;
use crate::app::App;
use crate::body::{self, Bounds, Fault};
use ::table::outside::{NamespaceIdent, TableIdent};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// Bytes of a body: a change of one table with thousands of columns.
const BODY_BYTES: usize = 4 << 20;
/// Names a page holds at most.
const PAGE: usize = 1000;
/// What stands between the parts of a namespace in a path or a query.
const SEPARATOR: char = '\u{1f}';

/// The namespace of the path.
#[derive(Clone, Debug)]
pub struct Inside(pub NamespaceIdent);

/// The table of the path.
#[derive(Clone, Debug)]
pub struct On(pub TableIdent);

/// The query string.
#[derive(Clone, Debug)]
pub struct Asked(HashMap<String, String>);

/// The body as JSON.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

async fn names(parts: &mut Parts, app: &App) -> Result<HashMap<String, String>, Refusal> {
    let names = Path::<HashMap<String, String>>::from_request_parts(parts, app).await;
    names.map(|Path(names)| names).map_err(|rejection| Refusal::bad(rejection.body_text()))
}

/// A namespace as paths and queries have it.
pub fn namespace(text: &str) -> Result<NamespaceIdent, Refusal> {
    let parts = text.split(SEPARATOR);
    if parts.clone().any(str::is_empty) {
        return Err(Refusal::bad("A part of a namespace is empty; parts are separated by %1F."));
    }
    NamespaceIdent::from_strs(parts).map_err(|_| Refusal::bad("A namespace has at least one part."))
}

impl FromRequestParts<App> for Inside {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let names = names(parts, app).await?;
        namespace(names.get("namespace").map_or("", String::as_str)).map(Self)
    }
}

impl FromRequestParts<App> for On {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let mut names = names(parts, app).await?;
        let inside = namespace(names.get("namespace").map_or("", String::as_str))?;
        Ok(Self(TableIdent::new(inside, names.remove("table").unwrap_or_default())))
    }
}

impl FromRequestParts<App> for Asked {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Refusal> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Refusal::bad(rejection.body_text())),
        }
    }
}

impl Asked {
    /// One option, if it is given and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// An option that is on or off; off when it is left out.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.text(name) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(Refusal::bad(format!("{name} is `{text}`: say true or false."))),
        }
    }

    /// The part of sorted `names` that is asked for, and the token of the next part. Everything, to a client that does
    /// not say that it understands pages (`pageToken`).
    pub fn page<T>(&self, names: Vec<T>, name: fn(&T) -> &str) -> Result<(Vec<T>, Option<String>), Refusal> {
        let size = match self.text("pageSize").map(str::parse::<usize>) {
            None => PAGE,
            Some(Ok(size @ 1..)) => size.min(PAGE),
            Some(_) => return Err(Refusal::bad("pageSize is a number greater than 0.")),
        };
        let Some(after) = self.0.get("pageToken") else { return Ok((names, None)) };
        let mut rest = names.into_iter().skip_while(|one| !after.is_empty() && name(one) <= after.as_str());
        let page: Vec<T> = rest.by_ref().take(size).collect();
        let next = rest.next().and(page.last()).map(|last| name(last).to_owned());
        Ok((page, next))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refusal> {
        let bytes = read(request, app).await?;
        // Nesting is bounded by the parser itself.
        let json = serde_json::from_slice(&bytes);
        json.map(Self)
            .map_err(|error| Refusal::bad(format!("The body is not what is asked for here: {error}")))
    }
}

/// Reads a body, bounded in size and time.
pub async fn read(request: Request, app: &App) -> Result<Bytes, Refusal> {
    let hold = app.pressure.hold();
    let bounds = Bounds::of(app, BODY_BYTES);
    body::collect(request.into_body(), bounds, &hold).await.map_err(|fault| match fault {
        Fault::TooLarge(limit) => {
            let text = format!("The request body is larger than {limit} bytes.");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "BadRequestException", text)
        }
        Fault::Stalled(_) | Fault::Late | Fault::Gone => {
            let text = "The request body did not arrive in time.";
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "BadRequestException", text)
        }
        Fault::NoRoom => {
            let text = "The server is too busy to take this now; send it again.";
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailableException", text)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Asked {
        Asked(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn pages_follow_each_other() {
        let names = || vec!["a", "b", "c", "d", "e"];
        fn name<'a>(name: &'a &'static str) -> &'a str {
            name
        }
        let page = |pairs: &[(&str, &str)]| asked(pairs).page(names(), name).expect("a page");
        assert_eq!(page(&[]), (names(), None));
        assert_eq!(page(&[("pageSize", "2")]), (names(), None), "a client that knows no tokens");
        assert_eq!(page(&[("pageToken", "")]), (names(), None));
        assert_eq!(page(&[("pageToken", ""), ("pageSize", "2")]), (vec!["a", "b"], Some("b".to_owned())));
        assert_eq!(page(&[("pageToken", "b"), ("pageSize", "2")]), (vec!["c", "d"], Some("d".to_owned())));
        assert_eq!(page(&[("pageToken", "d"), ("pageSize", "2")]), (vec!["e"], None));
        assert_eq!(page(&[("pageToken", "zz")]), (vec![], None));
        for size in ["0", "-1", "many"] {
            assert!(asked(&[("pageSize", size)]).page(names(), name).is_err());
        }
    }

    #[test]
    fn a_namespace_has_parts() {
        assert_eq!(namespace("a\u{1f}b").expect("two parts").len(), 2);
        for text in ["", "\u{1f}", "a\u{1f}", "\u{1f}b", "a\u{1f}\u{1f}b"] {
            assert!(namespace(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_flag_is_true_or_false() {
        assert!(asked(&[("purgeRequested", "True")]).flag("purgeRequested").expect("a flag"));
        assert!(!asked(&[]).flag("purgeRequested").expect("a flag"));
        assert!(asked(&[("purgeRequested", "yes")]).flag("purgeRequested").is_err());
    }
}
