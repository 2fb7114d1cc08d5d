//! One event into rows: the order in which everything happens.

use crate::group::{self, Membership};
use crate::profile::{self, Profile};
use crate::row::{EventRow, GroupRow, HeatmapRow, MappingRow, PersonRow};
use crate::rules::{Action, Rules};
use crate::state::State;
use crate::subject::{self, Subject};
use crate::verdict::{DeadLetter, Drop};
use crate::{cost, elements, heatmap, js, normalize, promote, restriction, size, validate};
use event::name::{event as name, property};
use event::{CapturedEvent, Warning};

/// Everything one event comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    /// The event itself, unless it was dropped or is not one.
    pub event: Option<EventRow>,
    /// New versions of persons, tombstones included.
    pub persons: Vec<PersonRow>,
    /// New versions of mappings.
    pub mappings: Vec<MappingRow>,
    /// New versions of groups.
    pub groups: Vec<GroupRow>,
    /// Points on heatmaps.
    pub heatmaps: Vec<HeatmapRow>,
    /// What its sender should know, capture's warnings first.
    pub warnings: Vec<Warning>,
    /// Why there is no event row, when a rule took it away. Rows of other tables may still be there.
    pub dropped: Option<Drop>,
    /// The event set aside instead of being folded.
    pub dead_letter: Option<Box<DeadLetter>>,
    /// The slot of the group that `$groupidentify` is about, for [`crate::Seen::observe`].
    pub group_type_index: Option<u8>,
}

/// What the steps of one fold share.
pub(crate) struct Fold<'a> {
    pub state: &'a mut State,
    pub rules: &'a Rules,
    pub out: Folded,
}

/// Folds one event into `state`.
///
/// Total and deterministic: the same state, event and rules give the same answer. Time comes from the event.
/// The caller has loaded what [`State::missing`] named; what is not known counts as not existing.
pub fn fold(state: &mut State, mut event: CapturedEvent, rules: &Rules) -> Folded {
    let mut warnings = std::mem::take(&mut event.warnings);
    for warning in &mut warnings {
        warning.details.entry("eventUuid").or_insert_with(|| event.uuid.to_string().into());
        warning.details.entry("distinctId").or_insert_with(|| event.distinct_id.as_str().into());
    }
    let mut fold = Fold { state, rules, out: Folded { warnings, ..Folded::default() } };
    if let Err(drop) = run(&mut fold, event) {
        fold.out.dropped = Some(drop);
    }
    fold.out
}

fn run(fold: &mut Fold<'_>, mut event: CapturedEvent) -> Result<(), Drop> {
    let action = restriction::strongest(&event, fold.rules);
    match action {
        Some(Action::Drop) => return Err(Drop::Restricted),
        Some(Action::DeadLetter) => {
            let letter = DeadLetter { reason: "restricted", step: "restriction", event };
            fold.out.dead_letter = Some(Box::new(letter));
            return Ok(());
        }
        Some(Action::SkipPerson) | None => {}
    }
    if event.distinct_id.contains('\0') {
        event.distinct_id = event.distinct_id.replace('\0', "\u{fffd}");
    }
    if let Some((drop, warning)) = validate::check(&event, fold.rules) {
        fold.out.warnings.push(warning);
        return Err(drop);
    }
    match event.event.as_str() {
        name::CLIENT_WARNING => {
            fold.out.warnings.push(client_warning(&event));
            Ok(())
        }
        name::HEATMAP => {
            normalize::arrive(&mut event, &mut fold.out);
            heatmap::extract(&mut event, fold.rules, &mut fold.out)
        }
        _ => analytics(fold, event, action == Some(Action::SkipPerson)),
    }
}

fn client_warning(event: &CapturedEvent) -> Warning {
    let message = event.properties.get("$$client_ingestion_warning_message").map(js::text_of);
    Warning::new("client_ingestion_warning")
        .with("eventUuid", event.uuid.to_string())
        .with("event", event.event.as_str())
        .with("distinctId", event.distinct_id.as_str())
        .with("message", message.unwrap_or_default().as_ref())
}

/// Everything that becomes an event row.
fn analytics(fold: &mut Fold<'_>, mut event: CapturedEvent, skip_person: bool) -> Result<(), Drop> {
    let profile = profile::decide(fold.state, &mut event, fold.rules, skip_person, &mut fold.out)?;
    fold.state.advance(&event.distinct_id);
    normalize::arrive(&mut event, &mut fold.out);
    if profile == Profile::Full {
        promote::promote(&event.event, &mut event.properties);
    }
    profile::settle(&mut event, profile);
    for key in [property::SET, property::SET_ONCE] {
        if event.properties.get(key).is_some_and(|value| value.text().contains("\\u0000")) {
            event.properties.update(key, js::clear_nul);
        }
    }
    let subject = subject::resolve(fold, &event, profile);
    normalize::prepare(&mut event, fold.rules);
    let membership = if profile == Profile::Full {
        group::apply(fold, &mut event)
    } else {
        for slot in group::SLOTS {
            event.properties.remove(slot);
        }
        Membership::default()
    };
    if profile::is_ai(&event.event) {
        cost::apply(&event.event, &mut event.properties, &fold.rules.model_prices);
    }
    heatmap::extract(&mut event, fold.rules, &mut fold.out)?;
    emit(fold, event, subject, membership)
}

fn emit(
    fold: &mut Fold<'_>,
    mut event: CapturedEvent,
    subject: Subject,
    membership: Membership,
) -> Result<(), Drop> {
    let elements_chain = elements::take_chain(&mut event.properties);
    let rest = size::of_map(&event.extra) + elements_chain.len();
    let most = size::at_most(&event.properties) + size::at_most(&subject.properties) + rest;
    let bytes = || size::of(&event.properties) + size::of(&subject.properties) + rest;
    if let Some(bytes) =
        (most > fold.rules.max_row_bytes).then(bytes).filter(|b| *b > fold.rules.max_row_bytes)
    {
        let warning = Warning::new("message_size_too_large")
            .with("eventUuid", event.uuid.to_string())
            .with("distinctId", event.distinct_id.as_str())
            .with("bytes", bytes)
            .with("limitBytes", fold.rules.max_row_bytes);
        fold.out.warnings.push(warning);
        return Err(Drop::MessageSizeTooLarge);
    }
    fold.out.group_type_index = membership.identified;
    fold.out.event = Some(EventRow {
        uuid: event.uuid,
        groups: group::columns(&event.properties),
        event: event.event,
        distinct_id: event.distinct_id,
        timestamp: event.timestamp,
        created_at: event.received_at,
        properties: event.properties,
        context: event.context,
        elements_chain,
        person_id: subject.id,
        person_created_at: subject.created_at,
        person_properties: subject.properties,
        person_mode: subject.mode,
        group_properties: membership.properties,
        api_key: event.api_key,
        extra: event.extra,
    });
    Ok(())
}
