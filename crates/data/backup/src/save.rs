//! Making a backup: what is not at the target yet is copied, then the backup becomes visible.

use crate::target::Stored;
use crate::{Entry, Error, Kind, Listener, Manifest, Origin, Part, Piece, Point, Progress, Result, Target};
use std::collections::HashMap;

/// What a backup did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Its name.
    pub id: String,
    /// Files in it.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were copied.
    pub copied_files: usize,
    /// Their bytes.
    pub copied_bytes: u64,
}

/// Writes a backup of a moment. Broken off, it leaves nothing but content that the next one uses or removes.
///
/// # Errors
/// `Busy` when another one is being written to the same folder; `Corrupt` naming a file that is not what the server
/// wrote; `Unavailable` when a disk or the store does not answer.
pub async fn save(origin: &dyn Origin, point: Point, target: &Target, tell: Listener<'_>) -> Result<Saved> {
    let _only = target.lock()?;
    target.sweep()?;
    let known = known(target).await?;
    let mut contents = target.contents().await?;
    let mut progress = Progress {
        of_files: point.files.len(),
        of_bytes: point.files.iter().map(|piece| piece.size).sum(),
        ..Progress::default()
    };
    let mut saved = Saved {
        id: point.id.clone(),
        files: progress.of_files,
        bytes: progress.of_bytes,
        ..Saved::default()
    };
    let mut entries = Vec::with_capacity(point.files.len());
    for piece in &point.files {
        tell(progress);
        let same = known.get(piece.path.as_str()).filter(|entry| is_same(&entry.piece, piece));
        let there = same.filter(|entry| contents.get(&entry.sha256) == Some(&piece.size));
        let entry = match there {
            Some(entry) => Entry { piece: piece.clone(), sha256: entry.sha256.clone() },
            None => {
                let entry = copy(origin, piece, target).await?;
                if contents.insert(entry.sha256.clone(), piece.size).is_none() {
                    saved.copied_files += 1;
                    saved.copied_bytes += piece.size;
                }
                entry
            }
        };
        entries.push(entry);
        progress.files += 1;
        progress.bytes += piece.size;
    }
    tell(progress);
    // What was there at the beginning may have been removed by somebody who could not know.
    let contents = target.contents().await?;
    for entry in &entries {
        if contents.get(&entry.sha256) != Some(&entry.piece.size) {
            copy(origin, &entry.piece, target).await?;
        }
    }
    let point = Point { files: Vec::new(), ..point };
    target.publish(&Manifest { point, files: entries }).await?;
    Ok(saved)
}

/// Files of the newest backup that can be read, by path.
async fn known(target: &Target) -> Result<HashMap<String, Entry>> {
    for id in target.ids().await?.iter().rev() {
        match target.manifest(id).await {
            Ok(manifest) => {
                return Ok(manifest
                    .files
                    .into_iter()
                    .map(|entry| (entry.piece.path.clone(), entry))
                    .collect());
            }
            Err(error) if matches!(error.kind(), Kind::Corrupt | Kind::Invalid) => {
                tracing::warn!(%error, "an earlier backup cannot be read; run `tenrec backup verify`");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(HashMap::new())
}

/// Whether a file is the one that was copied before: all but the metastore are never changed under their name, and a
/// segment grows.
fn is_same(before: &Piece, now: &Piece) -> bool {
    now.part != Part::Metastore && before == now
}

async fn copy(origin: &dyn Origin, piece: &Piece, target: &Target) -> Result<Entry> {
    let Stored { sha256, crc32 } = target.store(piece, &mut |sink| origin.pour(piece, sink)).await?;
    match piece.seal {
        Some(seal) if seal != crc32 => {
            let text = format!(
                "the content of {} is not what was written: the disk or a program changed it. Restore the file from an \
                 earlier backup, or take it out of its table, before the next backup",
                piece.path
            );
            Err(Error::new(Kind::Corrupt, text))
        }
        _ => Ok(Entry { piece: piece.clone(), sha256 }),
    }
}
