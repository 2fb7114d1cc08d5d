//! Which data files a query has to read.

use crate::catalog::local_path;
use crate::error::{Context, kind_of};
use crate::view::TableView;
use crate::{Error, Kind, Result};
use futures::TryStreamExt;
use iceberg::expr::Predicate;
use iceberg::scan::FileScanTask;
use iceberg::spec::{Literal, PartitionSpec, PrimitiveLiteral};
use iceberg::table::Table;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

/// One Parquet file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFileRef {
    /// Location as the table has it, usually `file:///...`.
    pub location: String,
    /// Size in bytes.
    pub size: u64,
    /// Rows in the file.
    pub record_count: u64,
    /// `team_id` of every row, when the file belongs to a table partition by team.
    pub team_id: Option<i64>,
    /// Day of every row (days since 1970-01-01 UTC), when the file belongs to a table partition by day.
    pub day: Option<i32>,
    /// Delete files apply: rows of the file may be gone.
    pub has_deletes: bool,
}

/// The files a query has to read; rows that do not match may still be among them.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Files whose partition values and column bounds allow a match.
    pub files: Vec<DataFileRef>,
    /// At least one file has deletes (or is not Parquet): read with Iceberg's own reader
    /// (`TableView::table.scan()`) instead of opening the files.
    pub needs_iceberg_reader: bool,
}

/// Plans a read of the committed part of `view`, leaving out files that cannot match `filter`.
///
/// # Errors
/// `Invalid` when the filter does not fit the table, `Corrupt` naming the damaged manifest when the snapshot
/// cannot be read: there is no partial answer.
pub async fn plan(view: &TableView, filter: Option<Predicate>) -> Result<Plan> {
    let table = &view.table;
    let name = table.identifier();
    let mut scan = table.scan().select_empty();
    if let Some(filter) = filter {
        scan = scan.with_filter(filter);
    }
    let scan = scan.build().context(Kind::Invalid, || format!("plan a read of {name}"))?;
    let tasks = async { scan.plan_files().await?.try_collect::<Vec<_>>().await }.await;
    let tasks = match tasks {
        Ok(tasks) => tasks,
        Err(error) => return Err(damage(table, error).await),
    };
    let foreign = |task: &FileScanTask| task.data_file_format != iceberg::spec::DataFileFormat::Parquet;
    let needs_iceberg_reader = tasks.iter().any(|task| !task.deletes.is_empty() || foreign(task));
    // A task does not say which spec its partition values follow; with one spec there is no doubt.
    let metadata = table.metadata();
    let spec =
        (metadata.partition_specs_iter().len() == 1).then(|| metadata.default_partition_spec().as_ref());
    let files = tasks.into_iter().map(|task| DataFileRef::from_task(task, spec)).collect();
    Ok(Plan { files, needs_iceberg_reader })
}

/// Names the first damaged file of the current snapshot.
async fn damage(table: &Table, error: iceberg::Error) -> Error {
    let name = table.identifier();
    let Some(snapshot) = table.metadata().current_snapshot() else {
        return Error::new(kind_of(&error), format!("plan a read of {name}")).from_source(error);
    };
    let unreadable = |path: &str, error: iceberg::Error| {
        let kind = match error.kind() {
            iceberg::ErrorKind::Unexpected if !is_parse(&error) => Kind::Unavailable,
            _ => Kind::Corrupt,
        };
        Error::new(kind, format!("table {name}: cannot read {path}")).from_source(error)
    };
    let list = match table.manifest_list_reader(snapshot).load().await {
        Ok(list) => list,
        Err(error) => return unreadable(snapshot.manifest_list(), error),
    };
    for manifest in list.entries() {
        if let Err(error) = manifest.load_manifest(table.file_io()).await {
            return unreadable(&manifest.manifest_path, error);
        }
    }
    Error::new(kind_of(&error), format!("plan a read of {name}")).from_source(error)
}

/// Whether bytes were read and made no sense, as opposed to the disk not answering.
fn is_parse(error: &iceberg::Error) -> bool {
    use std::error::Error as _;
    error.source().is_none_or(|source| !source.is::<std::io::Error>() && !source.is::<object_store::Error>())
}

impl DataFileRef {
    fn from_task(task: FileScanTask, spec: Option<&PartitionSpec>) -> Self {
        let mut file = Self {
            location: task.data_file_path,
            size: task.file_size_in_bytes,
            record_count: task.record_count.unwrap_or(0),
            team_id: None,
            day: None,
            has_deletes: !task.deletes.is_empty(),
        };
        if let (Some(values), Some(spec)) = (&task.partition, spec) {
            for (field, value) in spec.fields().iter().zip(values.iter()) {
                match (field.name.as_str(), value) {
                    ("team_id", Some(Literal::Primitive(PrimitiveLiteral::Long(team)))) => {
                        file.team_id = Some(*team);
                    }
                    (name, Some(Literal::Primitive(PrimitiveLiteral::Int(day))))
                        if name.ends_with("_day") =>
                    {
                        file.day = Some(*day);
                    }
                    _ => {}
                }
            }
        }
        file
    }

    /// The path on this machine, when the file is local.
    pub fn path(&self) -> Option<PathBuf> {
        local_path(&self.location)
    }

    /// Reads the whole file and compares it with the checksum it was written with. A file without one is only
    /// checked as in [`DataFileRef::check`].
    ///
    /// # Errors
    /// `Corrupt` with the path; `Unavailable` when the disk does not answer.
    pub fn verify(&self) -> Result<()> {
        self.check()?;
        self.path().map_or(Ok(()), |path| crate::seal::sweep(&path))
    }

    /// Checks that the file exists, has the promised size and ends like a Parquet file. For naming the culprit
    /// after a reader failed; reading does not need it.
    ///
    /// # Errors
    /// `Corrupt` with the path; `Unavailable` when the disk does not answer.
    pub fn check(&self) -> Result<()> {
        let Some(path) = self.path() else { return Ok(()) };
        let corrupt = |what: &str| Error::new(Kind::Corrupt, format!("{what}: {}", path.display()));
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(corrupt("data file is missing")),
            other => other.context(Kind::Unavailable, || format!("open {}", path.display()))?,
        };
        let size =
            file.metadata().context(Kind::Unavailable, || format!("look at {}", path.display()))?.len();
        if size != self.size {
            return Err(corrupt("data file has another size than its table says"));
        }
        let mut mark = [0; 4];
        let read = file.seek(SeekFrom::End(-4)).and_then(|_| file.read_exact(&mut mark));
        if read.is_err() || &mark != b"PAR1" {
            return Err(corrupt("data file does not end like Parquet"));
        }
        Ok(())
    }
}
