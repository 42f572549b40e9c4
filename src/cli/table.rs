//! Rows in columns, for people.

/// Which way a column's cells are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    /// For numbers.
    Right,
}

/// Columns are as wide as they need to be; the last one ends where it ends. A cell is no more than a part of its line,
/// whatever it says.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]], aligns: [Align; N]) -> String {
    let mut widths = [0; N];
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| on_one_line(cell))).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    rows.iter().map(|row| line(row, widths, aligns)).collect()
}

fn line<const N: usize>(row: &[String; N], widths: [usize; N], aligns: [Align; N]) -> String {
    let cells = row.iter().zip(widths).zip(aligns).map(|((cell, width), align)| match align {
        Align::Left => format!("{cell:width$}"),
        Align::Right => format!("{cell:>width$}"),
    });
    let line = cells.collect::<Vec<_>>().join("  ");
    format!("{}\n", line.trim_end())
}

/// What a registry or a document says, on one line: it is not to look as if we had said it.
pub(super) fn on_one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// What a registry or a document says is not the terminal's commands.
pub(super) fn without_commands(mut text: String) -> String {
    text.retain(|c| c == '\n' || !c.is_control());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_makes_no_line_of_its_own_and_no_command() {
        let rows = [["a\nSize: 0", "b\u{1b}[31m"], ["c", "d"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows, [Align::Left, Align::Right]), "aSize: 0  b[31m\nc             d\n");
    }
}
