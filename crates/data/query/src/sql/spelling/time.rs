//! Times under ClickHouse's names: `toStartOfWeek`, `toIntervalDay`, `addDays`, `today`. Everything is UTC.

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Expr, Interval, Value,
};

use super::{Respelt, cast, zoned};
use crate::{
    Error,
    function::TO_DATETIME,
    sql::build::{call, text},
};

/// `toStartOfX` that gives an instant, by its unit.
const INSTANTS: [(&str, &str); 4] = [
    ("tostartofsecond", "second"),
    ("tostartofminute", "minute"),
    ("tostartofhour", "hour"),
    ("tostartofday", "day"),
];
/// `toStartOfX` that gives a date, by its unit.
const DATES: [(&str, &str); 4] = [
    ("tomonday", "week"),
    ("tostartofmonth", "month"),
    ("tostartofquarter", "quarter"),
    ("tostartofyear", "year"),
];
/// `toStartOfXMinutes` by its length.
const MINUTES: [(&str, u8); 3] =
    [("tostartoffiveminutes", 5), ("tostartoftenminutes", 10), ("tostartoffifteenminutes", 15)];
/// `toX` by the part of the date it gives.
const PARTS: [(&str, &str); 10] = [
    ("toyear", "year"),
    ("toquarter", "quarter"),
    ("tomonth", "month"),
    ("toisoweek", "week"),
    ("todayofmonth", "day"),
    ("todayofyear", "doy"),
    ("todayofweek", "isodow"),
    ("tohour", "hour"),
    ("tominute", "minute"),
    ("tosecond", "second"),
];

