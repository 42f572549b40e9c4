//! Rows in columns, for people.

/// Which way a column's cells are pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    /// For numbers.
    Right,
}

/// Columns are as wide as they need to be; the last one ends where it ends.
pub(super) fn aligned<const N: usize>(rows: &[[String; N]], aligns: [Align; N]) -> String {
    let mut widths = [0; N];
    for row in rows {
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

/// What a registry or a document says is not the terminal's commands.
pub(super) fn without_commands(mut text: String) -> String {
    text.retain(|c| c == '\n' || !c.is_control());
    text
}
