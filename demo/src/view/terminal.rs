//! The screen: the alternate buffer, one write per frame, restored however the view ends.

use super::layout::cut;
use std::io::Write;
use std::process::{Command, Stdio};

/// When the size cannot be had.
const DEFAULT_SIZE: (usize, usize) = (120, 48);
/// Alternate screen on, cursor off; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// A synchronised update: terminals that know it show the frame at once, the others ignore it.
const BEGIN: &str = "\x1b[?2026h\x1b[H";
const END: &str = "\x1b[J\x1b[?2026l";

pub struct Terminal {
    interactive: bool,
    size: (usize, usize),
}

impl Terminal {
    /// Without `interactive`, frames are printed one after the other without control sequences.
    pub fn open(interactive: bool) -> Terminal {
        if interactive {
            put(ENTER);
        }
        Terminal { interactive, size: if interactive { measure() } else { (DEFAULT_SIZE.0, usize::MAX) } }
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }

    pub fn resized(&mut self) {
        if self.interactive {
            self.size = measure();
        }
    }

    pub fn draw(&self, lines: &[String]) {
        let (width, height) = self.size;
        if !self.interactive {
            let text: String = lines.iter().map(|line| plain(line).trim_end().to_owned() + "\n").collect();
            return put(&text);
        }
        let mut frame = String::from(BEGIN);
        for (at, line) in lines.iter().take(height).enumerate() {
            if at > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(&cut(line, width));
            // The rest of the line goes only when there is a rest: erasing at the last column eats a character.
            frame.push_str("\x1b[0m\x1b[K");
        }
        frame.push_str(END);
        put(&frame);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.interactive {
            put(LEAVE);
        }
    }
}

fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    // A terminal that went away ends the demo by SIGHUP, not by a panic here.
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Asks `stty`, which is everywhere and needs no foreign call here.
fn measure() -> (usize, usize) {
    let asked = Command::new("stty").arg("size").stdin(Stdio::inherit()).stderr(Stdio::null()).output();
    let answer = asked.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let mut numbers = answer.split_whitespace().filter_map(|number| number.parse().ok()).filter(|&number| number > 0);
    match (numbers.next(), numbers.next()) {
        (Some(rows), Some(columns)) => (columns, rows),
        _ => DEFAULT_SIZE,
    }
}

/// Without escape sequences.
fn plain(line: &str) -> String {
    let mut escape = false;
    let keep = |character: &char| {
        if escape {
            escape = !character.is_ascii_alphabetic();
            return false;
        }
        escape = *character == '\x1b';
        !escape
    };
    line.chars().filter(keep).collect()
}
