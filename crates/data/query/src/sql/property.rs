//! Dotted access into JSON columns: `properties.$browser`, `e.properties['a key']`,
//! `person.properties.plan`.
//!
//! Access becomes a call of `json_text(column, key, ...)`, which gives text; where the other side
//! of an operator is a number, a truth value or a time, the planner converts it. Whether a typed
//! column can stand in is decided later, when the columns in reach are known.

use std::{collections::HashSet, ops::ControlFlow};

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr, Subscript, TableFactor, UnaryOperator, Value,
    VisitMut, VisitorMut,
};

use super::build::{bare_name, call, text};
use crate::{Error, function::JSON_TEXT};

/// Columns that hold JSON.
const JSON: [&str; 5] = ["properties", "person_properties", "group_properties", "context", "extra"];
/// Functions of numbers: a property among their arguments is read as a number.
const NUMERIC: [&str; 12] =
    ["abs", "ceil", "floor", "round", "sqrt", "ln", "log", "log10", "log2", "exp", "power", "pow"];

/// Names the unnamed expressions of SELECT lists after what was written.
pub(super) fn name<N: VisitMut>(node: &mut N) {
    let mut names = Names::default();
    let _ = node.visit(&mut names);
    let _ = node.visit(&mut Naming(Access { tables: names.0 }));
}

