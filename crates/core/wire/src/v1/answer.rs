//! The answer to an accepted v1 request.

use super::Verdict;
use serde::ser::{Serialize, SerializeMap, Serializer};

/// The JSON body: one result per event, in the order sent, under its uuid in lower case.
pub fn results(verdicts: &[Verdict]) -> String {
    serde_json::to_string(&Body(verdicts)).expect("uuids and words are JSON")
}

struct Body<'a>(&'a [Verdict]);
struct Results<'a>(&'a [Verdict]);
struct Line<'a>(&'a Verdict);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        let mut map = writer.serialize_map(Some(1))?;
        map.serialize_entry("results", &Results(self.0))?;
        map.end()
    }
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        let mut map = writer.serialize_map(Some(self.0.len()))?;
        for verdict in self.0 {
            map.serialize_entry(&verdict.uuid, &Line(verdict))?;
        }
        map.end()
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        let mut map = writer.serialize_map(None)?;
        map.serialize_entry("result", self.0.outcome.word())?;
        if let Some(details) = self.0.details {
            map.serialize_entry("details", details)?;
        }
        map.end()
    }
}
