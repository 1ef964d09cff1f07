//! A spawned `weir serve` in front of a test server: waits until it accepts, keeps its log, can be killed and restarted.

use crate::guard::Guard;
use crate::postgres::{TestServer, connect, free_port};
use crate::wire::RawClient;
use std::fs::File;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// How long a starting Weir may take until it accepts connections.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the installation of its SQL is waited for; a role without the privilege never gets there.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long stream tables may take from creation or restart until memory answers them.
const LIVE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long SIGTERM may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// `WEIR_TEST_CAPTURE=trigger`: every Weir that is not told otherwise captures by triggers, on servers whose WAL carries
/// nothing it could use (`make test-triggers`).
pub fn by_triggers() -> bool {
    std::env::var("WEIR_TEST_CAPTURE").is_ok_and(|way| way == "trigger")
}

/// `WEIR_TEST_KEEP=nothing`: every Weir that is not told otherwise lets the rows of base tables go as soon as it can.
pub fn keeps_nothing() -> bool {
    std::env::var("WEIR_TEST_KEEP").is_ok_and(|kept| kept == "nothing")
}

/// A running Weir. Dropping it stops it.
pub struct TestWeir {
    upstream: tokio_postgres::Config,
    upstream_url: String,
    arguments: Vec<String>,
    port: u16,
    http_port: u16,
    log_path: PathBuf,
    process: Option<(Child, Guard)>,
}

impl TestWeir {
    /// Weir in front of `server`, with superuser control connections.
    pub fn start(server: &TestServer) -> TestWeir {
        TestWeir::start_with(server, &[])
    }

    /// With further command line arguments of `weir serve`.
    pub fn start_with(server: &TestServer, arguments: &[&str]) -> TestWeir {
        TestWeir::start_as(server, &server.url(), arguments)
    }

