//! `tenrec settings`: every setting in force.

use super::paper;
use crate::settings;
use crate::words::Shared;

/// Prints key, value and origin of every setting.
pub fn run(shared: &Shared) -> anyhow::Result<()> {
    let resolved = settings::resolve(shared.config.as_deref(), &[])?;
    let rows: Vec<Vec<String>> = resolved.lines().into_iter().map(Vec::from).collect();
    paper::print(&["setting", "value", "from"], &rows);
    for note in &resolved.notes {
        eprintln!("note: {note}");
    }
    Ok(())
}
