//! One writer: sends its orders one after the other and repeats each until it is acked.

use super::crew::Progress;
use super::oracle::Oracle;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use testkit::api::Body;
use testkit::workload::gzip;
use testkit::{Api, Numbers};

/// What a writer has sent. All of it was acked: a writer ends only between orders.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// Requests acked.
    pub requests: u64,
    /// Events acked: the ids 0 to this of the writer.
    pub events: u64,
    /// Replay sessions acked, with their number of items.
    pub chunks: Vec<(String, u64)>,
    /// Sends whose fate was unknown and that were repeated.
    pub repeated: u64,
    /// Answers that say the body is wrong: never right here.
    pub refused: Vec<String>,
    /// Sends of what was acked or on its way already.
    pub again: u64,
    /// The longest that one send took, whether it was answered or broke off.
    pub slowest: Duration,
}

/// How a writer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Again only what was not acked.
    Careful,
    /// Everything one to five times: at the same time, or after the ack, or both.
    Hasty,
}

/// How long one order may stay unacked before the writer gives up on the server.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends until `ending`, then finishes the order at hand.
pub fn write(api: &Api, oracle: &Oracle, (writer, style): (u64, Style), progress: &Progress) -> Sent {
    let mut sent = Sent::default();
    let mut pause = Numbers::of(oracle.seed ^ 0x7061_7573, writer);
    while !progress.ending.load(Ordering::Relaxed) {
        let order = oracle.order(writer, sent.requests, sent.events);
        let bytes = if order.gzip { gzip(&order.body) } else { order.body };
        let body = Body { path: order.path, bytes, gzip: order.gzip };
        if !deliver_in(style, api, &body, (&mut sent, &mut pause)) {
            break;
        }
        progress.events.fetch_add(order.events, Ordering::Relaxed);
        sent.requests += 1;
        sent.events += order.events;
        sent.chunks.extend(order.chunk);
        std::thread::sleep(Duration::from_millis(2 + pause.below(30)));
    }
    sent
}

/// Delivers as often as the style wants.
fn deliver_in(style: Style, api: &Api, body: &Body, (sent, chance): (&mut Sent, &mut Numbers)) -> bool {
    let copies = if style == Style::Hasty { chance.below(5) } else { 0 };
    let beside = chance.below(copies + 1);
    let delivered = std::thread::scope(|scope| {
        for _ in 0..beside {
            let other = api.clone();
            // Its fate does not matter: the order counts when `deliver` has its ack.
            scope.spawn(move || drop(other.send(body)));
        }
        deliver(api, body, sent)
    });
    for _ in beside..copies {
        drop(api.send(body));
    }
    sent.again += copies;
    delivered
}

/// Sends until there is a 200. A 4xx is a fault of the server here and ends the writer.
fn deliver(api: &Api, body: &Body, sent: &mut Sent) -> bool {
    let start = Instant::now();
    loop {
        let sending = Instant::now();
        let answer = api.send(body);
        sent.slowest = sent.slowest.max(sending.elapsed());
        match answer {
            Ok((200, _)) => return true,
            Ok((status @ 400..=499, text)) if status != 429 => {
                sent.refused.push(format!("{} {status} {text}", body.path));
                return false;
            }
            Ok((status, text)) if start.elapsed() > PATIENCE => {
                sent.refused
                    .push(format!("{} not acked within {PATIENCE:?}, last: {status} {text}", body.path));
                return false;
            }
            Err(fault) if start.elapsed() > PATIENCE => {
                sent.refused.push(format!("{} not acked within {PATIENCE:?}, last: {fault:#}", body.path));
                return false;
            }
            Ok(_) | Err(_) => sent.repeated += 1,
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
