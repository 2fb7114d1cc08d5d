//! Names that others may give, and where their tables lie.
//!
//! A table of another program lies two folders below the root, `<namespace>/<table>-<unique>`: no two tables share a
//! folder, none lies inside another, and none inside ours. So a table's folder is all that removing it may touch.

use super::{Fault, NamespaceIdent, Reason, TableIdent};
use crate::schema::NAMESPACE;

/// Bytes of one part of a name.
const PART_BYTES: usize = 100;
/// Parts of a namespace.
const DEPTH: usize = 8;
/// Folders below the root that are not for others: our tables, and the blocks of session replay.
const TAKEN: [&str; 2] = [NAMESPACE, "session_replay"];

/// Whether these are our tables.
pub(super) fn is_own(namespace: &NamespaceIdent) -> bool {
    namespace.len() == 1 && namespace[0] == NAMESPACE
}

/// Refuses namespaces that others may not change.
pub(super) fn refuse_own(namespace: &NamespaceIdent) -> Result<(), Fault> {
    match namespace.first() {
        Some(first) if TAKEN.contains(&first.as_str()) => {
            let text = format!(
                "Namespace {first} belongs to Tenrec: its tables are made, named and dropped by the server. Make a \
                 namespace of your own beside it."
            );
            Err(Fault::new(Reason::Reserved, text))
        }
        _ => Ok(()),
    }
}

/// Checks a namespace that is to be made.
pub(super) fn check_namespace(namespace: &NamespaceIdent) -> Result<(), Fault> {
    if namespace.is_empty() || namespace.len() > DEPTH {
        return Err(Fault::refused(format!("A namespace has 1 to {DEPTH} parts.")));
    }
    namespace.iter().try_for_each(|part| check_part(part))?;
    refuse_own(namespace)
}

/// Checks a table that is to be made, or to get this name.
pub(super) fn check_table(ident: &TableIdent) -> Result<(), Fault> {
    check_namespace(&ident.namespace)?;
    check_part(&ident.name)
}

/// Names become folders and, joined by dots, keys of the catalog.
fn check_part(part: &str) -> Result<(), Fault> {
    let good = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' ' | '$');
    if (1..=PART_BYTES).contains(&part.len()) && part.chars().all(good) && part.trim() == part {
        return Ok(());
    }
    let text = format!(
        "{part:?} cannot be a name here: use 1 to {PART_BYTES} bytes of letters, digits, `_`, `-`, `$` and inner spaces."
    );
    Err(Fault::refused(text))
}

/// The folder of a new table; `unique` has never been used before.
pub(super) fn location(root: &str, ident: &TableIdent, unique: &str) -> String {
    format!("{root}/{}/{}-{unique}", ident.namespace.join("."), ident.name)
}

/// Checks the folder that a client says for a new table: only one that [`location`] may have given.
pub(super) fn check_location(root: &str, ident: &TableIdent, location: &str) -> Result<(), Fault> {
    let folder = format!("{root}/{}/{}-", ident.namespace.join("."), ident.name);
    match location.strip_prefix(&folder) {
        Some(rest) if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Ok(()),
        _ => Err(Fault::refused(format!(
            "A table cannot lie at {location}: leave `location` out, and the catalog chooses a folder."
        ))),
    }
}

/// The folder of a table whose metadata file this is, if that may be a table of others.
pub(super) fn folder_of<'a>(root: &str, metadata_location: &'a str) -> Option<&'a str> {
    let (folder, file) = metadata_location.rsplit_once("/metadata/")?;
    (!file.contains('/') && is_others(root, folder)).then_some(folder)
}

/// Whether a folder may be that of a table of others.
pub(super) fn is_others(root: &str, folder: &str) -> bool {
    let Some(rest) = folder.strip_prefix(root).and_then(|rest| rest.strip_prefix('/')) else { return false };
    let Some((namespace, table)) = rest.split_once('/') else { return false };
    let plain = |part: &str| !part.is_empty() && !part.contains('/') && !matches!(part, "." | "..");
    plain(namespace) && plain(table) && !TAKEN.contains(&namespace)
}

