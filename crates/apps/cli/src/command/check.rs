//! `tenrec check`: what is wrong, and what to do about it.

use super::{metastore, paper, wait_for};
use crate::settings;
use crate::words::Shared;
use metastore::checkpoint::Store as _;
use metastore::project::Store as _;

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
    let store = wait_for(async {
        let store = metastore(shared).await?;
        let projects = store.projects().await?.len();
        let checkpoint = store.checkpoint().await?.unwrap_or(0);
        Ok(format!("{projects} project(s), log folded up to record {checkpoint}"))
    });
    vec![check_disk(shared), finding("metastore", store)]
}

fn check_disk(shared: &Shared) -> Finding {
    let free = rustix::fs::statvfs(&shared.data).map(|stat| stat.f_bavail * stat.f_frsize);
    let need = settings::resolve(shared.config.as_deref(), &[])
        .map_or(0, |resolved| resolved.settings.log.min_free_bytes + resolved.settings.log.segment_bytes);
    match free {
        Ok(free) => Finding {
            what: "disk",
            good: free > need,
            text: format!("{} MiB free, new events are refused below {} MiB", free >> 20, need >> 20),
        },
        Err(error) => Finding { what: "disk", good: false, text: error.to_string() },
    }
}

fn check_server(url: &str) -> Vec<Finding> {
    let base = url.trim_end_matches('/');
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(std::time::Duration::from_secs(5)))
        .build()
        .into();
    let ask = |path: &str| -> anyhow::Result<(u16, jiff::Timestamp, String)> {
        let mut response = agent.get(format!("{base}{path}")).call()?;
        let status = response.status().as_u16();
        Ok((status, jiff::Timestamp::now(), response.body_mut().read_to_string()?))
    };
    let ready = ask("/_readiness").and_then(|(status, _, text)| {
        anyhow::ensure!(status == 200, "not ready: {text}");
        Ok("ready for events".to_owned())
    });
    let lag = ask("/metrics").map(|(_, _, text)| {
        let line = text.lines().find(|line| line.starts_with("tenrec_pump_lag_records"));
        let behind = line.and_then(|line| line.split_whitespace().last()).unwrap_or("0");
        format!("the pump is {behind} record(s) behind the log")
    });
    vec![finding("server", ready), finding("lag", lag)]
}

fn finding(what: &'static str, outcome: anyhow::Result<String>) -> Finding {
    match outcome {
        Ok(text) => Finding { what, good: true, text },
        Err(error) => Finding { what, good: false, text: format!("{error:#}") },
    }
}
