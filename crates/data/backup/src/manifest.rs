//! What a backup is made of, and how it says so: one JSON file, which carries its own checksum.

use crate::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use table::carry::{Inventory, Role};

/// The version of the manifest. A program reads its own and older ones.
pub const FORMAT: u32 = 1;

/// What a file is to the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// A copy of the embedded metastore.
    Metastore,
    /// A segment of the log.
    Log,
    /// A file of the repeat memory.
    Seen,
    /// Blocks of session replay.
    Blocks,
    /// Metadata of a table.
    Metadata,
    /// A manifest list of a table.
    List,
    /// A manifest of a table.
    Manifest,
    /// A data file of a table, or one of deletions or statistics.
    Data,
}

impl From<Role> for Part {
    fn from(role: Role) -> Self {
        match role {
            Role::Metadata => Self::Metadata,
            Role::List => Self::List,
            Role::Manifest => Self::Manifest,
            Role::Data => Self::Data,
        }
    }
}

impl Part {
    /// What the file is to its table, if it belongs to one and names other files.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Metadata => Some(Role::Metadata),
            Self::List => Some(Role::List),
            Self::Manifest => Some(Role::Manifest),
            _ => None,
        }
    }
}

/// A file of the moment that is backed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Below the data folder, with slashes.
    pub path: String,
    /// What it is.
    pub part: Part,
    /// Bytes to copy, from the start.
    pub size: u64,
    /// Length to fill up to with zeros, for segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// When it was last changed, in nanoseconds since 1970: with path and size this says whether it is the same file.
    pub changed_ns: i64,
    /// The checksum it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<u32>,
}

/// A moment of a data folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Version of this description.
    pub format: u32,
    /// Name of the backup; later ones sort behind.
    pub id: String,
    /// When, as RFC 3339.
    pub made_at: String,
    /// The program that made it.
    pub program: String,
    /// `sqlite`, which is in the backup, or `postgresql`, which is not.
    pub metastore: String,
    /// The first log record that the metastore does not hold.
    pub checkpoint: u64,
    /// The first log record that is not in the backup.
    pub log_end: u64,
    /// Tables and where they were.
    pub tables: Inventory,
    /// Files that tables name outside of the data folder. They are not copied.
    pub outside: Vec<String>,
    /// Everything else.
    pub files: Vec<Piece>,
}

/// A file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Which one.
    #[serde(flatten)]
    pub piece: Piece,
    /// SHA-256 of its bytes, in hex; it names the content.
    pub sha256: String,
}

/// A backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The moment, without its files.
    pub point: Point,
    /// The files.
    pub files: Vec<Entry>,
}

/// How it is written.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    format: u32,
    sha256: String,
    #[serde(borrow)]
    backup: &'a RawValue,
}

impl Manifest {
    /// A moment as it is, for putting it elsewhere at once.
    pub fn direct(mut point: Point) -> Self {
        let pieces = std::mem::take(&mut point.files);
        let files = pieces.into_iter().map(|piece| Entry { piece, sha256: String::new() }).collect();
        Self { point, files }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|entry| entry.piece.size).sum()
    }

    /// The file.
    ///
    /// # Errors
    /// `Bug` only.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let bug = |error| Error::because(Kind::Bug, "write the manifest of a backup", error);
        let text = serde_json::to_string(self).map_err(bug)?;
        let sha256 = hex::encode(Sha256::digest(text.as_bytes()));
        let backup = RawValue::from_string(text).map_err(bug)?;
        serde_json::to_vec(&Envelope { format: FORMAT, sha256, backup: &backup }).map_err(bug)
    }

    /// Reads the file of the backup `id`.
    ///
    /// # Errors
    /// `Invalid` when a newer program wrote it, `Corrupt` when it is not what was written.
    pub fn decode(id: &str, bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = || format!("the manifest of backup {id} is damaged");
        let broken = |error| Error::because(Kind::Corrupt, damaged(), error);
        let Version { format } = serde_json::from_slice(bytes).map_err(broken)?;
        if format > FORMAT {
            let text = format!(
                "backup {id} has format {format}, this program knows up to {FORMAT}: use the newer Tenrec that made it"
            );
            return Err(Error::new(Kind::Invalid, text));
        }
        let envelope: Envelope<'_> = serde_json::from_slice(bytes).map_err(broken)?;
        if hex::encode(Sha256::digest(envelope.backup.get().as_bytes())) != envelope.sha256 {
            return Err(Error::new(Kind::Corrupt, damaged()));
        }
        let manifest: Self = serde_json::from_str(envelope.backup.get()).map_err(broken)?;
        match manifest.point.id == id {
            true => Ok(manifest),
            false => {
                Err(Error::new(Kind::Corrupt, format!("backup {id} says that it is {}", manifest.point.id)))
            }
        }
    }
}
