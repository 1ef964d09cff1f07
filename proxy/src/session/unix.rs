//! The Unix socket clients may connect to, and the lock file that keeps two servers from serving it
//! (`CreateSocketLockFile` in `src/backend/utils/init/miscinit.c`).

use crate::config::UnixSocket;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// Between finding a stale lock file and creating one's own, another may create theirs; so often it is tried.
const LOCK_ATTEMPTS: usize = 3;

/// A bound socket; its file and lock file go with it.
pub(super) struct SocketFile {
    listener: UnixListener,
    path: PathBuf,
    lock: PathBuf,
}

impl SocketFile {
    pub(super) fn bind(unix: &UnixSocket, port: u16) -> io::Result<SocketFile> {
        let path = unix.folder.join(format!(".s.PGSQL.{port}"));
        let lock = unix.folder.join(format!(".s.PGSQL.{port}.lock"));
        create_lock(&lock, unix, port)?;
        // The lock is ours: a socket that is there belongs to nobody.
        let bound = remove(&path).and_then(|()| UnixListener::bind(&path)).and_then(|listener| {
            fs::set_permissions(&path, Permissions::from_mode(unix.mode))?;
            Ok(listener)
        });
        match bound {
            Ok(listener) => Ok(SocketFile { listener, path, lock }),
            Err(error) => {
                let _ = remove(&lock);
                Err(named(&path, &error))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What is left behind is found stale at the next start.
        let _ = remove(&self.path);
        let _ = remove(&self.lock);
    }
}

/// Creates the lock file; an existing one counts when its process lives.
fn create_lock(lock: &Path, unix: &UnixSocket, port: u16) -> io::Result<()> {
    for _ in 0..LOCK_ATTEMPTS {
        match File::options().write(true).create_new(true).mode(0o600).open(lock) {
            // The lines of Postgres' own: process, data directory (none here), start time (unused), port, folder.
            Ok(mut file) => {
                let folder = unix.folder.display();
                return write!(file, "{}\n\n0\n{port}\n{folder}\n", std::process::id());
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(named(lock, &error)),
        }
        match owner(lock)? {
            Some(owner) if owner != std::process::id() && Path::new(&format!("/proc/{owner}")).exists() => {
                let message = format!("{}: another server (PID {owner}) is using this socket", lock.display());
                return Err(io::Error::new(io::ErrorKind::AddrInUse, message));
            }
            _ => remove(lock)?,
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{}: another server is starting", lock.display())))
}

/// The process a lock file names; `None` when it names none or is gone. (Postgres writes a standalone backend's negated.)
fn owner(lock: &Path) -> io::Result<Option<u32>> {
    match fs::read_to_string(lock) {
        Ok(text) => Ok(text.lines().next().and_then(|line| line.trim_start_matches('-').parse().ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(lock, &error)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(named(path, &error)),
        _ => Ok(()),
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_live_servers_socket_is_left_alone_and_a_dead_ones_is_taken() {
        let folder = std::env::temp_dir().join(format!("weir-unix-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let unix = UnixSocket { folder: folder.clone(), mode: 0o700 };
        let lock = folder.join(".s.PGSQL.5.lock");
        // Process 1 lives.
        fs::write(&lock, "1\n\n").unwrap();
        let refused = SocketFile::bind(&unix, 5).err().unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert!(lock.exists());
        // No process has this number (`PID_MAX_LIMIT` is 4194304); its socket is still there.
        fs::write(&lock, "4194305\n\n").unwrap();
        fs::write(folder.join(".s.PGSQL.5"), "").unwrap();
        let socket = SocketFile::bind(&unix, 5).unwrap();
        assert_eq!(fs::metadata(&socket.path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(owner(&lock).unwrap(), Some(std::process::id()));
        drop(socket);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
    }
}
