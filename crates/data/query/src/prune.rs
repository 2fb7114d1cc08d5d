//! Filters in Iceberg's words, to skip files by partition and column bounds.
//!
//! What cannot be said is left out: the result may keep too many files, never too few.

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::{
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Operator, expr::InList},
};
use iceberg::{
    expr::{Predicate, Reference},
    spec::Datum,
};

use crate::provider::TEAM;

/// All of `filters` that files can be chosen by, for one project.
pub(crate) fn predicate(filters: &[Expr], schema: &Schema, project: Option<i64>) -> Option<Predicate> {
    let own = project.map(|project| {
        let narrow = schema.field_with_name(TEAM).is_ok_and(|field| *field.data_type() == DataType::Int32);
        let value = match i32::try_from(project) {
            Ok(small) if narrow => Datum::int(small),
            _ => Datum::long(project),
        };
        Reference::new(TEAM).equal_to(value)
    });
    let said = filters.iter().filter_map(|filter| say(filter, schema));
    own.into_iter().chain(said).reduce(Predicate::and)
}

fn say(expr: &Expr, schema: &Schema) -> Option<Predicate> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (say(left, schema), say(right, schema)) {
                (Some(left), Some(right)) => Some(left.and(right)),
                (one, other) => one.or(other),
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(say(left, schema)?.or(say(right, schema)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => compare(left, *op, right, schema),
        Expr::Between(between) if !between.negated => {
            let low = compare(&between.expr, Operator::GtEq, &between.low, schema);
            let high = compare(&between.expr, Operator::LtEq, &between.high, schema);
            match (low, high) {
                (Some(low), Some(high)) => Some(low.and(high)),
                (one, other) => one.or(other),
            }
        }
        Expr::InList(InList { expr, list, negated: false }) if list.len() <= 200 => {
            let (name, kind) = column(expr, schema)?;
            let values: Option<Vec<Datum>> = list.iter().map(|value| datum(literal(value)?, kind)).collect();
            Some(Reference::new(name).is_in(values?))
        }
        Expr::IsNull(inner) => column(inner, schema).map(|(name, _)| Reference::new(name).is_null()),
        Expr::IsNotNull(inner) => column(inner, schema).map(|(name, _)| Reference::new(name).is_not_null()),
        _ => None,
    }
}

fn compare(left: &Expr, op: Operator, right: &Expr, schema: &Schema) -> Option<Predicate> {
    if let Some((name, kind)) = column(left, schema) {
        return word(name, op, datum(literal(right)?, kind)?);
    }
    let (name, kind) = column(right, schema)?;
    word(name, op.swap()?, datum(literal(left)?, kind)?)
}

fn word(name: &str, op: Operator, value: Datum) -> Option<Predicate> {
    let column = Reference::new(name);
    Some(match op {
        Operator::Eq => column.equal_to(value),
        Operator::Lt => column.less_than(value),
        Operator::LtEq => column.less_than_or_equal_to(value),
        Operator::Gt => column.greater_than(value),
        Operator::GtEq => column.greater_than_or_equal_to(value),
        _ => return None,
    })
}

fn column<'a>(expr: &'a Expr, schema: &'a Schema) -> Option<(&'a str, &'a DataType)> {
    let Expr::Column(column) = expr else { return None };
    let field = schema.field_with_name(&column.name).ok()?;
    Some((field.name(), field.data_type()))
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

/// The literal as a value of the column's own type; others are left to the engine.
fn datum(value: &ScalarValue, kind: &DataType) -> Option<Datum> {
    match (kind, value) {
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, text) => {
            text.try_as_str().flatten().map(Datum::string)
        }
        (DataType::Int64, ScalarValue::Int64(Some(value))) => Some(Datum::long(*value)),
        (DataType::Int32, ScalarValue::Int32(Some(value))) => Some(Datum::int(*value)),
        (DataType::Float64, ScalarValue::Float64(Some(value))) => Some(Datum::double(*value)),
        (DataType::Boolean, ScalarValue::Boolean(Some(value))) => Some(Datum::bool(*value)),
        (DataType::Date32, ScalarValue::Date32(Some(days))) => Some(Datum::date(*days)),
        (
            DataType::Timestamp(TimeUnit::Microsecond, zone),
            ScalarValue::TimestampMicrosecond(Some(micros), _),
        ) => Some(if zone.is_some() {
            Datum::timestamptz_micros(*micros)
        } else {
            Datum::timestamp_micros(*micros)
        }),
        _ => None,
    }
}
