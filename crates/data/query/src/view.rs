//! The views: SQL over the tables, written once.

/// One view.
pub(crate) struct View {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
}

/// Whose event it is now: merges that happened after the event was written are applied.
/// The newest mapping that changed hands decides; a removed one leaves the event as written.
const EVENTS_RESOLVED: &str = r#"
SELECT e.* REPLACE (coalesce(o.person_id, e.person_id) AS person_id)
FROM events e
LEFT JOIN (
  SELECT distinct_id AS moved_id, person_id
  FROM (
    SELECT distinct_id, person_id, is_deleted,
      row_number() OVER (PARTITION BY distinct_id ORDER BY version DESC) AS newest
    FROM person_distinct_ids
    WHERE version > 0
  ) AS mapping
  WHERE newest = 1 AND NOT is_deleted
) AS o ON e.distinct_id = o.moved_id
"#;

/// The newest version of each person that still exists.
const PERSONS_CURRENT: &str = r#"
SELECT v.* EXCLUDE (newest)
FROM (SELECT p.*, row_number() OVER (PARTITION BY p.id ORDER BY p.version DESC) AS newest FROM persons p) AS v
WHERE v.newest = 1 AND NOT v.is_deleted
"#;

/// One row per `$session_id` that is a version 7 UUID. Pages and screens decide where a session
/// starts and ends; other events only when there is no page and no screen.
const SESSIONS: &str = r#"
SELECT
  s.session_id, s.team_id, s.distinct_id, s.person_id, s."$start_timestamp", s."$end_timestamp",
  s."$session_duration", s."$urls", CAST(coalesce(array_length(s."$urls"), 0) AS BIGINT) AS "$num_uniq_urls",
  s."$entry_current_url",
  regexp_replace(s."$entry_current_url", '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#]*)([^?#]*).*$', '\2') AS "$entry_pathname",
  regexp_replace(s."$entry_current_url", '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]*).*$', '\1') AS "$entry_hostname",
  s."$end_current_url",
  regexp_replace(s."$end_current_url", '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#]*)([^?#]*).*$', '\2') AS "$end_pathname",
  regexp_replace(s."$end_current_url", '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#:]*).*$', '\1') AS "$end_hostname",
  s."$end_current_url" AS "$exit_current_url",
  regexp_replace(s."$end_current_url", '^[a-zA-Z][a-zA-Z0-9+.-]*://([^/?#]*)([^?#]*).*$', '\2') AS "$exit_pathname",
  s."$entry_referring_domain", s."$entry_utm_source", s."$entry_utm_medium", s."$entry_utm_campaign",
  s."$entry_utm_term", s."$entry_utm_content", s."$entry_gclid", s."$entry_gad_source", s."$entry_fbclid",
  s."$pageview_count", s."$autocapture_count", s."$screen_count",
  channel_type(s."$entry_utm_campaign", s."$entry_utm_medium", s."$entry_utm_source", s."$entry_referring_domain",
    s."$entry_gclid", s."$entry_gad_source", s."$entry_fbclid") AS "$channel_type",
  CASE
    WHEN s."$pageview_count" + s."$screen_count" + s."$autocapture_count" = 0 THEN NULL
    ELSE NOT (s."$pageview_count" + s."$screen_count" + s."$autocapture_count" > 1 OR s."$session_duration" >= 10)
  END AS "$is_bounce",
  s."$last_external_click_url"
FROM (
  SELECT
    w.sid AS session_id,
    first_value(w.team_id) AS team_id,
    last_value(w.distinct_id ORDER BY w.timestamp) AS distinct_id,
    last_value(w.person_id ORDER BY w.timestamp) AS person_id,
    min(w.timestamp) AS "$start_timestamp",
    max(w.timestamp) AS "$end_timestamp",
    CAST(date_part('epoch', max(w.timestamp)) - date_part('epoch', min(w.timestamp)) AS BIGINT) AS "$session_duration",
    array_agg(DISTINCT w.url) FILTER (WHERE w.is_page AND w.url IS NOT NULL) AS "$urls",
    first_value(w.url ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.url IS NOT NULL) AS "$entry_current_url",
    last_value(w.url ORDER BY w.is_page, w.timestamp) FILTER (WHERE w.url IS NOT NULL) AS "$end_current_url",
    first_value(w.referrer ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.referrer IS NOT NULL) AS "$entry_referring_domain",
    first_value(w.utm_source ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.utm_source IS NOT NULL) AS "$entry_utm_source",
    first_value(w.utm_medium ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.utm_medium IS NOT NULL) AS "$entry_utm_medium",
    first_value(w.utm_campaign ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.utm_campaign IS NOT NULL) AS "$entry_utm_campaign",
    first_value(w.utm_term ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.utm_term IS NOT NULL) AS "$entry_utm_term",
    first_value(w.utm_content ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.utm_content IS NOT NULL) AS "$entry_utm_content",
    first_value(w.gclid ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.gclid IS NOT NULL) AS "$entry_gclid",
    first_value(w.gad_source ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.gad_source IS NOT NULL) AS "$entry_gad_source",
    first_value(w.fbclid ORDER BY w.is_page DESC, w.timestamp) FILTER (WHERE w.fbclid IS NOT NULL) AS "$entry_fbclid",
    count(*) FILTER (WHERE w.event = '$pageview') AS "$pageview_count",
    count(*) FILTER (WHERE w.event = '$autocapture') AS "$autocapture_count",
    count(*) FILTER (WHERE w.event = '$screen') AS "$screen_count",
    last_value(w.clicked ORDER BY w.timestamp) FILTER (WHERE w.clicked IS NOT NULL) AS "$last_external_click_url"
  FROM (
    SELECT team_id, event, timestamp, distinct_id, person_id,
      lower(properties.$session_id) AS sid,
      event IN ('$pageview', '$screen') AS is_page,
      properties.$current_url AS url,
      properties.$referring_domain AS referrer,
      properties.utm_source AS utm_source,
      properties.utm_medium AS utm_medium,
      properties.utm_campaign AS utm_campaign,
      properties.utm_term AS utm_term,
      properties.utm_content AS utm_content,
      properties.gclid AS gclid,
      properties.gad_source AS gad_source,
      properties.fbclid AS fbclid,
      properties.$external_click_url AS clicked
    FROM events
    WHERE properties.$session_id IS NOT NULL
  ) AS w
  WHERE regexp_like(w.sid, '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$')
  GROUP BY w.sid
) AS s
"#;

/// The nine columns of Hogflare's rows, in its order.
const HOGFLARE: &str = r#"
SELECT source, event AS event_type, distinct_id, timestamp, properties, context, person_properties, api_key, extra
FROM events
"#;

/// All views. Their text may name tables, not each other.
pub(crate) const VIEWS: [View; 4] = [
    View { name: "events_resolved", text: EVENTS_RESOLVED },
    View { name: "persons_current", text: PERSONS_CURRENT },
    View { name: "sessions", text: SESSIONS },
    View { name: "hogflare", text: HOGFLARE },
];

/// The view called `name`.
pub(crate) fn named(name: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.name == name)
}
