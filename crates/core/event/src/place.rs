//! Where a request came from, as the edge told us.

use serde::{Deserialize, Serialize};

/// Location and network of the client, taken from Cloudflare request metadata or headers.
///
/// Applied only to events that carry no location of their own; see [`crate::name`] for the properties.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// ISO 3166-1 alpha-2, upper case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
    /// City name in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city_name: Option<String>,
    /// Two-letter continent code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continent_code: Option<String>,
    /// Degrees north.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees east.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Region code (ISO 3166-2 without the country).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdivision_1_code: Option<String>,
    /// Region name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdivision_1_name: Option<String>,
    /// IANA time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Autonomous system number (`cf_asn`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u64>,
    /// Autonomous system owner (`cf_as_organization`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_organization: Option<String>,
    /// Cloudflare data centre (`cf_colo`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colo: Option<String>,
    /// Cloudflare metro code (`cf_metro_code`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metro_code: Option<String>,
    /// Cloudflare ray id (`cf_ray`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ray: Option<String>,
}
