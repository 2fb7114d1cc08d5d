//! One table as the engine sees it: committed files and the tail as one set of rows, and never a
//! row of another project.

mod barrier;

use std::{collections::BTreeMap, fmt, sync::Arc};

use arrow::{
    array::{Array, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::{Result, ScalarValue, Statistics, stats::Precision},
    config::TableParquetOptions,
    datasource::{
        listing::PartitionedFile,
        memory::MemorySourceConfig,
        physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource},
        source::DataSourceExec,
    },
    error::DataFusionError,
    execution::object_store::ObjectStoreUrl,
    logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType},
    physical_expr::expressions::{BinaryExpr, Column, Literal},
    physical_plan::{ExecutionPlan, empty::EmptyExec, filter::FilterExecBuilder, union::UnionExec},
};

use crate::{DataFile, Relation, prune};
use barrier::Barrier;

/// The column that says whose row it is.
pub(crate) const TEAM: &str = "team_id";
/// Columns so wide that reading them late pays for evaluating filters while decoding.
const WIDE: [&str; 5] = ["properties", "person_properties", "group_properties", "context", "extra"];

/// The rows of one table that one project may see. A table without `team_id` was made by others
/// and is the same for all projects.
pub(crate) struct Rows {
    relation: Arc<dyn Relation>,
    schema: SchemaRef,
    team: Option<(usize, i64)>,
}

impl fmt::Debug for Rows {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Rows").field("team", &self.team).finish_non_exhaustive()
    }
}

impl Rows {
    pub(crate) fn new(relation: Arc<dyn Relation>, project: i64) -> Self {
        let schema = viewed(&relation.schema());
        let team = schema.index_of(TEAM).ok().map(|index| (index, project));
        Self { relation, schema, team }
    }

    /// The column that already holds `property` of the JSON column `json`.
    pub(crate) fn promoted(&self, json: &str, property: &str) -> Option<String> {
        self.relation.promoted(json, property)
    }

    /// The columns to read: those asked for, and the one that decides whose row it is.
    fn reads(&self, projection: Option<&Vec<usize>>) -> Vec<usize> {
        let mut reads = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        if let Some((team, _)) = self.team
            && !reads.contains(&team)
        {
            reads.push(team);
        }
        reads
    }

    fn parquet(
        &self,
        (url, files): (ObjectStoreUrl, Vec<&DataFile>),
        reads: &[usize],
        state: &dyn Session,
        late: bool,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let global = state.config_options().execution.parquet.clone();
        let options = TableParquetOptions { global, ..TableParquetOptions::default() };
        let source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(options)
            .with_pushdown_filters(late)
            .with_reorder_filters(late);
        let groups = spread(&files, state.config().target_partitions(), &self.schema)?;
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(Some(reads.to_vec()))?
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn memory(
        &self,
        tail: Vec<RecordBatch>,
        reads: &[usize],
        parts: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = Arc::new(self.schema.project(reads)?);
        let mut partitions: Vec<Vec<RecordBatch>> = vec![Vec::new(); parts.clamp(1, tail.len().max(1))];
        let count = partitions.len();
        for (at, batch) in tail.into_iter().enumerate() {
            let seen = self.own_rows(&batch.project(reads)?, reads)?;
            if seen.num_rows() > 0 {
                partitions[at % count].push(as_viewed(&seen, &schema)?);
            }
        }
        let exec: Arc<dyn ExecutionPlan> = MemorySourceConfig::try_new_exec(&partitions, schema, None)?;
        Ok(exec)
    }

    /// Takes other projects' rows out before the engine computes with any.
    fn own_rows(&self, batch: &RecordBatch, reads: &[usize]) -> Result<RecordBatch> {
        let Some((team, project)) = self.team else { return Ok(batch.clone()) };
        let Some(at) = reads.iter().position(|read| *read == team) else { return Ok(batch.slice(0, 0)) };
        let column = batch.column(at);
        let wanted = ScalarValue::Int64(Some(project)).cast_to(column.data_type())?.to_scalar()?;
        let own = arrow::compute::kernels::cmp::eq(column, &wanted)?;
        if own.null_count() == 0 && own.true_count() == own.len() {
            return Ok(batch.clone());
        }
        Ok(arrow::compute::filter_record_batch(batch, &own)?)
    }

    /// Keeps the project's rows and the columns asked for. This filter is part of the scan: no SQL
    /// can reach the rows beneath it.
    fn scoped(
        &self,
        input: Arc<dyn ExecutionPlan>,
        reads: &[usize],
        asked: usize,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some((team, project)) = self.team else { return Ok(input) };
        let at = reads.iter().position(|read| *read == team);
        let at = at.ok_or_else(|| DataFusionError::Internal("the project column is not read".to_owned()))?;
        let kind = self.schema.field(team).data_type();
        let value = ScalarValue::Int64(Some(project)).cast_to(kind)?;
        let own =
            BinaryExpr::new(Arc::new(Column::new(TEAM, at)), Operator::Eq, Arc::new(Literal::new(value)));
        let keep = (asked < reads.len()).then(|| (0..asked).collect::<Vec<_>>());
        let filter = FilterExecBuilder::new(Arc::new(own), input).apply_projection(keep)?.build()?;
        Ok(Arc::new(filter))
    }
}

#[async_trait]
impl TableProvider for Rows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let reads = self.reads(projection);
        let asked = projection.map_or(reads.len(), Vec::len);
        let predicate =
            prune::predicate(filters, &self.relation.schema(), self.team.map(|(_, project)| project));
        let files = self
            .relation
            .files(predicate)
            .await
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let tail = self.relation.tail();
        let own = files.iter().filter(|file| self.owns(file)).cloned().collect::<Vec<_>>();
        let mixed = files.into_iter().filter(|file| self.mixed(file)).collect::<Vec<_>>();
        let late = self.reads_late(&reads, filters);
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        for shelf in by_store(&own)? {
            parts.push(self.parquet(shelf, &reads, state, late)?);
        }
        for shelf in by_store(&mixed)? {
            let all = self.parquet(shelf, &reads, state, false)?;
            parts.push(Arc::new(Barrier(self.scoped(all, &reads, reads.len())?)));
        }
        if tail.iter().any(|batch| batch.num_rows() > 0) {
            parts.push(self.memory(tail, &reads, state.config().target_partitions())?);
        }
        let input = match parts.len() {
            0 => Arc::new(EmptyExec::new(Arc::new(self.schema.project(&reads)?))),
            1 => parts.remove(0),
            _ => UnionExec::try_new(parts)?,
        };
        self.scoped(input, &reads, asked)
    }
}

