//! Any catalog that speaks Iceberg's REST protocol.
//!
//! It keeps the metadata, and here are sent the changes. A commit whose answer got lost is looked for by the snapshots
//! it was to add, and is never sent twice: whoever goes on after it does so from what the catalog says then, and is
//! refused when the lost commit turns up after all, because it says what it builds on.

mod client;
mod key;

use super::{TableCatalog, unclear};
use crate::objects::{Lender, Objects, S3};
use crate::schema::NAMESPACE;
use async_trait::async_trait;
use client::{Answer, Client, Silence, namespace_part};
use iceberg::spec::TableMetadata;
use iceberg::table::Table;
use iceberg::{
    Catalog, Error, ErrorKind, Namespace, NamespaceIdent, Result, Runtime, TableCommit, TableCreation,
    TableIdent, TableRequirement, TableUpdate,
};
use parking_lot::Mutex;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Memory for decoded manifests, per table.
const MANIFEST_CACHE_BYTES: u64 = 4 << 20;
/// How often a table is looked at for a commit that nobody answered for.
const LOOKS: u32 = 3;
/// Names asked for at once.
const PAGES: usize = 1000;

/// Which catalog, and how it is spoken to.
#[derive(Clone, Default)]
pub struct Rest {
    /// Where it is, without `/v1`.
    pub uri: String,
    /// Which of its warehouses, or empty.
    pub warehouse: String,
    /// The namespace of our tables there, its parts joined by dots.
    pub namespace: String,
    /// A token, or empty.
    pub token: String,
    /// `id:secret` that buys tokens, or empty.
    pub credential: String,
    /// Where they are bought, or empty for the catalog itself.
    pub oauth2_uri: String,
    /// What they are good for.
    pub scope: String,
    /// The service that signed requests are for, or empty for requests that are not signed.
    pub sigv4_service: String,
    /// Its region.
    pub sigv4_region: String,
    /// The keys to sign with.
    pub keys: S3,
    /// Milliseconds for one request.
    pub timeout_ms: u64,
    /// Milliseconds in which a question is asked again.
    pub retry_ms: u64,
}

/// See the module.
pub struct RestCatalog(Arc<Inner>);

struct Inner {
    client: Client,
    /// What our namespace is called there.
    ours: NamespaceIdent,
    /// Below which tables are to lie, when that is not left to the catalog.
    root: String,
    objects: Objects,
    loaded: Mutex<HashMap<TableIdent, Table>>,
    me: Weak<Inner>,
    #[cfg(test)]
    faults: super::fault::Faults,
}

impl std::fmt::Debug for RestCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RestCatalog").field(&self.0.client).finish()
    }
}

/// A table as the catalog gives it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Loaded {
    #[serde(default)]
    metadata_location: Option<String>,
    metadata: TableMetadata,
    #[serde(default)]
    config: HashMap<String, String>,
    #[serde(default)]
    storage_credentials: Vec<Credential>,
}

#[derive(Deserialize)]
struct Credential {
    prefix: String,
    config: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Names {
    #[serde(default)]
    namespaces: Vec<Vec<String>>,
    #[serde(default)]
    identifiers: Vec<Identifier>,
    #[serde(default, rename = "next-page-token")]
    next: Option<String>,
}

#[derive(Deserialize)]
struct Identifier {
    name: String,
}

#[derive(Deserialize)]
struct Described {
    #[serde(default)]
    properties: Option<HashMap<String, String>>,
}

impl RestCatalog {
    /// Asks the catalog how it wants to be asked. Files are those of `objects`; new tables of ours lie below `root`,
    /// or where the catalog puts them when it is empty.
    ///
    /// # Errors
    /// `FeatureUnsupported` when it refuses, `Unexpected` when it does not answer.
    pub async fn open(settings: &Rest, root: String, objects: Objects) -> Result<Self> {
        let client = Client::open(settings).await?;
        let ours = NamespaceIdent::from_strs(settings.namespace.split('.'))?;
        Ok(Self(Arc::new_cyclic(|me| Inner {
            client,
            ours,
            root,
            objects,
            loaded: Mutex::default(),
            me: me.clone(),
            #[cfg(test)]
            faults: super::fault::Faults::default(),
        })))
    }
}

impl Inner {
    /// A namespace as the catalog calls it.
    fn there(&self, namespace: &NamespaceIdent) -> NamespaceIdent {
        if namespace.len() == 1 && namespace[0] == NAMESPACE { self.ours.clone() } else { namespace.clone() }
    }

    /// A namespace as it is called here; none when the name means another one here.
    fn here(&self, namespace: NamespaceIdent) -> Option<NamespaceIdent> {
        if namespace == self.ours {
            return Some(NamespaceIdent::new(NAMESPACE.to_owned()));
        }
        (namespace.len() != 1 || namespace[0] != NAMESPACE).then_some(namespace)
    }

