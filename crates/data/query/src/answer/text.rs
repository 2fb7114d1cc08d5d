//! Answers as text for people and programs at a terminal.

use std::io::{self, Write};

use super::{Answer, cell};

/// Longest cell of a table, in characters; longer ones are cut and end in `…`.
const WIDEST: usize = 60;

/// One JSON object per row, in column order. A name that appears twice is written twice.
///
/// # Errors
/// When `out` refuses bytes.
pub fn write_jsonl(answer: &Answer, out: &mut impl Write) -> io::Result<()> {
    let keys: Vec<String> = answer
        .columns
        .iter()
        .map(|column| {
            let mut key = String::new();
            cell::quoted(column, &mut key);
            key
        })
        .collect();
    let mut line = String::new();
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            line.clear();
            line.push('{');
            for (at, (key, column)) in keys.iter().zip(batch.columns()).enumerate() {
                if at > 0 {
                    line.push(',');
                }
                line.push_str(key);
                line.push(':');
                cell::json(column.as_ref(), row, &mut line);
            }
            line.push_str("}\n");
            out.write_all(line.as_bytes())?;
        }
    }
    Ok(())
}

/// Comma-separated values with a header line, quoted where needed; NULL is an empty field.
///
/// # Errors
/// When `out` refuses bytes.
pub fn write_csv(answer: &Answer, out: &mut impl Write) -> io::Result<()> {
    let mut line = String::new();
    for (at, column) in answer.columns.iter().enumerate() {
        field(at, column, &mut line);
    }
    line.push('\n');
    out.write_all(line.as_bytes())?;
    let mut value = String::new();
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            line.clear();
            for (at, column) in batch.columns().iter().enumerate() {
                value.clear();
                cell::text(column.as_ref(), row, &mut value);
                field(at, &value, &mut line);
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
    }
    Ok(())
}

fn field(at: usize, value: &str, line: &mut String) {
    if at > 0 {
        line.push(',');
    }
    if value.contains([',', '"', '\n', '\r']) {
        line.push('"');
        line.push_str(&value.replace('"', "\"\""));
        line.push('"');
    } else {
        line.push_str(value);
    }
}

/// An aligned table with a closing line that counts the rows.
///
/// # Errors
/// When `out` refuses bytes.
pub fn write_table(answer: &Answer, out: &mut impl Write) -> io::Result<()> {
    let mut rows: Vec<Vec<String>> = Vec::with_capacity(answer.rows());
    for batch in &answer.batches {
        for row in 0..batch.num_rows() {
            rows.push(batch.columns().iter().map(|column| shown(column.as_ref(), row)).collect());
        }
    }
    let widths: Vec<usize> = (0..answer.columns.len())
        .map(|at| {
            let cells = rows.iter().map(|row| row[at].chars().count());
            cells.chain([answer.columns[at].chars().count()]).max().unwrap_or(0)
        })
        .collect();
    write_row(&answer.columns, &widths, out)?;
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    write_row(&rule, &widths, out)?;
    for row in &rows {
        write_row(row, &widths, out)?;
    }
    let more = if answer.has_more { ", more exist" } else { "" };
    let noun = if rows.len() == 1 { "row" } else { "rows" };
    writeln!(out, "({} {noun}{more})", rows.len())
}

fn shown(column: &dyn arrow::array::Array, row: usize) -> String {
    let mut value = String::new();
    if !cell::text(column, row, &mut value) {
        value.push_str("NULL");
    }
    let printable: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if printable.chars().count() <= WIDEST {
        return printable;
    }
    printable.chars().take(WIDEST - 1).chain(['…']).collect()
}

fn write_row(cells: &[String], widths: &[usize], out: &mut impl Write) -> io::Result<()> {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
    }
    writeln!(out, "{}", line.trim_end())
}
