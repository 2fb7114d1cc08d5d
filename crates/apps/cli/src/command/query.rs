//! `tenrec query`: one question to a running server or to a data folder at rest.

mod answered;

use super::{paper::unless_closed, wait_for};
use crate::settings;
use crate::words::{Format, Query, Shared};
use anyhow::{Context, bail};
use event::ProjectId;
use query::Answer;
use query::answer::{to_posthog_json, write_csv, write_jsonl, write_parquet, write_table};
use serde_json::{Value, json};
use std::io::{Read, Write};

/// Asks and prints.
pub fn run(shared: &Shared, question: &Query) -> anyhow::Result<()> {
    let mut sql = question.sql.clone();
    if sql == "-" {
        sql.clear();
        std::io::stdin().read_to_string(&mut sql).context("cannot read the question from standard input")?;
    }
    let answer = match &question.url {
        Some(url) => ask_server(url, question, &sql)?,
        None => ask_folder(shared, question, &sql)?,
    };
    let mut out: Box<dyn Write + Send> = match &question.output {
        Some(path) => {
            let file = std::fs::File::create(path);
            Box::new(std::io::BufWriter::new(
                file.with_context(|| format!("cannot write {}", path.display()))?,
            ))
        }
        None => Box::new(std::io::BufWriter::new(std::io::stdout())),
    };
    let written = match question.format {
        Format::Table => write_table(&answer, &mut out),
        Format::Json => writeln!(out, "{}", to_posthog_json(&answer, &sql)),
        Format::Jsonl => write_jsonl(&answer, &mut out),
        Format::Csv => write_csv(&answer, &mut out),
        Format::Parquet => write_parquet(&answer, &mut out).map_err(std::io::Error::other),
    };
    unless_closed(written.and_then(|()| out.flush())).context("cannot write the answer")?;
    if answer.has_more {
        eprintln!("note: only the first {} rows are shown; raise --limit or add a LIMIT", answer.rows());
    }
    Ok(())
}

fn ask_server(url: &str, question: &Query, sql: &str) -> anyhow::Result<Answer> {
    let key = question.key.as_deref().context(
        "a running server asks for a personal API key: give --key or TENREC_PERSONAL_KEY (see `tenrec keys create`)",
    )?;
    let target = format!("{}/api/projects/{}/query/", url.trim_end_matches('/'), question.project);
    let body = json!({"query": {"kind": "HogQLQuery", "query": sql, "limit": question.limit}});
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = agent
        .post(&target)
        .header("Authorization", &format!("Bearer {key}"))
        .send_json(&body)
        .with_context(|| format!("cannot reach {target}"))?;
    let status = response.status();
    let body: Value = response
        .body_mut()
        .with_config()
        .limit(1 << 30)
        .read_json()
        .with_context(|| format!("{target} answered {status} and no JSON"))?;
    if !status.is_success() {
        bail!("{}", body["detail"].as_str().unwrap_or("the server refused the question"));
    }
    answered::from_json(&body)
}

fn ask_folder(shared: &Shared, question: &Query, sql: &str) -> anyhow::Result<Answer> {
    let resolved = settings::resolve(shared.config.as_deref(), &[])?;
    anyhow::ensure!(
        server::has_data(&shared.data, &resolved.settings.metastore.url),
        "there is no Tenrec data in {}: run `tenrec serve` first, or point --data or --url at it",
        shared.data.display()
    );
    let request = query::Request {
        project: ProjectId(question.project),
        sql: sql.to_owned(),
        now: server::clock::Clock::from_setting(&resolved.settings.clock.fixed).now(),
        row_limit: Some(question.limit),
    };
    wait_for(async {
        let engine =
            server::start::open_at_rest(&resolved.settings, &shared.data).await.map_err(|error| {
                anyhow::Error::from_boxed(error)
                    .context("cannot open the data folder (a running server is asked with --url)")
            })?;
        Ok(engine.run(request).await?)
    })
}
