//! Properties brought into the one form that is stored.

use crate::fold::Folded;
use crate::js;
use crate::rules::Rules;
use event::name::property;
use event::{CapturedEvent, Warning};
use uuid::Uuid;

/// Characters of an event name.
const NAME_UNITS: usize = 200;

/// Keys that SDKs send for themselves and nobody queries.
const BLOAT: [&str; 3] = ["ph_product_tours", "$product_tours_activated", "$override_feature_flag_payloads"];

/// Fills `$ip` and `$sent_at`, brings `$session_id` into its canonical form.
pub fn arrive(event: &mut CapturedEvent, out: &mut Folded) {
    if let Some(ip) = event.ip.take()
        && !event.properties.is_truthy(property::IP)
    {
        event.properties.insert(property::IP, ip.as_str());
    }
    if let Some(sent_at) = event.sent_at {
        event.properties.insert("$sent_at", sent_at.to_string().as_str());
    }
    session(event, out);
}

fn session(event: &mut CapturedEvent, out: &mut Folded) {
    let Some(value) = event.properties.get(property::SESSION_ID).filter(|value| !value.is_null()) else {
        return;
    };
    match value.as_str().filter(|id| is_uuid(id)) {
        Some(id) => {
            if id.bytes().any(|byte| byte.is_ascii_uppercase()) {
                let id = id.to_ascii_lowercase();
                event.properties.insert(property::SESSION_ID, id.as_str());
            }
        }
        None => {
            let id = js::text_of(value);
            let warning = Warning::new("invalid_event_session_id")
                .with("eventUuid", event.uuid.to_string())
                .with("event", js::cut(&event.event, NAME_UNITS))
                .with("distinctId", event.distinct_id.as_str())
                .with("sessionId", js::cut(&id, 200));
            out.warnings.push(warning);
        }
    }
}

/// Whether `text` is a uuid with hyphens, of any version.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// Takes out what is not stored and cuts the name. Enrichment has read `$ip` by now.
pub fn prepare(event: &mut CapturedEvent, rules: &Rules) {
    if js::longer_than(&event.event, NAME_UNITS) {
        let length = js::cut(&event.event, NAME_UNITS).len();
        event.event.truncate(length);
    }
    if rules.anonymize_ips {
        event.properties.remove(property::IP);
    }
    for key in BLOAT {
        event.properties.remove(key);
    }
}
