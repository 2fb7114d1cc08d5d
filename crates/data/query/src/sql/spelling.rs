//! ClickHouse spellings that have an equal here. A spelling without one is refused by name:
//! HogQL as a whole is another piece of work.

mod aggregate;
mod time;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, CastKind, DataType, Expr, Function, FunctionArguments, TimezoneInfo,
    UnaryOperator, VisitMut, VisitorMut, helpers::attached_token::AttachedToken,
};

use super::build::{bare_name, call, number, plain_args, text};
use crate::{
    Error,
    function::{JSON_TEXT, TO_DATETIME, TO_FLOAT},
};

/// Same arguments, other name.
const RENAMED: [(&str, &str); 39] = [
    ("ifnull", "coalesce"),
    ("startswith", "starts_with"),
    ("endswith", "ends_with"),
    ("replaceall", "replace"),
    ("replaceregexpone", "regexp_replace"),
    ("match", "regexp_like"),
    ("lowerutf8", "lower"),
    ("upperutf8", "upper"),
    ("lengthutf8", "length"),
    ("substringutf8", "substr"),
    ("jsonextractstring", JSON_TEXT),
    ("jsonextractraw", JSON_TEXT),
    ("stddevpop", "stddev_pop"),
    ("stddevsamp", "stddev"),
    ("varpop", "var_pop"),
    ("varsamp", "var_samp"),
    ("tofloat32", TO_FLOAT),
    ("tofloat64", TO_FLOAT),
    ("tofloatornull", TO_FLOAT),
    ("tofloat64ornull", TO_FLOAT),
    ("todatetime64", TO_DATETIME),
    ("parsedatetimebesteffort", TO_DATETIME),
    ("fromunixtimestamp", TO_DATETIME),
    ("arrayjoin", "unnest"),
    ("arrayconcat", "array_concat"),
    ("arraydistinct", "array_distinct"),
    ("arrayelement", "array_element"),
    ("arrayflatten", "flatten"),
    ("arrayreverse", "array_reverse"),
    ("arraysort", "array_sort"),
    ("arraystringconcat", "array_to_string"),
    ("has", "array_has"),
    ("hasall", "array_has_all"),
    ("hasany", "array_has_any"),
    ("indexof", "array_position"),
    ("tuple", "struct"),
    ("generateuuidv4", "uuid"),
    ("laginframe", "lag"),
    ("leadinframe", "lead"),
];
/// Operators spelt as functions.
const OPERATORS: [(&str, BinaryOperator); 11] = [
    ("equals", BinaryOperator::Eq),
    ("notequals", BinaryOperator::NotEq),
    ("greater", BinaryOperator::Gt),
    ("greaterorequals", BinaryOperator::GtEq),
    ("less", BinaryOperator::Lt),
    ("lessorequals", BinaryOperator::LtEq),
    ("plus", BinaryOperator::Plus),
    ("minus", BinaryOperator::Minus),
    ("multiply", BinaryOperator::Multiply),
    ("divide", BinaryOperator::Divide),
    ("modulo", BinaryOperator::Modulo),
];

