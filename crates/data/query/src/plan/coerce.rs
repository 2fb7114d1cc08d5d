//! Text that meets a number is read as a number.
//!
//! Properties are text. `properties.amount > 10` means numbers, `properties.is_paid = true` means
//! truth values and `properties.seen_at > now()` means times: the text side is converted, to NULL
//! where it does not spell such a value. The rule looks at types only, so it holds just as well
//! for a property that comes out of a subquery under another name.
//!
//! The quotient of two whole numbers is a fraction here, as in ClickHouse.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::{
    common::{DFSchema, Result},
    logical_expr::{
        Cast, Expr, ExprSchemable, Operator, TryCast, WindowFunctionDefinition, binary_expr,
        planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr},
    },
    sql::sqlparser::ast::BinaryOperator,
};

use crate::function::{JSON_TEXT, extreme, join_text, to_bool, to_float};

/// Aggregates over numbers.
const NUMERIC: [&str; 21] = [
    "sum",
    "avg",
    "median",
    "approx_median",
    "approx_percentile_cont",
    "percentile_cont",
    "stddev",
    "stddev_pop",
    "var",
    "var_pop",
    "var_samp",
    "corr",
    "covar_pop",
    "covar_samp",
    "regr_slope",
    "regr_intercept",
    "regr_r2",
    "regr_count",
    "mean",
    "quantile_cont",
    "stddev_samp",
];

/// See the module.
#[derive(Debug)]
pub(crate) struct Coerce;

impl ExprPlanner for Coerce {
    fn plan_binary_op(
        &self,
        mut raw: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let (Ok(left), Ok(right)) = (raw.left.get_type(schema), raw.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(raw));
        };
        if raw.op == BinaryOperator::StringConcat && joins_text(&left, &right) {
            return Ok(PlannerResult::Planned(join_text().call(vec![raw.left, raw.right])));
        }
        let Some((op, arithmetic)) = operator(&raw.op) else { return Ok(PlannerResult::Original(raw)) };
        if op == Operator::Divide && left.is_integer() && right.is_integer() {
            raw.left = Expr::Cast(Cast::new(Box::new(raw.left), DataType::Float64));
            return Ok(PlannerResult::Planned(binary_expr(raw.left, op, raw.right)));
        }
        let reads =
            (reading(&raw.left, &left, &right, arithmetic), reading(&raw.right, &right, &left, arithmetic));
        if reads == (None, None) {
            return Ok(PlannerResult::Original(raw));
        }
        let read = |expr: Expr, how: Option<Reading>| how.map_or(expr.clone(), |how| how.of(expr));
        Ok(PlannerResult::Planned(binary_expr(read(raw.left, reads.0), op, read(raw.right, reads.1))))
    }

    fn plan_aggregate(&self, mut raw: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        if NUMERIC.contains(&raw.func.name()) {
            raw.args = raw.args.into_iter().map(as_number).collect();
            for sort in &mut raw.order_by {
                sort.expr = as_number(std::mem::take(&mut sort.expr));
            }
        }
        if let name @ ("min" | "max") = raw.func.name()
            && raw.args.iter().any(is_property)
        {
            raw.func = extreme(name == "max");
        }
        Ok(PlannerResult::Original(raw))
    }

    fn plan_window(&self, mut raw: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        if let WindowFunctionDefinition::AggregateUDF(function) = &raw.func_def
            && NUMERIC.contains(&function.name())
        {
            raw.args = raw.args.into_iter().map(as_number).collect();
        }
        Ok(PlannerResult::Original(raw))
    }
}

/// Whether `||` between these types gives a text; between lists it gives a list.
fn joins_text(left: &DataType, right: &DataType) -> bool {
    (left.is_string() || right.is_string()) && !left.is_nested() && !right.is_nested()
}

fn operator(op: &BinaryOperator) -> Option<(Operator, bool)> {
    Some(match op {
        BinaryOperator::Eq => (Operator::Eq, false),
        BinaryOperator::NotEq => (Operator::NotEq, false),
        BinaryOperator::Lt => (Operator::Lt, false),
        BinaryOperator::LtEq => (Operator::LtEq, false),
        BinaryOperator::Gt => (Operator::Gt, false),
        BinaryOperator::GtEq => (Operator::GtEq, false),
        BinaryOperator::Plus => (Operator::Plus, true),
        BinaryOperator::Minus => (Operator::Minus, true),
        BinaryOperator::Multiply => (Operator::Multiply, true),
        BinaryOperator::Divide => (Operator::Divide, true),
        BinaryOperator::Modulo => (Operator::Modulo, true),
        _ => return None,
    })
}

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    Number,
    Truth,
    Time,
}

impl Reading {
    pub(super) fn of(self, expr: Expr) -> Expr {
        match self {
            Self::Number => as_number(expr),
            Self::Truth => to_bool().call(vec![expr]),
            Self::Time => {
                let zone: Arc<str> = "+00:00".into();
                Expr::TryCast(TryCast::new(
                    Box::new(expr),
                    DataType::Timestamp(TimeUnit::Microsecond, Some(zone)),
                ))
            }
        }
    }
}

/// How `expr` of type `mine` is read when it meets a value of type `theirs`. Literal texts are
/// left to the engine, which refuses a malformed one by name.
pub(super) fn reading(expr: &Expr, mine: &DataType, theirs: &DataType, arithmetic: bool) -> Option<Reading> {
    if !mine.is_string() || matches!(expr, Expr::Literal(..)) {
        return None;
    }
    match theirs {
        kind if kind.is_numeric() => Some(Reading::Number),
        kind if arithmetic && kind.is_string() => Some(Reading::Number),
        DataType::Boolean if !arithmetic => Some(Reading::Truth),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Some(Reading::Time),
        DataType::Interval(_) => Some(Reading::Time),
        _ => None,
    }
}

fn is_property(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.name() == JSON_TEXT)
}

fn as_number(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(..) => expr,
        other => to_float().call(vec![other]),
    }
}
