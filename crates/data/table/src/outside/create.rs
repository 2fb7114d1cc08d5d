//! Tables of others: made, prepared to be made by a commit, or taken over with their files.

use super::change::{Change, check_whole};
use super::name::{check_location, check_table, folder_of, location};
use super::{Fault, Loaded, METADATA_BYTES, Outside, Reason};
use crate::care::fresh_name;
use crate::catalog::local_path;
use iceberg::spec::{
    FormatVersion, Schema, SortOrder, TableMetadata, TableMetadataBuilder, UnboundPartitionSpec,
};
use iceberg::table::Table;
use iceberg::{ErrorKind, MetadataLocation, NamespaceIdent, TableIdent, TableRequirement, TableUpdate};
use serde::Deserialize;
use std::collections::HashMap;
use std::str::FromStr;

/// A table to be made, as the protocol has it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NewTable {
    name: String,
    #[serde(default)]
    location: Option<String>,
    schema: Schema,
    #[serde(default)]
    partition_spec: Option<UnboundPartitionSpec>,
    #[serde(default)]
    write_order: Option<SortOrder>,
    #[serde(default)]
    stage_create: bool,
    #[serde(default)]
    properties: Option<HashMap<String, String>>,
}

impl Outside {
    /// Makes a table beside ours; a staged one is only described, for a commit that makes it with its first rows.
    ///
    /// # Errors
    /// `NoNamespace`, `Exists`, `Refused`, `Reserved`; `Busy` and `Unclear` as writing it.
    pub async fn create(&self, namespace: &NamespaceIdent, new: NewTable) -> Result<Loaded, Fault> {
        let ident = TableIdent::new(namespace.clone(), new.name);
        self.check_free(&ident).await?;
        let root = self.root()?;
        let at = match new.location {
            Some(at) => check_location(&root, &ident, &at).map(|()| at)?,
            None => location(&root, &ident, &fresh_name()),
        };
        let mut properties = new.properties.unwrap_or_default();
        let version = format_version(properties.remove("format-version").as_deref())?;
        let spec = new.partition_spec.unwrap_or_else(|| UnboundPartitionSpec::builder().build());
        let order = new.write_order.unwrap_or_else(SortOrder::unsorted_order);
        let built = TableMetadataBuilder::new(new.schema, spec, order, at, version, properties);
        let metadata = built.and_then(|builder| builder.build()).map_err(Fault::library)?.metadata;
        check_whole(&metadata)?;
        if new.stage_create {
            make_folders(metadata.location());
            return Ok(Loaded { metadata_location: None, metadata: metadata.into() });
        }
        self.write(&ident, metadata).await.map(Loaded::from)
    }

    /// Makes a table out of the updates of a commit that asserts there is none.
    pub(super) async fn create_prepared(&self, ident: &TableIdent, change: Change) -> Result<Loaded, Fault> {
        self.check_free(ident).await?;
        if change.requirements.iter().any(|requirement| *requirement != TableRequirement::NotExist) {
            return Err(Fault::refused("A table that is being made can meet no other requirement."));
        }
        let metadata = prepared(change.updates)?;
        check_location(&self.root()?, ident, metadata.location())?;
        self.write(ident, metadata).await.map(Loaded::from)
    }

    /// Takes over a table by its metadata file, which lies where a table of others may lie and no table does.
    ///
    /// # Errors
    /// `NoNamespace`, `Exists`, `Refused`, `Reserved`; `Busy` when the storage does not answer.
    pub async fn register(&self, ident: &TableIdent, metadata_location: &str) -> Result<Loaded, Fault> {
        self.check_free(ident).await?;
        let root = self.root()?;
        let (folder, _) = folder_of(&root, metadata_location)
            .zip(MetadataLocation::from_str(metadata_location).ok())
            .ok_or_else(|| {
                Fault::refused(format!(
                    "{metadata_location} cannot be registered: it must be the metadata file of a table at \
                     {root}/<namespace>/<table>, outside Tenrec's own folders."
                ))
            })?;
        if let Some(other) = self.at_folder(folder).await? {
            return Err(Fault::new(Reason::Exists, format!("{folder} holds the table {other} already.")));
        }
        let files = self.0.at(0).1.file_io().clone();
        let unread = |error: iceberg::Error| match error.kind() {
            ErrorKind::DataInvalid => {
                Fault::refused(format!("{metadata_location} cannot be read: {}", error.message()))
            }
            _ => Fault::from(error),
        };
        let size = async { files.new_input(metadata_location)?.metadata().await }.await.map_err(unread)?.size;
        if size > METADATA_BYTES as u64 {
            return Err(Fault::refused(format!(
                "{metadata_location} is larger than {METADATA_BYTES} bytes."
            )));
        }
        let metadata = TableMetadata::read_from(&files, metadata_location).await.map_err(|error| {
            Fault::refused(format!("{metadata_location} is no table metadata: {}", error.message()))
        })?;
        if metadata.location() != folder {
            let text = format!("{metadata_location} says that its table is at {}.", metadata.location());
            return Err(Fault::refused(text));
        }
        check_whole(&metadata)?;
        Ok(self.0.catalog.register_table(ident, metadata_location.to_owned()).await?.into())
    }

