//! A private PgBouncer in session mode: one server connection per client, as Weir has.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use weir_tests::guard::Guard;
use weir_tests::postgres::{SUPERUSER, TestServer, free_port, unprivileged_user};

/// Debian puts it where only administrators look.
const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];

const START_TIMEOUT: Duration = Duration::from_secs(10);

/// A running PgBouncer. Dropping it ends it and removes its directory.
pub struct PgBouncer {
    port: u16,
    process: Child,
    guard: Option<Guard>,
}

/// The program and what it says of its version; `None` when it is not installed.
pub fn installed() -> Option<(&'static str, String)> {
    let program = PROGRAMS.into_iter().find(|program| std::path::Path::new(program).exists())?;
    let said = Command::new(program).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    Some((program, said.lines().next().unwrap_or_default().to_owned()))
}

impl PgBouncer {
    /// In front of `server`. Panics when it does not accept connections.
    pub fn start(program: &str, server: &TestServer) -> PgBouncer {
        let owner = unprivileged_user();
        let directory = std::env::temp_dir().join(format!("weir-pgbouncer-{}", std::process::id()));
        let port = free_port();
        let configuration = write_configuration(&directory, server.port(), port);
        let mut command = Command::new(program);
        command.arg("-q").arg(&configuration).current_dir(&directory).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It refuses to run as root.
        if let Some((uid, gid)) = owner {
            command.gid(gid).uid(uid);
        }
        let process = command.spawn().unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        let arguments = [process.id().to_string(), directory.display().to_string()];
        let guard = Guard::new("kill -9 \"$1\"; rm -rf \"$2\"", &[&arguments[0], &arguments[1]], None);
        let bouncer = PgBouncer { port, process, guard: Some(guard) };
        let started = Instant::now();
        while TcpStream::connect(bouncer.address()).is_err() {
            assert!(started.elapsed() < START_TIMEOUT, "{program} does not accept connections");
            std::thread::sleep(Duration::from_millis(10));
        }
        bouncer
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // The guard's script ends it; the child is waited for so that it does not stay a zombie.
        drop(self.guard.take());
        let _ = self.process.wait();
    }
}

/// As few features as Weir's own way has: no log of connections, room for every client, users trusted.
fn write_configuration(directory: &PathBuf, upstream: u16, port: u16) -> PathBuf {
    std::fs::create_dir_all(directory).expect("the temporary directory is writable");
    let users = directory.join("users.txt");
    std::fs::write(&users, format!("\"{SUPERUSER}\" \"{SUPERUSER}\"\n")).expect("the new directory is writable");
    let path = directory.join("pgbouncer.ini");
    let mut file = std::fs::File::create(&path).expect("the new directory is writable");
    write!(
        file,
        "[databases]\n* = host=127.0.0.1 port={upstream}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = session\nmax_client_conn = 500\n\
         default_pool_size = 150\nlog_connections = 0\nlog_disconnections = 0\nlog_pooler_errors = 0\n",
        users.display()
    )
    .expect("the new directory is writable");
    path
}
