//! The person an event belongs to, and what the event shows of it.

use crate::fold::Fold;
use crate::merge::{self, Outcome};
use crate::person_id;
use crate::profile::{self, Profile};
use crate::row::{MappingRow, PersonMode};
use crate::update;
use event::name::property;
use event::{CapturedEvent, Json, Properties};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

/// `person_created_at` of events without a person: 1970-01-01T00:00:05Z, as PostHog writes it.
const NO_PERSON_CREATED_AT: Timestamp = Timestamp::constant(5, 0);
/// A personless event this much younger than its person was sent by someone already known.
const UPGRADE_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// Who an event belongs to.
pub struct Subject {
    /// The person's uuid, or the one it would get.
    pub id: Uuid,
    /// When it was created.
    pub created_at: Timestamp,
    /// What the event shows of its properties.
    pub properties: Arc<Properties>,
    /// How the event relates to it.
    pub mode: PersonMode,
}

/// Finds the person, and creates, updates or merges it as far as `profile` and the event's kind allow.
pub fn resolve(fold: &mut Fold<'_>, event: &CapturedEvent, profile: Profile) -> Subject {
    match profile {
        Profile::Forced => {
            merge::warn_of_no_one(fold, event);
            absent(fold, event, PersonMode::Propertyless)
        }
        Profile::Off => personless(fold, event),
        Profile::Full if profile::is_read_only(&event.event) => read(fold, event),
        Profile::Full => full(fold, event),
    }
}

fn absent(fold: &Fold<'_>, event: &CapturedEvent, mode: PersonMode) -> Subject {
    Subject {
        id: person_id(fold.state.project(), &event.distinct_id),
        created_at: NO_PERSON_CREATED_AT,
        properties: Arc::default(),
        mode,
    }
}

fn personless(fold: &mut Fold<'_>, event: &CapturedEvent) -> Subject {
    let Some(person) = fold.state.person_of(&event.distinct_id) else {
        fold.state.mark_personless(&event.distinct_id);
        return absent(fold, event, PersonMode::Propertyless);
    };
    let known_before = event.timestamp.duration_since(person.created_at) > UPGRADE_AFTER;
    let upgrade = known_before && !fold.rules.person_processing_opt_out;
    Subject {
        id: person.uuid,
        created_at: person.created_at,
        properties: Arc::default(),
        mode: if upgrade { PersonMode::ForceUpgrade } else { PersonMode::Propertyless },
    }
}

/// Shows a person without changing it. An id without one is marked as used, so that whoever it turns out to
/// be gets this event too.
fn read(fold: &mut Fold<'_>, event: &CapturedEvent) -> Subject {
    let mut subject = match fold.state.person_of(&event.distinct_id) {
        Some(person) => Subject {
            id: person.uuid,
            created_at: person.created_at,
            properties: Arc::clone(&person.properties),
            mode: PersonMode::Full,
        },
        None => {
            fold.state.mark_personless(&event.distinct_id);
            absent(fold, event, PersonMode::Full)
        }
    };
    show_set(&mut subject.properties, event);
    subject
}

fn full(fold: &mut Fold<'_>, event: &CapturedEvent) -> Subject {
    let outcome = match merge::source(event) {
        Some(source) => merge::run(fold, event, &source),
        None => Outcome::Pending { identify: false },
    };
    let mut properties = match outcome {
        Outcome::Applied(properties) => properties,
        Outcome::Pending { identify } => match fold.state.person_id(&event.distinct_id) {
            Some(person) => update::update(fold, person, event, identify),
            None => create(fold, event),
        },
    };
    // Without `$unset` the person has taken over, or at least shows, everything that was set.
    if event.properties.contains_key(property::UNSET) {
        show_set(&mut properties, event);
    }
    match fold.state.person_of(&event.distinct_id) {
        Some(person) => {
            Subject { id: person.uuid, created_at: person.created_at, properties, mode: PersonMode::Full }
        }
        None => absent(fold, event, PersonMode::Full),
    }
}

/// The mapping of a new person contradicts no event, whatever was stored under the id before: it is where
/// the uuid comes from.
fn create(fold: &mut Fold<'_>, event: &CapturedEvent) -> Arc<Properties> {
    let uuid = person_id(fold.state.project(), &event.distinct_id);
    let person = update::create(event, uuid, false, &mut fold.out);
    let properties = Arc::clone(&person.properties);
    fold.state.create_person(person);
    let mapping = fold.state.map(&event.distinct_id, uuid, 0);
    fold.state.mark_merged(&event.distinct_id);
    fold.out.mappings.push(MappingRow {
        distinct_id: event.distinct_id.clone(),
        person_id: mapping.person,
        version: mapping.version,
        is_deleted: false,
    });
    properties
}

/// An event always shows what it sets, whether or not the person took it over.
fn show_set(properties: &mut Arc<Properties>, event: &CapturedEvent) {
    let set = event.properties.get(property::SET).map(Json::fields);
    for (key, value) in set.into_iter().flatten() {
        if !properties.get(&key).is_some_and(|known| known.equals(value)) {
            Arc::make_mut(properties).insert(&key, value);
        }
    }
}
