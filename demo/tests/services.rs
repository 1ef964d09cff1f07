//! Generator and dashboard as services of their own, the way demo/docker-compose.yml starts them: by the same arguments,
//! read from that file.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use weir_tests::postgres::{TestServer, free_port};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

const COMPOSE: &str = include_str!("../docker-compose.yml");
const SCENARIO: &str = "leaderboard";
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends with the test.
struct Service(Child);

impl Service {
    fn start(arguments: &[String]) -> Service {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weir-demo"));
        Service(command.args(arguments).stdout(Stdio::null()).spawn().expect("the service starts"))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The items below `command:` of a service, with what Compose and its network would put in replaced.
fn arguments(service: &str, replaced: &[(&str, &str)]) -> Vec<String> {
    let (_, block) = COMPOSE.split_once(&format!("\n  {service}:\n")).expect("the service is there");
    let (_, items) = block.split_once("    command:\n").expect("it has a command");
    let items = items.lines().map_while(|line| line.strip_prefix("      - "));
    let filled = |item: &str| {
        let item = item.trim_matches('"').to_owned();
        replaced.iter().fold(item, |item, (from, to)| item.replace(from, to))
    };
    items.map(filled).collect()
}

/// GET; the body of a 200.
fn get(address: &str, path: &str) -> Option<serde_json::Value> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok().filter(|_| head.split(' ').nth(1) == Some("200"))
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn services_of_the_compose_file_find_each_other() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    RawClient::superuser(&server.address()).execute("CREATE ROLE demo LOGIN SUPERUSER PASSWORD 'demo'");
    let dashboard = format!("127.0.0.1:{}", free_port());
    let (address, counters) = (weir.address(), weir.http_address());
    let replaced = [
        ("${DEMO_SCENARIO:-ecommerce}_demo", "postgres"),
        ("${DEMO_SCENARIO:-ecommerce}", SCENARIO),
        ("weir:6432", address.as_str()),
        ("weir:9432", counters.as_str()),
        ("0.0.0.0:8080", dashboard.as_str()),
    ];
    // The dashboard may be there first, and says that there is nothing to show yet.
    let _dashboard = Service::start(&arguments("dashboard", &replaced));
    wait_until("the dashboard listens", || TcpStream::connect(&dashboard).is_ok());
    assert_eq!(get(&dashboard, "/api/data"), None);
    let _generator = Service::start(&arguments("generator", &replaced));
    let games = |json: &serde_json::Value| json["panels"][2]["rows"].as_array().map_or(0, Vec::len);
    wait_until("rows are shown", || get(&dashboard, "/api/data").is_some_and(|json| games(&json) > 0));
    wait_until("its reads come from memory", || {
        get(&dashboard, "/api/data").is_some_and(|json| json["panels"][1]["route"] == "memory")
    });
    let internals = get(&dashboard, "/api/internals").expect("the stream tables are told of");
    assert!(internals["weir"]["answered"].as_f64().is_some_and(|answered| answered > 0.0), "{}", internals["weir"]);
    // Weir's own arguments are those of the program that was tested all along.
    let of_weir = arguments("weir", &[]);
    assert_eq!(of_weir[0], "serve");
    assert!(["--upstream", "--listen", "--http"].iter().all(|option| of_weir.iter().any(|item| item == option)));
}
