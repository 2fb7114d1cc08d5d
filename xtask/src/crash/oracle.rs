//! What is sent, as a function of (seed, id): the judge computes again what each id must look like.

use serde_json::{Value, json};
use testkit::Numbers;

/// Distinct ids that one writer uses.
const SUBJECTS: u64 = 16;

/// Gives the event of every id.
#[derive(Clone, Copy, Debug)]
pub struct Oracle {
    /// The run's seed.
    pub seed: u64,
    /// The project key that bodies carry.
    pub key: &'static str,
    /// Milliseconds since 1970 of the first id.
    start: i64,
}

/// One thing to send: what it is made of, so that it can be built and judged.
#[derive(Clone, Debug)]
pub struct Order {
    /// Path of the request.
    pub path: &'static str,
    /// Plain body.
    pub body: Vec<u8>,
    /// Whether to compress it.
    pub gzip: bool,
    /// Events it holds.
    pub events: u64,
    /// The replay session it holds, and its number of items.
    pub chunk: Option<(String, u64)>,
}

impl Oracle {
    /// An oracle whose times start now, which is no part of what is judged.
    pub fn new(seed: u64, key: &'static str) -> anyhow::Result<Self> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        Ok(Self { seed, key, start: i64::try_from(now.as_millis())? })
    }

    /// The next order of a writer that has sent `events` events in `requests` requests.
    pub fn order(&self, writer: u64, requests: u64, events: u64) -> Order {
        let mut numbers = Numbers::of(self.seed ^ 0x6f72_6465, writer << 40 | requests);
        let first = writer << 40 | events;
        let gzip = numbers.below(3) == 0;
        match numbers.below(20) {
            0..8 => {
                let mut event = self.event(first);
                event["api_key"] = self.key.into();
                let path = *numbers.pick(&["/i/v0/e/", "/capture/", "/e/"]);
                Order { path, body: event.to_string().into_bytes(), gzip, events: 1, chunk: None }
            }
            8..15 => self.batch(first, 2 + numbers.below(29), gzip),
            15..18 => self.merge(first, gzip),
            _ => self.replay(writer << 40 | requests, gzip),
        }
    }

    /// The event of an id.
    pub fn event(&self, id: u64) -> Value {
        let mut numbers = Numbers::of(self.seed, id);
        let uuid = numbers.uuid();
        json!({
            "uuid": uuid,
            "event": *numbers.pick(&["opened", "saved", "closed"]),
            "distinct_id": subject(id),
            "timestamp": self.time(id),
            "properties": {"oracle": id, "payload": self.payload(id)},
        })
    }

    /// The part of an event that must come back unchanged.
    pub fn payload(&self, id: u64) -> String {
        let mut numbers = Numbers::of(self.seed ^ 0x7061_796c, id);
        let length = 20 + numbers.below(200) as usize;
        numbers.hex(length)
    }

    /// The uuid of an id.
    pub fn uuid(&self, id: u64) -> String {
        Numbers::of(self.seed, id).uuid()
    }

    fn time(&self, id: u64) -> i64 {
        self.start + i64::try_from(id & 0xff_ffff).unwrap_or(0) % 1000
    }

    fn batch(&self, first: u64, count: u64, gzip: bool) -> Order {
        let events: Vec<Value> = (first..first + count).map(|id| self.event(id)).collect();
        self.post(events, gzip)
    }

    /// A visitor does something, then turns out to be one of the writer's subjects.
    fn merge(&self, first: u64, gzip: bool) -> Order {
        let mut visit = self.event(first);
        visit["distinct_id"] = visitor(first).into();
        let mut identify = self.event(first + 1);
        identify["event"] = "$identify".into();
        identify["properties"]["$anon_distinct_id"] = visitor(first).into();
        self.post(vec![visit, identify], gzip)
    }

    fn post(&self, events: Vec<Value>, gzip: bool) -> Order {
        let count = events.len() as u64;
        let body = json!({"api_key": self.key, "batch": events}).to_string().into_bytes();
        Order { path: "/batch/", body, gzip, events: count, chunk: None }
    }

    fn replay(&self, id: u64, gzip: bool) -> Order {
        let mut numbers = Numbers::of(self.seed ^ 0x7265_706c, id);
        let (session, count) = (numbers.uuid(), 1 + numbers.below(5));
        let items: Vec<Value> = (0..count)
            .map(|item| json!({"type": 3, "timestamp": self.time(id) + i64::try_from(item).unwrap_or(0), "data": {"source": 1, "text": numbers.hex(60)}}))
            .collect();
        let properties = json!({"$session_id": session, "$window_id": session, "$snapshot_data": items, "token": self.key, "distinct_id": subject(id)});
        let message = json!([{"uuid": numbers.uuid(), "event": "$snapshot", "timestamp": self.time(id), "properties": properties}]);
        Order {
            path: "/s/",
            body: message.to_string().into_bytes(),
            gzip,
            events: 0,
            chunk: Some((session, count)),
        }
    }
}

/// The writer that an id belongs to.
pub fn writer_of(id: u64) -> u64 {
    id >> 40
}

/// The distinct id of an ordinary event.
pub fn subject(id: u64) -> String {
    format!("writer-{}-{}", writer_of(id), id % SUBJECTS)
}

/// The distinct id of a visitor before a merge.
pub fn visitor(id: u64) -> String {
    format!("writer-{}-visitor-{id}", writer_of(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_a_function_of_seed_and_position() {
        let oracle = Oracle::new(3, "phc_x").unwrap();
        for request in 0..200 {
            let (one, two) = (oracle.order(2, request, 10), oracle.order(2, request, 10));
            assert_eq!(one.body, two.body);
            assert!(one.events > 0 || one.chunk.is_some());
        }
        assert_eq!(oracle.event(7)["uuid"], oracle.uuid(7));
        assert_ne!(oracle.payload(7), oracle.payload(8));
    }
}
