//! Where an event came from: its address and its place, put into its properties.
//!
//! The order is [`fn@ip`], [`place`], [`geo`]. Looking an address up is the caller's work: it asks
//! [`lookup_address`] which one, and hands in what it found.

use crate::name::property;
use crate::{Place, Properties};
use serde_json::Value;
use std::borrow::Cow;

/// What stands for the loopback address, so that a developer sees a place (a public address in Sweden).
const LOOPBACK_STAND_IN: &str = "89.160.20.129";

/// What a GeoIP database says about an address. Names in English; subdivisions from the largest down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Geo {
    /// City.
    pub city_name: Option<String>,
    /// Confidence in the city, percent.
    pub city_confidence: Option<u64>,
    /// Second-level region.
    pub subdivision_2_name: Option<String>,
    /// ISO code of the second-level region, without the country.
    pub subdivision_2_code: Option<String>,
    /// First-level region.
    pub subdivision_1_name: Option<String>,
    /// ISO code of the first-level region, without the country.
    pub subdivision_1_code: Option<String>,
    /// Country.
    pub country_name: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country_code: Option<String>,
    /// Continent.
    pub continent_name: Option<String>,
    /// Two letters.
    pub continent_code: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// Radius of confidence around the coordinates, kilometres.
    pub accuracy_radius: Option<u64>,
    /// IANA time zone.
    pub time_zone: Option<String>,
}

impl Geo {
    /// The 15 keys, in the order PostHog writes them, with what was found.
    fn fields(&self) -> [(&'static str, Option<Value>); 15] {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        [
            ("city_name", text(&self.city_name)),
            ("city_confidence", self.city_confidence.map(Value::from)),
            ("subdivision_2_name", text(&self.subdivision_2_name)),
            ("subdivision_2_code", text(&self.subdivision_2_code)),
            ("subdivision_1_name", text(&self.subdivision_1_name)),
            ("subdivision_1_code", text(&self.subdivision_1_code)),
            ("country_name", text(&self.country_name)),
            ("country_code", text(&self.country_code)),
            ("continent_name", text(&self.continent_name)),
            ("continent_code", text(&self.continent_code)),
            ("postal_code", text(&self.postal_code)),
            ("latitude", self.latitude.map(Value::from)),
            ("longitude", self.longitude.map(Value::from)),
            ("accuracy_radius", self.accuracy_radius.map(Value::from)),
            ("time_zone", text(&self.time_zone)),
        ]
    }
}

/// Writes `$ip` unless the sender wrote one that is not empty.
pub fn ip(properties: &mut Properties, address: Option<&str>) {
    let Some(address) = address else { return };
    if !properties.is_truthy(property::IP) {
        properties.insert(property::IP, address);
    }
}

/// Writes what the edge knows about the request's own address; never replaces what is there.
///
/// `own` is the address the edge saw. Where `$ip` says another one (a server sending for its users), only
/// the request is described, so nothing is written; `$geoip_disable` keeps the place out, not the network.
pub fn place(properties: &mut Properties, place: &Place, own: Option<&str>) {
    let ip = properties.text_of(property::IP);
    if ip.is_some() && ip.as_deref() != own {
        return;
    }
    let text = |value: &Option<String>| value.clone().map(Value::from);
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            properties.or_insert(key, value);
        }
    };
    add("cf_asn", place.asn.map(Value::from));
    add("cf_as_organization", text(&place.as_organization));
    add("cf_colo", text(&place.colo));
    add("cf_metro_code", text(&place.metro_code));
    add("cf_ray", text(&place.ray));
    if properties.is_truthy(property::GEOIP_DISABLE) {
        return;
    }
    let mut add = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            properties.or_insert(key, value);
        }
    };
    add("$geoip_country_code", text(&place.country_code));
    add("$geoip_city_name", text(&place.city_name));
    add("$geoip_continent_code", text(&place.continent_code));
    add("$geoip_latitude", place.latitude.map(Value::from));
    add("$geoip_longitude", place.longitude.map(Value::from));
    add("$geoip_postal_code", text(&place.postal_code));
    add("$geoip_subdivision_1_code", text(&place.subdivision_1_code));
    add("$geoip_subdivision_1_name", text(&place.subdivision_1_name));
    add("$geoip_time_zone", text(&place.time_zone));
}

/// The address to look up for this event; `None` when it has none or refuses.
pub fn lookup_address(properties: &Properties) -> Option<Cow<'_, str>> {
    if properties.is_truthy(property::GEOIP_DISABLE) {
        return None;
    }
    let address = properties.text_of(property::IP)?;
    match &*address {
        "" => None,
        "127.0.0.1" => Some(LOOPBACK_STAND_IN.into()),
        _ => Some(address),
    }
}