    fn table_url(&self, ident: &TableIdent) -> Result<reqwest::Url> {
        let namespace = namespace_part(&self.there(&ident.namespace));
        self.client.url(&["namespaces", &namespace, "tables", &ident.name])
    }

    async fn look(&self, ident: &TableIdent) -> Result<Loaded> {
        self.client.look(self.table_url(ident)?).await?.read(&format!("table {ident}"))
    }

    async fn load(&self, ident: &TableIdent) -> Result<Table> {
        let loaded = self.look(ident).await?;
        self.take_in(ident, loaded)
    }

    /// A table, with the credentials that came with it put to use.
    fn take_in(&self, ident: &TableIdent, loaded: Loaded) -> Result<Table> {
        self.borrow(ident, &loaded)?;
        let known = self.loaded.lock().get(ident).cloned();
        if let Some(known) = known
            && loaded.metadata_location.is_some()
            && known.metadata_location() == loaded.metadata_location.as_deref()
        {
            return Ok(known);
        }
        let builder = Table::builder()
            .identifier(ident.clone())
            .metadata(loaded.metadata)
            .file_io(self.objects.files().clone())
            .cache_size_bytes(MANIFEST_CACHE_BYTES)
            .runtime(Runtime::try_current()?);
        let table = match loaded.metadata_location {
            Some(location) => builder.metadata_location(location).build()?,
            None => builder.build()?,
        };
        self.loaded.lock().insert(ident.clone(), table.clone());
        Ok(table)
    }

    fn borrow(&self, ident: &TableIdent, loaded: &Loaded) -> Result<()> {
        let location = loaded.metadata.location();
        let given: Vec<(&str, &HashMap<String, String>)> = match loaded.storage_credentials.as_slice() {
            [] => vec![(location, &loaded.config)],
            all => all.iter().map(|one| (one.prefix.as_str(), &one.config)).collect(),
        };
        for (prefix, config) in given {
            let mut all = loaded.config.clone();
            all.extend(config.clone());
            if !all.keys().any(|key| key.starts_with("s3.")) {
                continue;
            }
            let lender = Renewal { inner: self.me.clone(), ident: ident.clone(), prefix: prefix.to_owned() };
            self.objects.lend(prefix, &all, Arc::new(lender)).map_err(|error| {
                Error::new(ErrorKind::FeatureUnsupported, error.context().to_owned()).with_source(error)
            })?;
        }
        Ok(())
    }

    async fn names(&self, parts: &[&str], parent: Option<&NamespaceIdent>) -> Result<Names> {
        let mut all = Names { namespaces: Vec::new(), identifiers: Vec::new(), next: None };
        for _ in 0..PAGES {
            let mut url = self.client.url(parts)?;
            if let Some(parent) = parent {
                url.query_pairs_mut().append_pair("parent", &namespace_part(parent));
            }
            if let Some(next) = &all.next {
                url.query_pairs_mut().append_pair("pageToken", next);
            }
            let page: Names = self.client.look(url).await?.read("names")?;
            all.namespaces.extend(page.namespaces);
            all.identifiers.extend(page.identifiers);
            all.next = page.next.filter(|next| !next.is_empty());
            if all.next.is_none() {
                break;
            }
        }
        Ok(all)
    }

    /// Sends what changes something; once.
    async fn order(&self, method: Method, parts: &[&str], body: &Value) -> Result<Answer> {
        let url = self.client.url(parts)?;
        self.client.send(method, url, Some(body)).await.map_err(Silence::into_error)
    }

    /// Whether a table shows everything that a change was to do, as far as that can be seen.
    fn shows(table: &TableMetadata, updates: &[TableUpdate]) -> bool {
        let mut seen = false;
        for update in updates {
            seen |= match update {
                TableUpdate::AddSnapshot { snapshot } => {
                    if table.snapshot_by_id(snapshot.snapshot_id()).is_none() {
                        return false;
                    }
                    true
                }
                TableUpdate::RemoveSnapshots { snapshot_ids } => {
                    if snapshot_ids.iter().any(|id| table.snapshot_by_id(*id).is_some()) {
                        return false;
                    }
                    true
                }
                TableUpdate::SetProperties { updates } => {
                    if updates.iter().any(|(key, value)| table.properties().get(key) != Some(value)) {
                        return false;
                    }
                    true
                }
                _ => false,
            };
        }
        seen
    }

