//! ClickHouse spellings that have an exact equal here. Anything beyond one-to-one belongs to HogQL.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CaseWhen, CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Interval, ObjectName, TimezoneInfo, Value, VisitMut, VisitorMut,
    helpers::attached_token::AttachedToken,
};

use super::build::{bare_name, call, call_distinct, number, plain_args, text};
use crate::Error;

/// Same arguments, other name.
const RENAMED: [(&str, &str); 21] = [
    ("any", "first_value"),
    ("anylast", "last_value"),
    ("grouparray", "array_agg"),
    ("ifnull", "coalesce"),
    ("startswith", "starts_with"),
    ("endswith", "ends_with"),
    ("replaceall", "replace"),
    ("replaceregexpall", "regexp_replace"),
    ("lowerutf8", "lower"),
    ("upperutf8", "upper"),
    ("lengthutf8", "length"),
    ("jsonextractstring", "json_text"),
    ("jsonextractraw", "json_text"),
    ("stddevpop", "stddev_pop"),
    ("stddevsamp", "stddev"),
    ("varpop", "var_pop"),
    ("varsamp", "var_samp"),
    ("tofloat64", "tofloat"),
    ("tofloatornull", "tofloat"),
    ("substringutf8", "substr"),
    ("arrayjoin", "unnest"),
];
/// `toStartOfX` by its unit.
const STARTS: [(&str, &str); 7] = [
    ("tostartofminute", "minute"),
    ("tostartofhour", "hour"),
    ("tostartofday", "day"),
    ("tostartofweek", "week"),
    ("tostartofmonth", "month"),
    ("tostartofquarter", "quarter"),
    ("tostartofyear", "year"),
];
/// `toX` by the part of the date it gives.
const PARTS: [(&str, &str); 8] = [
    ("toyear", "year"),
    ("tomonth", "month"),
    ("todayofmonth", "day"),
    ("todayofyear", "doy"),
    ("tohour", "hour"),
    ("tominute", "minute"),
    ("tosecond", "second"),
    ("tounixtimestamp", "epoch"),
];
/// Aggregates that take a condition as their last argument when `If` follows their name.
const CONDITIONAL: [&str; 10] =
    ["count", "sum", "avg", "min", "max", "uniq", "uniqexact", "any", "grouparray", "median"];

