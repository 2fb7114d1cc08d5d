//! Sends with posthog-rs what the suite expects: `e2e-rust HOST PROJECT_KEY PREFIX`.

use posthog_rs::{ClientOptionsBuilder, Event};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, key, prefix] = &arguments[..] else { return Err("usage: e2e-rust HOST PROJECT_KEY PREFIX".into()) };
    let (anonymous, user) = (format!("{prefix}-anonymous"), format!("{prefix}-user"));
    let options = ClientOptionsBuilder::default().api_key(key.clone()).host(host.clone()).build()?;
    let client = posthog_rs::client(options);

    let mut before = Event::new(format!("{prefix} before"), anonymous.clone());
    before.insert_prop("number", 41.5)?;
    client.capture(before);

    let mut identify = Event::new("$identify".to_owned(), user.clone());
    identify.insert_prop("$anon_distinct_id", &anonymous)?;
    identify.insert_prop("$set", json!({"plan": "pro"}))?;
    client.capture(identify);

    client.alias(user.clone(), format!("{prefix}-alias"));
    client.group_identify("company", format!("{prefix}-company"), json!({"seats": 3}))?;

    let mut after = Event::new(format!("{prefix} after"), user.clone());
    after.insert_prop("text", "naïve ☕")?;
    after.add_group("company", &format!("{prefix}-company"));
    client.capture(after);

    let batch = (0..10).map(|number| {
        let mut event = Event::new(format!("{prefix} batch"), user.clone());
        event.insert_prop("number", number).map(|()| event)
    });
    client.capture_batch(batch.collect::<Result<_, _>>()?, false);
    client.flush();
    client.shutdown();
    Ok(())
}
