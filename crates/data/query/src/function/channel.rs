//! `channel_type`: where a visit came from, in one of PostHog's words.
//!
//! # Compat
//! The order of the rules is PostHog's (`posthog/hogql/database/schema/channel_type.py`); the lists of
//! sources are our own and much shorter, so that rare sources are `Referral` or `Paid Unknown` here.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, StringArray},
    compute::cast,
    datatypes::DataType,
};
use datafusion::{
    common::Result,
    logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility},
};

/// `channel_type(campaign, medium, source, referring_domain, gclid, gad_source, fbclid)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ChannelType {
    signature: Signature,
}

impl ChannelType {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(7, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ChannelType {
    fn name(&self) -> &str {
        "channel_type"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts: Vec<_> = args
            .args
            .iter()
            .map(|arg| Ok(cast(&arg.clone().into_array(args.number_rows)?, &DataType::LargeUtf8)?))
            .collect::<Result<_>>()?;
        let text = |at: usize, row: usize| {
            let column = texts[at].as_string::<i64>();
            column.is_valid(row).then(|| column.value(row))
        };
        let channel = |row: usize| {
            Visit {
                campaign: plain(text(0, row)),
                medium: plain(text(1, row)),
                source: plain(text(2, row)),
                referrer: plain(text(3, row)),
                gclid: text(4, row).is_some_and(|id| !id.is_empty()),
                gad_source: plain(text(5, row)),
                fbclid: text(6, row).is_some_and(|id| !id.is_empty()),
            }
            .channel()
        };
        let channels = (0..args.number_rows).map(|row| Some(channel(row)));
        Ok(ColumnarValue::Array(Arc::new(channels.collect::<StringArray>())))
    }
}

/// Lower case; empty and `null` are absent.
fn plain(text: Option<&str>) -> Option<String> {
    text.map(str::to_lowercase).filter(|text| !text.is_empty() && text != "null")
}

/// How a visit began.
struct Visit {
    campaign: Option<String>,
    medium: Option<String>,
    source: Option<String>,
    referrer: Option<String>,
    gclid: bool,
    gad_source: Option<String>,
    fbclid: bool,
}

/// What kind of place a source is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Search,
    Social,
    Video,
    Shopping,
    Mail,
}

const SEARCH: &[&str] =
    &["google", "bing", "duckduckgo", "yahoo", "baidu", "yandex", "ecosia", "qwant", "startpage", "brave"];
const SOCIAL: &[&str] = &[
    "facebook",
    "fb",
    "instagram",
    "ig",
    "twitter",
    "x",
    "t",
    "linkedin",
    "lnkd",
    "reddit",
    "pinterest",
    "tiktok",
    "snapchat",
    "threads",
    "mastodon",
    "bsky",
    "whatsapp",
    "telegram",
    "discord",
    "ycombinator",
    "vk",
    "weibo",
];
const VIDEO: &[&str] = &["youtube", "youtu", "vimeo", "twitch", "dailymotion", "netflix", "hulu"];
const SHOPPING: &[&str] =
    &["amazon", "ebay", "etsy", "walmart", "alibaba", "aliexpress", "shopify", "mercadolibre"];
const MAIL: &[&str] = &["email", "e-mail", "newsletter", "mail", "gmail", "mailchimp", "klaviyo", "outlook"];

/// The kind of a source or of a host: the last name before the public suffix decides.
fn place(source: &str) -> Option<Place> {
    let host = source.trim_start_matches("www.");
    let mut labels = host.split('.').rev().skip(usize::from(host.contains('.')));
    let first = labels.next()?;
    // `google.co.uk`: these words belong to the suffix.
    let name = match labels.next() {
        Some(next) if matches!(first, "co" | "com" | "net" | "org") => next,
        _ => first,
    };
    // Mail that is read in a browser comes from a search engine's or a portal's domain.
    if host.starts_with("mail.") {
        return Some(Place::Mail);
    }
    let lists = [
        (SEARCH, Place::Search),
        (SOCIAL, Place::Social),
        (VIDEO, Place::Video),
        (SHOPPING, Place::Shopping),
        (MAIL, Place::Mail),
    ];
    lists.iter().find(|(names, _)| names.contains(&name)).map(|(_, place)| *place)
}

fn paid(place: Place) -> Option<&'static str> {
    match place {
        Place::Search => Some("Paid Search"),
        Place::Social => Some("Paid Social"),
        Place::Video => Some("Paid Video"),
        Place::Shopping => Some("Paid Shopping"),
        Place::Mail => None,
    }
}

fn organic(place: Place) -> &'static str {
    match place {
        Place::Search => "Organic Search",
        Place::Social => "Organic Social",
        Place::Video => "Organic Video",
        Place::Shopping => "Organic Shopping",
        Place::Mail => "Email",
    }
}

fn paid_medium(medium: &str) -> Option<&'static str> {
    Some(match medium {
        "social" | "paidsocial" | "paid-social" | "paid_social" | "paid social" => "Paid Social",
        "paidsearch" | "paid-search" | "paid_search" | "paid search" => "Paid Search",
        "video" | "paidvideo" | "paid-video" | "paid_video" | "cpv" => "Paid Video",
        "display" | "banner" | "expandable" | "interstitial" | "cpm" => "Display",
        "affiliate" | "affiliates" => "Affiliate",
        _ => return None,
    })
}

