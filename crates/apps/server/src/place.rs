//! Location of a request from the headers Cloudflare adds in front of an origin.
//!
//! # Compat
//! `CF-Ray`, `CF-IPCountry` and the "visitor location headers" managed transform (`CF-IPCity`, ...), which carry what
//! Hogflare reads from the Worker's `cf` object. Believed only from a trusted proxy.

use event::Place;
use http::HeaderMap;

/// Reads the location headers; `None` when there are none.
pub fn from_headers(headers: &HeaderMap) -> Option<Place> {
    let text = |name: &str| {
        let value = headers.get(name)?.as_bytes();
        // City and region names arrive as UTF-8; longer than any real name is noise.
        let value = String::from_utf8_lossy(value).trim().to_owned();
        (!value.is_empty() && value.len() <= 200).then_some(value)
    };
    let number = |name: &str| text(name)?.parse::<f64>().ok().filter(|n| n.is_finite());
    let place = Place {
        // XX is unknown and T1 is Tor: neither is a country.
        country_code: text("cf-ipcountry").filter(|c| c != "XX" && c != "T1"),
        city_name: text("cf-ipcity"),
        continent_code: text("cf-ipcontinent"),
        latitude: number("cf-iplatitude"),
        longitude: number("cf-iplongitude"),
        postal_code: text("cf-postal-code"),
        subdivision_1_code: text("cf-region-code"),
        subdivision_1_name: text("cf-region"),
        time_zone: text("cf-timezone"),
        asn: None,
        as_organization: None,
        // The ray ends with the data centre: `8f00c2ab3d4e5f60-CDG`.
        colo: text("cf-ray").and_then(|ray| Some(ray.rsplit_once('-')?.1.to_owned())),
        metro_code: text("cf-metro-code"),
        ray: text("cf-ray"),
    };
    (place != Place::default()).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloudflare_headers_become_a_place() {
        let mut headers = HeaderMap::new();
        assert_eq!(from_headers(&headers), None);
        headers.insert("cf-ray", "8f00c2ab3d4e5f60-CDG".parse().expect("header"));
        assert_eq!(from_headers(&headers).expect("place").colo.as_deref(), Some("CDG"));
        headers.insert("cf-ipcountry", "DE".parse().expect("header"));
        headers.insert("cf-iplatitude", "52.5".parse().expect("header"));
        headers.insert("cf-iplongitude", "NaN".parse().expect("header"));
        let place = from_headers(&headers).expect("place");
        assert_eq!(place.country_code.as_deref(), Some("DE"));
        assert_eq!((place.latitude, place.longitude), (Some(52.5), None));
        headers.insert("cf-ipcountry", "XX".parse().expect("header"));
        assert_eq!(from_headers(&headers).expect("place").country_code, None);
    }
}
