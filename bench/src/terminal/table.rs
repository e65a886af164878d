//! Plain text tables with aligned columns.

use std::fmt;

use comfy_table::{CellAlignment, TableComponent, presets};

/// Space after a column, beside the one that separates columns.
const GAP: u16 = 1;

/// A table; columns are aligned to the right unless told otherwise.
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with these headings.
    pub fn new(headings: &[&str]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING).set_style(TableComponent::HeaderLines, '-').set_header(headings.to_vec());
        table.set_style(TableComponent::MiddleHeaderIntersections, '-');
        for column in table.column_iter_mut() {
            let last = column.index + 1 == headings.len();
            column.set_padding((0, if last { 0 } else { GAP })).set_cell_alignment(CellAlignment::Right);
        }
        Self(table)
    }

    /// Aligns these columns to the left.
    pub fn align_left(&mut self, columns: &[usize]) {
        for column in self.0.column_iter_mut().filter(|column| columns.contains(&column.index)) {
            column.set_cell_alignment(CellAlignment::Left);
        }
    }

    /// Appends a row.
    pub fn row(&mut self, cells: Vec<String>) {
        // Cells hold names of files and labels of a peer: nothing in them may steer the terminal.
        let clean = |cell: String| cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>();
        self.0.add_row(cells.into_iter().map(clean));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.0.trim_fmt())
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
        let expected = "name      bytes\n---------------\ngrößer        7\na?b     1234567\n";
        assert_eq!(table.to_string(), expected);
    }
}
