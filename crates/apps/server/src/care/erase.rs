//! Forgetting a person everywhere: metastore, tables, recordings, and in time the files that had the rows.
//!
//! The request is in the metastore before anything is done, with how far it has come, so that a server that was killed
//! in the middle goes on where it was. Every step may be done again.

use super::command::{Line, Tell, note, watch};
use super::{Failure, Hands};
use event::ProjectId;
use jiff::{SignedDuration, Timestamp};
use metastore::Erasure;
use metastore::erasure::Stage;
use serde_json::{Map, Value, json};
use std::time::Instant;
use table::care::Marks;
use table::schema::TABLES;

/// What is known of an erasure, for whoever asked. It never names the person.
pub fn state(erasure: &Erasure, settings: &crate::settings::Care) -> Value {
    let report: Value = serde_json::from_str(&erasure.report).unwrap_or_default();
    json!({
        "id": erasure.id,
        "project": erasure.project,
        "stage": erasure.stage,
        "asked_at": erasure.asked_at.to_string(),
        "erased_at": erasure.erased_at.map(|at| at.to_string()),
        "bytes_remain_until": until(erasure, settings).map(|at| at.to_string()),
        "tables": report,
    })
}

/// When replaced files are gone at the latest: a round comes after the time that readers are given.
fn until(erasure: &Erasure, settings: &crate::settings::Care) -> Option<Timestamp> {
    let erased = erasure.erased_at?;
    let seconds = settings.grace_seconds.saturating_add(settings.every_seconds.max(60));
    let wait = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    erased.checked_add(wait).ok()
}

/// Goes on with erasures that a crash or a failure left unfinished.
pub(super) async fn resume(hands: &Hands) {
    for erasure in unfinished(hands).await {
        if erasure.stage < Stage::Erased
            && let Err(error) = carry_out(hands, erasure.id, &mut |_| {}).await
        {
            tracing::warn!(%error, id = erasure.id, "an erasure is not done yet; trying again with the next round");
        }
    }
}

/// Takes note of erasures whose old files are gone, too.
pub(super) async fn conclude(hands: &Hands) {
    let waiting = unfinished(hands).await;
    let due = |erasure: &Erasure| {
        // A second more: times of snapshots are rounded.
        let grace = i64::try_from(hands.settings.grace_seconds).unwrap_or(i64::MAX).saturating_add(1);
        let from = erasure.erased_at.and_then(|at| at.checked_add(SignedDuration::from_secs(grace)).ok());
        erasure.stage == Stage::Erased && from.is_some_and(|from| from <= hands.clock.now())
    };
    let due: Vec<Erasure> = waiting.into_iter().filter(due).collect();
    if due.is_empty() {
        return;
    }
    let mut held = 0;
    for def in TABLES {
        let began = Instant::now();
        match hands.warehouse.expire(def.name, &super::command::expiry(&hands.settings)).await {
            Ok(expired) => {
                held += expired.held;
                telemetry::table::maintained(def.name, "expire", expired.bytes, began.elapsed());
            }
            Err(error) => {
                return tracing::warn!(%error, table = def.name, "files of an erased person stay; trying again");
            }
        }
    }
    if held > 0 {
        return tracing::warn!(
            held,
            "files of an erased person stay: branches or tags name snapshots that have them"
        );
    }
    for erasure in due {
        let id = erasure.id;
        match hands.metastore.note_erasure(&Erasure { stage: Stage::Done, ..erasure }).await {
            Ok(()) => tracing::info!(id, "an erased person's old files are gone"),
            Err(error) => tracing::warn!(%error, id, "cannot note the end of an erasure; trying again"),
        }
    }
}

async fn unfinished(hands: &Hands) -> Vec<Erasure> {
    match hands.metastore.erasures().await {
        Ok(all) => all.into_iter().filter(|erasure| erasure.stage != Stage::Done).collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot look for unfinished erasures; trying again with the next round");
            Vec::new()
        }
    }
}

