//! The exact answers of capture v0 and replay. SDKs decide by the status alone, so a success is 200 and a
//! payload that can never succeed is never 5xx or 429.

use event::Rejection;
use std::borrow::Cow;

/// A complete answer, less the headers that every answer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `content-type`; `None` when there is no body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Cow<'static, str>,
}

/// `{"status":"Ok"}`: the body of every success.
pub const OK: &str = r#"{"status":"Ok"}"#;
/// The body that makes posthog-js stop sending recordings for a minute.
pub const RECORDINGS_LIMITED: &str = r#"{"status":"Ok","quota_limited":["recordings"]}"#;

/// Success. With `beacon` it is 204 without a body, since browsers read neither.
pub fn ok(beacon: bool) -> Answer {
    success(OK, beacon)
}

/// Success, though nothing was stored because the recordings quota is used up.
pub fn recordings_limited(beacon: bool) -> Answer {
    success(RECORDINGS_LIMITED, beacon)
}

/// A refusal: its text as plain text.
pub fn refusal(rejection: &Rejection) -> Answer {
    Answer {
        status: status(rejection),
        content_type: Some("text/plain; charset=utf-8"),
        body: Cow::Owned(rejection.to_string()),
    }
}

/// The status that tells an SDK what to do: drop (400, 401), split (413) or send again (408, 503).
pub fn status(rejection: &Rejection) -> u16 {
    match rejection {
        Rejection::EmptyPayload
        | Rejection::Decoding(_)
        | Rejection::Parsing(_)
        | Rejection::Hydration(_)
        | Rejection::EmptyBatch
        | Rejection::NoEventName
        | Rejection::NoDistinctId
        | Rejection::InvalidCookieless
        | Rejection::NoSessionId
        | Rejection::InvalidSession
        | Rejection::NoSnapshot
        | Rejection::NotAiEvent => 400,
        Rejection::NoToken
        | Rejection::MultipleTokens
        | Rejection::InvalidToken(_)
        | Rejection::UnknownToken
        | Rejection::NoSignature
        | Rejection::BadSignature => 401,
        Rejection::BodyTimeout => 408,
        Rejection::TooLarge(_) => 413,
        Rejection::Retry => 503,
    }
}

fn success(body: &'static str, beacon: bool) -> Answer {
    if beacon {
        return Answer { status: 204, content_type: None, body: Cow::Borrowed("") };
    }
    Answer { status: 200, content_type: Some("application/json"), body: Cow::Borrowed(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_exact() {
        assert_eq!(ok(false).body, r#"{"status":"Ok"}"#);
        assert_eq!((ok(true).status, &*ok(true).body), (204, ""));
        assert_eq!(recordings_limited(false).body, r#"{"status":"Ok","quota_limited":["recordings"]}"#);
        let refused = refusal(&Rejection::InvalidToken("empty"));
        assert_eq!((refused.status, &*refused.body), (401, "API key is not valid: empty"));
        assert_eq!(refused.content_type, Some("text/plain; charset=utf-8"));
        assert_eq!(status(&Rejection::TooLarge(String::new())), 413);
        assert_eq!(status(&Rejection::Retry), 503);
        assert_eq!(status(&Rejection::BodyTimeout), 408);
    }
}
