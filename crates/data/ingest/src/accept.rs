//! The door: decides whether a request is accepted, and makes it durable before saying so.

use crate::bodies::{self, Codec};
use crate::directory::{Directory, Entry};
use crate::inflight::Hold;
use crate::record;
use bytes::Bytes;
use event::event_size::{self, Limits};
use event::normalize::{self, Context};
use event::{Place, RawEvent, Received, Rejection, Resource, Route};
use eventlog::{Partitions, Payload};
use jiff::Timestamp;
use std::sync::Arc;
use wire::encoding::{self, Encoded};

/// Decoding more than this at once would keep other requests of the thread waiting.
const BLOCKING_BYTES: usize = 256 * 1024;

/// Bounds of one request that the door itself enforces.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of a body after decompression.
    pub decompressed: usize,
    /// Bytes of one event.
    pub events: Limits,
}

/// A request at the door, as the transport saw it.
#[derive(Debug)]
pub struct Arrival<'a> {
    /// The contract of the path.
    pub route: Route,
    /// Server time.
    pub at: Timestamp,
    /// Random number of this request.
    pub seed: u64,
    /// The parsed query string.
    pub query: wire::capture_query::Query<'a>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// Client address.
    pub ip: Option<String>,
    /// Location, if the edge told us.
    pub place: Option<Place>,
    /// The body as received.
    pub body: Bytes,
    /// What this request holds of the room that all share; the body is counted already.
    pub hold: Hold,
}

/// What the client may be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// Durable.
    Stored {
        /// Events of the request.
        events: usize,
    },
    /// Nothing was stored because this quota is used up; the client is told to pause.
    Limited(Resource),
}

/// The door.
#[derive(Clone)]
pub struct Door {
    log: Partitions,
    directory: Arc<Directory>,
    bounds: Bounds,
}

impl Door {
    /// A door in front of a log.
    pub fn new(log: Partitions, directory: Arc<Directory>, bounds: Bounds) -> Self {
        Self { log, directory, bounds }
    }

    /// Accepts a v0 request (events or replay) whole, or refuses it whole.
    ///
    /// # Durability
    /// `Ok` means that the log has synced the request.
    ///
    /// # Errors
    /// The refusal, with PostHog's text. `Retry` is the only one that sending the same again can help.
    pub async fn accept(&self, arrival: Arrival<'_>) -> Result<Receipt, Rejection> {
        let size = self.begin(&arrival).await?;
        let decoded = in_place(size, || self.decode(&arrival))?;
        arrival.hold.grow(decoded.json.len())?;
        let text = in_place(decoded.json.len(), || wire::json::text(&decoded.json))?;
        let sent_at = decoded.form.sent_at.or(arrival.query.sent_at);
        let receipt = if arrival.route == Route::Replay {
            self.accept_replay(&arrival, sent_at, (&text, decoded.stored)).await?
        } else {
            self.accept_events(&arrival, sent_at, (&text, decoded.stored)).await?
        };
        Ok(receipt)
    }

    /// Waits for the turn of a large request; gives the size it is expected to unpack to.
    async fn begin(&self, arrival: &Arrival<'_>) -> Result<usize, Rejection> {
        let size = encoding::claimed_size(&arrival.body).min(self.bounds.decompressed);
        if size >= BLOCKING_BYTES {
            arrival.hold.begin_turn().await?;
        }
        Ok(size)
    }

    async fn accept_events(
        &self,
        arrival: &Arrival<'_>,
        sent_at: Option<Timestamp>,
        (text, stored): (&str, encoding::Codec),
    ) -> Result<Receipt, Rejection> {
        let request = in_place(text.len(), || wire::capture::parse(arrival.route, text))?;
        let events = request.events.len();
        arrival.hold.grow(events * size_of::<RawEvent>())?;
        telemetry::capture::events_received(events as u64);
        let historical = request.historical_migration;
        let token = wire::capture::token(&request, arrival.query.token.as_deref())?;
        let entry = self.directory.find(&token, arrival.at).await?;
        let received = received(arrival, &entry, token, sent_at);
        in_place(text.len(), || self.check(&received, &request))?;
        drop(request);
        self.store(&arrival.hold, &received, as_sent(arrival, stored), text.as_bytes()).await?;
        telemetry::capture::events_ingested(events as u64);
        if historical {
            telemetry::capture::rerouted_historical("historical_migration", events as u64);
        }
        Ok(Receipt::Stored { events })
    }

