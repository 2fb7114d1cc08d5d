//! `tenrec serve`: run until told to stop.

use crate::settings;
use crate::words::Shared;
use anyhow::Context;
use server::{FirstStart, Settings};
use std::io::{IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Starts the server and waits for SIGINT or SIGTERM.
pub fn run(shared: &Shared, listen: Option<String>, role: Option<String>) -> anyhow::Result<()> {
    let given = [("server.listen", listen), ("server.role", role)];
    let flags: Vec<(&str, String)> =
        given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let resolved = settings::resolve(shared.config.as_deref(), &flags)?;
    log_to_stderr(&resolved.settings)?;
    for note in &resolved.notes {
        tracing::warn!("{note}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("door").build()?;
    runtime.block_on(async {
        // Signals are caught before the port opens: whoever sees the address may stop the process cleanly.
        let signal = stop_signal()?;
        let public_url = resolved.settings.server.public_url.clone();
        let running = server::start(resolved.settings, &shared.data)
            .await
            .map_err(|error| anyhow::Error::from_boxed(error).context("cannot start"))?;
        let url = if public_url.is_empty() { format!("http://{}", running.address) } else { public_url };
        greet(&url, running.first.as_ref())?;
        tracing::info!(address = %running.address, data = %shared.data.display(), "listening");
        running.until(signal).await.map_err(anyhow::Error::from_boxed)?;
        tracing::info!("stopped; every acknowledged event is on disk");
        Ok(())
    })
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = interrupt.recv() => tracing::info!("interrupted: stopping"),
        }
    })
}

fn log_to_stderr(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.telemetry.level)
        .with_context(|| format!("telemetry.level: `{}` is not a filter", settings.telemetry.level))?;
    // Colours are for people: a file or a collector gets the words alone.
    let colours = std::io::stderr().is_terminal();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    // A line that cannot be written (a full disk) must not be complained about where it cannot be written: that panics.
    let builder = builder.log_internal_errors(false);
    if settings.telemetry.format == "json" {
        builder.json().init();
    } else {
        builder.init();
    }
    Ok(())
}

/// Prints what a newcomer needs on standard output; the first line is for programs too.
fn greet(url: &str, first: Option<&FirstStart>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "listening on {url}")?;
    if let Some(FirstStart { project_key, personal_key }) = first {
        write!(
            out,
            r#"
  project key   {project_key}   (public: put it in your SDK)
  personal key  {personal_key}   (secret: shown once, reads your data)

  posthog.init("{project_key}", {{ api_host: "{url}" }})               // posthog-js
  new PostHog("{project_key}", {{ host: "{url}" }})                    // posthog-node
  Posthog("{project_key}", host="{url}")                             # posthog-python

  curl -X POST {url}/capture/ -H 'Content-Type: application/json' \
    -d '{{"api_key":"{project_key}","event":"hello","distinct_id":"me"}}'
  tenrec query --url {url} --key {personal_key} \
    "select event, count(*) from events group by event"

"#
        )?;
    }
    out.flush()
}
