//! What the server adds to events from the connection, and what it takes out of them.

use crate::client::Request;
use crate::recorded::object;
use crate::world::{Extra, Folder, TOKEN, World, settings};
use metastore::project;
use serde_json::{Map, Value, json};

fn properties_of(world: &World, distinct_id: &str) -> Map<String, Value> {
    let rows = world.ask(1, &format!("SELECT properties FROM events WHERE distinct_id = '{distinct_id}'"));
    assert_eq!(rows.len(), 1, "{distinct_id}: {rows:?}");
    object(&rows[0][0])
}

fn event(distinct_id: &str, properties: Value) -> Request {
    Request::json(
        "/e/",
        json!({"api_key": TOKEN, "event": "e", "distinct_id": distinct_id, "properties": properties}),
    )
}

/// As Cloudflare sends it.
fn from_edge(request: Request) -> Request {
    request
        .with("x-forwarded-for", "203.0.113.7")
        .with("cf-ipcountry", "DE")
        .with("cf-ipcity", "Köln")
        .with("cf-iplatitude", "50.93")
        .with("cf-iplongitude", "6.95")
        .with("cf-timezone", "Europe/Berlin")
        .with("cf-ray", "8f00-CDG")
}

#[test]
fn a_trusted_proxy_tells_where_a_client_is() {
    let world = World::plain();
    world.send(&from_edge(event("seen", json!({}))));
    world.send(&from_edge(event("refuses", json!({"$geoip_disable": true}))));
    world.send(&from_edge(event("other", json!({"$ip": "198.51.100.9"}))));
    world.send(&from_edge(event("knows", json!({"$geoip_country_code": "FR"}))));
    world.fence();
    let seen = properties_of(&world, "seen");
    for (key, value) in [
        ("$ip", json!("203.0.113.7")),
        ("$geoip_country_code", json!("DE")),
        ("$geoip_city_name", json!("Köln")),
        ("$geoip_latitude", json!(50.93)),
        ("$geoip_longitude", json!(6.95)),
        ("$geoip_time_zone", json!("Europe/Berlin")),
        ("cf_ray", json!("8f00-CDG")),
    ] {
        assert_eq!(seen.get(key), Some(&value), "{key}");
    }
    let country = |id: &str| properties_of(&world, id).get("$geoip_country_code").cloned();
    assert_eq!(country("refuses"), None);
    assert_eq!(country("other"), None, "the edge knows the sender, not this address");
    assert_eq!(country("knows"), Some(json!("FR")));
    let rows = world.ask(1, "SELECT p_geoip_country_code FROM events WHERE distinct_id = 'seen'");
    assert_eq!(rows, [[json!("DE")]]);
}

#[test]
fn a_stranger_is_not_believed() {
    let world = World::tuned(|settings| settings.server.trusted_proxies = vec!["10.0.0.0/8".into()]);
    world.send(&from_edge(event("seen", json!({}))));
    world.fence();
    let seen = properties_of(&world, "seen");
    assert_eq!(seen.get("$ip"), Some(&json!("127.0.0.1")));
    let placed: Vec<&String> =
        seen.keys().filter(|key| key.starts_with("$geoip") || key.starts_with("cf_")).collect();
    assert!(placed.is_empty(), "{placed:?}");
}

#[test]
fn a_project_can_drop_addresses() {
    let settings = settings();
    let switches = project::Settings { anonymize_ips: true, ..project::Settings::default() };
    let folder = Folder::with(&settings, &[Extra { settings: switches, ..Extra::of("phc_private") }]);
    let private = folder.projects[0];
    let world = folder.start(settings);
    let body = json!({"api_key": "phc_private", "event": "e", "distinct_id": "d"});
    world.send(&from_edge(Request::json("/e/", body)));
    world.fence();
    let rows = world.ask(private, "SELECT properties FROM events");
    let properties = object(&rows[0][0]);
    assert!(!properties.contains_key("$ip"), "{properties:?}");
    assert_eq!(properties.get("$geoip_country_code"), Some(&json!("DE")), "the place stays");
}

/// An event of a page that stores nothing in the browser.
fn cookieless(agent: &str) -> Request {
    event(
        "$posthog_cookieless",
        json!({"$cookieless_mode": true, "$raw_user_agent": agent, "$host": "shop.example.com",
            "$timezone": "UTC", "$device_id": null}),
    )
}

#[test]
fn visitors_without_cookies_are_counted_and_not_known() {
    let settings = settings();
    let world = Folder::with(&settings, &[]).start(settings.clone());
    let send = |world: &World, address: &str, agent: &str| {
        assert_eq!(world.send(&cookieless(agent).with("x-forwarded-for", address)).status, 200);
    };
    send(&world, "203.0.113.7", "one");
    send(&world, "203.0.113.7", "one");
    send(&world, "203.0.113.7", "two");
    send(&world, "203.0.113.8", "one");
    let refused = event("$posthog_cookieless", json!({"$cookieless_mode": "yes"}));
    assert_eq!(world.send(&refused).status, 400);
    assert_eq!(world.send(&event("$posthog_cookieless", json!({"$cookieless_mode": true}))).status, 200);
    world.fence();
    let sql = "SELECT distinct_id, properties FROM events ORDER BY distinct_id";
    let rows = world.ask(1, sql);
    assert_eq!(rows.len(), 4, "{rows:?}");
    for row in &rows {
        assert!(row[0].as_str().is_some_and(|id| id.starts_with("cookieless_")), "{row:?}");
        let text = row[1].as_str().expect("text");
        for secret in ["203.0.113", "$raw_user_agent", "$ip"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(object(&row[1]).get("$session_id").is_some_and(Value::is_string), "{text}");
    }
    let visitors = "SELECT count(DISTINCT distinct_id) FROM events";
    assert_eq!(world.count(visitors), 3);
    let warnings = world.ask(1, "SELECT type FROM ingestion_warnings");
    assert_eq!(warnings, [[json!("cookieless_missing_user_agent")]]);
    // The salt of the day outlives the process, so a visitor stays the same one.
    let world = world.stop().start(settings);
    send(&world, "203.0.113.8", "one");
    world.fence();
    assert_eq!((world.count(visitors), world.count("SELECT count(*) FROM events")), (3, 5));
}
