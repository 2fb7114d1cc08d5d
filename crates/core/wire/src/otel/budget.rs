//! Refuses bodies that are small on the wire and large in memory, before they are unfolded.
//!
//! An empty protobuf message costs two bytes and becomes hundreds; JSON has `{}`. So the parts are counted
//! first.

use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use std::fmt;

/// Messages of a protobuf body: spans, attributes, values and what holds them.
const NODES: usize = 500_000;
/// Objects, lists and commas of a JSON body.
const MARKS: usize = 1_000_000;
/// Depth of messages in messages.
const DEPTH: usize = 64;

/// Why a body is not unfolded.
#[derive(Debug)]
pub(super) enum Fault {
    /// More than [`NODES`] messages or [`MARKS`] marks.
    TooManyParts,
    /// More spans than the caller allows.
    TooManySpans,
    /// Deeper than [`DEPTH`].
    TooDeep,
    /// No protobuf.
    Malformed(DecodeError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyParts => f.write_str("too many parts"),
            Self::TooManySpans => f.write_str("too many spans"),
            Self::TooDeep => write!(f, "nested deeper than {DEPTH}"),
            Self::Malformed(fault) => fault.fmt(f),
        }
    }
}

/// The messages that hold others.
#[derive(Clone, Copy)]
enum Node {
    Export,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Span,
    SpanEvent,
    KeyValue,
    AnyValue,
    Array,
    Object,
    Leaf,
}

impl Node {
    /// What field `tag` of this message holds, if messages.
    fn child(self, tag: u32) -> Option<Self> {
        Some(match (self, tag) {
            (Self::Export, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeSpans, 1) | (Self::Span, 15) => Self::Leaf,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 11) => Self::SpanEvent,
            (Self::Resource, 1) | (Self::Span, 9) | (Self::SpanEvent, 3) | (Self::Object, 1) => {
                Self::KeyValue
            }
            (Self::KeyValue, 2) | (Self::Array, 1) => Self::AnyValue,
            (Self::AnyValue, 5) => Self::Array,
            (Self::AnyValue, 6) => Self::Object,
            _ => return None,
        })
    }
}

/// Counts the messages of a protobuf export, in which at most `spans` spans may be.
pub(super) fn check_protobuf(body: &[u8], spans: usize) -> Result<(), Fault> {
    count(body, Node::Export, DEPTH, &mut Left { nodes: NODES, spans })
}

/// What may still come.
struct Left {
    nodes: usize,
    spans: usize,
}

fn count(mut rest: &[u8], node: Node, depth: usize, left: &mut Left) -> Result<(), Fault> {
    let depth = depth.checked_sub(1).ok_or(Fault::TooDeep)?;
    while !rest.is_empty() {
        let (tag, wire) = decode_key(&mut rest).map_err(Fault::Malformed)?;
        match node.child(tag) {
            Some(child) if wire == WireType::LengthDelimited => {
                left.nodes = left.nodes.checked_sub(1).ok_or(Fault::TooManyParts)?;
                if matches!(child, Node::Span) {
                    left.spans = left.spans.checked_sub(1).ok_or(Fault::TooManySpans)?;
                }
                count(take(&mut rest)?, child, depth, left)?;
            }
            _ => skip_field(wire, tag, &mut rest, DecodeContext::default()).map_err(Fault::Malformed)?,
        }
    }
    Ok(())
}

fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let length = decode_varint(rest).map_err(Fault::Malformed)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    // A length beyond the end is left to the decoder, which names the fault.
    let (message, after) = rest.split_at(length.min(rest.len()));
    *rest = after;
    Ok(message)
}

/// Counts the objects and lists of a JSON export.
pub(super) fn check_json(text: &str) -> Result<(), Fault> {
    let mut parts = 0usize;
    let mut bytes = text.bytes();
    let mut in_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            // Every part but the first of a list follows a comma.
            b'{' | b'[' | b',' if !in_string => parts += 1,
            _ => {}
        }
    }
    if parts > MARKS { Err(Fault::TooManyParts) } else { Ok(()) }
}
