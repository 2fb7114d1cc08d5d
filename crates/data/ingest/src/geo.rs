//! Looking an address up in a MaxMind-format city database.

use crate::error::{Error, Kind};
use event::Properties;
use event::enrich::{Geo, lookup_address};
use maxminddb::Reader;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// An opened database, held in memory.
pub struct Database(Reader<Vec<u8>>);

impl Database {
    /// Reads the database at `path`.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be read, `Corrupt` when it is no such database.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let bytes = std::fs::read(path).map_err(|e| {
            Error::because(Kind::Unavailable, format!("cannot read the GeoIP database {}", path.display()), e)
        })?;
        let reader = Reader::from_source(bytes).map_err(|e| {
            Error::because(Kind::Corrupt, format!("{} is not a MaxMind-format database", path.display()), e)
        })?;
        Ok(Self(reader))
    }

    /// Adds `$geoip_*` for the event's address, if it has one and the database knows it.
    pub fn enrich(&self, properties: &mut Properties) {
        let Some(address) = lookup_address(properties).and_then(|text| text.parse().ok()) else { return };
        let found = self.0.lookup(address).and_then(|result| result.decode::<Found>());
        if let Ok(Some(found)) = found {
            event::enrich::geo(properties, &found.into());
        }
    }
}

/// The parts of a city (or enterprise) record that become properties.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Found<'a> {
    #[serde(borrow)]
    city: Named<'a>,
    #[serde(borrow)]
    continent: Named<'a>,
    #[serde(borrow)]
    country: Named<'a>,
    #[serde(borrow)]
    subdivisions: Vec<Named<'a>>,
    location: Location<'a>,
    postal: Named<'a>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    names: BTreeMap<&'a str, &'a str>,
    iso_code: Option<&'a str>,
    code: Option<&'a str>,
    confidence: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Location<'a> {
    latitude: Option<f64>,
    longitude: Option<f64>,
    accuracy_radius: Option<u64>,
    time_zone: Option<&'a str>,
}

impl Named<'_> {
    fn name(&self) -> Option<String> {
        self.names.get("en").map(|name| (*name).to_owned())
    }
}

impl From<Found<'_>> for Geo {
    fn from(found: Found<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let region = |index: usize| found.subdivisions.get(index);
        Self {
            city_name: found.city.name(),
            city_confidence: found.city.confidence,
            subdivision_2_name: region(1).and_then(Named::name),
            subdivision_2_code: region(1).and_then(|r| owned(r.iso_code)),
            subdivision_1_name: region(0).and_then(Named::name),
            subdivision_1_code: region(0).and_then(|r| owned(r.iso_code)),
            country_name: found.country.name(),
            country_code: owned(found.country.iso_code),
            continent_name: found.continent.name(),
            continent_code: owned(found.continent.code),
            postal_code: owned(found.postal.code),
            latitude: found.location.latitude,
            longitude: found.location.longitude,
            accuracy_radius: found.location.accuracy_radius,
            time_zone: owned(found.location.time_zone),
        }
    }
}
