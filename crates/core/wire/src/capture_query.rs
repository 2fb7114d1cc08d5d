//! The query string of capture requests.

use crate::encoding_form;
use event::timestamp;
use jiff::Timestamp;
use std::borrow::Cow;

/// What capture reads from a query string. Everything else in it is ignored, and nothing in it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// `data`, percent-decoded: a payload in place of the body.
    pub data: Option<Cow<'a, [u8]>>,
    /// `compression`.
    pub compression: Option<String>,
    /// `_` or `sent_at`: the first that is a time.
    pub sent_at: Option<Timestamp>,
    /// `beacon` is `1` or `true`: the answer must be 204.
    pub beacon: bool,
    /// `token` or `api_key`: used when the body has no key.
    pub token: Option<String>,
}

impl<'a> Query<'a> {
    /// Reads the text behind `?`. Of a repeated parameter the first counts.
    pub fn parse(text: &'a str) -> Self {
        let mut query = Self::default();
        for (key, value) in encoding_form::pairs(text.as_bytes()) {
            match &*key {
                b"data" if query.data.is_none() => query.data = Some(value).filter(|data| !data.is_empty()),
                b"compression" => fill(&mut query.compression, &value),
                b"_" | b"sent_at" if query.sent_at.is_none() => {
                    query.sent_at = std::str::from_utf8(&value).ok().and_then(timestamp::from_query);
                }
                b"beacon" => query.beacon |= matches!(&*value, b"1" | b"true"),
                b"token" | b"api_key" => fill(&mut query.token, &value),
                _ => {}
            }
        }
        query
    }
}

fn fill(slot: &mut Option<String>, value: &[u8]) {
    if slot.is_none() && !value.is_empty() {
        *slot = Some(String::from_utf8_lossy(value).into_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_query_is_an_error() {
        let query =
            Query::parse("data=e30%3D&data=x&compression=gzip-js&_=abc&_=1700000000000&beacon=abc&ip=0&&=&%");
        assert_eq!(query.data.as_deref(), Some(&b"e30="[..]));
        assert_eq!(query.compression.as_deref(), Some("gzip-js"));
        assert_eq!(query.sent_at.map(|at| at.as_millisecond()), Some(1_700_000_000_000));
        assert!(!query.beacon);
        assert_eq!(Query::parse("_=1700000000").sent_at, None);
        assert_eq!(Query::parse(""), Query::default());
        let query = Query::parse("beacon=1&token=phc_x&ver=1.2");
        assert!(query.beacon);
        assert_eq!(query.token.as_deref(), Some("phc_x"));
    }
}
