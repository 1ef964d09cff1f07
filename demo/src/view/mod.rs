//! The live terminal view: one screen, redrawn in place.
//!
//! `panels` says what is shown per scenario, `layout` turns tables into lines, `terminal` puts lines on the screen,
//! `counters` reads Weir's `/metrics`.

mod counters;
mod layout;
mod panels;
mod terminal;

use crate::generator::Writer;
use crate::stack::Stack;
pub use counters::Counters;
use layout::Block;
use panels::Panel;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use terminal::Terminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use weir_tests::wire::RawClient;

/// Without a terminal a frame is printed only this often.
const PRINT_INTERVAL: Duration = Duration::from_secs(5);

/// Draws until the signal to stop, or for `length`.
pub async fn run(
    stack: &Stack,
    writer: &Writer,
    dashboard: SocketAddr,
    frame: Duration,
    length: Option<Duration>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), String> {
    let mut resized = signal(SignalKind::window_change()).map_err(|error| error.to_string())?;
    let interactive = std::io::stdout().is_terminal();
    let frame = if interactive { frame } else { frame.max(PRINT_INTERVAL) };
    let mut terminal = Terminal::open(interactive);
    let mut source = Source::new(stack, dashboard);
    let started = Instant::now();
    while !*stop.borrow() && length.is_none_or(|length| started.elapsed() < length) {
        let size = terminal.size();
        let lines = tokio::task::block_in_place(|| source.frame(stack, writer, started.elapsed(), size));
        terminal.draw(&lines);
        tokio::select! {
            _ = tokio::time::sleep(frame) => {}
            _ = resized.recv() => terminal.resized(),
            _ = stop.changed() => {}
        }
    }
    Ok(())
}

/// Where the frames' contents come from: one session through Weir, and the counters.
struct Source {
    session: Option<RawClient>,
    panels: &'static [&'static [Panel]],
    dashboard: SocketAddr,
    /// Counters of the frame before, for rates.
    before: Option<(Instant, Counters)>,
}

impl Source {
    fn new(stack: &Stack, dashboard: SocketAddr) -> Source {
        Source { session: None, panels: panels::of(stack.scenario.name), dashboard, before: None }
    }

    fn frame(&mut self, stack: &Stack, writer: &Writer, running: Duration, size: (usize, usize)) -> Vec<String> {
        let mut lines = vec![
            layout::title(
                &format!("weir demo: {}", stack.scenario.name),
                &format!("{} events written, {} s", writer.commits(), running.as_secs()),
                size.0,
            ),
            format!(
                "psql 'host=127.0.0.1 port={} user=postgres dbname=postgres'   dashboard http://{}   Ctrl-C ends",
                stack.weir.port(),
                self.dashboard
            ),
            self.counters(stack),
            String::new(),
        ];
        for row in self.panels {
            let blocks: Vec<Block> = row.iter().map(|panel| self.block(stack, panel)).collect();
            lines.extend(layout::side_by_side(blocks, size.0));
            lines.push(String::new());
        }
        let status = self.block(stack, &panels::STATUS);
        lines.extend(layout::side_by_side(vec![status], size.0));
        lines
    }

    fn counters(&mut self, stack: &Stack) -> String {
        match Counters::fetch(&stack.weir.http_address()) {
            Ok(now) => {
                let line = now.line(self.before.as_ref());
                self.before = Some((Instant::now(), now));
                line
            }
            Err(error) => format!("counters: {error}"),
        }
    }

    /// Runs a panel's statement. A broken connection is opened again for the next panel.
    fn block(&mut self, stack: &Stack, panel: &Panel) -> Block {
        let session = match self.session.take() {
            Some(session) => Ok(session),
            None => {
                let parameters =
                    [("user", "postgres"), ("database", "postgres"), ("application_name", "weir demo view")];
                RawClient::connect(&stack.weir.address(), &parameters, "postgres")
            }
        };
        match session {
            Ok(mut session) => match session.try_query(panel.sql) {
                Ok(table) => {
                    self.session = Some(session);
                    Block::new(panel, &table)
                }
                Err(error) => Block::failed(panel, &error.to_string()),
            },
            Err(error) => Block::failed(panel, &error.to_string()),
        }
    }
}
