//! What SDKs wrap around JSON: forms, base64, gzip, zstd, brotli, deflate and lz-string, in any order they do.
//!
//! One algorithm serves every path. It trusts what the bytes look like before what the headers say, because
//! browsers send gzip as `text/plain` without a header and proxies inflate bodies but leave the header on.
//! Every layer stops at the byte budget while it is being undone, so a bomb costs no more than the budget.

use crate::encoding_form::{self, Form};
use crate::{encoding_inflate as inflate, encoding_lz as lz};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use event::Rejection;
use std::borrow::Cow;

/// Layers that are undone before the rest is taken as JSON.
const MAX_LAYERS: usize = 4;
/// Bytes looked at to decide whether text is base64.
const BASE64_PROBE: usize = 128;

/// A body as it came over the wire, with all that says how it is wrapped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoded<'a> {
    /// Query parameter `data`, percent-decoded; an empty one counts as absent. Goes before the body.
    pub data: Option<&'a [u8]>,
    /// Query parameter `compression`.
    pub compression: Option<&'a str>,
    /// Header `content-type`.
    pub content_type: Option<&'a str>,
    /// Header `content-encoding`; may list several.
    pub content_encoding: Option<&'a str>,
    /// The request body.
    pub body: &'a [u8],
    /// Bytes that any layer may grow to.
    pub budget: usize,
}

/// How a stored body is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// As it is.
    Plain,
    /// One gzip member and nothing after it.
    Gzip,
}

/// What was inside.
#[derive(Clone, Debug)]
pub struct Decoded<'a> {
    /// JSON bytes, not yet checked: see [`crate::json::clean`].
    pub json: Cow<'a, [u8]>,
    /// [`Codec::Gzip`] when [`Encoded::body`] itself may be stored, since [`decode_stored`] gives back the
    /// same `json`; [`Codec::Plain`] when `json` is what must be stored.
    pub stored: Codec,
    /// Fields of the form that the JSON was in, if it was in one.
    pub form: Form,
}

/// Layers that no magic bytes announce; each is undone at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    Brotli,
    Deflate,
    Lz,
    Gzip,
}

/// Undoes every layer around a request's JSON.
///
/// # Errors
/// [`Rejection::EmptyPayload`] when nothing was sent, [`Rejection::Decoding`] when a layer is broken,
/// [`Rejection::TooLarge`] when a layer grows over the budget.
///
/// # Compat
/// Accepts all that PostHog `rust/capture/src/payload/{common,decompression}.rs` does, on every path.
pub fn decode<'a>(input: &Encoded<'a>) -> Result<Decoded<'a>, Rejection> {
    let from_query = input.data.filter(|data| !data.is_empty());
    let raw = from_query.unwrap_or(input.body);
    if raw.is_empty() {
        return Err(Rejection::EmptyPayload);
    }
    let declared = from_query.is_none() && encoding_form::is_form(input.content_type);
    let (mut data, form) = if encoding_form::looks_like_form(raw) || (declared && !is_self_evident(raw)) {
        let (data, form) = encoding_form::read(raw)?;
        (Cow::Owned(data), form)
    } else {
        (Cow::Borrowed(raw), Form::default())
    };
    if from_query.is_some() || matches!(data, Cow::Owned(_)) {
        data = restore_plus(data);
    }
    let mut hints = hints(input, &form);
    let as_sent = matches!(data, Cow::Borrowed(_)) && from_query.is_none();
    let mut stored = Codec::Plain;
    for layer in 0..MAX_LAYERS {
        let Some(step) = undo(&data, &mut hints, input.budget)? else { break };
        stored = if layer == 0 && as_sent && step.one_gzip { Codec::Gzip } else { Codec::Plain };
        data = Cow::Owned(step.bytes);
    }
    if data.is_empty() {
        return Err(Rejection::EmptyPayload);
    }
    if hints.contains(&Hint::Gzip) && !matches!(first_byte(&data), Some(b'{' | b'[' | b'"' | 0xef)) {
        return Err(broken("invalid GZIP data"));
    }
    Ok(Decoded { json: data, stored, form })
}

/// How many bytes a body says it unpacks to, before it is unpacked: gzip tells at its end. Never less than its own
/// length; what does not tell counts as it is. A lie is found out by [`decode`], not here.
pub fn claimed_size(body: &[u8]) -> usize {
    let claimed = if body.starts_with(&[0x1f, 0x8b, 8]) { inflate::trailer(body) } else { None };
    claimed.map_or(0, |(_, size)| size as usize).max(body.len())
}

/// Undoes what [`Decoded::stored`] says about a stored body.
///
/// # Errors
/// As [`decode`]; a body that the door accepted gives none with the same budget.
pub fn decode_stored(codec: Codec, bytes: &[u8], budget: usize) -> Result<Cow<'_, [u8]>, Rejection> {
    match codec {
        Codec::Plain => Ok(Cow::Borrowed(bytes)),
        Codec::Gzip => inflate::gunzip(bytes, budget)
            .map(|inflated| Cow::Owned(inflated.bytes))
            .map_err(|fault| fault.named("invalid GZIP data", budget)),
    }
}

