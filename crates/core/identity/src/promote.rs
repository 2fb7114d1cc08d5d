//! Event properties that describe the sender and are copied to the person, first and last seen.

use event::name::event as name;
use event::name::property;
use serde_json::{Map, Value};

/// Copies the promoted keys of `properties` into its `$set` and, as `$initial_*`, into its `$set_once`.
///
/// What the sender put there itself wins. Replay and performance events are left alone.
pub fn promote(event: &str, properties: &mut Map<String, Value>) {
    if event == name::SNAPSHOT || event == name::PERFORMANCE {
        return;
    }
    if !properties.keys().any(|key| is_promoted(key)) {
        return;
    }
    let mut set = take_object(properties, property::SET);
    let mut set_once = take_object(properties, property::SET_ONCE);
    fill_os(properties, &mut set, &mut set_once);
    let is_server = properties.get("$is_server") == Some(&Value::Bool(true));
    for (key, value) in properties.iter() {
        let skipped = key == "$os_name" || (is_server && (key == "$os" || key == "$os_version"));
        if skipped || !is_promoted(key) {
            continue;
        }
        set.entry(key.as_str()).or_insert_with(|| value.clone());
        set_once.entry(initial(key)).or_insert_with(|| value.clone());
    }
    for (key, map) in [(property::SET, set), (property::SET_ONCE, set_once)] {
        if !map.is_empty() {
            properties.insert(key.to_owned(), Value::Object(map));
        }
    }
}

/// `$os_name` is how some SDKs say `$os`; persons of such events only have the latter.
fn fill_os(
    properties: &mut Map<String, Value>,
    set: &mut Map<String, Value>,
    set_once: &mut Map<String, Value>,
) {
    let Some(os) = properties.get("$os_name").cloned() else { return };
    properties.entry("$os").or_insert(os);
    set.shift_remove("$os_name");
    set_once.shift_remove("$initial_os_name");
}

fn take_object(properties: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    match properties.get_mut(key) {
        Some(Value::Object(map)) => std::mem::take(map),
        // A browser's page view promotes about this many.
        _ => Map::with_capacity(16),
    }
}

/// `$browser` becomes `$initial_browser`, `utm_source` becomes `$initial_utm_source`.
fn initial(key: &str) -> String {
    let key = key.strip_prefix('$').unwrap_or(key);
    let mut initial = String::with_capacity(key.len() + 9);
    initial.push_str("$initial_");
    initial.push_str(key);
    initial
}

/// Whether a key is copied to the person.
pub fn is_promoted(key: &str) -> bool {
    is_app_or_web(key) || is_campaign(key)
}

fn is_app_or_web(key: &str) -> bool {
    matches!(
        key,
        "$app_build"
            | "$app_name"
            | "$app_namespace"
            | "$app_version"
            | "$browser"
            | "$browser_version"
            | "$device_type"
            | "$current_url"
            | "$pathname"
            | "$os"
            | "$os_name"
            | "$os_version"
            | "$referring_domain"
            | "$referrer"
            | "$screen_height"
            | "$screen_width"
            | "$viewport_height"
            | "$viewport_width"
            | "$raw_user_agent"
    )
}

fn is_campaign(key: &str) -> bool {
    matches!(
        key,
        "utm_source"
            | "utm_medium"
            | "utm_campaign"
            | "utm_content"
            | "utm_name"
            | "utm_term"
            | "gclid"
            | "gad_source"
            | "gclsrc"
            | "dclid"
            | "gbraid"
            | "wbraid"
            | "fbclid"
            | "msclkid"
            | "twclid"
            | "li_fat_id"
            | "mc_cid"
            | "igshid"
            | "ttclid"
            | "rdt_cid"
            | "irclid"
            | "_kx"
            | "epik"
            | "qclid"
            | "sccid"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn promoted(mut properties: Value) -> Value {
        promote("a", properties.as_object_mut().expect("an object"));
        properties
    }

    #[test]
    fn os_name_is_an_alias_of_os() {
        assert_eq!(
            promoted(json!({"$os_name": "iOS"})),
            json!({"$os_name": "iOS", "$os": "iOS", "$set": {"$os": "iOS"}, "$set_once": {"$initial_os": "iOS"}})
        );
        assert_eq!(
            promoted(json!({"$os_name": "iOS", "$os": "x", "$set": {"$os_name": "y"}})),
            json!({"$os_name": "iOS", "$os": "x", "$set": {"$os": "x"}, "$set_once": {"$initial_os": "x"}})
        );
        assert_eq!(
            promoted(json!({"$os": "x", "$set": {"$os_name": "y"}})),
            json!({"$os": "x", "$set": {"$os_name": "y", "$os": "x"}, "$set_once": {"$initial_os": "x"}})
        );
    }

    #[test]
    fn a_server_has_no_os_to_promote() {
        assert_eq!(
            promoted(json!({"$is_server": true, "$os": "Linux", "$os_version": "6", "$app_name": "n"})),
            json!({"$is_server": true, "$os": "Linux", "$os_version": "6", "$app_name": "n",
                "$set": {"$app_name": "n"}, "$set_once": {"$initial_app_name": "n"}})
        );
    }

    #[test]
    fn null_is_copied_and_a_set_that_is_no_object_gives_way() {
        assert_eq!(
            promoted(json!({"$referrer": null, "$set": "text"})),
            json!({"$referrer": null, "$set": {"$referrer": null}, "$set_once": {"$initial_referrer": null}})
        );
    }
}
