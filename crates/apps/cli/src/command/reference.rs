//! `tenrec reference`: documentation that the code itself writes.

use crate::settings::DEFAULT;
use crate::words::{Reference, Words};
use clap::CommandFactory;
use event::Rejection;

/// Prints one part as Markdown.
pub fn run(part: Reference) -> anyhow::Result<()> {
    let text = match part {
        Reference::Columns => table::schema::reference(),
        Reference::Metrics => metrics(),
        Reference::Settings => settings(),
        Reference::Cli => commands(),
        Reference::Errors => errors(),
    };
    println!("{}", text.trim_end());
    Ok(())
}

fn metrics() -> String {
    use telemetry::{Kind, Unit};
    let mut text = "# Metrics\n\nServed at `/metrics` as Prometheus text.\n\n| name | kind | unit | labels | meaning |\n|---|---|---|---|---|\n".to_owned();
    for metric in telemetry::METRICS {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let unit = match metric.unit {
            Unit::Count => "",
            Unit::Bytes => "bytes",
            Unit::Seconds => "seconds",
            Unit::Ratio => "ratio",
        };
        let labels = metric.labels.join(", ");
        text.push_str(&format!("| `{}` | {kind} | {unit} | {labels} | {} |\n", metric.name, metric.help));
    }
    text
}

/// The default file is the reference: comments are the meanings.
fn settings() -> String {
    let mut text =
        "# Settings\n\nEvery key can be set in a TOML file (`--config`), as `TENREC__SECTION__KEY` in the \
                    environment, and some by a flag.\n"
            .to_owned();
    let mut meaning: Vec<&str> = Vec::new();
    for line in DEFAULT.lines().skip_while(|line| !line.starts_with('[')) {
        if let Some(comment) = line.strip_prefix("# ") {
            meaning.push(comment);
        } else if line.starts_with('[') {
            let section = line.trim_matches(['[', ']']);
            text.push_str(&format!("\n## {section}\n\n| key | default | meaning |\n|---|---|---|\n"));
            meaning.clear();
        } else if let Some((key, value)) = line.split_once(" = ") {
            text.push_str(&format!("| `{key}` | `{value}` | {} |\n", meaning.join(" ")));
            meaning.clear();
        }
    }
    text
}

fn commands() -> String {
    let mut root = Words::command();
    let mut text = "# Command line\n".to_owned();
    root.build();
    let mut pending = vec![root];
    while let Some(mut command) = pending.pop() {
        let mut below: Vec<_> = command
            .get_subcommands()
            .filter(|sub| !sub.is_hide_set() && sub.get_name() != "help")
            .cloned()
            .collect();
        below.reverse();
        let name = command.get_bin_name().unwrap_or("tenrec").to_owned();
        let help = command.render_long_help().to_string();
        text.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.trim_end()));
        pending.extend(below);
    }
    text
}

fn errors() -> String {
    let some = || "...".to_owned();
    let all = [
        Rejection::EmptyPayload,
        Rejection::Decoding(some()),
        Rejection::Parsing(some()),
        Rejection::Hydration(some()),
        Rejection::EmptyBatch,
        Rejection::NoEventName,
        Rejection::NoDistinctId,
        Rejection::InvalidCookieless,
        Rejection::NoSessionId,
        Rejection::InvalidSession,
        Rejection::NoSnapshot,
        Rejection::NotAiEvent,
        Rejection::NoToken,
        Rejection::MultipleTokens,
        Rejection::InvalidToken("..."),
        Rejection::UnknownToken,
        Rejection::NoSignature,
        Rejection::BadSignature,
        Rejection::BodyTimeout,
        Rejection::TooLarge(some()),
        Rejection::Retry,
    ];
    let mut text = "# Refusals of capture\n\nAs `text/plain` on v0 routes; the tag is the `error` label of \
                    `capture_error_by_stage_and_type`.\n\n| status | tag | text |\n|---|---|---|\n"
        .to_owned();
    for rejection in all {
        let status = wire::answer::status(&rejection);
        text.push_str(&format!("| {status} | `{}` | {rejection} |\n", rejection.tag()));
    }
    text.push_str(
        "\nSDKs send again after 408 and 503, split a batch after 413, and drop events after 400 and 401.\n",
    );
    text
}
