//! The configuration that SDKs fetch before they do anything else: `/array/{token}/config` and `config.js`.
//!
//! # Compat
//! Keys of PostHog's remote config as its SDKs read them (`posthog-js packages/browser-common/src/types/
//! remote-config.ts`). Three of them decide whether an SDK works at all: `autocapture_opt_out` must be a
//! boolean, `supportedCompression` must name gzip, and `analytics.endpoint` must be a path served here.

use serde_json::{Map, Value, json};

/// Headers of both answers, besides content type and CORS.
pub const CACHE_CONTROL: &str = "public, max-age=300";
/// `Vary` of both answers.
pub const VARY: &str = "Origin, Referer";
/// Content type of [`config`].
pub const JSON: &str = "application/json";
/// Content type of [`config_js`].
pub const JAVASCRIPT: &str = "application/javascript";

/// What a project has switched on.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// SDKs may ask `/flags`.
    pub feature_flags: bool,
    /// SDKs may ask for surveys.
    pub surveys: bool,
    /// No autocapture for new visitors.
    pub autocapture_opt_out: bool,
    /// Exceptions are captured automatically.
    pub autocapture_exceptions: bool,
    /// Clicks that do nothing are captured.
    pub dead_clicks: bool,
    /// Heatmap data is sent.
    pub heatmaps: bool,
    /// Web vitals are sent.
    pub web_vitals: bool,
    /// `None` switches session replay off.
    pub session_recording: Option<SessionRecording>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            feature_flags: false,
            surveys: false,
            autocapture_opt_out: false,
            autocapture_exceptions: false,
            dead_clicks: false,
            heatmaps: false,
            web_vitals: false,
            session_recording: Some(SessionRecording::default()),
        }
    }
}

/// How sessions are recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecording {
    /// Console calls are recorded.
    pub console_logs: bool,
    /// Share of sessions that are recorded, 0 to 1; `None` records all.
    pub sample_rate: Option<f64>,
    /// Sessions shorter than this are not sent, in milliseconds.
    pub minimum_duration_ms: Option<u64>,
}

impl Default for SessionRecording {
    fn default() -> Self {
        Self { console_logs: true, sample_rate: None, minimum_duration_ms: None }
    }
}

impl SessionRecording {
    fn json(&self) -> Value {
        json!({
            "endpoint": "/s/",
            "consoleLogRecordingEnabled": self.console_logs,
            "recorderVersion": "v2",
            // SDKs parse a decimal string here.
            "sampleRate": self.sample_rate.map(|rate| rate.clamp(0.0, 1.0).to_string()),
            "minimumDurationMilliseconds": self.minimum_duration_ms,
            "linkedFlag": null,
            "networkPayloadCapture": null,
            "masking": null,
            "urlTriggers": [],
            "urlBlocklist": [],
            "eventTriggers": [],
            "triggerMatchType": null,
            "scriptConfig": null,
        })
    }
}

/// Whether `token` can stand in these paths; any other is answered 404 and never written into a script.
pub fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The JSON of `/array/{token}/config`; `None` when [`is_token`] says no.
pub fn config(token: &str, options: &Options) -> Option<String> {
    is_token(token).then(|| Value::Object(entries(token, options)).to_string())
}

/// The script of `/array/{token}/config.js`, which sets `window._POSTHOG_REMOTE_CONFIG[token]`; `None` when
/// [`is_token`] says no.
pub fn config_js(token: &str, options: &Options) -> Option<String> {
    if !is_token(token) {
        return None;
    }
    let mut entries = entries(token, options);
    entries.shift_remove("siteApps");
    let config = Value::Object(entries);
    Some(format!(
        "(function() {{\n  window._POSTHOG_REMOTE_CONFIG = window._POSTHOG_REMOTE_CONFIG || {{}};\n  \
         window._POSTHOG_REMOTE_CONFIG['{token}'] = {{\n    config: {config},\n    siteApps: []\n  }}\n}})();"
    ))
}