    /// Looks for a change that may have been made; the table when it was.
    async fn find(&self, ident: &TableIdent, updates: &[TableUpdate]) -> Option<Table> {
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(Duration::from_millis(200) * look).await;
            }
            match self.load(ident).await {
                Ok(now) if Self::shows(now.metadata(), updates) => return Some(now),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, table = %ident, "cannot look for an unanswered commit"),
            }
        }
        None
    }

    async fn commit(
        &self,
        ident: &TableIdent,
        requirements: &[TableRequirement],
        updates: Vec<TableUpdate>,
    ) -> Result<Table> {
        let there = self.there(&ident.namespace);
        let body = json!({
            "identifier": {"namespace": there.as_ref(), "name": ident.name},
            "requirements": requirements,
            "updates": updates,
        });
        let url = self.table_url(ident)?;
        let answer = self.client.send(Method::POST, url, Some(&body)).await;
        let error = match answer {
            Err(Silence::Unsent(error)) => return Err(error),
            Err(Silence::Unknown(error)) => unclear(error),
            Ok(answer) if answer.status.is_success() => match answer.read::<Loaded>("a commit") {
                Ok(loaded) => return self.take_in(ident, loaded),
                Err(error) => unclear(error),
            },
            Ok(answer) => {
                let refusal = answer.refusal(&format!("a commit of {ident}"));
                match answer.status.as_u16() {
                    409 => Error::new(ErrorKind::CatalogCommitConflicts, refusal.message().to_owned()),
                    408 | 500.. => unclear(refusal),
                    _ => return Err(refusal),
                }
            }
        };
        // A conflict may be with this very change, sent again by something between here and there.
        self.find(ident, &updates).await.ok_or(error)
    }
}

/// Asks the catalog for credentials again.
struct Renewal {
    inner: Weak<Inner>,
    ident: TableIdent,
    prefix: String,
}

#[async_trait]
impl Lender for Renewal {
    async fn renew(&self) -> Result<HashMap<String, String>> {
        let closed = || Error::new(ErrorKind::Unexpected, "the tables are closed");
        let inner = self.inner.upgrade().ok_or_else(closed)?;
        let loaded = inner.look(&self.ident).await?;
        let mut all = loaded.config;
        all.extend(
            loaded
                .storage_credentials
                .into_iter()
                .filter(|one| one.prefix == self.prefix)
                .flat_map(|one| one.config),
        );
        Ok(all)
    }
}

#[async_trait]
impl TableCatalog for RestCatalog {
    async fn commit(
        &self,
        ident: &TableIdent,
        requirements: &[TableRequirement],
        updates: Vec<TableUpdate>,
    ) -> Result<Table> {
        self.0.commit(ident, requirements, updates).await
    }

    /// The catalog says where tables lie.
    async fn check_place(&self, _: &TableIdent) -> Result<()> {
        Ok(())
    }

    /// The catalog gives a table a folder of its own, whatever is there.
    async fn check_unused(&self, _: &NamespaceIdent) -> Result<()> {
        Ok(())
    }

    fn objects(&self) -> &Objects {
        &self.0.objects
    }

    #[cfg(test)]
    fn faults(&self) -> &super::fault::Faults {
        &self.0.faults
    }
}

#[async_trait]
impl Catalog for RestCatalog {
    async fn list_namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>> {
        let parent = parent.map(|parent| self.0.there(parent));
        let names = self.0.names(&["namespaces"], parent.as_ref()).await?;
        let known = names.namespaces.into_iter().map(NamespaceIdent::from_vec).collect::<Result<Vec<_>>>()?;
        Ok(known.into_iter().filter_map(|name| self.0.here(name)).collect())
    }

    async fn create_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<Namespace> {
        let there = self.0.there(namespace);
        let body = json!({"namespace": there.as_ref(), "properties": properties});
        let answer = self.0.order(Method::POST, &["namespaces"], &body).await?;
        match answer.status.as_u16() {
            200..300 => Ok(Namespace::with_properties(namespace.clone(), properties)),
            409 => Err(Error::new(ErrorKind::NamespaceAlreadyExists, namespace.to_string())),
            _ => Err(answer.refusal(&format!("making the namespace {there}"))),
        }
    }

    async fn get_namespace(&self, namespace: &NamespaceIdent) -> Result<Namespace> {
        let part = namespace_part(&self.0.there(namespace));
        let answer = self.0.client.look(self.0.client.url(&["namespaces", &part])?).await?;
        if answer.status.as_u16() == 404 {
            return Err(Error::new(ErrorKind::NamespaceNotFound, format!("no namespace {namespace}")));
        }
        let described: Described = answer.read("a namespace")?;
        Ok(Namespace::with_properties(namespace.clone(), described.properties.unwrap_or_default()))
    }

