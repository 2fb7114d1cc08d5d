//! The uuid of a person that does not exist yet is a function of its distinct id.

use event::ProjectId;
use uuid::Uuid;

/// The namespace PostHog derives person uuids in.
const NAMESPACE: Uuid = Uuid::from_u128(0x932979b4_65c3_4424_8467_0b66ec27bc22);

/// The uuid a person created for `distinct_id` gets, and that events carry before there is a person.
///
/// # Compat
/// Equal to PostHog's for the same project number, so that imported events keep their persons.
pub fn person_id(project: ProjectId, distinct_id: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{project}:{distinct_id}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ids() {
        for (project, id, uuid) in [
            (1, "alice", "a6e21b41-7154-5e34-ae20-47017c663318"),
            (1, "dé", "e0a7527c-b828-5d81-8b8e-b7ff01acf3c2"),
            (2, "alice", "20c26c94-d3ad-5703-96d6-27c0878c783e"),
        ] {
            assert_eq!(person_id(ProjectId(project), id).to_string(), uuid);
        }
    }
}
