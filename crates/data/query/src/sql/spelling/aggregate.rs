//! Aggregates under ClickHouse's names: `uniq`, `argMax`, `quantile(0.9)(x)`, `sumIf(x, condition)`.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList,
    FunctionArguments, NullTreatment, OrderByExpr, OrderByOptions, Value,
};

use super::Respelt;
use crate::{
    Error,
    sql::build::{call, call_distinct, number, plain_args},
};

/// Aggregates that may carry a condition as their last argument when `If` follows their name.
const CONDITIONAL: [&str; 19] = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "uniq",
    "uniqexact",
    "any",
    "anylast",
    "argmax",
    "argmin",
    "grouparray",
    "groupuniqarray",
    "median",
    "quantile",
    "stddevpop",
    "stddevsamp",
    "varpop",
    "varsamp",
];

/// Whether `name(0.9)(x)` has a meaning.
pub(super) fn takes_parameter(name: &str) -> bool {
    matches!(name.to_lowercase().as_str(), "quantile" | "quantileif")
}

pub(super) fn respelt(written: &str, function: &Function) -> Respelt {
    if let Some(base) = written.strip_suffix("If")
        && CONDITIONAL.contains(&base.to_lowercase().as_str())
    {
        return conditional(base, function);
    }
    let Some(mut args) = plain_args(function) else { return Ok(None) };
    Ok(Some(match (written.to_lowercase().as_str(), args.len()) {
        ("count", 0) => call("count", vec![number(1)]),
        ("uniq" | "uniqexact", 1) => call_distinct("count", args),
        ("grouparray", 1) => without_nulls(call("array_agg", args)),
        ("groupuniqarray", 1) => without_nulls(call_distinct("array_agg", args)),
        ("any", 1) => without_nulls(call("first_value", args)),
        ("anylast", 1) => without_nulls(call("last_value", args)),
        ("argmax", 2) => first_by(args.remove(1), args.remove(0), false),
        ("argmin", 2) => first_by(args.remove(1), args.remove(0), true),
        ("quantile", 1) => {
            args.push(share(function)?);
            call("percentile_cont", args)
        }
        _ => return Ok(None),
    }))
}

/// `sumIf(x, condition)` as `sum(x) FILTER (WHERE condition)`.
fn conditional(base: &str, function: &Function) -> Respelt {
    let Some(mut args) = plain_args(function) else { return Ok(None) };
    let Some(condition) = args.pop() else {
        return Err(Error::invalid(format!("{base}If takes a condition as its last argument.")));
    };
    let Expr::Function(bare) = call(base, args) else { return Ok(None) };
    let plain = Function { parameters: function.parameters.clone(), ..bare };
    let mut whole = match super::respelt(base, &plain)? {
        Some(Expr::Function(inner)) => inner,
        _ => plain,
    };
    whole.filter = Some(Box::new(condition));
    Ok(Some(Expr::Function(whole)))
}

fn without_nulls(mut expr: Expr) -> Expr {
    if let Expr::Function(function) = &mut expr {
        function.null_treatment = Some(NullTreatment::IgnoreNulls);
    }
    expr
}

/// The value that comes first when ordered by `key`.
fn first_by(key: Expr, value: Expr, ascending: bool) -> Expr {
    let mut expr = without_nulls(call("first_value", vec![value]));
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut expr {
        let options = OrderByOptions { asc: Some(ascending), nulls_first: Some(false) };
        list.clauses.push(FunctionArgumentClause::OrderBy(vec![OrderByExpr {
            expr: key,
            options,
            with_fill: None,
        }]));
    }
    expr
}

/// The `0.9` of `quantile(0.9)(x)`; a half when there is none.
fn share(function: &Function) -> Result<Expr, Error> {
    let FunctionArguments::List(FunctionArgumentList { args, .. }) = &function.parameters else {
        return Ok(Expr::Value(Value::Number("0.5".to_owned(), false).into()));
    };
    match args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(share @ Expr::Value(value)))]
            if matches!(value.value, Value::Number(..)) =>
        {
            Ok(share.clone())
        }
        _ => Err(Error::invalid("quantile(0.9)(x) takes one number between 0 and 1 as its parameter.")),
    }
}
