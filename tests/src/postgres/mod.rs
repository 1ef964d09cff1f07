//! Private Postgres servers for tests: their own directory, a free port, `wal_level = logical`, stopped whatever happens.
//!
//! `binaries` finds or fetches the server programs; `options` says how a server is to be configured; this file runs it.

mod binaries;
mod options;

pub use binaries::Binaries;
pub use options::{Auth, Options};

use crate::guard::Guard;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{Client, NoTls};

/// Superuser of every test server; its password is the same word.
pub const SUPERUSER: &str = "postgres";

/// How often a start is tried again on another port: between picking a free port and binding it, another may take it.
const START_ATTEMPTS: usize = 5;

/// How `stop` ends the server (`pg_ctl stop -m`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    Fast,
    /// As a crash: no checkpoint, recovery at the next start.
    Immediate,
}

/// A running private server. Dropping it stops it and removes its directory.
pub struct TestServer {
    binaries: Binaries,
    directory: PathBuf,
    port: u16,
    owner: Option<(u32, u32)>,
    guard: Option<Guard>,
}

impl TestServer {
    /// A server with the default options.
    pub fn start() -> TestServer {
        Options::default().start()
    }

    pub fn options() -> Options {
        Options::default()
    }

    fn launch(options: Options) -> TestServer {
        let binaries = options.binaries.clone().unwrap_or_else(|| Binaries::find(options.major));
        let owner = unprivileged_user();
        let directory = fresh_directory(owner);
        let path = directory.to_str().expect("temporary directories have UTF-8 names").to_owned();
        // A server that is just being started has no pid file yet: the second try finds it.
        let guard = Guard::new(
            "stop() { \"$1\" stop -D \"$2/data\" -m immediate; }; \
             stop \"$1\" \"$2\" || { sleep 3; stop \"$1\" \"$2\"; }; rm -rf \"$2\"",
            &[&binaries.program("pg_ctl"), &path],
            owner,
        );
        let mut server = TestServer { binaries, directory, port: 0, owner, guard: Some(guard) };
        server.initialise(&options);
        for attempt in 1..=START_ATTEMPTS {
            server.port = free_port();
            match server.pg_ctl_start() {
                Ok(()) => return server,
                Err(reason) if attempt == START_ATTEMPTS => panic!("Postgres does not start: {reason}"),
                Err(_) => {}
            }
        }
        unreachable!("the last attempt returns or panics")
    }

    fn initialise(&self, options: &Options) {
        let password_file = self.directory.join("password");
        std::fs::write(&password_file, SUPERUSER).expect("the new directory is writable");
        let mut initdb = self.command("initdb");
        initdb.arg("-D").arg(self.data()).args(["-U", SUPERUSER, "--encoding=UTF8", "--no-sync"]);
        initdb.arg(format!("--locale={}", options.locale)).arg("--auth-local=trust");
        initdb.arg(format!("--auth-host={}", options.auth.method()));
        initdb.arg(format!("--pwfile={}", password_file.display()));
        let done = initdb.output().expect("initdb can be run");
        assert!(done.status.success(), "initdb failed: {}", String::from_utf8_lossy(&done.stderr));
        let conf = self.data().join("postgresql.conf");
        let mut text = std::fs::read_to_string(&conf).expect("initdb wrote postgresql.conf");
        text.push_str(&options.configuration(&self.directory));
        std::fs::write(&conf, text).expect("postgresql.conf is writable");
        if !options.hba.is_empty() {
            std::fs::write(self.data().join("pg_hba.conf"), options.hba.join("\n") + "\n").expect("writable");
        }
        if let Some(tls) = &options.tls {
            self.put(&tls.issued.certificate, "server.crt");
            self.put(&tls.issued.key, "server.key");
            self.put(&tls.root, "root.crt");
        }
    }

