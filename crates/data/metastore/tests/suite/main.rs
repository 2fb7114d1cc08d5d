//! One suite for every metastore: each case sees only `dyn Metastore`, each backend runs them all.

mod checkpoint;
mod database;
mod definition;
mod erasure;
mod file;
mod identity_state;
mod keys;
mod kill;
mod model;
mod place;
mod pointer;
mod projects;
mod reopen;
mod sample;
mod server;
mod small;

/// Runs every case of the suite on every kind of store: on a fresh one, or on a place that has none yet.
macro_rules! on_every_store {
    (stores: $($module:ident :: $case:ident),*; places: $($at:ident :: $there:ident),* $(;)?) => {
        on_every_store!(@kind sqlite: $($module::$case),*; $($at::$there),*);
        on_every_store!(@kind postgres: $($module::$case),*; $($at::$there),*);
    };
    (@kind $kind:ident: $($module:ident :: $case:ident),*; $($at:ident :: $there:ident),*) => {
        mod $kind {
            use crate::place::Place;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let place = Place::$kind().await;
                    crate::$module::$case(place.open().await).await;
                }
            )*
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $there() {
                    crate::$at::$there(Place::$kind().await).await;
                }
            )*
        }
    };
}

on_every_store!(
    stores:
    projects::projects_are_created_found_and_listed,
    projects::a_project_is_changed_field_by_field,
    projects::bad_projects_are_refused,
    projects::the_revision_moves_with_projects_and_keys_only,
    keys::a_project_has_several_keys,
    keys::a_rotated_key_lives_until_it_is_disabled,
    keys::secret_keys_authenticate_until_revoked,
    keys::last_use_is_noted_once_an_hour,
    keys::bad_grants_are_refused,
    identity_state::every_asked_id_is_answered,
    identity_state::a_merge_survives_with_its_versions,
    identity_state::values_come_back_as_they_were,
    identity_state::all_members_of_a_person_are_loaded,
    identity_state::projects_do_not_see_each_other,
    identity_state::ten_thousand_persons_load_at_once,
    identity_state::persons_are_looked_up,
    identity_state::groups_are_answered_by_slot,
    identity_state::text_may_hold_every_character,
    checkpoint::a_commit_is_idempotent,
    checkpoint::an_older_checkpoint_is_refused_whole,
    checkpoint::readers_see_whole_commits,
    checkpoint::a_row_given_twice_is_written_as_it_was_last,
    erasure::a_person_is_forgotten_once,
    erasure::erasures_are_noted_and_listed,
    definition::definitions_merge,
    definition::definitions_are_listed_in_pages,
    small::a_salt_is_made_once,
    small::old_salts_are_forgotten,
    small::cursors_are_overwritten,
    model::random_commits_agree_with_a_model;
    places:
    reopen::everything_is_there_after_reopening,
    reopen::another_process_is_seen,
    reopen::many_may_open_a_new_one_at_once,
    reopen::a_distinct_id_without_its_person_is_damage,
    kill::what_was_durable_is_there_after_a_kill;
);
