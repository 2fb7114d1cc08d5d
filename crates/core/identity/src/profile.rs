//! Whether an event may touch its person.

use crate::fold::Folded;
use crate::js;
use crate::rules::Rules;
use crate::state::State;
use crate::validate;
use crate::verdict::Drop;
use event::name::{event as name, property};
use event::{CapturedEvent, Json, Warning};

/// What an event may do to persons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Create, update, merge.
    Full,
    /// See a person that exists, leave it alone.
    Off,
    /// Not even look one up: the server said so.
    Forced,
}

/// Decides from `$process_person_profile`, the restriction `skip`, and the project's rules.
///
/// # Errors
/// A merge event that may not touch persons is meaningless and is dropped.
pub fn decide(
    state: &State,
    event: &mut CapturedEvent,
    rules: &Rules,
    skip: bool,
    out: &mut Folded,
) -> Result<Profile, Drop> {
    if event.force_personless {
        return Ok(Profile::Forced);
    }
    if skip || rules.person_processing_opt_out {
        event.properties.insert(property::PROCESS_PERSON_PROFILE, false);
    }
    match event.properties.get(property::PROCESS_PERSON_PROFILE).map(Json::text) {
        Some("false") => {
            if validate::is_merge(&event.event) {
                let warning = Warning::new("invalid_event_when_process_person_profile_is_false")
                    .with("eventUuid", event.uuid.to_string())
                    .with("event", event.event.as_str())
                    .with("distinctId", event.distinct_id.as_str());
                out.warnings.push(warning);
                return Err(Drop::InvalidEventForFlags);
            }
            Ok(Profile::Off)
        }
        None if rules.flag_called_personless && is_orphan_flag_call(state, event) => Ok(Profile::Off),
        None | Some("true") => Ok(Profile::Full),
        Some(other) => {
            let warning = Warning::new("invalid_process_person_profile")
                .with("eventUuid", event.uuid.to_string())
                .with("event", js::cut(&event.event, 200))
                .with("distinctId", event.distinct_id.as_str())
                .with(property::PROCESS_PERSON_PROFILE, js::cut(other, 200));
            out.warnings.push(warning);
            Ok(Profile::Full)
        }
    }
}

/// A flag evaluated, usually by a server SDK, for an id nobody has been seen under: not worth a person.
fn is_orphan_flag_call(state: &State, event: &CapturedEvent) -> bool {
    event.event == name::FEATURE_FLAG_CALLED
        && !event.properties.is_truthy(property::GROUPS)
        && state.person_id(&event.distinct_id).is_none()
}

/// Leaves in the properties only what agrees with the decision.
pub fn settle(event: &mut CapturedEvent, profile: Profile) {
    let full = profile == Profile::Full;
    if full {
        event.properties.remove(property::PROCESS_PERSON_PROFILE);
    } else {
        event.properties.insert(property::PROCESS_PERSON_PROFILE, false);
    }
    if !full || event.event == name::GROUP_IDENTIFY || is_ai(&event.event) {
        for key in [property::SET, property::SET_ONCE, property::UNSET] {
            event.properties.remove(key);
        }
    }
}

/// Whether the event is about a language model. Such events only read persons.
pub fn is_ai(event: &str) -> bool {
    event.starts_with("$ai_")
}

/// Whether the event shows its person but never creates or changes it.
pub fn is_read_only(event: &str) -> bool {
    event == name::EXCEPTION || is_ai(event)
}
