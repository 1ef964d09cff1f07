//! Certificates made for one test with `openssl`, and the programs that speak TLS for tests: `psql`, `openssl s_client`.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// How long `openssl s_client` may take to show what a server says: it ends when the server closes.
const S_CLIENT_SECONDS: &str = "20";

/// An authority of its own in a folder of its own, removed with it.
pub struct Authority {
    folder: PathBuf,
}

/// A certificate and its key, both PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    pub fn new() -> Authority {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("weir-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let authority = Authority { folder: std::env::temp_dir().join(name) };
        std::fs::create_dir(&authority.folder).expect("the temporary directory is writable");
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=weir test authority",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
        ]);
        authority
    }

    /// The authority's own certificate.
    pub fn root(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A certificate in files called `name`, for this common name and these alternative names (`DNS:localhost`).
    pub fn issue(&self, name: &str, common_name: &str, alternatives: &str) -> Issued {
        let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        self.openssl(&[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &format!("/CN={common_name}"),
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        std::fs::write(self.folder.join("extensions"), format!("subjectAltName={alternatives}\n")).expect("writable");
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "extensions",
            "-out",
            &certificate,
        ]);
        let key = self.folder.join(key);
        std::fs::set_permissions(&key, Permissions::from_mode(0o600)).expect("the key is ours");
        Issued { certificate: self.folder.join(certificate), key }
    }

    /// For a server on this machine: `localhost` and 127.0.0.1.
    pub fn issue_local(&self, name: &str) -> Issued {
        self.issue(name, "localhost", "DNS:localhost,IP:127.0.0.1")
    }

    fn openssl(&self, arguments: &[&str]) {
        let done =
            Command::new("openssl").args(arguments).current_dir(&self.folder).output().expect("openssl can be run");
        assert!(done.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What psql prints for one statement: its rows, unaligned, or what it says on standard error.
pub fn psql(connection: &str, statement: &str) -> Result<String, String> {
    let mut psql = Command::new("psql");
    // Nothing of the caller's environment or home may shape the connection.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            psql.env_remove(name);
        }
    }
    psql.args(["-X", "-A", "-t", "-q", "-c", statement, connection])
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/nonexistent");
    let done = psql.stdin(Stdio::null()).output().expect("psql is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}

/// Sends `bytes` within TLS and returns all that the server answers until it closes; `arguments` for `openssl s_client`.
pub fn s_client(address: &str, arguments: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut command = Command::new("timeout");
    command.args([S_CLIENT_SECONDS, "openssl", "s_client", "-quiet", "-connect", address]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("openssl can be run");
    let mut stdin = child.stdin.take().expect("piped");
    // A server that has closed already is an answer too.
    let _ = stdin.write_all(bytes);
    let done = child.wait_with_output().expect("openssl ends");
    drop(stdin);
    done.stdout
}

/// The fingerprint of the certificate that is shown after an SSLRequest.
pub fn fingerprint(address: &str) -> String {
    let script =
        "openssl s_client -starttls postgres -connect \"$1\" </dev/null 2>/dev/null | openssl x509 -noout -fingerprint";
    let done = Command::new("sh").args(["-c", script, "sh", address]).output().expect("openssl can be run");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