fn entries(token: &str, options: &Options) -> Map<String, Value> {
    let recording = options.session_recording.as_ref().map_or(Value::Bool(false), SessionRecording::json);
    let config = json!({
        "token": token,
        "supportedCompression": ["gzip", "gzip-js"],
        "hasFeatureFlags": options.feature_flags,
        "captureDeadClicks": options.dead_clicks,
        "capturePerformance": {
            "network_timing": true,
            "web_vitals": options.web_vitals,
            "web_vitals_allowed_metrics": null,
        },
        "autocapture_opt_out": options.autocapture_opt_out,
        "autocaptureExceptions": options.autocapture_exceptions,
        "analytics": {"endpoint": "/i/v0/e/"},
        "elementsChainAsString": true,
        "errorTracking": {"autocaptureExceptions": options.autocapture_exceptions, "suppressionRules": []},
        "logs": {"captureConsoleLogs": false},
        "sessionRecording": recording,
        "heatmaps": options.heatmaps,
        "surveys": options.surveys,
        "productTours": false,
        "conversations": false,
        "defaultIdentifiedOnly": true,
        "siteApps": [],
        "toolbarParams": {},
        "isAuthenticated": false,
    });
    match config {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RECORDING: &str = r#"{"endpoint":"/s/","consoleLogRecordingEnabled":true,"recorderVersion":"v2","sampleRate":null,"minimumDurationMilliseconds":null,"linkedFlag":null,"networkPayloadCapture":null,"masking":null,"urlTriggers":[],"urlBlocklist":[],"eventTriggers":[],"triggerMatchType":null,"scriptConfig":null}"#;

    fn expected(site_apps: &str) -> String {
        [
            r#"{"token":"phc_x-1","supportedCompression":["gzip","gzip-js"],"hasFeatureFlags":false,"captureDeadClicks":false,"#,
            r#""capturePerformance":{"network_timing":true,"web_vitals":false,"web_vitals_allowed_metrics":null},"#,
            r#""autocapture_opt_out":false,"autocaptureExceptions":false,"analytics":{"endpoint":"/i/v0/e/"},"elementsChainAsString":true,"#,
            r#""errorTracking":{"autocaptureExceptions":false,"suppressionRules":[]},"logs":{"captureConsoleLogs":false},"#,
            r#""sessionRecording":"#,
            RECORDING,
            r#","heatmaps":false,"surveys":false,"productTours":false,"conversations":false,"defaultIdentifiedOnly":true,"#,
            site_apps,
            r#""toolbarParams":{},"isAuthenticated":false}"#,
        ]
        .concat()
    }

    #[test]
    fn json_byte_for_byte() {
        assert_eq!(config("phc_x-1", &Options::default()).unwrap(), expected(r#""siteApps":[],"#));
    }

    #[test]
    fn script_byte_for_byte() {
        let script = format!(
            "(function() {{\n  window._POSTHOG_REMOTE_CONFIG = window._POSTHOG_REMOTE_CONFIG || {{}};\n  window._POSTHOG_REMOTE_CONFIG['phc_x-1'] = {{\n    config: {},\n    siteApps: []\n  }}\n}})();",
            expected("")
        );
        assert_eq!(config_js("phc_x-1", &Options::default()).unwrap(), script);
    }

    #[test]
    fn options_switch() {
        let recording =
            SessionRecording { console_logs: false, sample_rate: Some(0.5), minimum_duration_ms: Some(2000) };
        let on = Options {
            feature_flags: true,
            surveys: true,
            autocapture_opt_out: true,
            autocapture_exceptions: true,
            dead_clicks: true,
            heatmaps: true,
            web_vitals: true,
            session_recording: Some(recording),
        };
        let value: Value = serde_json::from_str(&config("t", &on).unwrap()).unwrap();
        for pointer in [
            "/hasFeatureFlags",
            "/surveys",
            "/autocapture_opt_out",
            "/autocaptureExceptions",
            "/errorTracking/autocaptureExceptions",
            "/captureDeadClicks",
            "/heatmaps",
            "/capturePerformance/web_vitals",
        ] {
            assert_eq!(value.pointer(pointer), Some(&Value::Bool(true)), "{pointer}");
        }
        assert_eq!(value["sessionRecording"]["sampleRate"], "0.5");
        assert_eq!(value["sessionRecording"]["minimumDurationMilliseconds"], 2000);
        assert_eq!(value["sessionRecording"]["consoleLogRecordingEnabled"], false);
        let off = Options { session_recording: None, ..Options::default() };
        let value: Value = serde_json::from_str(&config("t", &off).unwrap()).unwrap();
        assert_eq!(value["sessionRecording"], false);
    }

    #[test]
    fn tokens() {
        for token in ["phc_x", "A-9_"] {
            assert!(is_token(token), "{token}");
        }
        for token in ["", "a'b", "a b", "é", "a/b", "</script>", "a.b", "a\n"] {
            assert!(config(token, &Options::default()).is_none(), "{token}");
            assert!(config_js(token, &Options::default()).is_none(), "{token}");
        }
    }

    proptest! {
        #[test]
        fn a_token_never_breaks_out(token in ".{0,20}") {
            if let Some(script) = config_js(&token, &Options::default()) {
                prop_assert_eq!(script.matches('\'').count(), 2);
            }
        }
    }
}
