//! Reads a typed column instead of the JSON where the table has one.
//!
//! `json_text(properties, '$browser')` becomes the column promoted from `$browser` only when both
//! columns come, unchanged, out of the same scan of the same table: the rule follows each column
//! down to its scan and compares them.

use arrow::datatypes::DataType;
use datafusion::{
    catalog::default_table_source::source_as_provider,
    common::{
        Column, DFSchema, Result,
        config::ConfigOptions,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        Expr, ExprSchemable, LogicalPlan, TableScan, expr::ScalarFunction, expr_rewriter::NamePreserver,
    },
    optimizer::AnalyzerRule,
};

use super::coerce::reading;
use crate::{function::JSON_TEXT, provider::Rows};

/// See the module. Also reads text as numbers in `BETWEEN` and `IN`, which have no hook of their own.
#[derive(Debug)]
pub(crate) struct Promote;

impl AnalyzerRule for Promote {
    fn name(&self) -> &str {
        "tenrec_promote"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(node).map(|done| done.data)
    }
}

fn node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if plan.inputs().is_empty() {
        return Ok(Transformed::no(plan));
    }
    let inputs: Vec<LogicalPlan> = plan.inputs().into_iter().cloned().collect();
    let mut schema = DFSchema::empty();
    for input in &inputs {
        schema.merge(input.schema());
    }
    let names = NamePreserver::new(&plan);
    let changed = plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let done = expr.transform_up(|expr| expression(expr, &inputs, &schema))?;
        Ok(if done.transformed { done.update_data(|expr| name.restore(expr)) } else { done })
    })?;
    if changed.transformed { changed.map_data(LogicalPlan::recompute_schema) } else { Ok(changed) }
}

fn expression(expr: Expr, inputs: &[LogicalPlan], schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == JSON_TEXT => match promoted(&call, inputs) {
            Some(column) => Ok(Transformed::yes(Expr::Column(column))),
            None => Ok(Transformed::no(Expr::ScalarFunction(call))),
        },
        Expr::Between(mut between) => {
            let (Ok(mine), Ok(theirs)) = (between.expr.get_type(schema), between.low.get_type(schema)) else {
                return Ok(Transformed::no(Expr::Between(between)));
            };
            let Some(how) = reading(&between.expr, &mine, &theirs, false) else {
                return Ok(Transformed::no(Expr::Between(between)));
            };
            between.expr = Box::new(how.of(*between.expr));
            Ok(Transformed::yes(Expr::Between(between)))
        }
        Expr::InList(mut list) => {
            let mine = list.expr.get_type(schema);
            let theirs = list.list.first().map(|first| first.get_type(schema));
            let (Ok(mine), Some(Ok(theirs))) = (mine, theirs) else {
                return Ok(Transformed::no(Expr::InList(list)));
            };
            let Some(how) = reading(&list.expr, &mine, &theirs, false) else {
                return Ok(Transformed::no(Expr::InList(list)));
            };
            list.expr = Box::new(how.of(*list.expr));
            Ok(Transformed::yes(Expr::InList(list)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// The column that already holds what `call` would read.
fn promoted(call: &ScalarFunction, inputs: &[LogicalPlan]) -> Option<Column> {
    let [Expr::Column(json), Expr::Literal(key, _)] = call.args.as_slice() else { return None };
    let key = key.try_as_str().flatten()?;
    inputs.iter().find_map(|input| {
        let at = input.schema().maybe_index_of_column(json)?;
        let (scan, stored, side) = origin(input, at, 1)?;
        let provider = source_as_provider(&scan.source).ok()?;
        let rows = (provider.as_ref() as &dyn std::any::Any).downcast_ref::<Rows>()?;
        let wanted = rows.promoted(&stored, key)?;
        (0..input.schema().fields().len()).find_map(|index| {
            let (qualifier, field) = input.schema().qualified_field(index);
            let likely = matches!(field.data_type(), DataType::Utf8View | DataType::Utf8);
            let (from, name, reached) = likely.then(|| origin(input, index, 1)).flatten()?;
            let found = Column::new(qualifier.cloned(), field.name());
            let reachable = input.schema().maybe_index_of_column(&found) == Some(index);
            (std::ptr::eq(from, scan) && side == reached && name == wanted && reachable).then_some(found)
        })
    })
}

/// The scan and the stored column behind output column `index` of `plan`, when nothing on the way
/// changes it. `side` gathers which side of each join was taken, one bit each: two sides of a join
/// may share one scan in memory and still be different rows.
fn origin(plan: &LogicalPlan, index: usize, side: u64) -> Option<(&TableScan, String, u64)> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            Some((scan, scan.projected_schema.fields().get(index)?.name().clone(), side))
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::SubqueryAlias(_) => origin(plan.inputs().first().copied()?, index, side),
        LogicalPlan::Projection(projection) => {
            let Expr::Column(column) = bare(projection.expr.get(index)?) else { return None };
            let at = projection.input.schema().maybe_index_of_column(column)?;
            origin(&projection.input, at, side)
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            let whole = left + join.right.schema().fields().len();
            if join.schema.fields().len() != whole || side.leading_zeros() == 0 {
                return None;
            }
            if index < left {
                origin(&join.left, index, side << 1)
            } else {
                origin(&join.right, index - left, (side << 1) | 1)
            }
        }
        _ => None,
    }
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}