impl Rows {
    /// Whether all rows of the file may be seen.
    fn owns(&self, file: &DataFile) -> bool {
        self.team.is_none_or(|(_, project)| file.team == Some(project))
    }

    /// Whether the file may hold rows of several projects.
    fn mixed(&self, file: &DataFile) -> bool {
        self.team.is_some() && file.team.is_none()
    }

    /// Whether filters are worth evaluating before the other columns are decoded: when wide columns
    /// are read that the filters do not need.
    fn reads_late(&self, reads: &[usize], filters: &[Expr]) -> bool {
        let needed =
            |name: &str| filters.iter().any(|filter| filter.column_refs().iter().any(|c| c.name == name));
        let wide = reads.iter().map(|read| self.schema.field(*read).name().as_str());
        !filters.is_empty() && wide.clone().any(|name| WIDE.contains(&name) && !needed(name))
    }
}

/// Files of one store together.
fn by_store(files: &[DataFile]) -> Result<Vec<(ObjectStoreUrl, Vec<&DataFile>)>> {
    let mut stores: BTreeMap<Option<&str>, Vec<&DataFile>> = BTreeMap::new();
    for file in files {
        stores.entry(object(&file.path).map(|(bucket, _)| bucket)).or_default().push(file);
    }
    let addressed = |(bucket, files)| {
        let url = match bucket {
            Some(bucket) => ObjectStoreUrl::parse(format!("s3://{bucket}"))?,
            None => ObjectStoreUrl::local_filesystem(),
        };
        Ok((url, files))
    };
    stores.into_iter().map(addressed).collect()
}

/// Bucket and key, when the file is not on this machine.
fn object(path: &str) -> Option<(&str, &str)> {
    let rest = ["s3://", "s3a://", "s3n://"].iter().find_map(|scheme| path.strip_prefix(scheme))?;
    rest.split_once('/')
}

/// Spreads files over partitions, largest first, each to the partition with the fewest bytes.
fn spread(files: &[&DataFile], parts: usize, schema: &Schema) -> Result<Vec<FileGroup>> {
    let mut files: Vec<&DataFile> = files.to_vec();
    files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    let count = parts.clamp(1, files.len().max(1));
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, Vec::new()); count];
    for file in files {
        let lightest = groups.iter_mut().min_by_key(|(bytes, _)| *bytes);
        if let Some((bytes, group)) = lightest {
            *bytes += file.size;
            group.push(located(file, schema)?);
        }
    }
    Ok(groups.into_iter().map(|(_, group)| FileGroup::new(group)).collect())
}

fn located(file: &DataFile, schema: &Schema) -> Result<PartitionedFile> {
    let path = match object(&file.path) {
        Some((_, key)) => object_store::path::Path::parse(key),
        None => object_store::path::Path::from_absolute_path(
            file.path.strip_prefix("file://").unwrap_or(&file.path),
        ),
    };
    let path = path.map_err(|cause| {
        DataFusionError::External(Box::new(crate::Error::corrupt(file.path.clone(), cause)))
    })?;
    let found = PartitionedFile::new(String::new(), file.size);
    let mut found = PartitionedFile {
        object_meta: object_store::ObjectMeta { location: path, ..found.object_meta },
        ..found
    };
    if let Some(rows) = file.rows {
        let known = Statistics::new_unknown(schema);
        let rows = Precision::Exact(usize::try_from(rows).unwrap_or(usize::MAX));
        found = found.with_statistics(Arc::new(Statistics { num_rows: rows, ..known }));
    }
    Ok(found)
}

/// Text columns in the form the engine compares fastest.
fn viewed(schema: &Schema) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 => {
                Field::new(field.name(), DataType::Utf8View, field.is_nullable())
            }
            kind => Field::new(field.name(), kind.clone(), field.is_nullable()),
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn as_viewed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| arrow::compute::cast(column, field.data_type()))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

#[cfg(test)]
mod tests;
