//! The dashboard: one page per scenario, which reads through Weir only, as any application would.
//!
//! `panels` says what a scenario shows, `follow` when there may be something new in it, `reader` runs statements and notes
//! where each answer came from and how long it took, `internals` asks the installed SQL about the stream tables, `latency` counts the times. The page itself is in
//! `demo/assets`: plain HTML, CSS and JavaScript modules, no build step, nothing fetched from elsewhere.

mod follow;
mod internals;
mod latency;
pub mod panels;
mod reader;

use crate::target::Target;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use follow::Follower;
use futures_util::Stream;
use reader::Reader;
use serde_json::Value as Json;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_tests::scenario::Scenario;

/// The page's files.
const ASSETS: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("../../assets/index.html")),
    ("/style.css", "text/css", include_str!("../../assets/style.css")),
    ("/app.js", "text/javascript", include_str!("../../assets/app.js")),
    ("/panels.js", "text/javascript", include_str!("../../assets/panels.js")),
    ("/graph.js", "text/javascript", include_str!("../../assets/graph.js")),
    ("/internals.js", "text/javascript", include_str!("../../assets/internals.js")),
];

/// Between two events of one page at least; a page that is looked at cannot show more, and its reads are worth something.
const DATA_PAUSE: Duration = Duration::from_millis(500);
/// With nothing changed, a page hears that it is up to date as often as it would have asked.
const DATA_EVERY: Duration = Duration::from_secs(2);
const INTERNALS_EVERY: Duration = Duration::from_secs(5);

/// A page that reads from one session: requests take turns, as the panels of one page should show one moment.
struct Page {
    reader: Mutex<Reader>,
    /// Weir's HTTP address, for its counters.
    counters: String,
    scenario: &'static str,
    follower: Follower,
}

/// Serves the dashboard of a scenario that is, or will be, behind `target`; `counters` is Weir's HTTP address. It ends when the
/// returned task is aborted. Err: the address cannot be listened on.
pub async fn serve(
    scenario: Scenario,
    target: Target,
    counters: String,
    address: SocketAddr,
) -> Result<(SocketAddr, tokio::task::JoinHandle<()>), String> {
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
        format!("the dashboard cannot listen on {address}: {error} (choose another with --dashboard)")
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let page = Arc::new(Page {
        follower: Follower::start(&target, scenario.tables),
        reader: Mutex::new(Reader::new(target)),
        counters,
        scenario: scenario.name,
    });
    let mut router = Router::new().route("/api/data", get(data)).route("/api/internals", get(internals));
    router = router.route("/api/events", get(events));
    for (path, kind, text) in ASSETS {
        let headers: [(HeaderName, &str); 2] = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")];
        router = router.route(path, get(move || async move { (headers, text) }));
    }
    let router = router.with_state(page);
    let task = tokio::spawn(async move {
        // Ends with the task; an error of one connection is that connection's.
        let _ = axum::serve(listener, router).await;
    });
    Ok((address, task))
}

/// The scenario's panels.
async fn data(State(page): State<Arc<Page>>) -> Response {
    answer(page, |page, reader| panels::read(page.scenario, reader)).await
}

/// Stream tables, their graph and their refreshes, and what Weir did.
async fn internals(State(page): State<Arc<Page>>) -> Response {
    answer(page, |page, reader| internals::read(reader, &page.counters)).await
}

/// `data` when a stream table has changed, `internals` every five seconds; the same answers, sent without being asked for.
async fn events(State(page): State<Arc<Page>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let now = Instant::now();
    let started =
        Pushed { changes: page.follower.changes(), page, data_due: now, data_allowed: now, internals_due: now };
    Sse::new(futures_util::stream::unfold(started, |mut pushed| async {
        let event = pushed.next().await;
        Some((Ok(event), pushed))
    }))
    .keep_alive(KeepAlive::default())
}

/// What one open page is sent.
struct Pushed {
    page: Arc<Page>,
    changes: watch::Receiver<u64>,
    data_due: Instant,
    data_allowed: Instant,
    internals_due: Instant,
}

impl Pushed {
    async fn next(&mut self) -> Event {
        let is_data = tokio::select! {
            biased;
            () = tokio::time::sleep_until(self.data_due) => true,
            () = tokio::time::sleep_until(self.internals_due) => false,
            () = changed(&mut self.changes, self.data_allowed) => true,
        };
        let (name, answered) = match is_data {
            true => ("data", read(self.page.clone(), |page, reader| panels::read(page.scenario, reader)).await),
            false => {
                ("internals", read(self.page.clone(), |page, reader| internals::read(reader, &page.counters)).await)
            }
        };
        let now = Instant::now();
        match is_data {
            true => (self.data_due, self.data_allowed) = (now + DATA_EVERY, now + DATA_PAUSE),
            false => self.internals_due = now + INTERNALS_EVERY,
        }
        match answered {
            Ok(json) => Event::default().event(name).data(json.to_string()),
            Err((_, error)) => Event::default().event("lost").data(error.replace(['\n', '\r'], " ")),
        }
    }
}

/// Waits for a change, and until it may be shown.
async fn changed(changes: &mut watch::Receiver<u64>, allowed: Instant) {
    if changes.changed().await.is_err() {
        // No follower any more: the page is over, or asked for at its usual pace.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep_until(allowed).await;
}

/// Reads off the server's threads. 503: Weir cannot be reached; the page says so and goes on asking.
async fn answer(page: Arc<Page>, reading: fn(&Page, &mut Reader) -> Result<Json, String>) -> Response {
    match read(page, reading).await {
        Ok(json) => axum::Json(json).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn read(
    page: Arc<Page>,
    read: fn(&Page, &mut Reader) -> Result<Json, String>,
) -> Result<Json, (StatusCode, String)> {
    let reading = tokio::task::spawn_blocking(move || {
        // A poisoned lock means that a reading panicked; its session is opened again all the same.
        let mut reader = page.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        read(&page, &mut reader)
    });
    match reading.await {
        Ok(Ok(json)) => Ok(json),
        Ok(Err(error)) => Err((StatusCode::SERVICE_UNAVAILABLE, error)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
}