    /// Copies a file into the data directory, for the server alone.
    fn put(&self, from: &Path, name: &str) {
        let to = self.data().join(name);
        std::fs::copy(from, &to).unwrap_or_else(|error| panic!("{} cannot be copied: {error}", from.display()));
        std::fs::set_permissions(&to, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("just made");
        if let Some((uid, gid)) = self.owner {
            give(&to, uid, gid);
        }
    }

    fn pg_ctl_start(&self) -> Result<(), String> {
        let mut command = self.command("pg_ctl");
        command.args(["start", "-w", "-t", "60", "-D"]).arg(self.data()).arg("-l").arg(self.log_path());
        command.arg("-o").arg(format!("-p {}", self.port));
        // The server inherits pg_ctl's descriptors: a pipe would never reach its end.
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("pg_ctl can be run");
        if status.success() { Ok(()) } else { Err(self.log()) }
    }

    /// Stops the server; `start_again` brings it back on the same port.
    pub fn stop(&self, mode: StopMode) {
        let mode = match mode {
            StopMode::Fast => "fast",
            StopMode::Immediate => "immediate",
        };
        let mut command = self.command("pg_ctl");
        command.args(["stop", "-w", "-m", mode, "-D"]).arg(self.data()).stdout(Stdio::null());
        let done = command.status().expect("pg_ctl can be run");
        assert!(done.success(), "pg_ctl stop -m {mode} failed: {}", self.log());
    }

    /// Starts the stopped server on its old port.
    pub fn start_again(&self) {
        if let Err(log) = self.pg_ctl_start() {
            panic!("Postgres does not start again: {log}");
        }
    }

    /// Stops and starts it.
    pub fn restart(&self, mode: StopMode) {
        self.stop(mode);
        self.start_again();
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's major version: 15, 16 …
    pub fn major(&self) -> u32 {
        self.binaries.major
    }

    /// `127.0.0.1:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A connection URL for the superuser and the database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://{SUPERUSER}:{SUPERUSER}@{}/postgres", self.address())
    }

    /// Where clients of this server connect; change host and port to go through Weir.
    pub fn config(&self) -> tokio_postgres::Config {
        self.url().parse().expect("the URL is well-formed")
    }

    /// A superuser's connection straight to the server.
    pub async fn connect(&self) -> Client {
        connect(&self.config()).await
    }

    /// The folder of its Unix socket.
    pub fn socket_folder(&self) -> &Path {
        &self.directory
    }

    /// The server log so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// A new directory beside the server's own, which the server may write to; removed with it.
    pub fn scratch_directory(&self, name: &str) -> PathBuf {
        let directory = self.directory.join(name);
        std::fs::create_dir(&directory).unwrap_or_else(|error| panic!("cannot make {}: {error}", directory.display()));
        if let Some((uid, gid)) = self.owner {
            give(&directory, uid, gid);
        }
        directory
    }

    fn command(&self, program: &str) -> Command {
        self.command_as_owner(&self.binaries.program(program))
    }

    /// A program run as the user the server runs as, in the server's directory.
    pub fn command_as_owner(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
        if let Some((uid, gid)) = self.owner {
            command.gid(gid).uid(uid);
        }
        command
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // The guard's script is the one way of cleaning up, so that it is exercised by every test.
        drop(self.guard.take());
    }
}

/// Opens a connection and drives it on its own task. Panics with the server's reason.
pub async fn connect(config: &tokio_postgres::Config) -> Client {
    match try_connect(config).await {
        Ok(client) => client,
        Err(error) => panic!("cannot connect to {:?} {:?}: {error:?}", config.get_hosts(), config.get_ports()),
    }
}

/// As `connect`, for servers that may be down.
pub async fn try_connect(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    // A closed connection shows as an error of the next statement.
    tokio::spawn(connection);
    Ok(client)
}

/// A port of 127.0.0.1 that nothing listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("127.0.0.1 has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Postgres refuses to run as root; then the user `postgres` (or `nobody`) owns the server: its user and group id.
/// `None`: run as ourselves.
pub fn unprivileged_user() -> Option<(u32, u32)> {
    // Its owner is the effective user.
    let process = std::fs::metadata("/proc/self").expect("Linux shows the process");
    let uid = std::os::unix::fs::MetadataExt::uid(&process);
    if uid != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    let id = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some((fields.next()?.ok()?, fields.next()?.ok()?))
    };
    Some(id("postgres").or_else(|| id("nobody")).expect("root needs a user `postgres` or `nobody` to run Postgres as"))
}

fn fresh_directory(owner: Option<(u32, u32)>) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("weir-pg-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir(&directory).unwrap_or_else(|error| panic!("cannot make {}: {error}", directory.display()));
    if let Some((uid, gid)) = owner {
        give(&directory, uid, gid);
    }
    directory
}

fn give(path: &Path, uid: u32, gid: u32) {
    std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("root may give a directory away");
}
