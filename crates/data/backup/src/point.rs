//! A moment of a data folder in which all parts belong together, held while it is copied.
//!
//! The parts are written one after the other and on their own: blocks, tables, metastore, then the log forgets. A crash
//! may stop that anywhere and nothing is lost or doubled, so a moment is sound when a crash could have left it:
//!
//! - the log is taken first and last, so it has everything from the metastore's checkpoint on;
//! - the metastore is read as of one moment, and the repeat memory is listed while its checkpoint stays the same;
//! - the tables are read after it, so they cover at least what its checkpoint says.
//!
//! Every file of the moment gets a second name (a hard link) in a folder of its own: whatever the server merges, lets
//! expire or releases meanwhile stays readable under it. Nothing has to be told to the server.

use crate::error::Doing;
use crate::{Error, FORMAT, Kind, Part, Piece, Point, Result};
use metastore::sqlite::copy::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use table::carry::{self, Inventory, Move};

/// How often a moment is looked for while the server changes things.
const ATTEMPTS: usize = 20;
/// The folder of moments, below the data folder.
const FOLDER: &str = "backup";

/// Where the metastore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// `tenrec.db` in the data folder.
    InFolder,
    /// In a PostgreSQL database, at this checkpoint, with no server that uses it.
    Elsewhere(u64),
}

/// What a backup is called.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name.
    pub id: String,
    /// When, as RFC 3339.
    pub made_at: String,
    /// The program.
    pub program: String,
    /// Where the metastore is.
    pub store: Store,
    /// Whether no server may use the folder from the moment on, until it is let go.
    pub at_rest: bool,
}

/// A moment that is held until this is dropped.
pub struct Held {
    /// What is in it.
    pub point: Point,
    folder: PathBuf,
    _lock: File,
    /// Keeps servers away where files cannot have a second name.
    _rest: Option<File>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, path = %self.folder.display(), "what a backup held stays until the next one");
        }
    }
}

impl Held {
    /// Where a file of the moment can be read.
    pub fn path(&self, piece: &Piece) -> PathBuf {
        self.folder.join(&piece.path)
    }
}

/// Takes a moment of a data folder, which a server may be using. It is what a crash just now would leave, so that every
/// record that was acknowledged before the call is in it.
///
/// # Errors
/// `Invalid` when the folder has no data or cannot be backed up as it is, `Busy` when too much changed meanwhile,
/// `Corrupt` and `Unavailable` as reading it.
pub async fn take(data: &Path, about: &About) -> Result<Held> {
    let data = data.canonicalize().doing(|| format!("cannot open {}", data.display()))?;
    let (folder, lock) = make_folder(&data, &about.id)?;
    // From here on the folder is removed whatever happens.
    let mut held = Held { point: empty(about), folder, _lock: lock, _rest: None };
    let mut links = Links { data, folder: held.folder.clone(), rest: None };
    if about.at_rest && !links.rest()? {
        let text = format!("a server is using {}: stop it first", links.data.display());
        return Err(Error::new(Kind::Invalid, text));
    }
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match attempt(&mut links, about).await {
            Ok(point) => {
                held.point = point;
                held._rest = links.rest.take();
                return Ok(held);
            }
            Err(Miss::Changed(why)) => {
                links.forget()?;
                last = Some(why);
            }
            Err(Miss::Failed(error)) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(Kind::Bug, "a moment was never looked for")))
}

/// Why there is no moment.
enum Miss {
    /// Something changed meanwhile: again. When it does not end, this is why.
    Changed(Error),
    /// It will not get better.
    Failed(Error),
}

impl Miss {
    fn changed(what: impl std::fmt::Display) -> Self {
        let text = format!("the server changes too much at once to take a backup ({what}); try again");
        Self::Changed(Error::new(Kind::Busy, text))
    }
}

