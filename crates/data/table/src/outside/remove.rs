//! Tables of others: dropped, with their files or without, and renamed.

use super::name::{check_table, is_others, refuse_own};
use super::{Fault, Outside, Reason};
use iceberg::{NamespaceIdent, TableIdent};

impl Outside {
    /// Forgets a table; with `purge` its folder goes, too.
    ///
    /// # Errors
    /// `NoTable`, `Reserved`; `Busy` when the catalog does not answer. Files that cannot be removed stay.
    pub async fn drop_table(&self, ident: &TableIdent, purge: bool) -> Result<(), Fault> {
        refuse_own(&ident.namespace)?;
        let table = if purge { Some(self.table(ident).await?) } else { None };
        self.0.catalog.drop_table(ident).await?;
        let Some(table) = table else { return Ok(()) };
        let folder = table.metadata().location();
        // A table that was put there with the file of the catalog at hand may lie anywhere, or share its folder.
        let shared = self.at_folder(folder).await?;
        if !is_others(&self.root()?, folder) || shared.is_some() {
            tracing::warn!(table = %ident, folder, "files of a dropped table stay: the folder is not its own");
            return Ok(());
        }
        if let Err(error) = table.file_io().delete_prefix(folder).await {
            tracing::warn!(%error, table = %ident, folder, "files of a dropped table stay");
        }
        Ok(())
    }

    /// Gives a table another name. Its files stay where they are.
    ///
    /// # Errors
    /// `NoTable`, `NoNamespace`, `Exists`, `Refused`, `Reserved`; `Busy` when the catalog does not answer.
    pub async fn rename(&self, from: &TableIdent, to: &TableIdent) -> Result<(), Fault> {
        refuse_own(&from.namespace)?;
        check_table(to)?;
        self.require(&to.namespace).await?;
        if !self.has_table(from).await? {
            return Err(Fault::new(Reason::NoTable, format!("no table {from}")));
        }
        Ok(self.0.catalog.rename_table(from, to).await?)
    }

    /// The table that lies in `folder`, if any does. Looks at every table there is.
    pub(super) async fn at_folder(&self, folder: &str) -> Result<Option<TableIdent>, Fault> {
        let mut parents: Vec<Option<NamespaceIdent>> = vec![None];
        while let Some(parent) = parents.pop() {
            for namespace in self.0.catalog.list_namespaces(parent.as_ref()).await? {
                for ident in self.0.catalog.list_tables(&namespace).await? {
                    let table = self.0.catalog.load_table(&ident).await;
                    if table.is_ok_and(|table| table.metadata().location() == folder) {
                        return Ok(Some(ident));
                    }
                }
                parents.push(Some(namespace));
            }
        }
        Ok(None)
    }
}
