//! Whom the event of a span belongs to, and its uuid.

use super::any_value::{hex, text};
use super::proto::{KeyValue, Span};
use uuid::Uuid;

/// Attributes of a span that name a person, in order: one process serves many.
const OF_SPAN: [&str; 5] = [
    "ai.telemetry.metadata.posthog_distinct_id",
    "ai.settings.context.posthog_distinct_id",
    "posthog.distinct_id",
    "user.id",
    "enduser.id",
];

/// Attributes of the resource that do.
const OF_RESOURCE: [&str; 3] = ["posthog.distinct_id", "user.id", "enduser.id"];

/// Attributes that name a session of several traces, in order.
const SESSION: [&str; 6] = [
    "$ai_session_id",
    "ai.telemetry.metadata.$ai_session_id",
    "ai.settings.context.$ai_session_id",
    "eve.session.id",
    "anthropic.session.id",
    "gen_ai.conversation.id",
];

/// Namespace of the uuids derived here. Changing it would make every span that is exported again a new event.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_2c0e_8a5b_5b0e_9d1c_43a7_70e5_21b8);

/// The person that the span or else the resource names.
pub(super) fn person<'a>(span: &'a Span, resource: &'a [KeyValue]) -> Option<&'a str> {
    let of_span = OF_SPAN.iter().find_map(|key| text(&span.attributes, key));
    of_span.or_else(|| OF_RESOURCE.iter().find_map(|key| text(resource, key)))
}

/// The session that the span or else the resource names.
pub(super) fn session<'a>(span: &'a Span, resource: &'a [KeyValue]) -> Option<&'a str> {
    SESSION.iter().find_map(|key| text(&span.attributes, key).or_else(|| text(resource, key)))
}

/// The uuid of a span's event: the same however often it is exported.
///
/// `otherwise` stands for a span that has no ids.
pub(super) fn event_uuid(span: &Span, otherwise: impl FnOnce() -> String) -> Uuid {
    let name = match (is_set(&span.trace_id), is_set(&span.span_id)) {
        (true, true) => format!("{}/{}", hex(&span.trace_id), hex(&span.span_id)),
        _ => otherwise(),
    };
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// Whether an id is one: all zeroes mean none.
pub(super) fn is_set(id: &[u8]) -> bool {
    id.iter().any(|byte| *byte != 0)
}
