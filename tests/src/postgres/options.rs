//! How a test server is configured.

use super::{Binaries, TestServer};
use crate::tls::Issued;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// How clients on TCP prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    Trust,
    Md5,
    ScramSha256,
}

impl Auth {
    pub(super) fn method(self) -> &'static str {
        match self {
            Auth::Trust => "trust",
            Auth::Md5 => "md5",
            Auth::ScramSha256 => "scram-sha-256",
        }
    }
}

/// What a server with TLS has in its data directory.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    pub(super) issued: Issued,
    pub(super) root: PathBuf,
}

/// Options of a server about to be started.
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) major: Option<u32>,
    pub(super) binaries: Option<Binaries>,
    pub(super) auth: Auth,
    pub(super) locale: String,
    pub(super) tls: Option<Tls>,
    /// Lines of pg_hba.conf in the place of initdb's.
    pub(super) hba: Vec<String>,
    extra: Vec<String>,
}

impl Default for Options {
    /// Major version from `PG_MAJOR` or the installed one, trust, C.UTF-8.
    fn default() -> Options {
        let major = std::env::var("PG_MAJOR").ok().map(|text| {
            text.parse().unwrap_or_else(|_| panic!("PG_MAJOR={text} is not a major version such as 15 or 18"))
        });
        Options {
            major,
            binaries: None,
            auth: Auth::Trust,
            locale: "C.UTF-8".to_owned(),
            tls: None,
            hba: Vec::new(),
            extra: Vec::new(),
        }
    }
}

impl Options {
    /// A line of postgresql.conf; later lines win.
    pub fn conf(mut self, line: &str) -> Options {
        self.extra.push(line.to_owned());
        self
    }

    pub fn auth(mut self, auth: Auth) -> Options {
        self.auth = auth;
        self
    }

    pub fn locale(mut self, locale: &str) -> Options {
        self.locale = locale.to_owned();
        self
    }

    /// TLS with this certificate; client certificates of this authority are believed.
    pub fn tls(mut self, issued: &Issued, root: &Path) -> Options {
        self.tls = Some(Tls { issued: issued.clone(), root: root.to_owned() });
        self
    }

    /// A line of pg_hba.conf; with the first, none of initdb's is left.
    pub fn hba(mut self, line: &str) -> Options {
        self.hba.push(line.to_owned());
        self
    }

    /// This major version, whatever `PG_MAJOR` says.
    pub fn major(mut self, major: u32) -> Options {
        self.major = Some(major);
        self
    }

    /// These programs, whatever is installed.
    pub fn binaries(mut self, binaries: Binaries) -> Options {
        self.binaries = Some(binaries);
        self
    }

    pub fn start(self) -> TestServer {
        TestServer::launch(self)
    }

    pub(super) fn configuration(&self, directory: &Path) -> String {
        let mut text = String::from("\n");
        let _ = writeln!(text, "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'", directory.display());
        text.push_str(
            "wal_level = logical\nmax_wal_senders = 10\nmax_replication_slots = 10\nmax_prepared_transactions = 20\n\
             max_connections = 200\nfsync = off\nfull_page_writes = off\nautovacuum_naptime = 5s\n\
             timezone = 'UTC'\nlog_timezone = 'UTC'\n",
        );
        if self.tls.is_some() {
            text.push_str("ssl = on\nssl_ca_file = 'root.crt'\n");
        }
        if crate::weir::by_triggers() {
            text.push_str("wal_level = replica\n");
        }
        for line in &self.extra {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}