/// Whether a file lies inside a folder, whichever way its path is written.
pub(crate) fn is_inside(folder: &str, file: &str) -> bool {
    file.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')).is_some_and(|rest| {
        !rest.is_empty() && rest.split('/').all(|part| !part.is_empty() && !matches!(part, "." | ".."))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ident(namespace: &str, name: &str) -> TableIdent {
        TableIdent::new(NamespaceIdent::from_strs(namespace.split('/')).unwrap(), name.to_owned())
    }

    #[test]
    fn names_that_cannot_be_folders_or_keys_are_refused() {
        let long = "x".repeat(101);
        for (namespace, name, reason) in [
            ("lab", "t", None),
            ("lab/deep", "My Table_1-$", None),
            ("Größe", "t", None),
            ("lab", "", Some(Reason::Refused)),
            ("lab", "a/b", Some(Reason::Refused)),
            ("lab", "..", Some(Reason::Refused)),
            ("lab", "a.b", Some(Reason::Refused)),
            ("a.b", "t", Some(Reason::Refused)),
            ("lab", " t", Some(Reason::Refused)),
            ("lab", "t\n", Some(Reason::Refused)),
            ("lab", long.as_str(), Some(Reason::Refused)),
            ("a/b/c/d/e/f/g/h/i", "t", Some(Reason::Refused)),
            ("tenrec", "t", Some(Reason::Reserved)),
            ("tenrec/deep", "t", Some(Reason::Reserved)),
            ("session_replay", "t", Some(Reason::Reserved)),
        ] {
            let found = check_table(&ident(namespace, name)).err().map(|fault| fault.reason);
            assert_eq!(found, reason, "{namespace} {name}");
        }
    }

    #[test]
    fn a_table_lies_only_where_the_catalog_may_have_put_it() {
        let root = "file:///data/warehouse";
        let (flat, deep) = (ident("lab", "t"), ident("lab/deep", "t"));
        for ident in [&flat, &deep] {
            let at = location(root, ident, "0a1b");
            check_location(root, ident, &at).unwrap();
            assert_eq!(folder_of(root, &format!("{at}/metadata/0-a.metadata.json")), Some(at.as_str()));
        }
        for at in [
            "file:///etc",
            "file:///data/warehouse",
            "file:///data/warehouse/lab",
            "file:///data/warehouse/lab/t",
            "file:///data/warehouse/lab/t-",
            "file:///data/warehouse/lab/t-a/b",
            "file:///data/warehouse/lab/t-a/../../tenrec/events",
            "file:///data/warehouse/tenrec/events",
            "s3://bucket/lab/t-a",
        ] {
            assert!(check_location(root, &flat, at).is_err(), "{at}");
        }
        for file in [
            "file:///data/warehouse/tenrec/events/metadata/0-a.metadata.json",
            "file:///data/warehouse/session_replay/x/metadata/0-a.metadata.json",
            "file:///data/warehouse/lab/metadata/0-a.metadata.json",
            "file:///data/warehouse/lab/../metadata/0-a.metadata.json",
            "file:///data/warehouse/lab/t/metadata/deep/0-a.metadata.json",
            "file:///data/warehouse/lab/t/0-a.metadata.json",
            "/data/warehouse/lab/t/metadata/0-a.metadata.json",
        ] {
            assert_eq!(folder_of(root, file), None, "{file}");
        }
    }

    #[test]
    fn a_path_that_climbs_out_is_not_inside() {
        for (file, inside) in [
            ("file:///w/t/data/a.parquet", true),
            ("file:///w/t", false),
            ("file:///w/t/", false),
            ("file:///w/t2/a", false),
            ("file:///w/t/../u/a", false),
            ("file:///w/t/./a", false),
            ("file:///w/t//a", false),
            ("/w/t/a", false),
        ] {
            assert_eq!(is_inside("file:///w/t", file), inside, "{file}");
        }
    }
}
