//! Letting old backups go, and with them the content that no other needs.

use crate::target::content;
use crate::{Error, Kind, Result, Target};
use std::collections::HashSet;

/// What pruning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Backups removed.
    pub backups: usize,
    /// Files removed.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes all but the newest `keep` backups, and all content that none of those names: what broken-off backups left,
/// too.
///
/// # Errors
/// `Invalid` for none to keep, `Busy` when a backup is being written, `Corrupt` when one that stays cannot be read:
/// nothing is removed then.
pub async fn prune(target: &Target, keep: usize) -> Result<Pruned> {
    if keep == 0 {
        return Err(Error::new(
            Kind::Invalid,
            "keep at least one backup; remove the folder itself to have none",
        ));
    }
    let _only = target.lock()?;
    let ids = target.ids().await?;
    let (old, kept) = ids.split_at(ids.len().saturating_sub(keep));
    let mut needed: HashSet<String> = HashSet::new();
    for id in kept {
        needed.extend(target.manifest(id).await?.files.into_iter().map(|entry| entry.sha256));
    }
    let mut pruned = Pruned::default();
    for id in old {
        target.remove(&format!("backups/{id}.json")).await?;
        pruned.backups += 1;
    }
    for (sha256, bytes) in target.contents().await? {
        if !needed.contains(&sha256) {
            target.remove(&content(&sha256)).await?;
            pruned.files += 1;
            pruned.bytes += bytes;
        }
    }
    target.sweep()?;
    Ok(pruned)
}
