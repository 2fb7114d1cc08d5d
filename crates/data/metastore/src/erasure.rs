//! Erasures: who asked for which person to be forgotten, and how far that has come.

use crate::{Kind, Result};
use async_trait::async_trait;
use event::ProjectId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// One request to forget a person, kept so that a crash in the middle is gone on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// 1, 2, ...
    pub id: i64,
    /// The person's project.
    pub project: ProjectId,
    /// Distinct ids of the person, as far as they are known; empty again once its rows are gone.
    pub distinct_ids: BTreeSet<String>,
    /// The person and those merged into it; empty again once its rows are gone.
    pub person_ids: BTreeSet<Uuid>,
    /// How far it has come.
    pub stage: Stage,
    /// What the tables held when the person was forgotten, in words only they understand.
    pub marks: String,
    /// What was erased, as JSON for whoever asked.
    pub report: String,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When the last row was gone from the current tables.
    pub erased_at: Option<Timestamp>,
}

/// How far an erasure has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing is done yet.
    Asked,
    /// The person and its ids are gone from the metastore; what comes with these ids now is a new person.
    Forgotten,
    /// The tables told what other ids the person had; their rows are being taken out.
    Linked,
    /// No current table has a row of the person; older snapshots and replaced files may.
    Erased,
    /// Those are gone, too.
    Done,
}

impl Stage {
    /// As stored.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Forgotten => "forgotten",
            Self::Linked => "linked",
            Self::Erased => "erased",
            Self::Done => "done",
        }
    }

    /// From how it is stored.
    pub(crate) fn parse(tag: &str) -> Result<Self> {
        let all = [Self::Asked, Self::Forgotten, Self::Linked, Self::Erased, Self::Done];
        let found = all.into_iter().find(|stage| stage.tag() == tag);
        found.ok_or_else(|| Kind::Corrupt.error(format!("{tag:?} is no stage of an erasure")))
    }
}

/// Erasures at rest.
#[async_trait]
pub trait Store: Send + Sync {
    /// Notes that a person is to be forgotten.
    ///
    /// # Errors
    /// `Invalid` when no id is given.
    async fn ask_erasure(
        &self,
        project: ProjectId,
        distinct_ids: &BTreeSet<String>,
        person_ids: &BTreeSet<Uuid>,
        now: Timestamp,
    ) -> Result<Erasure>;

    /// Finds one erasure.
    async fn erasure(&self, id: i64) -> Result<Option<Erasure>>;

    /// Lists all erasures, oldest first.
    async fn erasures(&self) -> Result<Vec<Erasure>>;

    /// Deletes the person of an erasure that was asked for, everybody its ids lead to, and all their distinct ids, and
    /// notes those ids and `marks`; one transaction. Does nothing when that is done already.
    ///
    /// Only for the one that folds the log, when everything it folded is committed and before it folds more.
    ///
    /// # Errors
    /// `NotFound` for no such erasure.
    async fn forget_person(&self, id: i64, marks: &str) -> Result<Erasure>;

    /// Overwrites ids, stage, report and time of an erasure.
    ///
    /// # Errors
    /// `NotFound` for no such erasure.
    async fn note_erasure(&self, erasure: &Erasure) -> Result<()>;
}

/// Refuses an erasure of nobody.
pub(crate) fn refuse_nobody(distinct_ids: &BTreeSet<String>, person_ids: &BTreeSet<Uuid>) -> Result<()> {
    if distinct_ids.is_empty() && person_ids.is_empty() {
        return Err(Kind::Invalid.error("an erasure needs a distinct id or a person id"));
    }
    Ok(())
}
