//! The headers of a v1 request.

use super::body::Encoding;
use super::{Error, instant};
use event::token;
use jiff::Timestamp;
use uuid::Uuid;

/// Headers without which a request is refused, in the order they are named to the client.
const REQUIRED: [&str; 7] = [
    "Authorization",
    "PostHog-Sdk-Info",
    "PostHog-Attempt",
    "PostHog-Request-Id",
    "PostHog-Request-Timestamp",
    "Content-Type",
    "User-Agent",
];

/// Longest `PostHog-Sdk-Info` that is used, in bytes.
const SDK_INFO_BYTES: usize = 256;

/// What the headers of a v1 request say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The project key, well-formed.
    pub token: String,
    /// `PostHog-Request-Id` as sent: the answer repeats it.
    pub request_id: String,
    /// Counted from 1.
    pub attempt: u32,
    /// `PostHog-Request-Timestamp`: goes into [`event::Received::sent_at`].
    pub sent_at: Timestamp,
    /// Library and version; `None` when the header is of no use, which is no error.
    pub sdk: Option<(String, String)>,
    /// How the body is compressed.
    pub encoding: Option<Encoding>,
}

/// Checks the headers. `lookup` finds a header's text by its name, in whatever case; one that is there and is no
/// text is found as empty, since it is not missing.
///
/// # Errors
/// 400, 401 or 415; see [`Error`].
pub fn headers<'h>(lookup: impl Fn(&str) -> Option<&'h str>) -> Result<Head, Error> {
    let authorization = lookup("Authorization").ok_or(Error::MissingAuthorization)?;
    let missing: Vec<&str> = REQUIRED.into_iter().filter(|name| lookup(name).is_none()).collect();
    if !missing.is_empty() {
        return Err(Error::MissingRequiredHeaders(missing));
    }
    let header = |name| lookup(name).unwrap_or_default();
    Ok(Head {
        token: bearer(authorization)?,
        encoding: encoding(header("Content-Type"), lookup("Content-Encoding"))?,
        request_id: checked_request_id(header("PostHog-Request-Id"))?,
        attempt: attempt(header("PostHog-Attempt"))?,
        sent_at: sent_at(header("PostHog-Request-Timestamp"))?,
        sdk: sdk(header("PostHog-Sdk-Info")),
    })
}

/// The request id to repeat in an answer, also in one that refuses the request.
pub fn request_id<'h>(lookup: impl Fn(&str) -> Option<&'h str>) -> Option<String> {
    checked_request_id(lookup("PostHog-Request-Id")?).ok()
}

fn bearer(authorization: &str) -> Result<String, Error> {
    let key = match authorization.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("Bearer") => key,
        _ => return Err(Error::InvalidHeaderValue("Authorization must use the Bearer scheme".to_owned())),
    };
    Ok(token::validate(key)?.to_owned())
}

fn encoding(content_type: &str, content_encoding: Option<&str>) -> Result<Option<Encoding>, Error> {
    let mime = content_type.split(';').next().unwrap_or_default().trim();
    if !mime.eq_ignore_ascii_case("application/json") {
        return Err(Error::UnsupportedContentType(content_type.to_owned()));
    }
    match content_encoding.map(str::trim) {
        None | Some("") => Ok(None),
        Some(name) if name.eq_ignore_ascii_case("identity") => Ok(None),
        Some(name) => {
            Encoding::named(name).map(Some).ok_or_else(|| Error::UnsupportedEncoding(name.to_owned()))
        }
    }
}

fn checked_request_id(text: &str) -> Result<String, Error> {
    match Uuid::parse_str(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Error::InvalidHeaderValue(format!("PostHog-Request-Id is not a UUID: {text}"))),
    }
}

fn attempt(text: &str) -> Result<u32, Error> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|attempt| digits && *attempt >= 1).ok_or_else(|| {
        Error::InvalidHeaderValue(format!("PostHog-Attempt must be a whole number from 1: {text}"))
    })
}

fn sent_at(text: &str) -> Result<Timestamp, Error> {
    instant::rfc3339(text).ok_or_else(|| {
        Error::InvalidHeaderValue(format!("PostHog-Request-Timestamp is not an RFC 3339 time: {text}"))
    })
}

fn sdk(info: &str) -> Option<(String, String)> {
    let (library, version) = info.rsplit_once('/').filter(|_| info.len() <= SDK_INFO_BYTES)?;
    let (library, version) = (library.trim(), version.trim());
    (!library.is_empty() && !version.is_empty()).then(|| (library.to_owned(), version.to_owned()))
}
