//! A change of one table: what must hold, and what is to be different.

use super::name::is_own;
use super::{Fault, Loaded, METADATA_BYTES, Outside, Reason};
use crate::catalog::is_unclear;
use iceberg::spec::TableMetadata;
use iceberg::table::Table;
use iceberg::{ErrorKind, TableIdent, TableRequirement, TableUpdate};
use serde::Deserialize;

/// How often a change is tried on newer metadata before the client is told of the conflict.
const ATTEMPTS: usize = 4;

/// A change as the protocol has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Change {
    /// The table, where the address does not say it.
    #[serde(default)]
    pub identifier: Option<TableIdent>,
    /// What must hold.
    #[serde(default)]
    pub requirements: Vec<TableRequirement>,
    /// What is to be different.
    pub updates: Vec<TableUpdate>,
}

impl Outside {
    /// Changes a table, or makes one that was prepared, and gives it as it is then.
    ///
    /// # Durability
    /// When it returns Ok the change survives a power cut.
    ///
    /// # Errors
    /// `NoTable`; `Conflict` when a requirement does not hold; `Refused` when it cannot be applied, or not to our
    /// tables; `Unclear` when the catalog does not tell what became of it.
    pub async fn commit(&self, ident: &TableIdent, change: Change) -> Result<Loaded, Fault> {
        if change.requirements.contains(&TableRequirement::NotExist) {
            return self.create_prepared(ident, change).await;
        }
        if is_own(&ident.namespace) {
            return self.commit_own(ident, change).await.map(Loaded::from);
        }
        self.commit_others(ident, change).await.map(Loaded::from)
    }

    async fn commit_others(&self, ident: &TableIdent, change: Change) -> Result<Table, Fault> {
        let mut attempt = 1;
        loop {
            let table = self.table(ident).await?;
            let after = change.apply(&table)?;
            if after.location() != table.metadata().location() {
                return Err(Fault::refused(
                    "A table stays where it is: `set-location` cannot change its folder.",
                ));
            }
            match self.swap(&table, change.clone()).await {
                // Only the metadata moved under it: what must hold is checked again.
                Err(fault) if fault.reason == Reason::Conflict && attempt < ATTEMPTS => attempt += 1,
                done => return done,
            }
        }
    }

    /// Commits a change that was found good for `table`.
    pub(super) async fn swap(&self, table: &Table, change: Change) -> Result<Table, Fault> {
        let ident = table.identifier();
        let error = match self.0.catalog.commit(ident, &change.requirements, change.updates).await {
            Ok(now) => return Ok(now),
            Err(error) if error.kind() == ErrorKind::CatalogCommitConflicts => return Err(error.into()),
            Err(error) => error,
        };
        tracing::warn!(%error, table = %ident, "a change of another program could not be committed");
        match self.0.catalog.load_table(ident).await {
            Ok(now) if now.metadata_location() == table.metadata_location() && !is_unclear(&error) => {
                Err(Fault::from(error).because(Reason::Busy))
            }
            _ => Err(Fault::from(error).because(Reason::Unclear)),
        }
    }
}

impl Change {
    /// The metadata of `table` with the change in it; nothing is written.
    pub(super) fn apply(&self, table: &Table) -> Result<TableMetadata, Fault> {
        let metadata = table.metadata();
        for requirement in &self.requirements {
            requirement.check(Some(metadata)).map_err(Fault::library)?;
        }
        let mut builder = metadata.clone().into_builder(table.metadata_location().map(str::to_owned));
        for update in &self.updates {
            builder = update.clone().apply(builder).map_err(Fault::library)?;
        }
        let after = builder.build().map_err(Fault::library)?.metadata;
        check_whole(&after)?;
        Ok(after)
    }
}

/// Refuses metadata that no reader could use, or that is too large to be written by every commit.
pub(super) fn check_whole(metadata: &TableMetadata) -> Result<(), Fault> {
    if metadata.current_snapshot_id().is_some_and(|id| metadata.snapshot_by_id(id).is_none()) {
        return Err(Fault::refused("The current snapshot cannot be removed: point `main` elsewhere first."));
    }
    metadata.table_properties().map_err(|error| {
        use std::error::Error as _;
        let cause = error.source().map_or_else(|| error.message().to_owned(), ToString::to_string);
        Fault::refused(format!("A property has a value that cannot be used: {cause}"))
    })?;
    let bytes = serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len());
    if bytes > METADATA_BYTES {
        let text = format!(
            "The table's metadata would take more than {METADATA_BYTES} bytes: expire snapshots first."
        );
        return Err(Fault::refused(text));
    }
    Ok(())
}
