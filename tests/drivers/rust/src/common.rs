//! What both programs share: reads that applications make, and where routes are noted.

use std::io::Write;

/// A text is analysed after it has been met; the last of so many repetitions must have had the time for it.
pub const REPETITIONS: usize = 12;

/// Connection parameters from libpq's variables.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// Through Weir, notes which way the last statement of a kind went.
pub fn note_route(kind: &str, route: &str) {
    if let Some(path) = std::env::var_os("WEIR_ROUTES") {
        let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("the file of routes exists");
        writeln!(file, "{kind}\t{route}").expect("the file of routes is writable");
    }
}

/// Whether routes are asked for.
pub fn notes_routes() -> bool {
    std::env::var_os("WEIR_ROUTES").is_some()
}

pub async fn pause() {
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
}