    /// With control connections that use `upstream_url` (another role, for example).
    pub fn start_as(server: &TestServer, upstream_url: &str, arguments: &[&str]) -> TestWeir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("weir-{}-{}.log", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // The client library does not know all of the options that Weir does.
        let address = upstream_url.split('?').next().unwrap_or_default();
        let served: tokio_postgres::Config = address.parse().expect("the URL is well-formed");
        let mut upstream = server.config();
        upstream.dbname(served.get_dbname().expect("the URL names the database"));
        let mut weir = TestWeir {
            upstream,
            upstream_url: upstream_url.to_owned(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            port: free_port(),
            http_port: free_port(),
            log_path: std::env::temp_dir().join(name),
            process: None,
        };
        weir.start_again();
        weir
    }

    /// Starts the stopped or killed Weir on its old ports and waits until it accepts connections.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "Weir runs already");
        let log = File::options().create(true).append(true).open(&self.log_path).expect("the log can be written");
        let mut command = Command::new(binary());
        command.args(["serve", "--upstream", &self.upstream_url]);
        command.args(["--listen", &self.address(), "--http", &self.http_address()]).args(&self.arguments);
        if by_triggers() && !self.arguments.iter().any(|argument| argument == "--capture") {
            command.args(["--capture", "trigger"]);
        }
        if keeps_nothing() && !self.arguments.iter().any(|argument| argument == "--let-go-after-ms") {
            command.args(["--let-go-after-ms", "1"]);
        }
        // Nothing of the caller's environment may configure the Weir under test.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("PG") || (name.starts_with("WEIR_") && name != "WEIR_LOG") {
                command.env_remove(&*name);
            }
        }
        // A process group of its own: Ctrl-C in a terminal is for the one who started us.
        command.current_dir(std::env::temp_dir()).stdin(Stdio::null()).process_group(0);
        command.stdout(log.try_clone().expect("a descriptor can be duplicated")).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{} cannot be run: {error}", binary().display()));
        let log_path = self.log_path.display().to_string();
        let guard = Guard::new("kill -9 \"$1\"; rm -f \"$2\"", &[&child.id().to_string(), &log_path], None);
        self.process = Some((child, guard));
        self.wait_until_accepting();
        self.wait_until_installed();
    }

    fn wait_until_accepting(&mut self) {
        let started = Instant::now();
        while TcpStream::connect(self.address()).is_err() {
            let (child, _) = self.process.as_mut().expect("just started");
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                panic!("weir serve ended with {status}:\n{}", self.log());
            }
            assert!(started.elapsed() < START_TIMEOUT, "weir does not accept connections:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Weir accepts connections before it has put its SQL into a new database; forwarding needs none of it.
    fn wait_until_installed(&self) {
        let started = Instant::now();
        let parameters = [("user", crate::postgres::SUPERUSER), ("database", self.database())];
        while started.elapsed() < INSTALL_TIMEOUT {
            // Refused when the upstream is down: then there is nothing to wait for.
            let Ok(mut client) = RawClient::connect(&self.address(), &parameters, crate::postgres::SUPERUSER) else {
                return;
            };
            let installed = client.try_query("SELECT to_regprocedure('pgtrickle.pgt_status()') IS NOT NULL");
            if installed.is_ok_and(|answer| answer.error.is_none() && answer.scalar() == "t") {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGHUP: certificates are read again. Returns when the log says so.
    pub fn hang_up(&self) {
        let reloaded = || self.log().matches("reloaded").count();
        let before = reloaded();
        let sent = Command::new("kill").args(["-HUP", &self.process_id().to_string()]).status();
        assert!(sent.expect("kill can be run").success(), "Weir has ended:\n{}", self.log());
        let started = Instant::now();
        while reloaded() == before {
            assert!(started.elapsed() < STOP_TIMEOUT, "Weir ignores SIGHUP:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let (mut child, guard) = self.process.take().expect("Weir runs");
        guard.disarm();
        child.kill().expect("our own child can be killed");
        child.wait().expect("a killed child ends");
    }

    /// SIGTERM, as a service manager would; panics when Weir does not end in time.
    pub fn stop(&mut self) {
        let (mut child, guard) = self.process.take().expect("Weir runs");
        guard.disarm();
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill can be run");
        assert!(sent.success(), "Weir had ended before it was stopped:\n{}", self.log());
        let started = Instant::now();
        while child.try_wait().expect("a child can be waited for").is_none() {
            if started.elapsed() > STOP_TIMEOUT {
                let _ = child.kill();
                let _ = child.wait();
                panic!("Weir ignores SIGTERM:\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its process id, for measuring memory and processor time.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("Weir runs").0.id()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients connect: `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn http_address(&self) -> String {
        format!("127.0.0.1:{}", self.http_port)
    }

    /// The database it serves.
    pub fn database(&self) -> &str {
        self.upstream.get_dbname().unwrap_or("postgres")
    }

    /// The upstream's client configuration with Weir's port.
    pub fn config(&self) -> tokio_postgres::Config {
        through(&self.upstream, self.port)
    }

    /// A superuser's connection through Weir.
    pub async fn connect(&self) -> Client {
        connect(&self.config()).await
    }

    /// What `/metrics` says.
    pub fn metrics(&self) -> String {
        use std::io::{Read, Write};
        let mut answer = String::new();
        TcpStream::connect(self.http_address())
            .and_then(|mut http| {
                http.write_all(b"GET /metrics HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n")?;
                http.read_to_string(&mut answer)
            })
            .expect("the HTTP port answers");
        answer
    }

    /// A counter of `/metrics`.
    pub fn counter(&self, name: &str) -> f64 {
        let metrics = self.metrics();
        let sample = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        sample.unwrap_or_else(|| panic!("/metrics has no {name}"))
    }

    /// What Weir has logged so far, over all its restarts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log_path).unwrap_or_default()).into_owned()
    }

    /// Waits until reads of all these stream tables are answered from memory; panics with the reason when they are not.
    pub fn wait_until_live(&self, tables: &[&str]) {
        self.wait_until_live_within(tables, LIVE_TIMEOUT);
    }

    /// Waits until the installed SQL can ask Weir, which it does before it accepts a `DIFFERENTIAL` definition.
    pub fn wait_until_asked(&self, client: &mut RawClient) {
        let started = Instant::now();
        while client.query("SELECT pgtrickle.weir_is_connected()").scalar() != "t" {
            assert!(started.elapsed() < LIVE_TIMEOUT, "Weir cannot be asked:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As `wait_until_live`, for tables whose population takes longer.
    pub fn wait_until_live_within(&self, tables: &[&str], timeout: Duration) {
        let mut client = RawClient::superuser_of(&self.address(), self.database());
        let started = Instant::now();
        for table in tables {
            loop {
                let answer = client.query(&format!("SELECT * FROM {table} LIMIT 1"));
                let route = client.last_route();
                if answer.error.is_none() && route.starts_with("memory") {
                    break;
                }
                assert!(
                    started.elapsed() < timeout,
                    "{table} is not answered from memory: route {route:?}, error {:?}\n{}",
                    answer.error,
                    self.log()
                );
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Drop for TestWeir {
    fn drop(&mut self) {
        if let Some((mut child, guard)) = self.process.take() {
            guard.disarm();
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- weir's log ---\n{}", self.log());
        }
        let _ = std::fs::remove_file(&self.log_path);
    }
}

/// `upstream` with the host and port of a Weir on this machine.
fn through(upstream: &tokio_postgres::Config, port: u16) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port);
    config.user(upstream.get_user().unwrap_or(crate::postgres::SUPERUSER));
    if let Some(password) = upstream.get_password() {
        config.password(password);
    }
    config.dbname(upstream.get_dbname().unwrap_or("postgres"));
    config
}

/// The `weir` binary: `WEIR_BINARY`, or the one beside the running program, brought up to date once per process.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY
        .get_or_init(|| {
            if let Some(given) = std::env::var_os("WEIR_BINARY") {
                return given.into();
            }
            let profile_directory = profile_directory();
            build(&profile_directory);
            profile_directory.join("weir")
        })
        .clone()
}

/// `target/debug` or `target/release`, whichever the running program was built into.
fn profile_directory() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let mut directory = program.parent().expect("a program lies in a directory");
    if directory.ends_with("deps") || directory.ends_with("examples") {
        directory = directory.parent().expect("deps lies in the profile's directory");
    }
    directory.to_owned()
}

fn build(profile_directory: &Path) {
    static BUILT: Once = Once::new();
    BUILT.call_once(|| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "-p", "weir-proxy", "--bin", "weir"]);
        cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        if let Some(target) = profile_directory.parent() {
            cargo.arg("--target-dir").arg(target);
        }
        if profile_directory.ends_with("release") {
            cargo.arg("--release");
        }
        let status = cargo.status().expect("cargo can be run");
        assert!(status.success(), "weir cannot be built");
    });
}
