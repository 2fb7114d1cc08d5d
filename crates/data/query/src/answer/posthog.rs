//! PostHog's query answer.

use super::{Answer, cell};

/// Appends the rows as a JSON list of lists.
pub fn write_results(answer: &Answer, out: &mut String) {
    out.push('[');
    let mut first = true;
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            out.push('[');
            for (at, column) in batch.columns().iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                cell::json(column.as_ref(), row, out);
            }
            out.push(']');
        }
    }
    out.push(']');
}

/// The body of a `HogQLQuery` answer to the statement `sql`: `results` as rows, `types` as pairs of
/// name and type. Columns that hold JSON are sent as text, as PostHog does.
pub fn to_posthog_json(answer: &Answer, sql: &str) -> String {
    let mut out = String::with_capacity(512 + answer.rows() * answer.columns.len() * 16);
    out.push_str("{\"columns\":[");
    for (at, column) in answer.columns.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        cell::quoted(column, &mut out);
    }
    out.push_str("],\"types\":[");
    for (at, (column, kind)) in answer.columns.iter().zip(&answer.types).enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push('[');
        cell::quoted(column, &mut out);
        out.push(',');
        cell::quoted(kind, &mut out);
        out.push(']');
    }
    out.push_str("],\"results\":");
    write_results(answer, &mut out);
    out.push_str(",\"hasMore\":");
    out.push_str(if answer.has_more { "true" } else { "false" });
    out.push_str(&format!(",\"limit\":{},\"offset\":{},\"query\":", answer.limit, answer.offset));
    cell::quoted(sql, &mut out);
    out.push_str(",\"hogql\":");
    cell::quoted(sql, &mut out);
    out.push_str(
        ",\"clickhouse\":null,\"error\":null,\"explain\":null,\"is_cached\":false,\"timezone\":\"UTC\",\
         \"timings\":[],\"modifiers\":{},\"query_status\":null}",
    );
    out
}