pub(super) fn respelt(written: &str, name: &str, args: &[Expr]) -> Respelt {
    let found =
        |list: &[(&str, &'static str)]| list.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
    if let Some(unit) = found(&INSTANTS) {
        return Ok(Some(start(unit, in_utc(written, args)?)));
    }
    if let Some(unit) = found(&DATES) {
        return Ok(Some(date(start(unit, in_utc(written, args)?))));
    }
    if let Some(part) = found(&PARTS) {
        return Ok(Some(call("date_part", vec![text(part), in_utc(written, args)?])));
    }
    if let Some((_, minutes)) = MINUTES.iter().find(|(from, _)| *from == name) {
        return Ok(Some(bin(span(&minutes.to_string(), "minute"), in_utc(written, args)?)));
    }
    if let Some(unit) = name.strip_prefix("tointerval") {
        return span_of(written, unit, args.first()).map(Some);
    }
    if let Some(found) = shifted(written, name, args)? {
        return Ok(Some(found));
    }
    named(written, name, args)
}

fn named(written: &str, name: &str, args: &[Expr]) -> Respelt {
    Ok(Some(match (name, args) {
        ("today", []) => call("current_date", Vec::new()),
        ("yesterday", []) => minus_one_day(call("current_date", Vec::new())),
        ("todate" | "date", _) => date(in_utc(written, args)?),
        ("todateornull", [value]) => cast(value.clone(), DataType::Date, CastKind::TryCast),
        ("todatetime", [_, _]) => call(TO_DATETIME, vec![in_utc(written, args)?]),
        ("todatetimeornull" | "parsedatetimebesteffortornull", [value]) => {
            cast(value.clone(), zoned(), CastKind::TryCast)
        }
        ("totimezone", [_, _]) => in_utc(written, args)?,
        ("tounixtimestamp", _) => {
            let seconds = call("date_part", vec![text("epoch"), in_utc(written, args)?]);
            cast(call("floor", vec![seconds]), DataType::BigInt(None), CastKind::Cast)
        }
        ("toyyyymm", _) => digits("%Y%m", in_utc(written, args)?),
        ("toyyyymmdd", _) => digits("%Y%m%d", in_utc(written, args)?),
        ("tostartofweek", [at, mode]) if is_monday(mode) => date(start("week", at.clone())),
        ("tostartofweek", [at] | [at, Expr::Value(_)]) => {
            let next_day = binary(at.clone(), BinaryOperator::Plus, span("1", "day"));
            date(minus_one_day(start("week", next_day)))
        }
        ("tostartofinterval", [at, length @ Expr::Interval(_)]) => bin(length.clone(), at.clone()),
        _ => return Ok(None),
    }))
}

/// The only argument. A time zone behind it may only be the one everything is in.
fn in_utc(written: &str, args: &[Expr]) -> Result<Expr, Error> {
    match args {
        [at] => Ok(at.clone()),
        [at, Expr::Value(zone)] if matches!(&zone.value, Value::SingleQuotedString(zone) if is_utc(zone)) => {
            Ok(at.clone())
        }
        [_, _] => Err(Error::invalid(format!("{written} knows no time zone but 'UTC' yet."))),
        _ => Err(Error::invalid(format!("{written} takes one argument."))),
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Etc/UTC" | "GMT" | "Z")
}

/// Modes of `toStartOfWeek` with an odd number begin on Monday, the others on Sunday.
fn is_monday(mode: &Expr) -> bool {
    matches!(mode, Expr::Value(value) if matches!(&value.value, Value::Number(mode, _) if mode.ends_with(['1', '3', '5', '7', '9'])))
}

fn start(unit: &str, at: Expr) -> Expr {
    call("date_trunc", vec![text(unit), at])
}

fn date(expr: Expr) -> Expr {
    cast(expr, DataType::Date, CastKind::Cast)
}

fn digits(format: &str, at: Expr) -> Expr {
    cast(call("to_char", vec![at, text(format)]), DataType::BigInt(None), CastKind::Cast)
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn minus_one_day(expr: Expr) -> Expr {
    binary(expr, BinaryOperator::Minus, span("1", "day"))
}

/// The start of the span that `at` lies in. Spans are counted from a Monday, so that weeks begin on one.
fn bin(length: Expr, at: Expr) -> Expr {
    let weekly = length.to_string().to_lowercase().contains("week");
    let origin = cast(text(if weekly { "1970-01-05" } else { "1970-01-01" }), zoned(), CastKind::Cast);
    cast(call("date_bin", vec![length, at, origin]), zoned(), CastKind::Cast)
}

fn span(amount: &str, unit: &str) -> Expr {
    Expr::Interval(Interval {
        value: Box::new(text(format!("{amount} {unit}"))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

/// `7` and `day` as a span; only a written number can be one.
fn span_of(written: &str, unit: &str, amount: Option<&Expr>) -> Result<Expr, Error> {
    let (sign, amount) = match amount {
        Some(Expr::UnaryOp { op: datafusion::sql::sqlparser::ast::UnaryOperator::Minus, expr }) => {
            ("-", Some(expr.as_ref()))
        }
        other => ("", other),
    };
    if let Some(Expr::Value(value)) = amount
        && let Value::Number(amount, _) = &value.value
    {
        return Ok(span(&format!("{sign}{amount}"), unit));
    }
    Err(Error::invalid(format!("{written} takes a whole number, not a column or a computation.")))
}

/// `addDays(t, 7)`, `subtractDays(t, 7)`, `dateAdd('day', 7, t)`, `dateSub('day', 7, t)`.
fn shifted(written: &str, name: &str, args: &[Expr]) -> Respelt {
    let (op, rest) = if let Some(rest) = name.strip_prefix("add").or_else(|| name.strip_prefix("dateadd")) {
        (BinaryOperator::Plus, rest)
    } else if let Some(rest) = name.strip_prefix("subtract").or_else(|| name.strip_prefix("datesub")) {
        (BinaryOperator::Minus, rest)
    } else {
        return Ok(None);
    };
    match (rest, args) {
        ("", [Expr::Value(unit), amount, at]) => {
            let Value::SingleQuotedString(unit) = &unit.value else { return Ok(None) };
            Ok(Some(binary(at.clone(), op, span_of(written, &unit.to_lowercase(), Some(amount))?)))
        }
        (
            "seconds" | "minutes" | "hours" | "days" | "weeks" | "months" | "quarters" | "years",
            [at, amount],
        ) => {
            let unit = rest.trim_end_matches('s');
            Ok(Some(binary(at.clone(), op, span_of(written, unit, Some(amount))?)))
        }
        _ => Ok(None),
    }
}

/// `interval 7 day` as `interval '7 day'`.
pub(super) fn name_unit(interval: &mut Interval) {
    if let (Expr::Value(value), Some(field)) = (interval.value.as_ref(), &interval.leading_field)
        && let Value::Number(amount, _) = &value.value
    {
        let whole = format!("{amount} {}", unit(field));
        *interval.value = text(whole);
        interval.leading_field = None;
    }
}

fn unit(field: &DateTimeField) -> String {
    field.to_string().to_lowercase()
}
