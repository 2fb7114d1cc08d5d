//! Which restriction holds for an event.

use crate::rules::{Action, Restriction, Rules};
use event::CapturedEvent;
use event::name::property;

/// The strongest action among the restrictions that match.
pub fn strongest(event: &CapturedEvent, rules: &Rules) -> Option<Action> {
    rules.restrictions.iter().filter(|r| matches(r, event)).map(|r| r.action).min()
}

fn matches(restriction: &Restriction, event: &CapturedEvent) -> bool {
    let session = || event.properties.text_of(property::SESSION_ID);
    let allows = |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
    allows(&restriction.tokens, &event.api_key)
        && allows(&restriction.distinct_ids, &event.distinct_id)
        && allows(&restriction.events, &event.event)
        && (restriction.session_ids.is_empty()
            || session().is_some_and(|s| allows(&restriction.session_ids, &s)))
        && (restriction.uuids.is_empty() || restriction.uuids.contains(&event.uuid))
}
