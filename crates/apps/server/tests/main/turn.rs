//! Cases that share a server: each has a project for itself, so that none sees what another left.

use crate::world::{Extra, Folder};
use server::Settings;

/// A case and its project.
pub struct Turn<C> {
    pub case: C,
    pub key: String,
    pub project: i64,
}

/// Makes a folder with a project for every case; `extra` says what is special about a project, given its key.
///
/// Keys are as long as the one of the fixtures, so that lengths in answers agree.
pub fn turns<C>(
    settings: &Settings,
    cases: Vec<C>,
    extra: impl Fn(&C, Extra) -> Extra,
) -> (Folder, Vec<Turn<C>>) {
    let key = |index: usize| format!("phc_{index:07}");
    let projects: Vec<Extra> =
        cases.iter().enumerate().map(|(index, case)| extra(case, Extra::of(key(index)))).collect();
    let folder = Folder::with(settings, &projects);
    let numbered = cases.into_iter().zip(&folder.projects).enumerate();
    let turns = numbered.map(|(index, (case, project))| Turn { case, key: key(index), project: *project });
    let turns = turns.collect();
    (folder, turns)
}