/// Undoes one named content encoding: `gzip`, `deflate` (zlib or raw), `br`, `zstd`; `None` for another name.
///
/// Capture v1 and other JSON routes use it, where the header is the contract.
pub fn undo_named(name: &str, bytes: &[u8], budget: usize) -> Option<Result<Vec<u8>, Rejection>> {
    let (result, text) = match name.trim().to_ascii_lowercase().as_str() {
        "gzip" => (inflate::gunzip(bytes, budget).map(|inflated| inflated.bytes), "invalid GZIP data"),
        "deflate" => (inflate::deflate(bytes, budget), "invalid deflate data"),
        "br" => (inflate::brotli(bytes, budget), "invalid brotli data"),
        "zstd" => (inflate::zstd(bytes, budget), "invalid zstd data"),
        _ => return None,
    };
    Some(result.map_err(|fault| fault.named(text, budget)))
}

pub(crate) fn broken(what: &str) -> Rejection {
    Rejection::Decoding(what.to_owned())
}

struct Step {
    bytes: Vec<u8>,
    one_gzip: bool,
}

/// Undoes the outermost layer; `None` when there is none left.
fn undo(data: &[u8], hints: &mut Vec<Hint>, budget: usize) -> Result<Option<Step>, Rejection> {
    let step = |bytes| Ok(Some(Step { bytes, one_gzip: false }));
    if data.starts_with(&[0x1f, 0x8b]) {
        hints.retain(|hint| *hint != Hint::Gzip);
        let inflated =
            inflate::gunzip(data, budget).map_err(|fault| fault.named("invalid GZIP data", budget))?;
        return Ok(Some(Step { bytes: inflated.bytes, one_gzip: inflated.whole }));
    }
    if data.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return step(inflate::zstd(data, budget).map_err(|fault| fault.named("invalid zstd data", budget))?);
    }
    let first = first_byte(data);
    let is_json = matches!(first, Some(b'{' | b'[' | b'"'));
    if let Some(place) = hints.iter().position(|hint| *hint != Hint::Gzip) {
        let hint = hints.remove(place);
        let (result, what) = match hint {
            Hint::Brotli => (inflate::brotli(data, budget), "invalid brotli data"),
            Hint::Deflate => (inflate::deflate(data, budget), "invalid deflate data"),
            Hint::Lz | Hint::Gzip => (lz::decode(data, budget), "invalid LZ64 data"),
        };
        match result {
            Ok(bytes) => return step(bytes),
            // Already undone on the way here: a header that nobody took off.
            Err(inflate::Fault::Broken) if is_json => {}
            Err(fault) => return Err(fault.named(what, budget)),
        }
    }
    if !is_json && let Some(bytes) = base64(data) {
        return step(bytes);
    }
    Ok(None)
}

/// What query, form and header say, outermost first. gzip is only remembered for the error it may deserve.
fn hints(input: &Encoded<'_>, form: &Form) -> Vec<Hint> {
    let said = input.compression.or(form.compression.as_deref()).filter(|text| !text.is_empty());
    let tokens = said.or(input.content_encoding).unwrap_or_default();
    let read = |token: &str| match token.trim().to_ascii_lowercase().as_str() {
        "gzip" | "gzip-js" | "x-gzip" => Some(Hint::Gzip),
        "lz64" | "lz-string" => Some(Hint::Lz),
        "br" => Some(Hint::Brotli),
        "deflate" => Some(Hint::Deflate),
        _ => None,
    };
    tokens.rsplit(',').filter_map(read).collect()
}

/// Whether bytes that came as a form are plainly no form: programs that post JSON with curl's default type.
fn is_self_evident(raw: &[u8]) -> bool {
    matches!(first_byte(raw), Some(b'{' | b'[')) || raw.starts_with(&[0x1f, 0x8b])
}

/// The first byte that is not white space.
fn first_byte(data: &[u8]) -> Option<u8> {
    data.trim_ascii_start().first().copied()
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_')
}

/// Turns the spaces of base64 text back into the `+` they were before form decoding.
fn restore_plus(data: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let text = data.trim_ascii();
    let probe = &text[..text.len().min(BASE64_PROBE)];
    if !text.contains(&b' ') || !probe.iter().all(|byte| is_base64(*byte) || *byte == b' ') {
        return data;
    }
    Cow::Owned(text.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect())
}

/// Decodes base64 in either alphabet, with or without padding, in one line or several; `None` when the text is
/// something else.
fn base64(data: &[u8]) -> Option<Vec<u8>> {
    const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, CONFIG);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, CONFIG);
    let text = data.trim_ascii();
    let probe = &text[..text.len().min(BASE64_PROBE)];
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    if text.is_empty() || !probe.iter().all(|byte| is_base64(*byte) || is_break(byte)) {
        return None;
    }
    let engine = if text.iter().any(|byte| matches!(byte, b'-' | b'_')) { URL_SAFE } else { STANDARD };
    if text.iter().any(is_break) {
        let joined: Vec<u8> = text.iter().copied().filter(|byte| !is_break(byte)).collect();
        return engine.decode(joined).ok();
    }
    engine.decode(text).ok()
}
