//! Event properties that describe the sender and are copied to the person, first and last seen.

use event::name::event as name;
use event::name::property;
use event::{Json, Properties};

/// What the first value of a promoted property is kept under.
const INITIAL: &str = "$initial_";

/// Copies the promoted keys of `properties` into its `$set` and, as `$initial_*`, into its `$set_once`.
///
/// What the sender put there itself wins. Replay and performance events are left alone.
pub fn promote(event: &str, properties: &mut Properties) {
    if event == name::SNAPSHOT || event == name::PERFORMANCE {
        return;
    }
    if !properties.iter().any(|(key, _)| is_promoted(key)) {
        return;
    }
    let mut set = properties.object(property::SET).unwrap_or_default();
    let mut set_once = properties.object(property::SET_ONCE).unwrap_or_default();
    // A browser's page view promotes about this many.
    set.reserve(20, 1024);
    set_once.reserve(20, 1280);
    fill_os(properties, &mut set, &mut set_once);
    // `$browser` becomes `$initial_browser`, `utm_source` becomes `$initial_utm_source`.
    let mut initial = INITIAL.to_owned();
    let is_server = properties.get("$is_server").and_then(Json::as_bool) == Some(true);
    for (key, value) in properties.iter() {
        let skipped = key == "$os_name" || (is_server && (key == "$os" || key == "$os_version"));
        if skipped || !is_promoted(key) {
            continue;
        }
        set.or_insert(key, value);
        initial.truncate(INITIAL.len());
        initial.push_str(key.strip_prefix('$').unwrap_or(key));
        set_once.or_insert(&initial, value);
    }
    for (key, map) in [(property::SET, set), (property::SET_ONCE, set_once)] {
        if !map.is_empty() {
            properties.insert(key, &map);
        }
    }
}

/// `$os_name` is how some SDKs say `$os`; persons of such events only have the latter.
fn fill_os(properties: &mut Properties, set: &mut Properties, set_once: &mut Properties) {
    let Some(os) = properties.get("$os_name").map(|os| os.text().to_owned()) else { return };
    properties.or_insert("$os", Json::canonical(&os));
    set.remove("$os_name");
    set_once.remove("$initial_os_name");
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
    use serde_json::{Value, json};

    #[track_caller]
    fn promoted(properties: Value) -> Value {
        let mut properties = serde_json::from_value(properties).expect("an object");
        promote("a", &mut properties);
        json!(properties)
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