fn organic_medium(medium: &str) -> Option<&'static str> {
    Some(match medium {
        "social" | "social-network" | "social-media" | "sm" | "social network" | "social media" => {
            "Organic Social"
        }
        "email" | "e-mail" | "e_mail" | "e mail" | "newsletter" => "Email",
        "affiliate" | "affiliates" => "Affiliate",
        "referral" | "app" | "link" => "Referral",
        "display" | "banner" | "expandable" | "interstitial" => "Display",
        "organic" => "Organic Search",
        "shopping" => "Organic Shopping",
        "video" => "Organic Video",
        "audio" => "Audio",
        "sms" => "SMS",
        "push" | "mobile" | "notification" => "Push",
        _ => return None,
    })
}

/// `shop`, unless it ends another word as in `workshop`; or `shopping`.
fn is_shop(campaign: &str) -> bool {
    let opens = |at: usize| match campaign[..at].chars().next_back() {
        None => true,
        Some(before) => !(before.is_ascii_lowercase() && before != 'e'),
    };
    campaign.contains("shopping") || campaign.match_indices("shop").any(|(at, _)| opens(at))
}

impl Visit {
    fn channel(&self) -> &'static str {
        if self.campaign.as_deref().is_some_and(|campaign| campaign.contains("cross-network")) {
            return "Cross Network";
        }
        if self.is_paid() {
            return self.paid();
        }
        if self.is_direct() {
            return "Direct";
        }
        self.organic()
    }

    fn is_paid(&self) -> bool {
        let bought = |medium: &str| {
            matches!(medium, "cpc" | "cpm" | "cpv" | "cpa" | "ppc" | "retargeting")
                || medium.starts_with("paid")
        };
        self.medium.as_deref().is_some_and(bought) || self.gclid || self.gad_source.is_some()
    }

    fn is_direct(&self) -> bool {
        let source = self.source.as_deref();
        self.referrer.as_deref() == Some("$direct")
            && self.medium.is_none()
            && matches!(source, None | Some("(direct)" | "direct" | "$direct"))
            && !self.fbclid
    }

    fn paid(&self) -> &'static str {
        let campaign = self.campaign.as_deref().unwrap_or_default();
        let from = |name: &Option<String>| name.as_deref().and_then(place).and_then(paid);
        from(&self.source)
            .or_else(|| is_shop(campaign).then_some("Paid Shopping"))
            .or_else(|| self.medium.as_deref().and_then(paid_medium))
            .or_else(|| from(&self.referrer))
            .or_else(|| (self.gad_source.as_deref() == Some("1")).then_some("Paid Search"))
            .or_else(|| campaign.contains("video").then_some("Paid Video"))
            .or_else(|| self.fbclid.then_some("Paid Social"))
            .unwrap_or("Paid Unknown")
    }

    fn organic(&self) -> &'static str {
        let campaign = self.campaign.as_deref().unwrap_or_default();
        let medium = self.medium.as_deref().unwrap_or_default();
        let from = |name: &Option<String>| name.as_deref().and_then(place).map(organic);
        from(&self.source)
            .or_else(|| is_shop(campaign).then_some("Organic Shopping"))
            .or_else(|| organic_medium(medium))
            .or_else(|| from(&self.referrer))
            .or_else(|| campaign.contains("video").then_some("Organic Video"))
            .or_else(|| medium.ends_with("push").then_some("Push"))
            .or_else(|| self.fbclid.then_some("Organic Social"))
            .unwrap_or(match self.referrer.as_deref() {
                Some("$direct") => "Direct",
                Some(_) => "Referral",
                None => "Unknown",
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_has_its_channel() {
        // campaign, medium, source, referrer, the ids that are set, what it is called
        let cases = [
            ("", "", "", "$direct", "", "Direct"),
            ("", "", "direct", "$direct", "", "Direct"),
            ("", "", "", "$direct", "fbclid", "Organic Social"),
            ("", "", "", "", "", "Unknown"),
            ("", "null", "NULL", "", "", "Unknown"),
            ("", "", "", "www.google.com", "", "Organic Search"),
            ("", "", "", "www.google.co.uk", "", "Organic Search"),
            ("", "", "", "mail.google.com", "", "Email"),
            ("", "", "", "www.google.com", "gclid", "Paid Search"),
            ("", "", "", "", "gclid", "Paid Unknown"),
            ("", "", "", "", "gad", "Paid Search"),
            ("", "cpc", "Google", "", "", "Paid Search"),
            ("", "paidsocial", "", "", "", "Paid Social"),
            ("", "cpc", "unheard-of", "", "fbclid", "Paid Social"),
            ("", "", "", "l.facebook.com", "fbclid", "Organic Social"),
            ("", "", "", "t.co", "", "Organic Social"),
            ("", "", "", "example.com", "", "Referral"),
            ("my cross-network thing", "cpc", "google", "", "", "Cross Network"),
            ("summer shop", "cpc", "", "", "", "Paid Shopping"),
            ("our workshop", "cpc", "", "", "", "Paid Unknown"),
            ("", "push", "", "", "", "Push"),
            ("", "web_push", "", "", "", "Push"),
            ("", "email", "", "example.com", "", "Email"),
            ("", "", "newsletter", "", "", "Email"),
            ("", "", "youtube", "", "", "Organic Video"),
            ("a video", "", "", "", "", "Organic Video"),
            ("", "affiliate", "partner", "", "", "Affiliate"),
        ];
        for (campaign, medium, source, referrer, ids, want) in cases {
            let visit = Visit {
                campaign: plain(Some(campaign)),
                medium: plain(Some(medium)),
                source: plain(Some(source)),
                referrer: plain(Some(referrer)),
                gclid: ids == "gclid",
                gad_source: (ids == "gad").then(|| "1".to_owned()),
                fbclid: ids == "fbclid",
            };
            assert_eq!(visit.channel(), want, "{campaign:?} {medium:?} {source:?} {referrer:?} {ids:?}");
        }
    }
}
