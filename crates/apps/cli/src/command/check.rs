//! `tenrec check`: what is wrong, and what to do about it.

use super::{metastore, paper, wait_for};
use crate::settings;
use crate::words::Shared;
use anyhow::Context;

/// One finding.
struct Finding {
    what: &'static str,
    good: bool,
    text: String,
}

/// Looks at everything and fails when something is wrong.
pub fn run(shared: &Shared, url: Option<&str>) -> anyhow::Result<()> {
    let mut findings = vec![check_settings(shared)];
    findings.extend(check_folder(shared));
    if let Some(url) = url {
        findings.extend(check_server(url));
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|f| vec![f.what.into(), if f.good { "ok" } else { "PROBLEM" }.into(), f.text.clone()])
        .collect();
    paper::print(&["what", "state", "details"], &rows);
    let bad = findings.iter().filter(|finding| !finding.good).count();
    anyhow::ensure!(bad == 0, "{bad} problem(s) found");
    Ok(())
}

fn check_settings(shared: &Shared) -> Finding {
    match settings::resolve(shared.config.as_deref(), &[]) {
        Ok(resolved) => {
            let changed = resolved.origins.values().filter(|origin| *origin != "default").count();
            Finding { what: "settings", good: true, text: format!("{changed} changed from their defaults") }
        }
        Err(error) => Finding { what: "settings", good: false, text: format!("{error:#}") },
    }
}

fn check_folder(shared: &Shared) -> Vec<Finding> {
    let data = &shared.data;
    if !data.exists() {
        let text = format!("{} does not exist yet; `tenrec serve` will make it", data.display());
        return vec![Finding { what: "data folder", good: true, text }];
    }
    let mut checkpoint = Default::default();
    let store = wait_for(async {
        let store = metastore(shared).await?;
        let projects = store.projects().await?.len();
        checkpoint = store.checkpoint().await?.unwrap_or_default();
        Ok(format!("{projects} project(s), log folded up to record {checkpoint}"))
    });
    let log = wait_for(async {
        let kafka = settings::resolve(shared.config.as_deref(), &[])?.settings.kafka;
        if kafka.is_used() {
            return Ok(format!("in topic {} of {}, which a start looks at", kafka.topic, kafka.brokers));
        }
        server::inspect::log(data, checkpoint.of(0)).await.map_err(anyhow::Error::from_boxed)
    });
    let tables = wait_for(async {
        let settings = settings::resolve(shared.config.as_deref(), &[])?.settings;
        server::inspect::tables(&settings, data).await.map_err(anyhow::Error::from_boxed)
    });
    vec![check_disk(shared), finding("metastore", store), finding("log", log), finding("tables", tables)]
}

fn check_disk(shared: &Shared) -> Finding {
    let free = rustix::fs::statvfs(&shared.data).map(|stat| stat.f_bavail * stat.f_frsize);
    let resolved = settings::resolve(shared.config.as_deref(), &[]).or_else(|_| settings::defaults());
    let need = resolved.map(|found| found.settings.log.min_free_bytes + found.settings.log.segment_bytes);
    match (free, need) {
        (Ok(free), Ok(need)) => Finding {
            what: "disk",
            good: free > need,
            text: format!("{} MiB free, new events are refused below {} MiB", free >> 20, need >> 20),
        },
        (Err(error), _) => Finding { what: "disk", good: false, text: error.to_string() },
        (_, Err(error)) => Finding { what: "disk", good: false, text: format!("{error:#}") },
    }
}

fn check_server(url: &str) -> Vec<Finding> {
    let base = url.trim_end_matches('/');
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(std::time::Duration::from_secs(5)))
        .build()
        .into();
    let ask = |path: &str| -> anyhow::Result<Heard> {
        let target = format!("{base}{path}");
        let mut response = agent.get(&target).call().with_context(|| format!("cannot reach {target}"))?;
        let date = response.headers().get("date").and_then(|date| date.to_str().ok().map(str::to_owned));
        Ok(Heard { status: response.status().as_u16(), date, text: response.body_mut().read_to_string()? })
    };
    let first = ask("/_readiness");
    let clock = first.as_ref().ok().and_then(|heard| heard.date.as_deref()).map(skew);
    let ready = first.and_then(|heard| {
        anyhow::ensure!(heard.status == 200, "not ready ({}): {}", heard.status, heard.text);
        Ok("ready for events".to_owned())
    });
    if ready.is_err() {
        return vec![finding("server", ready)];
    }
    let lag = ask("/metrics").and_then(|heard| {
        anyhow::ensure!(heard.status == 200, "/metrics answers {}", heard.status);
        let line = heard.text.lines().find(|line| line.starts_with("tenrec_pump_lag_records"));
        // Before the first event there is no such line.
        let behind = line.and_then(|line| line.split_whitespace().last()).unwrap_or("0");
        Ok(format!("the pump is {behind} record(s) behind the log"))
    });
    let clock = clock.map(|skew| finding("clock", skew));
    [finding("server", ready), finding("lag", lag)].into_iter().chain(clock).collect()
}

/// What the server answered.
struct Heard {
    status: u16,
    date: Option<String>,
    text: String,
}

/// How far the server's clock is from the one here; events far from it get another time.
fn skew(date: &str) -> anyhow::Result<String> {
    let there =
        jiff::fmt::rfc2822::parse(date).context("the server's Date header cannot be read")?.timestamp();
    let seconds = (jiff::Timestamp::now().as_second() - there.as_second()).abs();
    anyhow::ensure!(seconds <= 60, "the server's clock is {seconds} s from the clock here");
    Ok(format!("{seconds} s from the clock here"))
}

fn finding(what: &'static str, outcome: anyhow::Result<String>) -> Finding {
    match outcome {
        Ok(text) => Finding { what, good: true, text },
        Err(error) => Finding { what, good: false, text: format!("{error:#}") },
    }
}
