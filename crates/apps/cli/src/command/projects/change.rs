//! `NAME=VALUE` words into a change of a project, and a project as the same names and values.

use anyhow::{Context, bail, ensure};
use metastore::Project;
use metastore::project::Update;
use serde_json::{Map, Value, json};

/// Everything of a project that can be set, by name.
pub fn settable(project: &Project) -> anyhow::Result<Map<String, Value>> {
    let mut all = Map::new();
    all.insert("name".into(), json!(project.name));
    all.insert("timezone".into(), json!(project.timezone));
    if let Value::Object(switches) = serde_json::to_value(&project.settings)? {
        all.extend(switches);
    }
    all.insert("exhausted".into(), serde_json::to_value(&project.exhausted)?);
    all.insert("restrictions".into(), serde_json::to_value(&project.restrictions)?);
    Ok(all)
}

/// Reads `NAME=VALUE` words. A value is JSON where it reads as such and text elsewhere.
pub fn parse(project: &Project, words: &[String]) -> anyhow::Result<Update> {
    let mut all = settable(project)?;
    for word in words {
        let (name, value) = word.split_once('=').with_context(|| format!("`{word}` is not NAME=VALUE"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        let known = all.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let Some(slot) = all.get_mut(name) else { bail!("a project has no `{name}`; it has {known}") };
        *slot = value;
    }
    let mut take = |name: &str| all.remove(name).unwrap_or_default();
    let text = |name: &str, value: Value| match value {
        Value::String(text) => Ok(text),
        other => bail!("{name} is text, not {other}"),
    };
    let update = Update {
        name: Some(text("name", take("name"))?),
        timezone: Some(text("timezone", take("timezone"))?),
        exhausted: Some(read("exhausted", take("exhausted"))?),
        restrictions: Some(read("restrictions", take("restrictions"))?),
        settings: Some(read("a switch", Value::Object(all))?),
    };
    let zone = update.timezone.as_deref().unwrap_or_default();
    ensure!(jiff::tz::TimeZone::get(zone).is_ok(), "timezone: there is no time zone `{zone}`");
    Ok(update)
}

fn read<T: serde::de::DeserializeOwned>(name: &str, value: Value) -> anyhow::Result<T> {
    serde_json::from_value(value).with_context(|| format!("{name} has a value it cannot have"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::Resource;
    use jiff::Timestamp;
    use metastore::project::Action;

    fn project() -> Project {
        Project {
            id: event::ProjectId(1),
            uuid: Default::default(),
            organization: Default::default(),
            name: "one".into(),
            api_token: event::ProjectKey("phc_a".into()),
            keys: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
            timezone: "UTC".into(),
            settings: metastore::project::Settings::default(),
            exhausted: Vec::new(),
            restrictions: Vec::new(),
        }
    }

    fn change(words: &[&str]) -> anyhow::Result<Update> {
        parse(&project(), &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_change_what_they_name_and_nothing_else() {
        let update = change(&[
            "name=my shop",
            "timezone=Europe/Berlin",
            "anonymize_ips=true",
            "drop_events_older_than_seconds=3600",
            r#"exhausted=["events"]"#,
            r#"restrictions=[{"action":"drop_event","distinct_ids":["bot"]}]"#,
        ])
        .expect("a change");
        assert_eq!(
            (update.name.as_deref(), update.timezone.as_deref()),
            (Some("my shop"), Some("Europe/Berlin"))
        );
        let settings = update.settings.expect("settings");
        assert!(settings.anonymize_ips && settings.session_recording_opt_in);
        assert_eq!(settings.drop_events_older_than_seconds, Some(3600));
        assert_eq!(update.exhausted, Some(vec![Resource::Events]));
        let restrictions = update.restrictions.expect("restrictions");
        assert_eq!(
            (restrictions[0].action, restrictions[0].distinct_ids[0].as_str()),
            (Action::DropEvent, "bot")
        );
    }

    #[test]
    fn wrong_words_are_named() {
        for (word, part) in [
            ("anonymize_ips", "NAME=VALUE"),
            ("color=red", "no `color`"),
            ("name=1", "name is text"),
            ("timezone=Mars/Base", "Mars/Base"),
            (r#"exhausted=["oil"]"#, "exhausted"),
            ("anonymize_ips=maybe", "a switch"),
        ] {
            let error = format!("{:#}", change(&[word]).expect_err(word));
            assert!(error.contains(part), "{word}: {error}");
        }
    }
}
