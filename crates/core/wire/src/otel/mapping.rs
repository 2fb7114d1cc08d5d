//! Attributes by OpenTelemetry's names become properties by PostHog's.

use super::messages;
use serde_json::{Map, Value};

/// Attribute to property. They win over what else there is.
const FIRST: [(&str, &str); 9] = [
    ("gen_ai.input.messages", "$ai_input"),
    ("gen_ai.output.messages", "$ai_output_choices"),
    ("gen_ai.usage.input_tokens", "$ai_input_tokens"),
    ("gen_ai.usage.output_tokens", "$ai_output_tokens"),
    ("gen_ai.response.model", "$ai_model"),
    ("gen_ai.provider.name", "$ai_provider"),
    ("server.address", "$ai_base_url"),
    ("telemetry.sdk.name", "$ai_lib"),
    ("telemetry.sdk.version", "$ai_lib_version"),
];

/// Older and SDK-specific names, used where nothing better was said, in this order.
const ELSE: [(&str, &str); 15] = [
    ("gen_ai.system", "$ai_provider"),
    ("gen_ai.request.model", "$ai_model"),
    ("gen_ai.usage.prompt_tokens", "$ai_input_tokens"),
    ("gen_ai.usage.completion_tokens", "$ai_output_tokens"),
    ("ai.model.provider", "$ai_provider"),
    ("ai.model.id", "$ai_model"),
    ("ai.usage.inputTokens", "$ai_input_tokens"),
    ("ai.usage.promptTokens", "$ai_input_tokens"),
    ("ai.usage.outputTokens", "$ai_output_tokens"),
    ("ai.usage.completionTokens", "$ai_output_tokens"),
    ("ai.prompt.messages", "$ai_input"),
    ("ai.prompt.tools", "$ai_tools"),
    ("gen_ai.tool.definitions", "$ai_tools"),
    ("gen_ai.usage.cache_read.input_tokens", "$ai_cache_read_input_tokens"),
    ("gen_ai.usage.cache_creation.input_tokens", "$ai_cache_creation_input_tokens"),
];

/// Attributes that have done their work.
const STRIPPED: [&str; 11] = [
    "telemetry.sdk.language",
    "gen_ai.operation.name",
    "posthog.ai.debug",
    "user.id",
    "enduser.id",
    "posthog.distinct_id",
    "ai.telemetry.metadata.posthog_distinct_id",
    "ai.settings.context.posthog_distinct_id",
    "llm.request.type",
    "llm.usage.total_tokens",
    // Would be taken for the project key.
    "token",
];

/// Renames what has a name of its own here and takes out what is of no further use. Other attributes stay.
pub(super) fn rename(properties: &mut Map<String, Value>) {
    for (attribute, property) in FIRST {
        if let Some(value) = properties.shift_remove(attribute) {
            properties.insert(property.to_owned(), readable(property, value));
        }
    }
    for (attribute, property) in ELSE {
        if let Some(value) = properties.shift_remove(attribute) {
            properties.entry(property).or_insert_with(|| readable(property, value));
        }
    }
    answer_text(properties);
    messages::collect(properties);
    for attribute in STRIPPED {
        properties.shift_remove(attribute);
    }
    properties.retain(|name, _| !crate::object::is_gateway(name));
}

/// Messages arrive as JSON in text.
fn readable(property: &str, value: Value) -> Value {
    match property {
        "$ai_input" | "$ai_output_choices" | "$ai_tools" => match value {
            Value::Array(items) => items.into_iter().map(messages::parsed).collect(),
            other => messages::parsed(other),
        },
        _ => value,
    }
}

/// Vercel's AI SDK: the answer as plain text.
fn answer_text(properties: &mut Map<String, Value>) {
    let Some(text) = properties.shift_remove("ai.response.text") else { return };
    let message = serde_json::json!([{"role": "assistant", "content": text}]);
    properties.entry("$ai_output_choices").or_insert(message);
}
