//! The salts of cookieless counting: fetched once per day, forgotten when the day cannot be counted any more.

use crate::directory::Entry;
use crate::error::Error;
use crate::patience::insist;
use event::{CapturedEvent, ProjectId, Warning};
use identity::{Drop, cookieless};
use jiff::civil::Date;
use jiff::{ToSpan, tz::TimeZone};
use metastore::Metastore;
use rand::RngCore;
use std::collections::HashMap;

/// Days after which no event can ask for a salt any more.
const KEPT_DAYS: i32 = 5;

/// Salts asked for lately.
#[derive(Debug, Default)]
pub struct Salts {
    known: HashMap<Date, [u8; 16]>,
    newest: Option<Date>,
}

impl Salts {
    /// Gives a cookieless event its visitor's id of the day; leaves every other event as it is. `Some` is the reason
    /// why the event must be dropped.
    pub async fn rewrite(
        &mut self,
        event: &mut CapturedEvent,
        (project, entry): (ProjectId, Option<&Entry>),
        metastore: &dyn Metastore,
    ) -> Result<Option<(Drop, Option<Warning>)>, Error> {
        if !cookieless::applies(event) {
            return Ok(None);
        }
        if entry.is_some_and(|entry| !entry.settings.cookieless) {
            return Ok(Some((Drop::CookielessDisabled, None)));
        }
        let home = entry.map_or("UTC", |entry| &entry.timezone);
        let refused = match cookieless::day_of(event, home) {
            Ok(day) => {
                let salt = self.salt(day.date, event, metastore).await?;
                cookieless::rewrite(event, project, day, &salt).err()
            }
            Err(refused) => Some(refused),
        };
        Ok(refused.map(|(drop, warning)| (drop, Some(warning))))
    }

    async fn salt(
        &mut self,
        day: Date,
        event: &CapturedEvent,
        metastore: &dyn Metastore,
    ) -> Result<[u8; 16], Error> {
        if let Some(salt) = self.known.get(&day) {
            return Ok(*salt);
        }
        let mut fresh = [0; 16];
        rand::rng().fill_bytes(&mut fresh);
        let salt = insist(|| metastore.salt(day, fresh)).await?;
        self.known.insert(day, salt);
        let today = event.received_at.to_zoned(TimeZone::UTC).date();
        if self.newest.is_none_or(|newest| today > newest) {
            self.newest = Some(today);
            let oldest = today.saturating_sub(KEPT_DAYS.days());
            self.known.retain(|day, _| *day >= oldest);
            insist(|| metastore.forget_salts(oldest)).await?;
        }
        Ok(salt)
    }
}