pub(super) fn rewrite<N: VisitMut>(node: &mut N) -> Result<(), Error> {
    match node.visit(&mut Spelling) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Spelling;

impl VisitorMut for Spelling {
    type Break = Box<Error>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::Interval(interval) => named_interval(interval),
            Expr::Function(function) if function.over.is_none() => {
                if let Some(better) = respelt(function) {
                    *expr = better;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `interval 7 day` as `interval '7 day'`.
fn named_interval(interval: &mut Interval) {
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

fn respelt(function: &Function) -> Option<Expr> {
    let written = bare_name(function)?;
    let name = written.to_lowercase();
    if let Some(base) = written.strip_suffix("If").map(str::to_lowercase)
        && CONDITIONAL.contains(&base.as_str())
    {
        return conditional(&base, function);
    }
    let mut args = plain_args(function)?;
    if let Some((_, to)) = RENAMED.iter().find(|(from, _)| *from == name) {
        return Some(keep(function, call(to, args)));
    }
    if let Some((_, unit)) = STARTS.iter().find(|(from, _)| *from == name) {
        return Some(call("date_trunc", vec![text(*unit), args.into_iter().next()?]));
    }
    if let Some((_, part)) = PARTS.iter().find(|(from, _)| *from == name) {
        return Some(call("date_part", vec![text(*part), args.into_iter().next()?]));
    }
    let whole = match (name.as_str(), args.len()) {
        ("count", 0) => count_rows(),
        ("uniq" | "uniqexact", 1) => call_distinct("count", args),
        ("groupuniqarray", 1) => call_distinct("array_agg", args),
        ("today", 0) => call("current_date", args),
        ("todate", 1) => cast(args.remove(0), DataType::Date, CastKind::Cast),
        ("todatetime", 1) => cast(args.remove(0), zoned(), CastKind::Cast),
        ("tostring", 1) => cast(args.remove(0), DataType::Varchar(None), CastKind::Cast),
        ("toint" | "toint64", 1) => cast(args.remove(0), DataType::BigInt(None), CastKind::TryCast),
        ("if", 3) => choice(args)?,
        ("multiif", odd) if odd % 2 == 1 => choice(args)?,
        ("empty", 1) => return Some(compare_empty(args.remove(0), "=")),
        ("notempty", 1) => return Some(compare_empty(args.remove(0), "<>")),
        _ => return span_of(&name, args),
    };
    Some(keep(function, whole))
}

/// `toIntervalDay(7)`.
fn span_of(name: &str, mut args: Vec<Expr>) -> Option<Expr> {
    let unit = name.strip_prefix("tointerval").filter(|unit| !unit.is_empty())?;
    let Expr::Value(value) = (args.len() == 1).then(|| args.remove(0))? else { return None };
    let Value::Number(amount, _) = value.value else { return None };
    Some(Expr::Interval(Interval {
        value: Box::new(text(format!("{amount} {unit}"))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }))
}

fn zoned() -> DataType {
    DataType::Timestamp(Some(6), TimezoneInfo::Tz)
}

fn cast(expr: Expr, data_type: DataType, kind: CastKind) -> Expr {
    Expr::Cast { kind, expr: Box::new(expr), data_type, array: false, format: None }
}

fn compare_empty(expr: Expr, op: &str) -> Expr {
    use datafusion::sql::sqlparser::ast::BinaryOperator::{Eq, NotEq};
    let op = if op == "=" { Eq } else { NotEq };
    let whole = Expr::BinaryOp {
        left: Box::new(call("coalesce", vec![expr, text("")])),
        op,
        right: Box::new(text("")),
    };
    Expr::Nested(Box::new(whole))
}

fn choice(mut args: Vec<Expr>) -> Option<Expr> {
    let otherwise = args.pop()?;
    let mut conditions = Vec::new();
    let mut rest = args.into_iter();
    while let (Some(condition), Some(result)) = (rest.next(), rest.next()) {
        conditions.push(CaseWhen { condition, result });
    }
    Some(Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: Some(Box::new(otherwise)),
    })
}

fn count_rows() -> Expr {
    call("count", vec![number(1)])
}

/// `sumIf(x, condition)` as `sum(x) FILTER (WHERE condition)`.
fn conditional(base: &str, function: &Function) -> Option<Expr> {
    let mut args = plain_args(function)?;
    let condition = args.pop()?;
    let plain = Function {
        name: ObjectName::from(vec![base.into()]),
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
            clauses: Vec::new(),
        }),
        ..function.clone()
    };
    let mut whole = respelt(&plain).unwrap_or(Expr::Function(plain));
    if let Expr::Function(inner) = &mut whole {
        inner.filter = Some(Box::new(condition));
    }
    Some(whole)
}

/// Keeps FILTER and WITHIN GROUP of the call that was respelt.
fn keep(from: &Function, mut to: Expr) -> Expr {
    if let Expr::Function(function) = &mut to {
        function.filter.clone_from(&from.filter);
        function.null_treatment = from.null_treatment;
        function.within_group.clone_from(&from.within_group);
    }
    to
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::sql::dialect::Posthog;

    #[test]
    fn spellings_with_an_equal_are_rewritten() {
        let cases = [
            ("count()", "count(1)"),
            ("uniq(distinct_id)", "count(DISTINCT distinct_id)"),
            ("countIf(event = 'a')", "count(1) FILTER (WHERE event = 'a')"),
            ("sumIf(x, y > 1)", "sum(x) FILTER (WHERE y > 1)"),
            ("toDate(timestamp)", "CAST(timestamp AS DATE)"),
            ("today()", "current_date()"),
            ("toStartOfDay(timestamp)", "date_trunc('day', timestamp)"),
            ("now() - interval 7 day", "now() - INTERVAL '7 day'"),
            ("toIntervalDay(7)", "INTERVAL '7 day'"),
            ("if(a, 1, 2)", "CASE WHEN a THEN 1 ELSE 2 END"),
            ("ifNull(a, 'x')", "coalesce(a, 'x')"),
        ];
        for (from, to) in cases {
            let mut all = Parser::parse_sql(&Posthog, &format!("SELECT {from}")).expect("test SQL parses");
            rewrite(&mut all[0]).expect("test SQL is rewritten");
            assert_eq!(all[0].to_string(), format!("SELECT {to}"), "{from}");
        }
    }
}