    async fn check_free(&self, ident: &TableIdent) -> Result<(), Fault> {
        check_table(ident)?;
        self.require(&ident.namespace).await?;
        match self.has_table(ident).await? {
            true => Err(Fault::new(Reason::Exists, format!("{ident} exists already."))),
            false => Ok(()),
        }
    }

    async fn write(&self, ident: &TableIdent, metadata: TableMetadata) -> Result<Table, Fault> {
        let at = MetadataLocation::new_with_metadata(metadata.location(), &metadata);
        let files = self.0.at(0).1.file_io().clone();
        metadata.write_to(&files, &at).await?;
        let at = at.to_string();
        let error = match self.0.catalog.register_table(ident, at.clone()).await {
            Ok(table) => return Ok(table),
            Err(error) => error,
        };
        match self.0.catalog.load_table(ident).await {
            Ok(now) if now.metadata_location() == Some(at.as_str()) => Ok(now),
            Ok(_) => {
                let _ = files.delete(&at).await;
                Err(Fault::new(Reason::Exists, format!("{ident} exists already.")))
            }
            Err(after) if after.kind() == ErrorKind::TableNotFound => {
                let _ = files.delete(&at).await;
                Err(error.into())
            }
            Err(_) => Err(Fault::from(error).because(Reason::Unclear)),
        }
    }
}

/// Makes the folders of a prepared table on this machine's disk: its client writes manifests there before it commits, and
/// not every client makes folders (DuckDB does not). One that cannot be made is missed by the client, which says so.
fn make_folders(location: &str) {
    for folder in ["metadata", "data"] {
        let Some(path) = local_path(&format!("{location}/{folder}")) else { continue };
        if let Err(error) = std::fs::create_dir_all(&path) {
            tracing::warn!(%error, path = %path.display(), "cannot make a folder for a prepared table");
        }
    }
}

fn format_version(asked: Option<&str>) -> Result<FormatVersion, Fault> {
    match asked {
        None | Some("2") => Ok(FormatVersion::V2),
        Some("1") => Ok(FormatVersion::V1),
        Some("3") => Ok(FormatVersion::V3),
        Some(other) => Err(Fault::refused(format!("There is no format version {other}: ask for 1, 2 or 3."))),
    }
}

/// The metadata that updates make out of nothing: the first schema, spec, order and location begin it.
fn prepared(updates: Vec<TableUpdate>) -> Result<TableMetadata, Fault> {
    let (mut schema, mut spec, mut order, mut at) = (None, None, None, None);
    let mut version = FormatVersion::V2;
    let mut rest = Vec::new();
    for update in updates {
        match update {
            TableUpdate::UpgradeFormatVersion { format_version } => version = format_version,
            TableUpdate::AddSchema { schema: first } if schema.is_none() => schema = Some(first),
            TableUpdate::AddSpec { spec: first } if spec.is_none() => spec = Some(first),
            TableUpdate::AddSortOrder { sort_order: first } if order.is_none() => order = Some(first),
            TableUpdate::SetLocation { location } if at.is_none() => at = Some(location),
            other => rest.push(other),
        }
    }
    // The last one added is the first one, which is current from the beginning.
    let adds = |wanted: fn(&TableUpdate) -> bool| rest.iter().any(wanted);
    let more_schemas = adds(|update| matches!(update, TableUpdate::AddSchema { .. }));
    let more_specs = adds(|update| matches!(update, TableUpdate::AddSpec { .. }));
    let more_orders = adds(|update| matches!(update, TableUpdate::AddSortOrder { .. }));
    rest.retain(|update| match update {
        TableUpdate::SetCurrentSchema { .. } => more_schemas,
        TableUpdate::SetDefaultSpec { .. } => more_specs,
        TableUpdate::SetDefaultSortOrder { .. } => more_orders,
        _ => true,
    });
    let lacks =
        |what: &str| Fault::refused(format!("A table cannot be made without `{what}` among the updates."));
    let schema = schema.ok_or_else(|| lacks("add-schema"))?;
    let at = at.ok_or_else(|| lacks("set-location"))?;
    let spec = spec.unwrap_or_else(|| UnboundPartitionSpec::builder().build());
    let order = order.unwrap_or_else(SortOrder::unsorted_order);
    let columns = schema.as_struct().clone();
    let mut builder = TableMetadataBuilder::new(schema, spec, order, at, version, HashMap::new())
        .map_err(Fault::library)?;
    for update in rest {
        builder = update.apply(builder).map_err(Fault::library)?;
    }
    let metadata = builder.build().map_err(Fault::library)?.metadata;
    // Files may be written already, under the ids that were told when the table was prepared.
    if !more_schemas && *metadata.current_schema().as_struct() != columns {
        return Err(Fault::refused(
            "Number the columns as the prepared table had them: 1 and up, outer ones first.",
        ));
    }
    check_whole(&metadata)?;
    Ok(metadata)
}