    async fn accept_replay(
        &self,
        arrival: &Arrival<'_>,
        sent_at: Option<Timestamp>,
        (text, stored): (&str, encoding::Codec),
    ) -> Result<Receipt, Rejection> {
        let request = in_place(text.len(), || wire::replay::parse(text))?;
        let events = request.events.len();
        let token = wire::replay::token(&request, arrival.query.token.as_deref())?;
        let entry = self.directory.find(&token, arrival.at).await?;
        let received = received(arrival, &entry, token, sent_at);
        in_place(text.len(), || wire::replay::recordings(&request, &received).map(drop))?;
        request.events.iter().try_for_each(event_size::check_snapshot).inspect_err(count_event)?;
        if entry.limited.contains(&Resource::Recordings) {
            telemetry::capture::quota_exceeded(Resource::Recordings.tag(), 1);
            return Ok(Receipt::Limited(Resource::Recordings));
        }
        drop(request);
        self.store(&arrival.hold, &received, as_sent(arrival, stored), text.as_bytes()).await?;
        Ok(Receipt::Stored { events })
    }

    /// Accepts one event or batch that another protocol was translated into (multipart AI, OTLP).
    ///
    /// # Errors
    /// As [`Door::accept`].
    pub async fn accept_json(&self, arrival: Arrival<'_>, token: &str, json: &str) -> Result<(), Rejection> {
        let token = event::token::validate(token)?.to_owned();
        arrival.hold.grow(json.len())?;
        let entry = self.directory.find(&token, arrival.at).await?;
        let received = received(&arrival, &entry, token, None);
        in_place(json.len(), || self.check(&received, &wire::capture::parse(received.route, json)?))?;
        self.store(&arrival.hold, &received, None, json.as_bytes()).await
    }

    /// Accepts a v1 request: every event gets its own verdict, in order.
    ///
    /// # Errors
    /// What refuses the whole request.
    pub async fn accept_v1(
        &self,
        arrival: Arrival<'_>,
        head: &wire::v1::Head,
    ) -> Result<Vec<wire::v1::Verdict>, wire::v1::Error> {
        use wire::v1;
        let size = self.begin(&arrival).await?;
        let json = in_place(size, || v1::decode(&arrival.body, head.encoding, self.bounds.decompressed))?;
        arrival.hold.grow(json.len())?;
        let text = in_place(size, || wire::json::clean(&json))?;
        let batch = in_place(size, || v1::parse(&text))?;
        arrival.hold.grow(batch.events.len() * size_of::<v1::Event>())?;
        let entry = self.directory.find(&head.token, arrival.at).await?;
        let mut received = received(&arrival, &entry, head.token.clone(), Some(head.sent_at));
        received.sdk.clone_from(&head.sdk);
        received.limits = Some(self.bounds.events);
        telemetry::capture::events_received(batch.events.len() as u64);
        let verdicts = in_place(size, || v1::verdicts(&batch, &received, &self.bounds.events));
        let accepted = verdicts.iter().filter(|verdict| verdict.is_accepted()).count();
        if accepted == 0 {
            return Ok(verdicts);
        }
        let as_sent = head.encoding == Some(v1::Encoding::Gzip);
        let as_sent = as_sent.then(|| arrival.body.clone());
        // One record holds all events of the request, so none is stored without the others.
        self.store(&arrival.hold, &received, as_sent, text.as_bytes()).await?;
        telemetry::capture::events_ingested(accepted as u64);
        if batch.historical_migration {
            telemetry::capture::v1_rerouted(accepted as u64);
        }
        Ok(verdicts)
    }

