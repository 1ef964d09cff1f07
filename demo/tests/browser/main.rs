//! The dashboards in a browser: they show what Postgres says, on a large screen and on a phone, light and dark, and complain
//! of nothing. The pictures of the documentation are taken here (`WEIR_PICTURES=folder`). `make test-browser` runs these.

mod chromium;

use chromium::{Browser, Screen};
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use weir_tests::wire::RawClient;

const PATIENCE: Duration = Duration::from_secs(60);
const LIGHT: Screen = Screen { width: 1280, height: 900, is_dark: false };
const DARK: Screen = Screen { is_dark: true, ..LIGHT };
/// A telephone, upright.
const PHONE: Screen = Screen { width: 390, height: 844, is_dark: false };
/// Of these the documentation has pictures.
const PICTURED: [&str; 3] = ["ecommerce", "fraud", "finance"];
/// How long the generator writes before anything is looked at.
const GROWTH: Duration = Duration::from_secs(12);

/// `weir-demo run` with its dashboard on a port of its own.
struct Demo {
    process: Child,
    page: String,
    weir: String,
}

impl Demo {
    fn start(scenario: &str, more: &[&str]) -> Demo {
        let port = weir_tests::postgres::free_port();
        let mut process = Command::new(env!("CARGO_BIN_EXE_weir-demo"))
            .args(["run", "--scenario", scenario, "--dashboard", &format!("127.0.0.1:{port}"), "--frame", "5"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the demo starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is a pipe")).lines();
        let mut weir = None;
        let is_live = lines.by_ref().map_while(Result::ok).any(|line| {
            let address = line.split_once("Weir on ").and_then(|(_, rest)| rest.split(',').next());
            weir = weir.take().or(address.map(str::to_owned));
            line.contains("in memory after")
        });
        // What it says further is not read, but must not stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).count());
        assert!(is_live, "the demo ended before its stream tables were live");
        Demo { process, page: format!("http://127.0.0.1:{port}/"), weir: weir.expect("Weir's address is printed") }
    }

    /// A session with Postgres itself.
    fn postgres(&self) -> RawClient {
        let port = RawClient::superuser(&self.weir).query("SELECT inet_server_port()").scalar();
        RawClient::superuser(&format!("127.0.0.1:{port}"))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // By a signal it can handle, so that it takes Weir and Postgres along.
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let started = Instant::now();
        while started.elapsed() < PATIENCE && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the page shows: per panel its statement, its looks, and the texts of its cells.
const SHOWN: &str = "(async () => {
    const { panels } = await (await fetch('/api/data')).json();
    const boxes = [...document.querySelectorAll('#board > article')];
    return panels.map((panel, at) => {
        const box = boxes[at];
        const texts = (parent, selector) => [...parent.querySelectorAll(selector)].map((node) => node.textContent);
        const rows = panel.kind === 'figures' ? [texts(box, '.figure strong')]
            : panel.kind === 'proportions' ? texts(box, '.proportions div').map((text) => text.match(/^(.*) ([0-9,]+) \\(/).slice(1))
            : [...box.querySelectorAll('tbody tr')].map((row) => texts(row, 'td'));
        return { sql: panel.sql, columns: panel.columns, looks: panel.looks, rows };
    });
})()";

/// Is this text the value, as far as its digits go?
fn shows(text: &str, value: &Option<bytes::Bytes>, type_oid: u32, look: &str) -> bool {
    /// int8, int2, int4, numeric, float8 (`pg_type.dat`).
    const NUMBERS: [u32; 5] = [20, 21, 23, 1700, 701];
    let Some(value) = value else { return text == "–" };
    let value = String::from_utf8_lossy(value);
    if look == "time" {
        // Shown as the browser's own time of the day.
        return !text.is_empty();
    }
    if !NUMBERS.contains(&type_oid) {
        return text == value;
    }
    let digits: String = text.chars().filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-')).collect();
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let (Ok(shown), Ok(value)) = (digits.parse::<f64>(), value.parse::<f64>()) else { return false };
    let half_a_unit = 0.5 / 10_f64.powi(decimals as i32);
    (shown - value).abs() <= half_a_unit * 1.0001
}

/// The first difference between what the page shows and what Postgres says.
fn difference(shown: &Json, postgres: &mut RawClient) -> Option<String> {
    for panel in shown.as_array()? {
        let sql = panel["sql"].as_str()?;
        let table = postgres.execute(sql);
        let rows = panel["rows"].as_array()?;
        if rows.len() != table.rows.len() {
            return Some(format!("{} rows for {}: {sql}", rows.len(), table.rows.len()));
        }
        for (row, values) in rows.iter().zip(&table.rows) {
            for (at, (value, column)) in values.iter().zip(&table.columns).enumerate() {
                let text = row[at].as_str().unwrap_or_default();
                let look = panel["looks"][&column.name].as_str().unwrap_or_default();
                if !shows(text, value, column.type_oid, look) {
                    return Some(format!("{text:?} for {}: {value:?} of {sql}", column.name));
                }
            }
        }
    }
    None
}

fn pictures() -> Option<PathBuf> {
    std::env::var_os("WEIR_PICTURES").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

fn picture(browser: &mut Browser, name: &str) {
    let is_wanted = PICTURED.iter().any(|scenario| name.starts_with(scenario));
    if let Some(folder) = pictures().filter(|_| is_wanted) {
        // What has just changed glows for a moment; and a pointer is nowhere.
        std::thread::sleep(Duration::from_millis(400));
        browser.screenshot(Path::new(&folder).join(format!("dashboard-{name}.png")).as_path());
    }
}

/// Nothing sticks out of the screen to its right.
fn fits(browser: &mut Browser, what: &str) {
    let width = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(browser.evaluate(width), json!(0), "{what} is wider than the screen");
}

fn drawn(browser: &mut Browser) {
    browser.wait_until("the panels are drawn", "document.querySelectorAll('#board article').length > 2");
    browser.wait_until("the graph is drawn", "document.querySelectorAll('#picture .node').length > 2");
}

/// `hot` is the table that the generator writes most: a lock on it stops the writer, so that there is one truth to compare.
fn dashboard(scenario: &str, hot: &str, more: &[&str]) {
    let demo = Demo::start(scenario, more);
    let mut postgres = demo.postgres();
    let mut browser = Browser::start();
    browser.open(&demo.page, LIGHT);
    drawn(&mut browser);
    std::thread::sleep(GROWTH);

    // What is shown is what Postgres says, and it came by itself.
    postgres.execute(&format!("BEGIN; LOCK TABLE {hot} IN SHARE MODE"));
    let mut looker = demo.postgres();
    let started = Instant::now();
    loop {
        let shown = browser.evaluate(SHOWN);
        match difference(&shown, &mut looker) {
            None => break,
            Some(difference) => assert!(started.elapsed() < PATIENCE, "{scenario}: the page shows {difference}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let from_memory = browser.evaluate("document.querySelector('#source').textContent");
    assert!(from_memory.as_str().is_some_and(|text| text.contains("panels from memory")), "{from_memory}");
    postgres.execute("ROLLBACK");

    // And it goes on: the first figure that the generator moves does so on the page, with no request of the page's own.
    let before = browser.evaluate("document.querySelector('#board').textContent");
    browser.wait_until("a change is shown", &format!("document.querySelector('#board').textContent !== {before}"));
    let asked =
        "performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/api/internals')).length";
    assert_eq!(browser.evaluate(asked), json!(0), "the page is told, and does not ask");
    picture(&mut browser, &format!("{scenario}-light"));
    fits(&mut browser, scenario);

    // The graph: a click on a node describes it and lights what it has to do with; a second one takes that back.
    browser.click("[data-page=graph]");
    browser.wait_until(
        "the graph is shown",
        "!document.querySelector('#graph').hidden && document.querySelector('#board').hidden",
    );
    browser.click("#picture .node.stream");
    browser.wait_until(
        "the node is described",
        "!document.querySelector('#node').hidden && document.querySelector('#node pre') !== null",
    );
    assert_eq!(browser.evaluate("document.querySelectorAll('.node.chosen').length"), json!(1));
    let tables = looker.query("SELECT count(*) FROM pgtrickle.pgt_stream_tables").scalar();
    assert_eq!(browser.evaluate("String(document.querySelectorAll('.node.stream').length)"), json!(tables));
    browser.wait_until("nodes tell of their refreshes", "[...document.querySelectorAll('.node.stream .detail')].some((text) => / rows in .* ms/.test(text.textContent))");
    picture(&mut browser, &format!("{scenario}-graph"));
    browser.click("#picture .node.chosen");
    browser.wait_until("the node is let go", "document.querySelector('#node').hidden");

    // The inside.
    browser.click("[data-page=internals]");
    for panel in ["routes", "latency", "visible", "health", "tree", "efficiency", "advice", "history"] {
        let filled = format!("document.querySelector('#internals [data-panel={panel}]').textContent.length > 30");
        browser.wait_until(&format!("{panel} is filled"), &filled);
    }
    picture(&mut browser, &format!("{scenario}-internals"));
    fits(&mut browser, "internals");

    // The button changes the colours, and the browser remembers.
    browser.click("#theme");
    browser.wait_until("it is dark", "document.documentElement.dataset.theme === 'dark'");
    browser.open(&demo.page, LIGHT);
    browser.wait_until("it is still dark", "document.documentElement.dataset.theme === 'dark'");
    browser.evaluate("localStorage.clear()");

    browser.open(&demo.page, DARK);
    drawn(&mut browser);
    browser.wait_until("it is dark by the system's choice", "document.documentElement.dataset.theme === 'dark'");
    picture(&mut browser, &format!("{scenario}-dark"));

    for page in ["board", "graph", "internals"] {
        browser.open(&format!("{}#{page}", demo.page), PHONE);
        drawn(&mut browser);
        fits(&mut browser, &format!("{page} on a phone"));
        if page == "board" {
            picture(&mut browser, &format!("{scenario}-phone"));
        }
    }
    assert_eq!(browser.complaints, Vec::<String>::new(), "{scenario}");
}

#[test]
#[ignore = "needs Chromium: `make test-browser` (part of `make test-long`) runs it"]
fn ecommerce() {
    dashboard("ecommerce", "orders", &["--rate", "20"]);
}

#[test]
#[ignore = "needs Chromium: `make test-browser` (part of `make test-long`) runs it"]
fn fraud() {
    dashboard("fraud", "transactions", &["--rate", "20", "--burst-every", "30"]);
}

#[test]
#[ignore = "needs Chromium: `make test-browser` (part of `make test-long`) runs it"]
fn finance() {
    dashboard("finance", "market_prices", &["--rate", "10", "--whole-book", "--quantity-scale", "200"]);
}

#[test]
#[ignore = "needs Chromium: `make test-browser` (part of `make test-long`) runs it"]
fn leaderboard() {
    dashboard("leaderboard", "game_scores", &["--rate", "10"]);
}

#[test]
#[ignore = "needs Chromium: `make test-browser` (part of `make test-long`) runs it"]
fn onebox() {
    dashboard("onebox", "orders", &["--rate", "10"]);
}
