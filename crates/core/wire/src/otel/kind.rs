//! Which spans are about AI, and which event each of them becomes.

use super::proto::KeyValue;
use serde_json::{Map, Value};

const GENERATION: &str = "$ai_generation";
const EMBEDDING: &str = "$ai_embedding";
/// A span that is neither; a root span of this kind is the trace itself.
pub(super) const SPAN: &str = "$ai_span";

/// Instrumentations, told by the names of their attributes.
#[derive(Clone, Copy)]
enum Family {
    /// Vercel's AI SDK and what builds on it.
    Vercel,
    Pydantic,
    /// Traceloop's OpenLLMetry.
    Traceloop,
    /// OpenTelemetry's own conventions.
    GenAi,
}

/// The first family that fits counts: spans of an SDK often carry `gen_ai.*` attributes too.
const FAMILIES: [(Family, &[&str]); 4] = [
    (Family::Vercel, &["ai.", "eve."]),
    (Family::Pydantic, &["pydantic_ai."]),
    (Family::Traceloop, &["traceloop.", "llm.request.type"]),
    (Family::GenAi, &["gen_ai."]),
];

/// The event name for a span with these attributes; `None` when it is not about AI.
pub(super) fn event_name(attributes: &[KeyValue], values: &Map<String, Value>) -> Option<&'static str> {
    let fits = |prefixes: &[&str]| {
        attributes.iter().any(|attribute| prefixes.iter().any(|prefix| attribute.key.starts_with(prefix)))
    };
    let (family, _) = FAMILIES.into_iter().find(|(_, prefixes)| fits(prefixes))?;
    let text = |key: &str| values.get(key).and_then(Value::as_str);
    let name = match family {
        Family::Vercel => match text("ai.operationId") {
            Some(operation) => vercel(operation),
            None => text("gen_ai.operation.name").map_or(SPAN, operation),
        },
        Family::GenAi => text("gen_ai.operation.name").map_or(SPAN, operation),
        Family::Traceloop | Family::Pydantic => SPAN,
    };
    // Whatever the family, a request type says what an otherwise nameless span is.
    let request = || text("llm.request.type").map_or(SPAN, request_type);
    Some(if name == SPAN { request() } else { name })
}

fn operation(name: &str) -> &'static str {
    match name {
        "chat" | "text_completion" | "generate_content" => GENERATION,
        "embeddings" => EMBEDDING,
        _ => SPAN,
    }
}

fn vercel(operation: &str) -> &'static str {
    match operation {
        "ai.embed.doEmbed" | "ai.embedMany.doEmbed" => EMBEDDING,
        name if name.ends_with(".doGenerate") || name.ends_with(".doStream") => GENERATION,
        _ => SPAN,
    }
}

fn request_type(name: &str) -> &'static str {
    match name {
        "chat" | "completion" => GENERATION,
        "embedding" | "embeddings" => EMBEDDING,
        _ => SPAN,
    }
}
