//! A headless Chromium, driven over the DevTools protocol by a pipe: messages are JSON with a zero byte behind each
//! (`--remote-debugging-pipe`), so that nothing but the browser is needed.

use base64::Engine;
use serde_json::{Value as Json, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// An answer of the browser's that takes longer is a hang; a first start on a busy machine takes many seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The names under which distributions install it.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

pub struct Browser {
    process: Child,
    profile: std::path::PathBuf,
    input: ChildStdin,
    messages: Receiver<Json>,
    next_id: u64,
    session: String,
    /// What the page has complained of: errors and warnings on its console, exceptions, failed requests.
    pub complaints: Vec<String>,
}

/// What a page is shown on.
#[derive(Clone, Copy)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub is_dark: bool,
}

impl Browser {
    /// Panics when there is no Chromium.
    pub fn start() -> Browser {
        let has = |program: &&&str| Command::new(program).arg("--version").output().is_ok();
        let program = PROGRAMS.iter().find(has).expect("a Chromium is installed (scripts/prepare.sh browser)");
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("weir-browser-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let profile = std::env::temp_dir().join(name);
        // The pipe's ends are the descriptors 3 and 4; no-sandbox: as root there is none.
        let mut process = Command::new("sh")
            .args(["-c", r#"exec 3<&0 4>&1 </dev/null >/dev/null 2>&1; exec "$@""#, "sh", program])
            .args([
                "--headless=new",
                "--remote-debugging-pipe",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args(["--no-first-run", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en-US"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let input = process.stdin.take().expect("its input is a pipe");
        let mut output = BufReader::new(process.stdout.take().expect("its output is a pipe"));
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while output.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let Ok(json) = serde_json::from_slice(&message) else { return };
                if sender.send(json).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let session = String::new();
        let mut browser = Browser { process, profile, input, messages, next_id: 0, session, complaints: Vec::new() };
        let page = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.call("Target.attachToTarget", json!({ "targetId": page["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            browser.call(domain, json!({}));
        }
        browser
    }

    /// Calls a method of the protocol; panics when it is refused.
    fn call(&mut self, method: &str, parameters: Json) -> Json {
        let answer = self.ask(method, parameters);
        assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
        answer["result"].clone()
    }

    /// The whole answer, which may be a refusal.
    fn ask(&mut self, method: &str, parameters: Json) -> Json {
        self.next_id += 1;
        let mut message = json!({ "id": self.next_id, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let sent = self.input.write_all(format!("{message}\0").as_bytes()).and_then(|()| self.input.flush());
        sent.unwrap_or_else(|error| panic!("{method}: the browser is gone: {error}"));
        let started = Instant::now();
        loop {
            let left = ANSWER_WITHIN.saturating_sub(started.elapsed());
            let answer = self.messages.recv_timeout(left).unwrap_or_else(|error| panic!("{method}: {error}"));
            if answer["id"] == json!(self.next_id) {
                return answer;
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Json) {
        let said = &event["params"];
        let complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => said["exceptionDetails"].to_string(),
            Some("Runtime.consoleAPICalled")
                if matches!(said["type"].as_str(), Some("error" | "warning" | "assert")) =>
            {
                said["args"].to_string()
            }
            Some("Log.entryAdded") if matches!(said["entry"]["level"].as_str(), Some("error" | "warning")) => {
                said["entry"].to_string()
            }
            // Everything the page needs comes from where it comes from.
            Some("Network.requestWillBeSent") => {
                let url = said["request"]["url"].as_str().unwrap_or_default();
                let is_local = ["http://127.0.0.1:", "data:", "about:"].iter().any(|scheme| url.starts_with(scheme));
                if is_local { return } else { format!("asks for {url}") }
            }
            _ => return,
        };
        self.complaints.push(complaint);
    }

    /// Shows an address on a screen of its own.
    pub fn open(&mut self, url: &str, screen: Screen) {
        let Screen { width, height, is_dark } = screen;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = json!([{ "name": "prefers-color-scheme", "value": if is_dark { "dark" } else { "light" } }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": scheme }));
        // A page that differs in its fragment only would not be loaded again.
        self.call("Page.navigate", json!({ "url": "about:blank" }));
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// The value of an expression; of a promise, what it is fulfilled with. Panics when it throws.
    pub fn evaluate(&mut self, expression: &str) -> Json {
        self.try_evaluate(expression).unwrap_or_else(|reason| panic!("{expression}: {reason}"))
    }

    fn try_evaluate(&mut self, expression: &str) -> Result<Json, Json> {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.ask("Runtime.evaluate", asked);
        let refusals = [&answer["error"], &answer["result"]["exceptionDetails"]];
        match refusals.into_iter().find(|refusal| !refusal.is_null()) {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(answer["result"]["result"]["value"].clone()),
        }
    }

    /// Waits until an expression is true.
    pub fn wait_until(&mut self, what: &str, expression: &str) {
        let started = Instant::now();
        // A page that is being loaded has not everything yet.
        while self.try_evaluate(expression) != Ok(json!(true)) {
            assert!(started.elapsed() < ANSWER_WITHIN, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Presses the mouse in the middle of an element, as a user does: what lies above it gets the click.
    pub fn click(&mut self, selector: &str) {
        let rectangle = format!(
            "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{block: 'center', inline: 'center'}}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()",
            json!(selector)
        );
        let at = self.evaluate(&rectangle);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// What the screen shows, as a PNG file.
    pub fn screenshot(&mut self, path: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let data = answer["data"].as_str().expect("a picture");
        let picture = base64::engine::general_purpose::STANDARD.decode(data).expect("it is in base64");
        std::fs::write(path, picture).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It has started others, which end with it when it is asked to close.
        let _ = self.input.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0").and_then(|()| self.input.flush());
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(5) && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}
