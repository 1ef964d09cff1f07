//! Tables into lines of text: column widths, alignment, blocks beside each other.

use super::panels::Panel;
use weir_tests::wire::Table;

/// Wider values are cut.
const MAX_COLUMN: usize = 32;
/// Between two blocks.
const GAP: &str = "   ";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// A panel's lines, all of the same visible width.
pub struct Block {
    width: usize,
    lines: Vec<String>,
}

impl Block {
    pub fn new(panel: &Panel, table: &Table) -> Block {
        if let Some(error) = &table.error {
            return Block::failed(panel, &error.message);
        }
        let names: Vec<_> = table.columns.iter().map(|column| column.name.clone()).collect();
        let numeric: Vec<_> = table.columns.iter().map(|column| is_numeric(column.type_oid)).collect();
        let mut rows = table.texts();
        rows.truncate(panel.rows);
        for value in rows.iter_mut().flatten() {
            if value == "NULL" {
                value.clear();
            }
        }
        let widths: Vec<_> = (0..names.len())
            .map(|at| {
                let values = rows.iter().map(|row| row[at].chars().count());
                values.chain([names[at].chars().count()]).max().unwrap_or(0).min(MAX_COLUMN)
            })
            .collect();
        let line = |values: &[String]| {
            let cells = values.iter().zip(&widths).zip(&numeric).map(|((value, &width), &right)| {
                let value: String = value.chars().take(width).collect();
                if right { format!("{value:>width$}") } else { format!("{value:<width$}") }
            });
            cells.collect::<Vec<_>>().join(" ")
        };
        let width = (widths.iter().sum::<usize>() + widths.len().saturating_sub(1)).max(panel.title.len());
        let mut lines =
            vec![format!("{BOLD}{:<width$}{PLAIN}", panel.title), format!("{DIM}{:<width$}{PLAIN}", line(&names))];
        lines.extend(rows.iter().map(|row| format!("{:<width$}", line(row))));
        // Every panel keeps its height, so that nothing below it jumps.
        lines.resize(panel.rows + 2, " ".repeat(width));
        Block { width, lines }
    }

    pub fn failed(panel: &Panel, reason: &str) -> Block {
        let width = reason.chars().count().max(panel.title.len());
        let mut lines = vec![format!("{BOLD}{:<width$}{PLAIN}", panel.title), format!("{reason:<width$}")];
        lines.resize(panel.rows + 2, " ".repeat(width));
        Block { width, lines }
    }
}

/// Blocks beside each other as far as `width` allows, the others below.
pub fn side_by_side(blocks: Vec<Block>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut row: Vec<Block> = Vec::new();
    let mut used = 0;
    for block in blocks {
        if !row.is_empty() && used + GAP.len() + block.width > width {
            lines.extend(join(&row));
            row.clear();
            used = 0;
        }
        used += block.width + if row.is_empty() { 0 } else { GAP.len() };
        row.push(block);
    }
    lines.extend(join(&row));
    lines
}

fn join(blocks: &[Block]) -> Vec<String> {
    let height = blocks.iter().map(|block| block.lines.len()).max().unwrap_or(0);
    let line = |at: usize| {
        let cells = blocks.iter().map(|block| block.lines.get(at).cloned().unwrap_or(" ".repeat(block.width)));
        cells.collect::<Vec<_>>().join(GAP)
    };
    (0..height).map(line).collect()
}

/// A line with text at both ends.
pub fn title(left: &str, right: &str, width: usize) -> String {
    let space = width.saturating_sub(left.len() + right.len());
    format!("{BOLD}{left}{PLAIN}{}{right}", " ".repeat(space))
}

/// `line` without what goes beyond `width` visible characters; escape sequences have no width.
pub fn cut(line: &str, width: usize) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut visible = 0;
    let mut escape = false;
    for character in line.chars() {
        if escape {
            escape = !character.is_ascii_alphabetic();
        } else if character == '\x1b' {
            escape = true;
        } else if visible == width {
            continue;
        } else {
            visible += 1;
        }
        kept.push(character);
    }
    kept
}

/// int8, int2, int4, float4, float8, numeric.
fn is_numeric(type_oid: u32) -> bool {
    matches!(type_oid, 20 | 21 | 23 | 700 | 701 | 1700)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_counts_only_what_is_visible() {
        assert_eq!(cut("\x1b[1mabcdef\x1b[0m", 3), "\x1b[1mabc\x1b[0m");
        assert_eq!(cut("ab", 3), "ab");
    }

    #[test]
    fn narrow_terminals_get_blocks_below_each_other() {
        let block = |text: &str| Block { width: text.len(), lines: vec![text.to_owned()] };
        assert_eq!(side_by_side(vec![block("aaaa"), block("bbbb")], 11), ["aaaa   bbbb"]);
        assert_eq!(side_by_side(vec![block("aaaa"), block("bbbb")], 10), ["aaaa", "bbbb"]);
    }
}