/// A call in other words, or why it has none; `None` leaves it to the engine.
type Respelt = Result<Option<Expr>, Error>;

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
            Expr::Interval(interval) => time::name_unit(interval),
            Expr::Cast { data_type, .. } => plain_type(data_type),
            Expr::BinaryOp { op, right, .. } if *op == BinaryOperator::Eq => matches_sign(op, right),
            Expr::Function(function) => match respelt_call(function) {
                Ok(Some(better)) => *expr = better,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(Box::new(error)),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `a =~ 'x'`, which reads as `a = ~'x'`.
fn matches_sign(op: &mut BinaryOperator, right: &mut Box<Expr>) {
    if let Expr::UnaryOp { op: UnaryOperator::BitwiseNot, expr } = right.as_mut() {
        let pattern = std::mem::replace(expr.as_mut(), number(0));
        *op = BinaryOperator::PGRegexMatch;
        **right = pattern;
    }
}

/// ClickHouse's names of types, in a cast.
fn plain_type(kind: &mut DataType) {
    *kind = match kind {
        DataType::Float32 | DataType::Float64 => DataType::DoublePrecision,
        DataType::Int8(None) | DataType::Int16 | DataType::Int32 | DataType::Int64 => DataType::BigInt(None),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => DataType::BigInt(None),
        DataType::String(None) => DataType::Varchar(None),
        DataType::Datetime(None) => zoned(),
        _ => return,
    };
}

/// Finds the other words and keeps FILTER, OVER and WITHIN GROUP of the call.
fn respelt_call(function: &Function) -> Respelt {
    let Some(written) = bare_name(function) else { return Ok(None) };
    let better = respelt(written, function)?;
    if !matches!(function.parameters, FunctionArguments::None) && !aggregate::takes_parameter(written) {
        return Err(Error::invalid(format!(
            "{written} with a parameter in front of its arguments is not supported."
        )));
    }
    let Some(mut better) = better else { return Ok(None) };
    if let Expr::Function(to) = &mut better {
        to.over.clone_from(&function.over);
        to.filter = to.filter.take().or_else(|| function.filter.clone());
        to.null_treatment = to.null_treatment.or(function.null_treatment);
        if to.within_group.is_empty() {
            to.within_group.clone_from(&function.within_group);
        }
    } else if function.over.is_some() || function.filter.is_some() {
        return Ok(None);
    }
    Ok(Some(better))
}

fn respelt(written: &str, function: &Function) -> Respelt {
    let name = written.to_lowercase();
    if let Some(found) = aggregate::respelt(written, function)? {
        return Ok(Some(found));
    }
    let Some(args) = plain_args(function) else { return Ok(None) };
    if let Some((_, to)) = RENAMED.iter().find(|(from, _)| *from == name) {
        return Ok(Some(call(to, args)));
    }
    if let (Some((_, op)), 2) = (OPERATORS.iter().find(|(from, _)| *from == name), args.len()) {
        return Ok(operation(op.clone(), args));
    }
    if let Some(found) = time::respelt(written, &name, &args)? {
        return Ok(Some(found));
    }
    Ok(plain(&name, args))
}

fn plain(name: &str, mut args: Vec<Expr>) -> Option<Expr> {
    let whole = |expr| cast(expr, DataType::BigInt(None), CastKind::TryCast);
    Some(match (name, args.len()) {
        ("tostring" | "touuid", 1) => cast(args.remove(0), DataType::Varchar(None), CastKind::Cast),
        ("toint" | "toint8" | "toint16" | "toint32" | "toint64" | "tointornull", 1) => whole(args.remove(0)),
        ("touint8" | "touint16" | "touint32" | "touint64", 1) => whole(args.remove(0)),
        ("intdiv", 2) => {
            whole(call("trunc", vec![Expr::Nested(Box::new(operation(BinaryOperator::Divide, args)?))]))
        }
        ("log", 1) => call("ln", args),
        ("sign", 1) => call("signum", args),
        ("assumenotnull" | "tonullable" | "materialize", 1) => Expr::Nested(Box::new(args.remove(0))),
        ("isnull", 1) => Expr::Nested(Box::new(Expr::IsNull(Box::new(args.remove(0))))),
        ("isnotnull", 1) => Expr::Nested(Box::new(Expr::IsNotNull(Box::new(args.remove(0))))),
        ("if", 3) => choice(args)?,
        ("multiif", odd) if odd % 2 == 1 => choice(args)?,
        ("empty", 1) => compare_empty(args.remove(0), BinaryOperator::Eq),
        ("notempty", 1) => compare_empty(args.remove(0), BinaryOperator::NotEq),
        ("replaceregexpall", 3) => {
            args.push(text("g"));
            call("regexp_replace", args)
        }
        ("extract", 2) => call("array_element", vec![call("regexp_match", args), number(1)]),
        ("splitbychar" | "splitbystring", 2) => {
            args.reverse();
            call("string_to_array", args)
        }
        ("jsonextractfloat", 2..) => call(TO_FLOAT, vec![call(JSON_TEXT, args)]),
        ("jsonextractint" | "jsonextractuint", 2..) => whole(call(TO_FLOAT, vec![call(JSON_TEXT, args)])),
        ("jsonextractbool", 2..) => call("tobool", vec![call(JSON_TEXT, args)]),
        ("jsonhas", 2..) => Expr::Nested(Box::new(Expr::IsNotNull(Box::new(call(JSON_TEXT, args))))),
        _ => return None,
    })
}

fn operation(op: BinaryOperator, args: Vec<Expr>) -> Option<Expr> {
    let [left, right] = <[Expr; 2]>::try_from(args).ok()?;
    let side = |expr| Box::new(Expr::Nested(Box::new(expr)));
    Some(Expr::Nested(Box::new(Expr::BinaryOp { left: side(left), op, right: side(right) })))
}

fn zoned() -> DataType {
    DataType::Timestamp(Some(6), TimezoneInfo::Tz)
}

fn cast(expr: Expr, data_type: DataType, kind: CastKind) -> Expr {
    Expr::Cast { kind, expr: Box::new(expr), data_type, array: false, format: None }
}

fn compare_empty(expr: Expr, op: BinaryOperator) -> Expr {
    let left = Box::new(call("coalesce", vec![expr, text("")]));
    Expr::Nested(Box::new(Expr::BinaryOp { left, op, right: Box::new(text("")) }))
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
            (
                "argMax(event, timestamp)",
                "first_value(event ORDER BY timestamp DESC NULLS LAST) IGNORE NULLS",
            ),
            ("quantile(0.9)(x)", "percentile_cont(x, 0.9)"),
            ("quantileIf(0.9)(x, y)", "percentile_cont(x, 0.9) FILTER (WHERE y)"),
            ("groupArray(x)", "array_agg(x) IGNORE NULLS"),
            ("groupUniqArrayIf(x, y)", "array_agg(DISTINCT x) FILTER (WHERE y) IGNORE NULLS"),
            ("countIf(a) OVER ()", "count(1) FILTER (WHERE a) OVER ()"),
            ("equals(a, plus(b, 1))", "((a) = (((b) + (1))))"),
            ("a =~ 'x'", "a ~ 'x'"),
            ("CAST(a AS Float64)", "CAST(a AS DOUBLE PRECISION)"),
            ("log(x)", "ln(x)"),
            ("replaceRegexpAll(a, 'b', 'c')", "regexp_replace(a, 'b', 'c', 'g')"),
            ("JSONExtractFloat(properties, 'a')", "tofloat(json_text(properties, 'a'))"),
            ("toDate(timestamp)", "CAST(timestamp AS DATE)"),
            ("toStartOfWeek(t)", "CAST(date_trunc('week', t + INTERVAL '1 day') - INTERVAL '1 day' AS DATE)"),
            ("toStartOfWeek(t, 1)", "CAST(date_trunc('week', t) AS DATE)"),
            ("toStartOfMonth(t)", "CAST(date_trunc('month', t) AS DATE)"),
            ("toStartOfDay(t, 'UTC')", "date_trunc('day', t)"),
            ("addDays(t, 2)", "t + INTERVAL '2 day'"),
            ("dateSub('hour', 3, t)", "t - INTERVAL '3 hour'"),
            ("dateDiff('day', a, b)", "dateDiff('day', a, b)"),
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

    #[test]
    fn what_would_be_another_answer_is_refused() {
        for (from, word) in [
            ("groupArray(3)(event)", "parameter"),
            ("toStartOfDay(timestamp, 'Europe/Berlin')", "UTC"),
            ("toTimeZone(timestamp, 'Europe/Berlin')", "UTC"),
            ("toIntervalDay(x)", "whole number"),
            ("addDays(t, x)", "whole number"),
            ("quantile(x)(y)", "quantile"),
        ] {
            let mut all = Parser::parse_sql(&Posthog, &format!("SELECT {from}")).expect("test SQL parses");
            let error = rewrite(&mut all[0]).expect_err(from);
            assert!(error.context.contains(word), "{from}: {}", error.context);
        }
    }
}
