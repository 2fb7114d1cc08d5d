//! The bare server that benchmarks compare with: reads a body, appends it to one file, answers after
//! fdatasync. It checks nothing and can answer nothing, so no server that stores what it acks is cheaper by much.

use axum::{Router, body::Bytes, extract::State, routing::get, routing::post};
use std::io::Write as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

type Append = (Bytes, oneshot::Sender<()>);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(address)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("usage: floor FILE ADDRESS");
    };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
    let (sender, appends) = channel();
    std::thread::spawn(move || commit(file, &appends));
    let routes = Router::new()
        .route("/_readiness", get(async || "ok"))
        .route("/i/v0/e/", post(accept))
        .route("/batch/", post(accept))
        .layer(axum::extract::DefaultBodyLimit::max(20 << 20))
        .with_state(sender);
    axum::serve(tokio::net::TcpListener::bind(address).await?, routes).await?;
    Ok(())
}

async fn accept(State(appends): State<Sender<Append>>, body: Bytes) -> &'static str {
    let (done, durable) = oneshot::channel();
    if appends.send((body, done)).is_ok() {
        let _ = durable.await;
    }
    "{\"status\":\"Ok\"}"
}

/// Group commit: everything that waits is written and synced together.
fn commit(mut file: std::fs::File, appends: &Receiver<Append>) {
    while let Ok(first) = appends.recv() {
        let mut group = vec![first];
        group.extend(appends.try_iter());
        let mut bytes = Vec::new();
        for (body, _) in &group {
            bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(body);
        }
        if file.write_all(&bytes).and_then(|()| file.sync_data()).is_err() {
            return;
        }
        for (_, done) in group {
            let _ = done.send(());
        }
    }
}
