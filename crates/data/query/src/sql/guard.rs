//! Which statements may run: those that only read our tables.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::{
    ast::{
        Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SetExpr, ShowStatementIn,
        ShowStatementOptions, Statement, TableFactor, Value, ValueWithSpan, Visit, Visitor,
    },
    dialect::GenericDialect,
    parser::Parser,
};

use crate::Error;

/// Depth of one expression at most, counting operators.
const DEPTH: usize = 1_000;
/// SELECTs, and tables they name, in one statement at most.
const PARTS: usize = 256;
/// Functions that may stand in FROM: they make rows out of nothing.
const ROW_FUNCTIONS: [&str; 3] = ["range", "generate_series", "unnest"];

/// Refuses whatever does more than read.
pub(crate) fn check(statement: &Statement) -> Result<(), Error> {
    let mut walk = Walk { depth: 0, selects: 0, tables: 0, outermost: true };
    match statement.visit(&mut walk) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

/// The query to run, with the catalogue statements (SHOW TABLES, DESCRIBE) turned into queries,
/// and whether only its plan is asked for.
pub(crate) fn readable(statement: &mut Statement) -> Result<(&mut Statement, bool), Error> {
    match statement {
        Statement::ShowTables { show_options, .. } => {
            plain_show(show_options)?;
            *statement =
                own("SELECT table_name, table_type FROM information_schema.tables ORDER BY table_name")?;
            Ok((statement, false))
        }
        Statement::ShowColumns { show_options, .. } => {
            let table = shown_table(show_options)?;
            *statement = columns_of(&table)?;
            Ok((statement, false))
        }
        Statement::ExplainTable { table_name, .. } => {
            let table = last_name(table_name);
            *statement = columns_of(&table)?;
            Ok((statement, false))
        }
        Statement::Explain { statement: inner, analyze, verbose, options, format, .. } => {
            if *analyze || *verbose || options.is_some() || format.is_some() {
                return Err(Error::refused("EXPLAIN takes no options here: it shows the logical plan."));
            }
            if !matches!(**inner, Statement::Query(_)) {
                return Err(Error::refused("EXPLAIN explains a SELECT."));
            }
            Ok((inner.as_mut(), true))
        }
        Statement::Query(_) => Ok((statement, false)),
        other => Err(refused_statement(other)),
    }
}

fn plain_show(options: &ShowStatementOptions) -> Result<(), Error> {
    if options.show_in.is_some() || options.filter_position.is_some() || options.limit.is_some() {
        return Err(Error::refused("SHOW TABLES takes no options; query information_schema.tables instead."));
    }
    Ok(())
}

fn shown_table(options: &ShowStatementOptions) -> Result<String, Error> {
    match &options.show_in {
        Some(ShowStatementIn { parent_name: Some(name), .. }) if options.filter_position.is_none() => {
            Ok(last_name(name))
        }
        _ => Err(Error::refused("Write SHOW COLUMNS FROM table, or query information_schema.columns.")),
    }
}

fn last_name(name: &ObjectName) -> String {
    match name.0.last() {
        Some(ObjectNamePart::Identifier(Ident { value, quote_style: None, .. })) => value.to_lowercase(),
        Some(ObjectNamePart::Identifier(ident)) => ident.value.clone(),
        _ => String::new(),
    }
}

fn columns_of(table: &str) -> Result<Statement, Error> {
    let quoted = table.replace('\'', "''");
    own(&format!(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns \
         WHERE table_name = '{quoted}' ORDER BY ordinal_position"
    ))
}

fn own(text: &str) -> Result<Statement, Error> {
    let statement = Parser::parse_sql(&GenericDialect {}, text).ok().and_then(|mut all| all.pop());
    statement.ok_or_else(|| Error::invalid("This name cannot be looked up."))
}

fn refused_statement(statement: &Statement) -> Error {
    let text = statement.to_string();
    let word = text.split_whitespace().next().unwrap_or("This statement").to_uppercase();
    Error::refused(format!(
        "{word} is not accepted: only SELECT, WITH, VALUES, EXPLAIN, SHOW TABLES and DESCRIBE are."
    ))
}

struct Walk {
    depth: usize,
    selects: usize,
    tables: usize,
    outermost: bool,
}

type Found = ControlFlow<Box<Error>>;

fn refuse(text: &str) -> Found {
    ControlFlow::Break(Box::new(Error::refused(text)))
}

impl Visitor for Walk {
    type Break = Box<Error>;

    fn pre_visit_statement(&mut self, statement: &Statement) -> Found {
        let catalogue = matches!(
            statement,
            Statement::ShowTables { .. }
                | Statement::ShowColumns { .. }
                | Statement::ExplainTable { .. }
                | Statement::Explain { .. }
        );
        if matches!(statement, Statement::Query(_)) || (catalogue && self.outermost) {
            self.outermost = false;
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Box::new(refused_statement(statement)))
    }

    fn pre_visit_query(&mut self, query: &Query) -> Found {
        let foreign = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if foreign {
            return refuse("FOR, SETTINGS, FORMAT and pipe operators are not accepted.");
        }
        if !query.locks.is_empty() {
            return refuse("Row locks are not accepted: queries only read.");
        }
        match query.body.as_ref() {
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                refuse("Only reading is accepted: no INSERT, UPDATE, DELETE or MERGE.")
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> Found {
        self.selects += 1;
        if self.selects > PARTS {
            return refuse("The query has more than 256 SELECTs.");
        }
        if select.into.is_some() {
            return refuse("SELECT INTO is not accepted: queries only read.");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Found {
        self.tables += 1;
        if self.tables > PARTS {
            return refuse("The query names more than 256 tables.");
        }
        if let TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } =
            factor
        {
            return refuse("SAMPLE is not accepted: every row is read.");
        }
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                let name = last_name(name);
                if !ROW_FUNCTIONS.contains(&name.as_str()) {
                    let text = format!("The table function {name} is not accepted.");
                    return ControlFlow::Break(Box::new(Error::refused(text)));
                }
                ControlFlow::Continue(())
            }
            TableFactor::Table { name, .. } => named_table(name),
            TableFactor::TableFunction { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::OpenJsonTable { .. }
            | TableFactor::XmlTable { .. }
            | TableFactor::SemanticView { .. }
            | TableFactor::MatchRecognize { .. } => refuse("This kind of table is not accepted."),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, _: &Expr) -> Found {
        self.depth += 1;
        if self.depth > DEPTH {
            let text = format!("The query nests expressions more than {DEPTH} deep.");
            return ControlFlow::Break(Box::new(Error::invalid(text)));
        }
        ControlFlow::Continue(())
    }

    /// Also those that are no expression of their own, as in `TIMESTAMP ?`.
    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> Found {
        if let Value::Placeholder(_) = value.value {
            let text = format!("The placeholder {value} has no value.");
            return ControlFlow::Break(Box::new(Error::invalid(text)));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> Found {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

/// Tables are named by one word, or `information_schema.tables` and `.columns`.
fn named_table(name: &ObjectName) -> Found {
    let plain = name
        .0
        .iter()
        .all(|part| matches!(part, ObjectNamePart::Identifier(ident) if ident.quote_style != Some('\'')));
    if !plain {
        return refuse("Tables are named, not given as text.");
    }
    if name.0.len() > 1 {
        let shown = name.to_string().to_lowercase();
        if !matches!(shown.as_str(), "information_schema.tables" | "information_schema.columns") {
            let text = format!("The table {name} is not accepted: tables are named by one word.");
            return ControlFlow::Break(Box::new(Error::refused(text)));
        }
    }
    ControlFlow::Continue(())
}
