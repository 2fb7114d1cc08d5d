//! Namespaces: listed, made, described, dropped.

use super::name::{check_namespace, refuse_own};
use super::{Fault, NamespaceIdent, Outside, Reason};
use iceberg::ErrorKind;
use std::collections::{BTreeSet, HashMap};

/// Properties of a namespace at most.
const PROPERTIES: usize = 100;
/// Bytes of a property, name and value.
const PROPERTY_BYTES: usize = 1000;

/// What a change of properties did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updated {
    /// Set to a value.
    pub updated: BTreeSet<String>,
    /// Removed.
    pub removed: BTreeSet<String>,
    /// Asked to be removed, and not there.
    pub missing: BTreeSet<String>,
}

impl Outside {
    /// The namespaces directly below `parent`, or at the top, sorted. A leaf has none.
    ///
    /// # Errors
    /// `NoNamespace` for an unknown parent; `Busy` when the catalog does not answer.
    pub async fn namespaces(&self, parent: Option<&NamespaceIdent>) -> Result<Vec<NamespaceIdent>, Fault> {
        if let Some(parent) = parent {
            self.require(parent).await?;
        }
        let mut names = self.0.catalog.list_namespaces(parent).await?;
        names.sort();
        Ok(names)
    }

    /// The properties of a namespace.
    ///
    /// # Errors
    /// `NoNamespace`; `Busy` when the catalog does not answer.
    pub async fn namespace(&self, name: &NamespaceIdent) -> Result<HashMap<String, String>, Fault> {
        Ok(self.0.catalog.get_namespace(name).await?.properties().clone())
    }

    /// Whether there is such a namespace.
    ///
    /// # Errors
    /// `Busy` when the catalog does not answer.
    pub async fn has_namespace(&self, name: &NamespaceIdent) -> Result<bool, Fault> {
        Ok(self.0.catalog.namespace_exists(name).await?)
    }

    /// Refuses a namespace that does not exist.
    pub(super) async fn require(&self, name: &NamespaceIdent) -> Result<(), Fault> {
        match self.has_namespace(name).await? {
            true => Ok(()),
            false => Err(Fault::new(Reason::NoNamespace, format!("no namespace {name}"))),
        }
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// `Exists`, `Refused`, `Reserved`; `Busy` when the catalog does not answer.
    pub async fn create_namespace(
        &self,
        name: &NamespaceIdent,
        properties: HashMap<String, String>,
    ) -> Result<(), Fault> {
        check_namespace(name)?;
        check_properties(&properties)?;
        self.0.catalog.create_namespace(name, properties).await?;
        Ok(())
    }

    /// Sets some properties of a namespace and removes others.
    ///
    /// # Errors
    /// `NoNamespace`, `Refused`, `Reserved`; `Busy` when the catalog does not answer.
    pub async fn update_namespace(
        &self,
        name: &NamespaceIdent,
        removals: &[String],
        updates: HashMap<String, String>,
    ) -> Result<Updated, Fault> {
        refuse_own(name)?;
        let mut properties = self.namespace(name).await?;
        if let Some(both) = removals.iter().find(|key| updates.contains_key(*key)) {
            return Err(Fault::refused(format!("Property {both} cannot be set and removed at once.")));
        }
        let mut done = Updated::default();
        for key in removals {
            let removed = properties.remove(key).is_some();
            if removed { &mut done.removed } else { &mut done.missing }.insert(key.clone());
        }
        done.updated.extend(updates.keys().cloned());
        properties.extend(updates);
        check_properties(&properties)?;
        self.0.catalog.update_namespace(name, properties).await?;
        Ok(done)
    }

    /// Drops an empty namespace.
    ///
    /// # Errors
    /// `NoNamespace`, `NotEmpty`, `Reserved`; `Busy` when the catalog does not answer.
    pub async fn drop_namespace(&self, name: &NamespaceIdent) -> Result<(), Fault> {
        refuse_own(name)?;
        let full = || Fault::new(Reason::NotEmpty, format!("{name} is not empty: drop what is in it first"));
        if !self.namespaces(Some(name)).await?.is_empty() {
            return Err(full());
        }
        self.0.catalog.drop_namespace(name).await.map_err(|error| match error.kind() {
            ErrorKind::PreconditionFailed => full(),
            _ => Fault::from(error),
        })
    }
}

fn check_properties(properties: &HashMap<String, String>) -> Result<(), Fault> {
    let short = |(key, value): (&String, &String)| {
        (1..=PROPERTY_BYTES).contains(&key.len()) && value.len() <= PROPERTY_BYTES
    };
    if properties.len() <= PROPERTIES && properties.iter().all(short) && !properties.contains_key("exists") {
        return Ok(());
    }
    Err(Fault::refused(format!(
        "A namespace has at most {PROPERTIES} properties of {PROPERTY_BYTES} bytes each, and none named `exists`."
    )))
}