/// Writes a database's answer for [`lookup_address`], to the event and to its person.
///
/// What was not found is cleared on the person (`null` in `$set`, and in `$set_once` as `$initial_...`), so
/// that a city does not outlive the move to a country where the database knows none.
///
/// # Compat
/// PostHog `nodejs/src/cdp/templates/_transformations/geoip/geoip.template.ts`.
pub fn geo(properties: &mut Properties, geo: &Geo) {
    let fields = geo.fields();
    let person = |key: &str, prefix: &str, properties: &mut Properties| {
        let mut slot = properties.object(key).unwrap_or_default();
        for (field, found) in &fields {
            slot.insert(&format!("{prefix}{field}"), found.as_ref().unwrap_or(&Value::Null));
        }
        properties.insert(key, &slot);
    };
    person(property::SET, "$geoip_", properties);
    person(property::SET_ONCE, "$initial_geoip_", properties);
    for (field, found) in fields {
        if let Some(found) = found {
            properties.insert(&format!("$geoip_{field}"), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn map(value: Value) -> Properties {
        serde_json::from_value(value).unwrap()
    }

    fn berlin() -> Place {
        Place {
            country_code: Some("DE".into()),
            city_name: Some("Berlin".into()),
            asn: Some(64500),
            colo: Some("TXL".into()),
            ..Place::default()
        }
    }

    #[test]
    fn ip_fills_only_a_gap() {
        for (before, after) in [
            (json!({}), json!({"$ip": "1.1.1.1"})),
            (json!({"$ip": ""}), json!({"$ip": "1.1.1.1"})),
            (json!({"$ip": null}), json!({"$ip": "1.1.1.1"})),
            (json!({"$ip": "2.2.2.2"}), json!({"$ip": "2.2.2.2"})),
        ] {
            let mut properties = map(before);
            ip(&mut properties, Some("1.1.1.1"));
            assert_eq!(json!(properties), after);
        }
    }

    #[test]
    fn place_describes_only_its_own_request_and_replaces_nothing() {
        let mut properties = map(json!({"$ip": "1.1.1.1", "$geoip_city_name": "Paris"}));
        place(&mut properties, &berlin(), Some("1.1.1.1"));
        assert_eq!(properties.value("$geoip_city_name"), "Paris");
        assert_eq!(properties.value("$geoip_country_code"), "DE");
        assert_eq!(properties.value("cf_asn"), 64500);

        let mut other = map(json!({"$ip": "2.2.2.2"}));
        place(&mut other, &berlin(), Some("1.1.1.1"));
        assert_eq!(json!(other), json!({"$ip": "2.2.2.2"}));

        let mut refused = map(json!({"$ip": "1.1.1.1", "$geoip_disable": true}));
        place(&mut refused, &berlin(), Some("1.1.1.1"));
        assert!(!refused.contains_key("$geoip_country_code"));
        assert_eq!(refused.value("cf_colo"), "TXL");
    }

    #[test]
    fn lookups_follow_the_sender() {
        for (properties, expect) in [
            (json!({"$ip": "1.1.1.1"}), Some("1.1.1.1")),
            (json!({"$ip": "127.0.0.1"}), Some("89.160.20.129")),
            (json!({"$ip": ""}), None),
            (json!({}), None),
            (json!({"$ip": "1.1.1.1", "$geoip_disable": true}), None),
            (json!({"$ip": "1.1.1.1", "$geoip_disable": false}), Some("1.1.1.1")),
        ] {
            assert_eq!(lookup_address(&map(properties)).as_deref(), expect);
        }
    }

    #[test]
    fn geo_clears_what_it_does_not_know() {
        let mut properties = map(json!({"$set": {"a": 1, "$geoip_city_name": "Oslo"}}));
        let found = Geo { country_code: Some("NO".into()), ..Geo::default() };
        geo(&mut properties, &found);
        assert_eq!(properties.value("$geoip_country_code"), "NO");
        assert!(!properties.contains_key("$geoip_city_name"));
        assert_eq!(properties.value("$set")["a"], 1);
        assert_eq!(properties.value("$set")["$geoip_city_name"], Value::Null);
        assert_eq!(properties.value("$set")["$geoip_country_code"], "NO");
        assert_eq!(properties.value("$set_once")["$initial_geoip_country_code"], "NO");
        assert_eq!(properties.value("$set_once")["$initial_geoip_time_zone"], Value::Null);
        assert_eq!(properties.value("$set_once").as_object().unwrap().len(), 15);
    }
}