    async fn namespace_exists(&self, namespace: &NamespaceIdent) -> Result<bool> {
        match self.get_namespace(namespace).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NamespaceNotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn update_namespace(
        &self,
        namespace: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<()> {
        let old = self.get_namespace(namespace).await?;
        let gone: Vec<&String> =
            old.properties().keys().filter(|key| !properties.contains_key(*key)).collect();
        let part = namespace_part(&self.0.there(namespace));
        let body = json!({"removals": gone, "updates": properties});
        let answer = self.0.order(Method::POST, &["namespaces", &part, "properties"], &body).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.refusal("properties of a namespace")) }
    }

    async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        let part = namespace_part(&self.0.there(namespace));
        let answer = self.0.order(Method::DELETE, &["namespaces", &part], &json!({})).await?;
        match answer.status.as_u16() {
            200..300 => Ok(()),
            409 => Err(Error::new(ErrorKind::PreconditionFailed, format!("{namespace} is not empty"))),
            404 => Err(Error::new(ErrorKind::NamespaceNotFound, format!("no namespace {namespace}"))),
            _ => Err(answer.refusal("dropping a namespace")),
        }
    }

    async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let part = namespace_part(&self.0.there(namespace));
        let names = self.0.names(&["namespaces", &part, "tables"], None).await?;
        Ok(names.identifiers.into_iter().map(|one| TableIdent::new(namespace.clone(), one.name)).collect())
    }

    async fn create_table(&self, namespace: &NamespaceIdent, creation: TableCreation) -> Result<Table> {
        let ident = TableIdent::new(namespace.clone(), creation.name.clone());
        let there = self.0.there(namespace);
        let location = match (creation.location, self.0.root.as_str()) {
            (None, "") => None,
            (None, root) => Some(format!("{root}/{}/{}", there.join("/"), creation.name)),
            (given, _) => given,
        };
        let mut body = json!({
            "name": creation.name,
            "schema": creation.schema,
            "stage-create": false,
            "properties": creation.properties,
        });
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body[key] = value;
            }
        };
        put("location", location.map(Value::from));
        put("partition-spec", creation.partition_spec.map(|spec| json!(spec)));
        put("write-order", creation.sort_order.map(|order| json!(order)));
        let url = self.0.client.url(&["namespaces", &namespace_part(&there), "tables"])?;
        let error = match self.0.client.send(Method::POST, url, Some(&body)).await {
            Ok(answer) if answer.status.as_u16() < 500 => {
                return self.0.take_in(&ident, answer.read(&format!("making the table {ident}"))?);
            }
            Ok(answer) => answer.refusal(&format!("making the table {ident}")),
            Err(silence) => silence.into_error(),
        };
        // The table may have been made all the same.
        self.0.load(&ident).await.map_err(|_| error)
    }

    async fn load_table(&self, ident: &TableIdent) -> Result<Table> {
        self.0.load(ident).await
    }

    async fn drop_table(&self, ident: &TableIdent) -> Result<()> {
        self.0.loaded.lock().remove(ident);
        let mut url = self.0.table_url(ident)?;
        url.query_pairs_mut().append_pair("purgeRequested", "false");
        let answer = self.0.client.send(Method::DELETE, url, None).await.map_err(Silence::into_error)?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.refusal(&format!("dropping {ident}"))) }
    }

    async fn purge_table(&self, ident: &TableIdent) -> Result<()> {
        let table = self.load_table(ident).await?;
        self.drop_table(ident).await?;
        iceberg::drop_table_data(&table).await
    }

    async fn table_exists(&self, ident: &TableIdent) -> Result<bool> {
        match self.0.load(ident).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::TableNotFound | ErrorKind::NamespaceNotFound) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn rename_table(&self, from: &TableIdent, to: &TableIdent) -> Result<()> {
        self.0.loaded.lock().remove(from);
        let named = |ident: &TableIdent| {
            let there = self.0.there(&ident.namespace);
            json!({"namespace": there.as_ref(), "name": ident.name})
        };
        let body = json!({"source": named(from), "destination": named(to)});
        let answer = self.0.order(Method::POST, &["tables", "rename"], &body).await?;
        if answer.status.is_success() { Ok(()) } else { Err(answer.refusal(&format!("renaming {from}"))) }
    }

    async fn register_table(&self, ident: &TableIdent, metadata_location: String) -> Result<Table> {
        let part = namespace_part(&self.0.there(&ident.namespace));
        let body = json!({"name": ident.name, "metadata-location": metadata_location});
        let answer = self.0.order(Method::POST, &["namespaces", &part, "register"], &body).await?;
        self.0.take_in(ident, answer.read(&format!("registering {ident}"))?)
    }

    async fn update_table(&self, mut commit: TableCommit) -> Result<Table> {
        let ident = commit.identifier().clone();
        let (requirements, updates) = (commit.take_requirements(), commit.take_updates());
        self.0.commit(&ident, &requirements, updates).await
    }
}
