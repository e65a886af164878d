//! Plain text tables with aligned columns.

use std::fmt;

/// Space between columns.
const GAP: &str = "  ";

/// A table; columns are aligned to the right unless told otherwise.
pub struct Table {
    rows: Vec<Vec<String>>,
    left: Vec<bool>,
}

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        let rows = vec![headings.iter().map(ToString::to_string).collect()];
        Self { rows, left: vec![false; headings.len()] }
    }

    /// Aligns these columns to the left.
    pub fn align_left(&mut self, columns: &[usize]) {
        for column in columns {
            self.left[*column] = true;
        }
    }

    /// Appends a row.
    pub fn row(&mut self, cells: Vec<String>) {
        // Cells hold names of files and labels of a peer: nothing in them may steer the terminal.
        let clean = |cell: String| cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..self.left.len()).map(width).collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        for (index, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths).zip(&self.left);
            let cells: Vec<String> = cells
                .map(|((cell, width), left)| if *left { format!("{cell:<width$}") } else { format!("{cell:>width$}") })
                .collect();
            writeln!(formatter, "{}", cells.join(GAP).trim_end())?;
            if index == 0 {
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
                writeln!(formatter, "{}", rules.join(GAP))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["name", "bytes"]);
        table.align_left(&[0]);
        table.row(vec!["größer".into(), "7".into()]);
        table.row(vec!["a\u{1b}b".into(), "1234567".into()]);
        let expected = "name      bytes\n------  -------\ngrößer        7\na?b     1234567\n";
        assert_eq!(table.to_string(), expected);
    }
}