/// Does what is left of an erasure until no current table has a row of the person.
///
/// # Errors
/// What was done stays done; [`resume`] goes on.
pub async fn carry_out(hands: &Hands, id: i64, tell: Tell<'_>) -> Result<(), Failure> {
    let found = hands.metastore.erasure(id).await?;
    let none = || Failure { said: format!("there is no erasure {id}"), is_open: true };
    let mut erasure = found.ok_or_else(none)?;
    if erasure.stage == Stage::Asked {
        erasure = forget(hands, id).await?;
    }
    if erasure.stage == Stage::Forgotten {
        erasure = link(hands, erasure).await?;
    }
    if erasure.stage == Stage::Linked {
        erasure = sweep(hands, erasure, tell).await?;
    }
    tell(Line::Erasure { state: state(&erasure, &hands.settings) });
    Ok(())
}

/// Deletes the person in the metastore at a moment when everything before it is committed.
async fn forget(hands: &Hands, id: i64) -> Result<Erasure, Failure> {
    if let Some(orders) = &hands.orders {
        return Ok(orders.forget(id).await?);
    }
    // No pump runs: everything is committed and stays so.
    let marks = serde_json::to_string(&hands.warehouse.marks()?).unwrap_or_default();
    Ok(hands.metastore.forget_person(id, &marks).await?)
}

fn whose(erasure: &Erasure) -> Result<table::care::Erasure, Failure> {
    let marks: Marks = serde_json::from_str(&erasure.marks).map_err(|error| {
        let said = format!("the marks of erasure {} do not parse: {error}", erasure.id);
        Failure { said, is_open: false }
    })?;
    Ok(table::care::Erasure {
        project: erasure.project,
        distinct_ids: erasure.distinct_ids.clone(),
        person_ids: erasure.person_ids.clone(),
        marks,
    })
}

/// Learns from the tables what other ids the person had, and keeps them before any row that tells is gone.
async fn link(hands: &Hands, mut erasure: Erasure) -> Result<Erasure, Failure> {
    let mut whose = whose(&erasure)?;
    whose.person_ids.extend(whose.distinct_ids.iter().map(|id| identity::person_id(erasure.project, id)));
    let found = hands.warehouse.links(whose).await?;
    erasure.person_ids = found.person_ids;
    erasure.person_ids.extend(found.distinct_ids.iter().map(|id| identity::person_id(erasure.project, id)));
    erasure.distinct_ids = found.distinct_ids;
    erasure.stage = Stage::Linked;
    hands.metastore.note_erasure(&erasure).await?;
    Ok(erasure)
}

/// Takes the rows and recordings out of every table.
async fn sweep(hands: &Hands, mut erasure: Erasure, tell: Tell<'_>) -> Result<Erasure, Failure> {
    let whose = whose(&erasure)?;
    let mut report = Map::new();
    for def in TABLES {
        let began = Instant::now();
        let done = hands.warehouse.erase(def.name, &whose, &mut watch(tell)).await?;
        note(def.name, "erase", done.block_bytes, began);
        let figures = json!({
            "rows erased": done.rows, "files rewritten": done.files, "recording bytes freed": done.block_bytes,
        });
        report.insert(def.name.to_owned(), figures.clone());
        tell(Line::figures(def.name, figures));
    }
    // The request itself must not remember the person.
    erasure.distinct_ids.clear();
    erasure.person_ids.clear();
    erasure.marks.clear();
    erasure.report = Value::Object(report).to_string();
    erasure.erased_at = Some(hands.clock.now());
    erasure.stage = Stage::Erased;
    hands.metastore.note_erasure(&erasure).await?;
    tracing::info!(id = erasure.id, project = %erasure.project, "a person was erased");
    Ok(erasure)
}

/// Asks for a person to be forgotten.
///
/// # Errors
/// As the metastore: `Invalid` without any id.
pub async fn ask(
    hands: &Hands,
    project: ProjectId,
    distinct_ids: &std::collections::BTreeSet<String>,
    person_ids: &std::collections::BTreeSet<uuid::Uuid>,
) -> Result<Erasure, Failure> {
    Ok(hands.metastore.ask_erasure(project, distinct_ids, person_ids, hands.clock.now()).await?)
}
