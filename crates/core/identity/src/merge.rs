//! Two distinct ids become one person, or are refused.
//!
//! The distinct id of the event is the target and survives when both sides are persons; the other id is the
//! source. Whether a merge is allowed depends on the source alone: an identified person is not merged away.

use crate::fold::Fold;
use crate::js;
use crate::row::{MappingRow, PersonRow};
use crate::update;
use crate::{person_id, validate};
use event::name::{event as name, property};
use event::{CapturedEvent, Properties, Warning};
use std::borrow::Cow;
use std::sync::Arc;
use uuid::Uuid;

/// How far above its last version a person's tombstone lies, so that no late version outlives it.
const TOMBSTONE_STEP: i64 = 100;

/// What is left to do after a merge was tried.
pub enum Outcome {
    /// The event is applied; these are the properties it shows.
    Applied(Arc<Properties>),
    /// The event's own person still has to be created or updated, and `identify`.
    Pending {
        /// Whether the event identifies its person.
        identify: bool,
    },
}

/// Why two ids are not merged, whatever persons they have.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They are one id.
    Same,
    /// The first is not one person's id; the second is the other of the pair.
    Illegal(String, String),
}

/// The id an event wants merged into its distinct id.
pub fn source(event: &CapturedEvent) -> Option<Cow<'_, str>> {
    let value = match event.event.as_str() {
        name::IDENTIFY => event.properties.get(property::ANON_DISTINCT_ID).filter(|value| !value.is_null()),
        name::CREATE_ALIAS | name::MERGE_DANGEROUSLY => {
            event.properties.get(property::ALIAS).filter(|value| value.is_truthy())
        }
        _ => None,
    };
    value.map(js::text_of)
}

/// Whether `source` and `target` can be ids of one person at all.
pub fn refusal(source: &str, target: &str) -> Option<Refusal> {
    if source == target {
        Some(Refusal::Same)
    } else if is_illegal(target) {
        Some(Refusal::Illegal(target.to_owned(), source.to_owned()))
    } else if is_illegal(source) {
        Some(Refusal::Illegal(source.to_owned(), target.to_owned()))
    } else {
        None
    }
}