impl From<Error> for Miss {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<table::Error> for Miss {
    fn from(error: table::Error) -> Self {
        match error.kind() {
            // A file of a snapshot that expires just now; one that is really gone is so the next time, too.
            table::Kind::Corrupt => Self::Changed(Error::of_table("cannot list the tables", error)),
            _ => Self::Failed(Error::of_table("cannot list the tables", error)),
        }
    }
}

fn empty(about: &About) -> Point {
    Point {
        format: FORMAT,
        id: about.id.clone(),
        made_at: about.made_at.clone(),
        program: about.program.clone(),
        metastore: match about.store {
            Store::InFolder => "sqlite",
            Store::Elsewhere(_) => "postgresql",
        }
        .to_owned(),
        checkpoint: 0,
        log_end: 0,
        tables: Inventory::default(),
        outside: Vec::new(),
        files: Vec::new(),
    }
}

/// Makes a locked folder for a moment and removes those that nobody holds any more.
fn make_folder(data: &Path, id: &str) -> Result<(PathBuf, File)> {
    if !data.join("catalog.db").exists() {
        let text = format!("there is no Tenrec data in {}: point --data at a data folder", data.display());
        return Err(Error::new(Kind::Invalid, text));
    }
    let all = data.join(FOLDER);
    let failed = || format!("cannot make a folder in {}", all.display());
    fs::create_dir_all(&all).doing(failed)?;
    let gate = File::create(all.join("lock")).doing(failed)?;
    gate.lock().doing(failed)?;
    for entry in fs::read_dir(&all).doing(failed)? {
        let path = entry.doing(failed)?.path();
        let lock = path.join("lock");
        let is_left = path.is_dir() && File::open(&lock).map_or(true, |lock| lock.try_lock().is_ok());
        if is_left {
            fs::remove_dir_all(&path).doing(|| format!("cannot remove {}", path.display()))?;
        }
    }
    let folder = all.join(id);
    fs::create_dir(&folder).doing(failed)?;
    let lock = File::create(folder.join("lock")).doing(failed)?;
    lock.lock().doing(failed)?;
    Ok((folder, lock))
}

async fn attempt(links: &mut Links, about: &About) -> Result<Point, Miss> {
    links.all("log", &eventlog::is_segment)?;
    let (moment, checkpoint) = match about.store {
        Store::Elsewhere(checkpoint) => (None, checkpoint),
        Store::InFolder => {
            let moment = open_moment(&links.data)?;
            let checkpoint = moment.checkpoint().unwrap_or(0);
            (Some(moment), checkpoint)
        }
    };
    links.all("seen", &|name| name.ends_with(".seen"))?;
    if moment.is_some() && open_moment(&links.data)?.checkpoint().unwrap_or(0) != checkpoint {
        return Err(Miss::changed("a commit ended"));
    }
    // Before and after the tables: the bytes of every row are there, also of those that are just being dropped.
    links.all("warehouse/session_replay", &|name| name.ends_with(".blocks"))?;
    let (tables, outside, roles) = tables(links).await?;
    links.all("warehouse/session_replay", &|name| name.ends_with(".blocks"))?;
    links.all("log", &eventlog::is_segment)?;
    let mut point = Point { checkpoint, tables, outside, ..empty(about) };
    point.log_end = log(links, checkpoint, &mut point.files)?;
    if let Some(moment) = moment {
        let copied = moment.copy_to(&links.folder.join("tenrec.db"));
        copied.map_err(|error| Error::of_metastore("cannot copy the metastore", error))?;
        point.files.push(links.piece("tenrec.db", Part::Metastore)?);
    }
    for path in links.listed("seen")? {
        point.files.push(links.piece(&path, Part::Seen)?);
    }
    for path in links.listed("warehouse/session_replay")? {
        point.files.push(links.piece(&path, Part::Blocks)?);
    }
    for (path, part) in roles {
        point.files.push(links.piece(&path, part)?);
    }
    Ok(point)
}

fn open_moment(data: &Path) -> Result<Moment> {
    Moment::open(&data.join("tenrec.db"))
        .map_err(|error| Error::of_metastore("cannot read the metastore", error))
}

/// Links every file of every table.
async fn tables(links: &mut Links) -> Result<(Inventory, Vec<String>, BTreeMap<String, Part>), Miss> {
    let data = links.data.clone();
    let root = format!("file://{}/warehouse", data.display());
    let place = Move::new(&root, &root);
    let (mut outside, mut roles) = (Vec::new(), BTreeMap::new());
    let mut hold = |member: &carry::Member| match place.below(&member.location) {
        Some(path) => {
            let path = format!("warehouse{path}");
            links.link(&path)?;
            roles.insert(path, Part::from(member.role));
            Ok(())
        }
        None if member.role == carry::Role::Data => {
            outside.push(member.location.clone());
            Ok(())
        }
        None => {
            let text = format!(
                "{} is not below {root}: tables whose metadata is not in the data folder cannot be backed up with it",
                member.location
            );
            Err(Miss::from(Error::new(Kind::Invalid, text)))
        }
    };
    let inventory = carry::inventory(&data, &mut hold).await?;
    Ok((inventory, outside, roles))
}

/// The segments from the checkpoint on, without a gap; gives the offset after the last record.
fn log(links: &Links, checkpoint: u64, files: &mut Vec<Piece>) -> Result<u64, Miss> {
    let mut extents = Vec::new();
    for path in links.listed("log")? {
        let extent = eventlog::measure(&links.folder.join(&path));
        extents.push((path, extent.map_err(|error| Error::of_log("cannot read the log", error))?));
    }
    extents.sort_by_key(|(_, extent)| extent.first);
    let from = extents.iter().rposition(|(_, extent)| extent.first.0 <= checkpoint);
    let Some(from) = from else {
        return Err(Miss::Changed(Error::new(
            Kind::Corrupt,
            "records of the log from the checkpoint on are missing or damaged: run `tenrec check`",
        )));
    };
    let chain = &extents[from..];
    let gap = |pair: &[(String, eventlog::Extent)]| {
        pair[0].1.end != pair[1].1.first || pair[0].1.id + 1 != pair[1].1.id
    };
    let end = chain.last().map_or(0, |(_, extent)| extent.end.0);
    if chain.windows(2).any(gap) || end < checkpoint {
        return Err(Miss::Changed(Error::new(
            Kind::Corrupt,
            "records of the log from the checkpoint on are missing or damaged: run `tenrec check`",
        )));
    }
    for (path, extent) in chain {
        let piece = links.piece(path, Part::Log)?;
        files.push(Piece { size: extent.bytes, length: Some(extent.length), ..piece });
    }
    Ok(end)
}

/// Second names of files.
struct Links {
    data: PathBuf,
    folder: PathBuf,
    /// The lock of the log, once files had to be named by symbolic links: no server may start then.
    rest: Option<File>,
}

impl Links {
    /// Gives one file its second name, or the file that has taken its place meanwhile.
    fn link(&mut self, path: &str) -> Result<(), Miss> {
        let (from, to) = (self.data.join(path), self.folder.join(path));
        let failed = || format!("cannot hold {}", from.display());
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).doing(failed)?;
        }
        let is_linked = match (fs::metadata(&from), fs::metadata(&to)) {
            (Ok(one), Ok(other)) if one.ino() == other.ino() && one.dev() == other.dev() => true,
            (_, Ok(_)) => {
                fs::remove_file(&to).doing(failed)?;
                false
            }
            _ => false,
        };
        if is_linked {
            return Ok(());
        }
        match fs::hard_link(&from, &to) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Miss::changed(format!("{} is gone", from.display())))
            }
            Err(error) => self.point_at(&from, &to, error),
        }
    }

    /// Keeps servers away from here on; says no when one is there.
    fn rest(&mut self) -> Result<bool> {
        if self.rest.is_none() {
            let path = self.data.join("log/lock");
            let lock = File::options()
                .write(true)
                .open(&path)
                .doing(|| format!("cannot open {}", path.display()))?;
            if lock.try_lock().is_err() {
                return Ok(false);
            }
            self.rest = Some(lock);
        }
        Ok(true)
    }

    /// Where there are no hard links and no server, a symbolic link does.
    fn point_at(&mut self, from: &Path, to: &Path, error: io::Error) -> Result<(), Miss> {
        let failed = || format!("cannot hold {}", from.display());
        if !self.rest()? {
            let text = format!(
                "{} cannot have a second name, and a server is using it: stop the server, or keep the whole data folder \
                 on one file system that has hard links",
                from.display()
            );
            return Err(Error::because(Kind::Invalid, text, error).into());
        }
        std::os::unix::fs::symlink(from, to).doing(failed)?;
        Ok(())
    }

    /// Links the files below a folder whose names fit; one that vanishes meanwhile is not needed any more.
    fn all(&mut self, below: &str, fits: &dyn Fn(&str) -> bool) -> Result<(), Miss> {
        let found = list(&self.data, below)?;
        for path in found.into_iter().filter(|path| path.rsplit('/').next().is_some_and(fits)) {
            match self.link(&path) {
                Err(Miss::Changed(_)) if below != "seen" => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// What is linked below a folder.
    fn listed(&self, below: &str) -> Result<BTreeSet<String>> {
        list(&self.folder, below)
    }

    fn piece(&self, path: &str, part: Part) -> Result<Piece> {
        let file = File::open(self.folder.join(path)).doing(|| format!("cannot read {path}"))?;
        let metadata = file.metadata().doing(|| format!("cannot read {path}"))?;
        let changed_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
        let seal = part_is_sealed(part).then(|| carry::sealed(&file)).flatten();
        Ok(Piece { path: path.to_owned(), part, size: metadata.len(), length: None, changed_ns, seal })
    }

    /// Begins anew.
    fn forget(&mut self) -> Result<()> {
        for name in ["log", "seen", "warehouse"] {
            match fs::remove_dir_all(self.folder.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::because(Kind::Unavailable, "cannot begin the backup anew", error));
                }
                _ => {}
            }
        }
        match fs::remove_file(self.folder.join("tenrec.db")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::because(Kind::Unavailable, "cannot begin the backup anew", error))
            }
            _ => Ok(()),
        }
    }
}

fn part_is_sealed(part: Part) -> bool {
    matches!(part, Part::Metadata | Part::List | Part::Manifest | Part::Data)
}

/// Paths of the files below a folder, relative to the root.
fn list(root: &Path, below: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut pending = vec![below.to_owned()];
    while let Some(folder) = pending.pop() {
        let failed = || format!("cannot list {}", root.join(&folder).display());
        let entries = match fs::read_dir(root.join(&folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other.doing(failed)?,
        };
        for entry in entries {
            let entry = entry.doing(failed)?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            // Not by the kind of the entry: it may be a symbolic link to a file.
            match entry.path().is_dir() {
                true => pending.push(path),
                false => drop(found.insert(path)),
            }
        }
    }
    Ok(found)
}
