//! Cleaning up after a process that may be killed: a shell that waits on a pipe and acts when the pipe breaks.
//!
//! The kernel closes the pipe however the owner ends (return, panic, SIGKILL), so what was started is always stopped.
//! (PR_SET_PDEATHSIG will not do: it fires when the starting *thread* ends, which for a test is too early.)

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// Runs a shell script when its owner dies without [`Guard::disarm`].
pub struct Guard {
    shell: Child,
}

impl Guard {
    /// `script` is run by `sh` with `arguments` as `$1`, `$2`…; `owner` is the user and group id to run it as.
    pub fn new(script: &str, arguments: &[&str], owner: Option<(u32, u32)>) -> Guard {
        // A line means "nothing left to do"; end of file means that the owner is gone.
        let script = format!("trap '' INT TERM HUP; read -r line && exit 0; {script}");
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(script).arg("weir-guard").args(arguments).current_dir("/");
        // Its own process group, so that Ctrl-C in a terminal reaches the owner only.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        if let Some((uid, gid)) = owner {
            command.gid(gid).uid(uid);
        }
        Guard { shell: command.spawn().expect("/bin/sh starts") }
    }

    /// Ends the guard without running its script.
    pub fn disarm(mut self) {
        use std::io::Write;
        if let Some(mut stdin) = self.shell.stdin.take() {
            // The guard may have been killed from outside; then there is nothing to tell it.
            let _ = stdin.write_all(b"done\n");
        }
        let _ = self.shell.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
