//! The dashboard: one page per scenario, which reads through Weir only, as any application would.
//!
//! `panels` says what a scenario shows, `reader` runs statements and notes where each answer came from and how long it
//! took, `internals` asks the installed SQL about the stream tables, `latency` counts the times. The page itself is in
//! `demo/assets`: plain HTML, CSS and JavaScript modules, no build step, nothing fetched from elsewhere.

mod internals;
mod latency;
pub mod panels;
mod reader;

use crate::stack::Stack;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use reader::Reader;
use serde_json::Value as Json;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// The page's files.
const ASSETS: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("../../assets/index.html")),
    ("/style.css", "text/css", include_str!("../../assets/style.css")),
    ("/app.js", "text/javascript", include_str!("../../assets/app.js")),
    ("/panels.js", "text/javascript", include_str!("../../assets/panels.js")),
    ("/graph.js", "text/javascript", include_str!("../../assets/graph.js")),
    ("/internals.js", "text/javascript", include_str!("../../assets/internals.js")),
];

/// A page that reads from one session: requests take turns, as the panels of one page should show one moment.
struct Page {
    reader: Mutex<Reader>,
    /// Weir's HTTP address, for its counters.
    counters: String,
    scenario: &'static str,
}

/// Serves the dashboard until the returned task is aborted. Err: the address cannot be listened on.
pub async fn serve(stack: &Stack, address: SocketAddr) -> Result<(SocketAddr, tokio::task::JoinHandle<()>), String> {
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
        format!("the dashboard cannot listen on {address}: {error} (choose another with --dashboard)")
    })?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let page = Arc::new(Page {
        reader: Mutex::new(Reader::new(stack.weir.address())),
        counters: stack.weir.http_address(),
        scenario: stack.scenario.name,
    });
    let mut router = Router::new().route("/api/data", get(data)).route("/api/internals", get(internals));
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

/// Reads off the server's threads. 503: Weir cannot be reached; the page says so and goes on asking.
async fn answer(page: Arc<Page>, read: fn(&Page, &mut Reader) -> Result<Json, String>) -> Response {
    let reading = tokio::task::spawn_blocking(move || {
        // A poisoned lock means that a reading panicked; its session is opened again all the same.
        let mut reader = page.reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        read(&page, &mut reader)
    });
    match reading.await {
        Ok(Ok(json)) => axum::Json(json).into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, error).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
