//! What a call of a language model cost.
//!
//! What the sender says is never overwritten. Costs come from the sender's own costs, or from the prices it
//! sent along, or from the project's price list; otherwise there are none.

use crate::js;
use crate::rules::ModelPrice;
use event::json::ToJson;
use event::{Json, Properties};
use serde_json::Number;
use std::borrow::Cow;
use std::collections::HashMap;

const INPUT: &str = "$ai_input_cost_usd";
const OUTPUT: &str = "$ai_output_cost_usd";
const REQUEST: &str = "$ai_request_cost_usd";
const WEB_SEARCH: &str = "$ai_web_search_cost_usd";
const TOTAL: &str = "$ai_total_cost_usd";

/// Adds costs to a generation or embedding, and lifts the model's parameters of any AI event.
pub fn apply(event: &str, properties: &mut Properties, list: &HashMap<String, ModelPrice>) {
    lift_parameters(properties);
    if event == "$ai_generation" || event == "$ai_embedding" {
        price(properties, list);
        properties.remove("$ai_usage");
    }
}

fn lift_parameters(properties: &mut Properties) {
    let Some(parameters) = properties.object("$ai_model_parameters") else { return };
    for (from, to) in
        [("temperature", "$ai_temperature"), ("stream", "$ai_stream"), ("max_tokens", "$ai_max_tokens")]
    {
        if let Some(value) = parameters.get(from).filter(|value| !value.is_null()) {
            add(properties, to, value);
        }
    }
}

fn price(properties: &mut Properties, list: &HashMap<String, ModelPrice>) {
    if let (Some(input), Some(output)) = (number(properties, INPUT), number(properties, OUTPUT)) {
        let rest = number(properties, REQUEST).unwrap_or(0.0) + number(properties, WEB_SEARCH).unwrap_or(0.0);
        add_number(properties, TOTAL, input + output + rest);
        return;
    }
    if let Some(price) = sent_price(properties) {
        charge(properties, &price);
        describe(properties, "custom", "custom", "custom");
        return;
    }
    let Some(model) = properties.text_of("$ai_model").map(Cow::into_owned) else { return };
    let provider = properties.get("$ai_provider").map(js::text_of).unwrap_or_default();
    let listed = list.get(&format!("{provider}/{model}")).or_else(|| list.get(model.as_str()));
    if let Some(price) = listed {
        charge(properties, price);
        describe(properties, &model, "manual", &price.provider);
    }
}

fn sent_price(properties: &Properties) -> Option<ModelPrice> {
    Some(ModelPrice {
        provider: String::new(),
        input: number(properties, "$ai_input_token_price")?,
        output: number(properties, "$ai_output_token_price")?,
        cache_read: number(properties, "$ai_cache_read_token_price"),
        cache_write: number(properties, "$ai_cache_write_token_price"),
        request: number(properties, "$ai_request_price"),
        web_search: number(properties, "$ai_web_search_price"),
    })
}

/// Adds the costs of the tokens, requests and searches an event counts.
fn charge(properties: &mut Properties, price: &ModelPrice) {
    let count = |key: &str| number(properties, key).unwrap_or(0.0);
    let (read, written) = (count("$ai_cache_read_input_tokens"), count("$ai_cache_creation_input_tokens"));
    let mut plain = count("$ai_input_tokens");
    // Anthropic counts cached tokens beside the input tokens, everyone else among them.
    let provider = properties.get("$ai_provider").map(js::text_of).unwrap_or_default();
    if !provider.eq_ignore_ascii_case("anthropic") {
        plain = (plain - read - written).max(0.0);
    }
    let input = plain * price.input
        + read * price.cache_read.unwrap_or(price.input)
        + written * price.cache_write.unwrap_or(price.input);
    let output = count("$ai_output_tokens") * price.output;
    let requests = number(properties, "$ai_request_count").unwrap_or(1.0);
    let request = price.request.map(|price| price * requests);
    let search = price.web_search.map(|price| price * count("$ai_web_search_count"));
    add_number(properties, INPUT, input);
    add_number(properties, OUTPUT, output);
    for (key, cost) in [(REQUEST, request), (WEB_SEARCH, search)] {
        if let Some(cost) = cost {
            add_number(properties, key, cost);
        }
    }
    let total = [INPUT, OUTPUT, REQUEST, WEB_SEARCH].iter().filter_map(|key| number(properties, key)).sum();
    add_number(properties, TOTAL, total);
}

fn describe(properties: &mut Properties, model: &str, source: &str, provider: &str) {
    add(properties, "$ai_model_cost_used", model);
    add(properties, "$ai_cost_model_source", source);
    add(properties, "$ai_cost_model_provider", provider);
}

/// A number, also when it was sent as text.
fn number(properties: &Properties, key: &str) -> Option<f64> {
    let value = properties.get(key)?;
    let written = || value.as_str()?.trim().parse().ok().filter(|n: &f64| n.is_finite());
    value.as_f64().or_else(written)
}

fn add_number(properties: &mut Properties, key: &str, value: f64) {
    if let Some(number) = Number::from_f64(value) {
        add(properties, key, number);
    }
}

fn add(properties: &mut Properties, key: &str, value: impl ToJson) {
    if properties.get(key).is_none_or(Json::is_null) {
        properties.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn costs(properties: Value, list: &HashMap<String, ModelPrice>) -> Properties {
        let mut properties = serde_json::from_value(properties).expect("an object");
        apply("$ai_generation", &mut properties, list);
        properties
    }

    #[track_caller]
    fn close(properties: &Properties, key: &str, expected: f64) {
        let value = number(properties, key).expect(key);
        assert!((value - expected).abs() < 1e-12, "{key} is {value}, not {expected}");
    }

    #[test]
    fn prices_sent_along() {
        let p = costs(
            json!({"$ai_input_tokens": 1000, "$ai_output_tokens": 500,
                "$ai_input_token_price": 0.000001, "$ai_output_token_price": 0.000002}),
            &HashMap::new(),
        );
        close(&p, INPUT, 0.001);
        close(&p, OUTPUT, 0.001);
        close(&p, TOTAL, 0.002);
        assert_eq!(p.value("$ai_cost_model_source"), "custom");
    }

    #[test]
    fn costs_sent_along_only_get_a_total() {
        let p = costs(json!({INPUT: 1, OUTPUT: 2}), &HashMap::new());
        assert_eq!(json!(p), json!({INPUT: 1, OUTPUT: 2, TOTAL: 3.0}));
    }

    #[test]
    fn an_unknown_model_costs_nothing() {
        let p = costs(json!({"$ai_model": "m", "$ai_input_tokens": 5}), &HashMap::new());
        assert_eq!(json!(p), json!({"$ai_model": "m", "$ai_input_tokens": 5}));
    }

    #[test]
    fn the_price_list_knows_models_by_provider() {
        let price = |input| ModelPrice {
            provider: "p".to_owned(),
            input,
            cache_read: Some(0.1),
            ..ModelPrice::default()
        };
        let list = HashMap::from([("m".to_owned(), price(1.0)), ("p/m".to_owned(), price(2.0))]);
        let sent = json!({"$ai_model": "m", "$ai_provider": "p", "$ai_input_tokens": 5,
            "$ai_cache_read_input_tokens": 1, "$ai_model_parameters": {"temperature": 0.5}, "$ai_usage": {}});
        let p = costs(sent, &list);
        close(&p, INPUT, 8.1);
        assert_eq!((p.value("$ai_temperature"), p.value("$ai_model_cost_used")), (json!(0.5), json!("m")));
        assert!(!p.contains_key("$ai_usage"));
    }
}
