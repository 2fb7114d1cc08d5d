//! What a fold came to, added to the rows of its record and counted.

use crate::letters;
use identity::Folded;
use table::Rows;

/// Adds everything of `folded` to `rows`.
pub fn add(folded: Folded, rows: &mut Rows) {
    if let Some(letter) = &folded.dead_letter {
        letters::event(letter, rows);
    }
    rows.events.extend(folded.event);
    rows.persons.extend(folded.persons);
    rows.mappings.extend(folded.mappings);
    rows.groups.extend(folded.groups);
    folded.heatmaps.iter().for_each(|_| telemetry::capture::heatmap_redirected());
    rows.heatmaps.extend(folded.heatmaps);
    folded.warnings.iter().for_each(|warning| telemetry::capture::warned(&warning.kind));
    rows.warnings.extend(folded.warnings);
}