    fn decode<'a>(&self, arrival: &'a Arrival<'_>) -> Result<encoding::Decoded<'a>, Rejection> {
        let packed = arrival.body.len();
        let decoded = encoding::decode(&Encoded {
            data: arrival.query.data.as_deref(),
            compression: arrival.query.compression.as_deref(),
            content_type: arrival.content_type,
            content_encoding: arrival.content_encoding,
            body: &arrival.body,
            budget: self.bounds.decompressed,
        });
        match &decoded {
            Ok(decoded) => {
                telemetry::capture::payload_size(packed, decoded.json.len(), false);
                if decoded.stored == encoding::Codec::Gzip {
                    telemetry::capture::gzip_ratio(packed, decoded.json.len());
                }
            }
            Err(Rejection::TooLarge(_)) => {
                telemetry::capture::payload_size(packed, self.bounds.decompressed, true);
                telemetry::capture::payload_too_large("decompressed");
            }
            Err(_) => {}
        }
        decoded
    }

    /// Checks every event of a v0 request; the first fault refuses all of them.
    fn check(&self, received: &Received, request: &wire::capture::Request<'_>) -> Result<(), Rejection> {
        let context =
            Context { sent_at: request.sent_at, historical: request.historical_migration, index: 0 };
        for (index, raw) in request.events.iter().enumerate() {
            if normalize::is_discarded(raw) {
                continue;
            }
            normalize::head(raw, received, context.at(index))?;
            event_size::check(raw, &self.bounds.events).inspect_err(count_event)?;
        }
        Ok(())
    }

    async fn store(
        &self,
        hold: &Hold,
        received: &Received,
        as_sent: Option<Bytes>,
        json: &[u8],
    ) -> Result<(), Rejection> {
        let (codec, body) = match as_sent {
            Some(body) => (Codec::Gzip, body),
            None => in_place(json.len(), || {
                let (codec, body) = bodies::pack(json);
                (codec, Bytes::from(body.into_owned()))
            }),
        };
        hold.end_turn();
        let head = record::head(received, codec).map_err(|error| {
            tracing::error!(error = %error.chain(), "cannot write a log record");
            Rejection::Retry
        })?;
        let appended = self.log.of(project(received)).append(Payload::new(head.into(), body)).await;
        telemetry::fail_point!("ingest.before_ack");
        appended.map(drop).map_err(|error| {
            tracing::warn!(%error, "the log did not take a request; the client was told to try again");
            match error.kind() {
                eventlog::Kind::Invalid => {
                    Rejection::TooLarge("the request exceeds the log's record limit".into())
                }
                _ => Rejection::Retry,
            }
        })
    }
}

/// What decides the log partition: all records of a project are in one, in the order of their acknowledgements.
fn project(received: &Received) -> u64 {
    u64::try_from(received.project.0).unwrap_or_default()
}

/// Counts an event refused for its size.
fn count_event(_: &Rejection) {
    telemetry::capture::payload_too_large("event");
}

/// The body itself when it is what the log keeps: a gzip member needs no second compression.
fn as_sent(arrival: &Arrival<'_>, stored: encoding::Codec) -> Option<Bytes> {
    (stored == encoding::Codec::Gzip).then(|| arrival.body.clone())
}

fn received(arrival: &Arrival<'_>, entry: &Entry, token: String, sent_at: Option<Timestamp>) -> Received {
    Received {
        route: arrival.route,
        project: entry.project,
        token,
        at: arrival.at,
        sent_at,
        ip: arrival.ip.clone(),
        user_agent: arrival.user_agent.map(|agent| agent.chars().take(500).collect()),
        sdk: None,
        place: arrival.place.clone(),
        limited: entry.limited.clone(),
        limits: None,
        seed: arrival.seed,
    }
}

/// Runs CPU-bound work: where it is, when it is short, else after handing the thread's other tasks away.
fn in_place<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < BLOCKING_BYTES { work() } else { tokio::task::block_in_place(work) }
}