pub(super) fn rewrite<N: VisitMut>(node: &mut N) -> Result<(), Error> {
    let mut names = Names::default();
    let _ = node.visit(&mut names);
    match node.visit(&mut Access { tables: names.0 }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// Names that tables go by in the statement.
#[derive(Default)]
struct Names(HashSet<String>);

impl VisitorMut for Names {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let alias = match factor {
            TableFactor::Table { alias, name, .. } => match alias {
                Some(alias) => Some(folded(&alias.name)),
                None => name.0.last().and_then(|part| part.as_ident()).map(folded),
            },
            TableFactor::Derived { alias: Some(alias), .. } => Some(folded(&alias.name)),
            _ => None,
        };
        self.0.extend(alias);
        ControlFlow::Continue(())
    }
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

struct Access {
    tables: HashSet<String>,
}

struct Naming(Access);

impl VisitorMut for Naming {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        Self::order(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        let mut taken = HashSet::new();
        for item in &mut select.projection {
            let SelectItem::UnnamedExpr(expr) = item else { continue };
            let name = self.0.display(expr);
            if let Some(name) = name.filter(|name| taken.insert(name.clone())) {
                let alias = Ident::with_quote('"', name);
                let expr = std::mem::replace(expr, Expr::Value(Value::Null.into()));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
        }
        ControlFlow::Continue(())
    }
}

impl Naming {
    /// `SELECT DISTINCT properties.x ... ORDER BY properties.x`: the order names the column it repeats.
    fn order(query: &mut Query) {
        let SetExpr::Select(select) = query.body.as_ref() else { return };
        let Some(OrderBy { kind: OrderByKind::Expressions(order), .. }) = &mut query.order_by else { return };
        if select.distinct.is_none() {
            return;
        }
        for item in &select.projection {
            let SelectItem::ExprWithAlias { expr, alias } = item else { continue };
            for sort in order.iter_mut().filter(|sort| sort.expr == *expr) {
                sort.expr = Expr::Identifier(alias.clone());
            }
        }
    }
}

impl VisitorMut for Access {
    type Break = Box<Error>;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match self.resolve(expr) {
            Ok(Some(better)) => *expr = better,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(Box::new(error)),
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match expr {
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
                as_truth(left);
                as_truth(right);
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => as_truth(expr),
            Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => as_number(expr),
            Expr::Function(function) => {
                numeric_arguments(function);
                if let Some(condition) = &mut function.filter {
                    as_truth(condition);
                }
            }
            Expr::Case { operand: None, conditions, .. } => {
                conditions.iter_mut().for_each(|case| as_truth(&mut case.condition));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        for condition in [&mut select.selection, &mut select.having].into_iter().flatten() {
            as_truth(condition);
        }
        ControlFlow::Continue(())
    }
}

impl Access {
    /// What an unnamed expression of a SELECT list is called: a property by its key, a call or a
    /// computation by its text, `person.id` by its last word. Plain columns keep their name.
    fn display(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Identifier(_) => None,
            Expr::CompoundIdentifier(idents) => match self.path(expr) {
                Some(path) if !path.keys.is_empty() => Some(path.keys.join("__")),
                Some(_) => idents.last().map(|field| field.value.clone()),
                None => None,
            },
            Expr::CompoundFieldAccess { .. } => match self.path(expr) {
                Some(path) if !path.keys.is_empty() => Some(path.keys.join("__")),
                _ => Some(expr.to_string()),
            },
            other => Some(other.to_string()),
        }
    }

    fn resolve(&self, expr: &Expr) -> Result<Option<Expr>, Error> {
        match expr {
            Expr::CompoundIdentifier(_) | Expr::CompoundFieldAccess { .. } => {}
            Expr::BinaryOp { left, op: BinaryOperator::LongArrow | BinaryOperator::Arrow, right } => {
                return Ok(self.arrow(left, right));
            }
            _ => return Ok(None),
        }
        let Some(path) = self.path(expr) else { return Ok(None) };
        let column = match path.column.as_slice() {
            [only] => Expr::Identifier(only.clone()),
            several => Expr::CompoundIdentifier(several.to_vec()),
        };
        if path.keys.is_empty() {
            return Ok(Some(column));
        }
        if let Some(key) = path.keys.iter().find(|key| key.contains('\0')) {
            return Err(Error::invalid(format!("The property name {key:?} is not possible.")));
        }
        let args = std::iter::once(column).chain(path.keys.into_iter().map(text)).collect();
        Ok(Some(call(JSON_TEXT, args)))
    }

    /// `properties->>'key'`.
    fn arrow(&self, left: &Expr, right: &Expr) -> Option<Expr> {
        let Expr::Value(key) = right else { return None };
        let Value::SingleQuotedString(key) = &key.value else { return None };
        let column = match left {
            Expr::Identifier(name) if is_json(name) => left.clone(),
            Expr::CompoundIdentifier(parts) if parts.len() == 2 && is_json(&parts[1]) => left.clone(),
            _ => return None,
        };
        Some(call(JSON_TEXT, vec![column, text(key.clone())]))
    }

    /// Splits a dotted or bracketed name into a column and keys; `None` when no JSON column is in it.
    fn path(&self, expr: &Expr) -> Option<Path> {
        let (idents, keys) = flatten(expr)?;
        let first = folded(idents.first()?);
        let known = self.tables.contains(&first);
        if !known {
            return split(&idents, 0, keys);
        }
        split(&idents, 1, keys)
    }
}

struct Path {
    column: Vec<Ident>,
    keys: Vec<String>,
}

/// Finds the JSON column at `at`, the word after the table's name if there is one.
fn split(idents: &[Ident], at: usize, keys: Vec<String>) -> Option<Path> {
    let name = idents.get(at)?;
    let follow =
        |from: usize| idents[from..].iter().map(|ident| ident.value.clone()).chain(keys.clone()).collect();
    let column = |name: Ident| idents[..at].iter().cloned().chain([name]).collect();
    if is_json(name) {
        let keys: Vec<String> = follow(at + 1);
        return (!keys.is_empty()).then(|| Path { column: column(name.clone()), keys });
    }
    if folded(name) == "person" {
        let field = idents.get(at + 1)?;
        let stored = match folded(field).as_str() {
            "properties" => {
                return Some(Path { column: column("person_properties".into()), keys: follow(at + 2) });
            }
            "id" => "person_id",
            "created_at" => "person_created_at",
            _ => return None,
        };
        return (idents.len() == at + 2).then(|| Path { column: column(stored.into()), keys: Vec::new() });
    }
    None
}

fn is_json(ident: &Ident) -> bool {
    JSON.contains(&folded(ident).as_str())
}

/// The leading names and the keys behind them.
fn flatten(expr: &Expr) -> Option<(Vec<Ident>, Vec<String>)> {
    match expr {
        Expr::Identifier(ident) => Some((vec![ident.clone()], Vec::new())),
        Expr::CompoundIdentifier(idents) => Some((idents.clone(), Vec::new())),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let (mut idents, mut keys) = flatten(root)?;
            for access in access_chain {
                match access {
                    AccessExpr::Dot(Expr::Identifier(ident)) if keys.is_empty() => idents.push(ident.clone()),
                    AccessExpr::Dot(Expr::Identifier(ident)) => keys.push(ident.value.clone()),
                    AccessExpr::Subscript(Subscript::Index { index: Expr::Value(value) }) => {
                        keys.push(subscript(&value.value)?);
                    }
                    _ => return None,
                }
            }
            Some((idents, keys))
        }
        _ => None,
    }
}

/// A key in brackets: a name, or a one-based position in a list.
fn subscript(value: &Value) -> Option<String> {
    match value {
        Value::SingleQuotedString(key) | Value::DoubleQuotedString(key) => Some(key.clone()),
        Value::Number(position, _) => Some(position.clone()),
        _ => None,
    }
}

fn is_access(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_access(inner),
        Expr::Function(function) => bare_name(function) == Some(JSON_TEXT),
        _ => false,
    }
}

fn as_truth(expr: &mut Expr) {
    wrap(expr, "tobool");
}

fn as_number(expr: &mut Expr) {
    wrap(expr, "tofloat");
}

fn wrap(expr: &mut Expr, function: &str) {
    if is_access(expr) {
        let inner = std::mem::replace(expr, Expr::Value(Value::Null.into()));
        *expr = call(function, vec![inner]);
    }
}

fn numeric_arguments(function: &mut Function) {
    let numeric = bare_name(function).is_some_and(|name| NUMERIC.contains(&name.to_lowercase().as_str()));
    let FunctionArguments::List(list) = &mut function.args else { return };
    if !numeric {
        return;
    }
    for arg in &mut list.args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
            as_number(expr);
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;
    use crate::sql::dialect::Posthog;

    fn rewritten(sql: &str) -> String {
        let mut all = Parser::parse_sql(&Posthog, sql).expect("test SQL parses");
        name(&mut all[0]);
        rewrite(&mut all[0]).expect("test SQL is rewritten");
        all[0].to_string()
    }

    #[test]
    fn access_becomes_a_call() {
        let cases = [
            ("properties.$browser", "json_text(properties, '$browser')"),
            ("e.properties.machineId", "json_text(e.properties, 'machineId')"),
            ("events.properties.a.b", "json_text(events.properties, 'a', 'b')"),
            ("properties.\"weird key\"", "json_text(properties, 'weird key')"),
            ("properties.`$feature/x`", "json_text(properties, '$feature/x')"),
            ("properties['a.b']", "json_text(properties, 'a.b')"),
            ("e.properties['a']['b']", "json_text(e.properties, 'a', 'b')"),
            ("properties.list[1]", "json_text(properties, 'list', '1')"),
            ("person.properties.plan", "json_text(person_properties, 'plan')"),
            ("e.person.properties.plan", "json_text(e.person_properties, 'plan')"),
            ("person.id", "person_id"),
            ("e.person.id", "e.person_id"),
            ("properties->>'x y'", "json_text(properties, 'x y')"),
            ("e.distinct_id", "e.distinct_id"),
            ("properties", "properties"),
            ("e.properties", "e.properties"),
            ("-properties.x", "-tofloat(json_text(properties, 'x'))"),
            ("NOT properties.x", "NOT tobool(json_text(properties, 'x'))"),
            ("round(properties.x, 2)", "round(tofloat(json_text(properties, 'x')), 2)"),
            ("CASE WHEN properties.x THEN 1 END", "CASE WHEN tobool(json_text(properties, 'x')) THEN 1 END"),
            (
                "count(1) FILTER (WHERE properties.x)",
                "count(1) FILTER (WHERE tobool(json_text(properties, 'x')))",
            ),
        ];
        for (from, to) in cases {
            assert_eq!(
                rewritten(&format!("SELECT {from} AS a FROM events, events AS e")),
                format!("SELECT {to} AS a FROM events, events AS e"),
                "{from}"
            );
        }
    }

    #[test]
    fn a_table_called_person_is_not_the_person_of_an_event() {
        assert_eq!(
            rewritten("SELECT person.properties.plan AS p, person.id AS i FROM persons AS person"),
            "SELECT json_text(person.properties, 'plan') AS p, person.id AS i FROM persons AS person"
        );
    }

    #[test]
    fn unnamed_columns_are_called_as_written() {
        assert_eq!(
            rewritten("SELECT properties.$os, count(*), properties.a.b, event, person.id, 1 FROM events"),
            "SELECT json_text(properties, '$os') AS \"$os\", count(*) AS \"count(*)\", \
             json_text(properties, 'a', 'b') AS \"a__b\", event, person_id AS \"id\", 1 AS \"1\" FROM events"
        );
    }
}
