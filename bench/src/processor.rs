//! What other processes take of the machine: on a machine shared with the clients and the server, elapsed time says little.

use std::time::Duration;

/// Time that a process' threads have spent on processors so far; of all threads, or of those of that name.
pub fn spent(process: u32, thread: Option<&str>) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("the measured process is running");
    let of_task = |task: std::path::PathBuf| {
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        if thread.is_some_and(|wanted| name.trim() != wanted) {
            return Duration::ZERO;
        }
        // Nanoseconds on a processor, nanoseconds waiting for one, slices.
        let stat = std::fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        Duration::from_nanos(stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
    };
    tasks.filter_map(|task| Some(of_task(task.ok()?.path()))).sum()
}

/// Memory of a process that is in RAM, in bytes.
pub fn resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1024
}
