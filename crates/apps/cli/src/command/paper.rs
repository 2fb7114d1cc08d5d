//! Printing aligned columns.

use std::io::{ErrorKind, Write};

/// Prints rows under a header, each column as wide as its widest cell.
pub fn print(header: &[&str], rows: &[Vec<String>]) {
    // A reader that has seen enough is no fault, and there is nobody to tell about others.
    let _ = unless_closed(std::io::stdout().write_all(lay_out(header, rows).as_bytes()));
}

/// A reader that went away (`| head`) is no failure.
pub fn unless_closed(written: std::io::Result<()>) -> std::io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn lay_out(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let mut out = line(&mut header.iter().copied());
    for row in rows {
        out.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["1".to_owned(), "größer".to_owned()], vec!["22".to_owned(), "b".to_owned()]];
        assert_eq!(lay_out(&["id", "name"], &rows), "id  name\n1   größer\n22  b\n");
    }
}