/// Whether many different people are likely to share this id, because a program wrote it by mistake.
pub fn is_illegal(id: &str) -> bool {
    if id.trim().is_empty() || id.contains('\0') || (id.len() > 400 && id.chars().count() > 400) {
        return true;
    }
    let bare =
        ['\'', '"'].iter().find_map(|quote| id.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(id);
    if matches!(bare, "[object Object]" | "NaN" | "None" | "none" | "null" | "0" | "undefined") {
        return true;
    }
    const WORDS: [&str; 10] = [
        "anonymous",
        "guest",
        "distinctid",
        "distinct_id",
        "id",
        "not_authenticated",
        "email",
        "undefined",
        "true",
        "false",
    ];
    WORDS.iter().any(|word| bare.eq_ignore_ascii_case(word))
}

/// Merges as `event` asks, as far as allowed.
pub fn run(fold: &mut Fold<'_>, event: &CapturedEvent, source: &str) -> Outcome {
    let target = event.distinct_id.as_str();
    match refusal(source, target) {
        Some(Refusal::Same) => return Outcome::Pending { identify: false },
        Some(Refusal::Illegal(illegal, other)) => {
            fold.out.warnings.push(illegal_id(event, &illegal, &other));
            return Outcome::Pending { identify: false };
        }
        None => {}
    }
    match (fold.state.person_id(source), fold.state.person_id(target)) {
        (None, None) => Outcome::Applied(create_both(fold, event, source)),
        (Some(person), None) => {
            warn_of_shared_browser(fold, event, source, person);
            join(fold, target, person);
            Outcome::Pending { identify: true }
        }
        (None, Some(person)) => {
            join(fold, source, person);
            Outcome::Pending { identify: true }
        }
        (Some(from), Some(into)) if from == into => Outcome::Pending { identify: true },
        (Some(from), Some(into)) => merge_persons(fold, event, source, (from, into)),
    }
}

/// Tells of a merge that is not even tried, because the event's own distinct id stands for no one.
pub fn warn_of_no_one(fold: &mut Fold<'_>, event: &CapturedEvent) {
    let Some(source) = source(event).filter(|source| *source != event.distinct_id) else { return };
    fold.out.warnings.push(illegal_id(event, &event.distinct_id, &source));
}

fn illegal_id(event: &CapturedEvent, illegal: &str, other: &str) -> Warning {
    Warning::new("cannot_merge_with_illegal_distinct_id")
        .with("illegalDistinctId", js::cut(illegal, 400))
        .with("otherDistinctId", js::cut(other, 400))
        .with("eventUuid", event.uuid.to_string())
}

/// One person for two ids that had none. The id whose events already carry its own person id gives the
/// uuid, so that they need no override; the target does when that decides nothing.
fn create_both(fold: &mut Fold<'_>, event: &CapturedEvent, source: &str) -> Arc<Properties> {
    let target = event.distinct_id.as_str();
    let source_used = fold.state.used_personless(source);
    let target_used = fold.state.used_personless(target);
    let (first, second) = if source_used && !target_used { (source, target) } else { (target, source) };
    let uuid = person_id(fold.state.project(), first);
    let person = update::create(event, uuid, true, &mut fold.out);
    let properties = Arc::clone(&person.properties);
    fold.state.create_person(person);
    map(fold, first, uuid, 0);
    map(fold, second, uuid, i64::from(source_used && target_used));
    properties
}

/// Adds an id without a person to a living person. Events stored under the id's own person id need an override.
fn join(fold: &mut Fold<'_>, distinct_id: &str, person: Uuid) {
    let version = i64::from(fold.state.used_personless(distinct_id));
    map(fold, distinct_id, person, version);
}

fn map(fold: &mut Fold<'_>, distinct_id: &str, person: Uuid, version: i64) {
    let mapping = fold.state.map(distinct_id, person, version);
    fold.state.mark_merged(distinct_id);
    fold.out.mappings.push(MappingRow {
        distinct_id: distinct_id.to_owned(),
        person_id: mapping.person,
        version: mapping.version,
        is_deleted: false,
    });
}

fn merge_persons(
    fold: &mut Fold<'_>,
    event: &CapturedEvent,
    source: &str,
    (from, into): (Uuid, Uuid),
) -> Outcome {
    let identified = fold.state.person(from).is_some_and(|person| person.is_identified);
    if identified && event.event != name::MERGE_DANGEROUSLY {
        let warning = Warning::new("cannot_merge_already_identified")
            .with("sourcePersonDistinctId", source)
            .with("targetPersonDistinctId", event.distinct_id.as_str())
            .with("eventUuid", event.uuid.to_string());
        fold.out.warnings.push(warning);
        return Outcome::Pending { identify: true };
    }
    let Some((person, ids)) = fold.state.merge_away(from) else {
        return Outcome::Pending { identify: true };
    };
    for id in ids {
        let version = fold.state.mapping_of(&id).map_or(1, |old| old.version.saturating_add(1));
        map(fold, &id, into, version);
    }
    let tombstone = PersonRow {
        is_deleted: true,
        version: person.version.saturating_add(TOMBSTONE_STEP),
        properties: Arc::default(),
        ..update::row(&person)
    };
    let view = update::merge(fold, into, person, event);
    fold.out.persons.push(tombstone);
    Outcome::Applied(view)
}

/// Two people on one browser: the second one's first `$identify` still names the anonymous id that has
/// become the first one's. The merge is kept as it is; this only makes it visible.
fn warn_of_shared_browser(fold: &mut Fold<'_>, event: &CapturedEvent, source: &str, person: Uuid) {
    let identified = fold.state.person(person).is_some_and(|person| person.is_identified);
    if !identified || event.event == name::MERGE_DANGEROUSLY || !validate::is_merge(&event.event) {
        return;
    }
    let warning = Warning::new("joined_identified_person")
        .with("severity", "info")
        .with("sourcePersonDistinctId", source)
        .with("targetPersonDistinctId", event.distinct_id.as_str())
        .with("eventUuid", event.uuid.to_string());
    fold.out.warnings.push(warning);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn illegal_ids() {
        for id in [
            "",
            "  ",
            "Anonymous",
            "GUEST",
            "'guest'",
            "\"null\"",
            "[object Object]",
            "NaN",
            "none",
            "None",
            "0",
            "'0'",
            "undefined",
            "UNDEFINED",
            "true",
            "email",
            "a\0b",
        ] {
            assert!(is_illegal(id), "{id:?}");
        }
        for id in [
            "nan", "Null", "00", "alice", "NONE", "'alice'", "'", "''", "\"null'", " null ", "guest ",
            "guest2",
        ] {
            assert!(!is_illegal(id), "{id:?}");
        }
    }
}
