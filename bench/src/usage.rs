//! Processor time and memory of processes, as Linux tells them. Other systems tell nothing here.

use std::fs;
use std::path::{Path, PathBuf};

use crate::proxy;

/// A process on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    folder: PathBuf,
}

/// What two processes have used up to now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProcessorTime {
    /// Seconds of this program, without those that emulate a network.
    pub(crate) client: Option<f64>,
    /// Seconds of the server.
    pub(crate) server: Option<f64>,
}

impl Process {
    /// This program.
    pub(crate) fn this() -> Self {
        Self { folder: PathBuf::from("/proc/self") }
    }

    /// Another program.
    pub(crate) fn other(id: u32) -> Self {
        Self { folder: PathBuf::from(format!("/proc/{id}")) }
    }

    /// Most memory that was in use at a time, in bytes.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        status_bytes(&fs::read_to_string(self.folder.join("status")).ok()?, "VmHWM:")
    }

    /// Memory in use, in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        status_bytes(&fs::read_to_string(self.folder.join("status")).ok()?, "VmRSS:")
    }

    /// Processor time in seconds, without that of the threads that emulate a network.
    fn seconds(&self) -> Option<f64> {
        let all = ticks(&self.folder)?;
        let threads = fs::read_dir(self.folder.join("task")).ok()?;
        let emulation = threads.filter_map(|thread| {
            let folder = thread.ok()?.path();
            let name = fs::read_to_string(folder.join("comm")).ok()?;
            if name.trim_end() == proxy::THREAD_NAME { ticks(&folder) } else { None }
        });
        Some(all.saturating_sub(emulation.sum()) as f64 / ticks_per_second()?)
    }
}

impl ProcessorTime {
    /// What this program and `server` have used.
    pub(crate) fn now(server: Option<&Process>) -> Self {
        Self { client: Process::this().seconds(), server: server.and_then(Process::seconds) }
    }

    /// Adds what was used from `start` to `end`.
    pub(crate) fn add(&mut self, start: Self, end: Self) {
        let add = |sum: Option<f64>, start: Option<f64>, end: Option<f64>| Some(sum.unwrap_or(0.0) + end? - start?);
        self.client = add(self.client, start.client, end.client);
        self.server = add(self.server, start.server, end.server);
    }
}

/// User and system time of a process or thread, in clock ticks.
fn ticks(folder: &Path) -> Option<u64> {
    stat_ticks(&fs::read_to_string(folder.join("stat")).ok()?)
}

/// The 14th and the 15th field; the second one, the name in parentheses, may contain anything.
fn stat_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system) = (fields.next()?.parse::<u64>().ok()?, fields.next()?.parse::<u64>().ok()?);
    Some(user + system)
}

/// A line of the form `VmHWM:   1234 kB`.
fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(target_os = "linux")]
fn ticks_per_second() -> Option<f64> {
    Some(rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(not(target_os = "linux"))]
fn ticks_per_second() -> Option<f64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_system_are_read() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 99 1 2";
        assert_eq!(stat_ticks(stat), Some(200));
        assert_eq!(stat_ticks("42 (a"), None);
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(status_bytes(status, "VmHWM:"), Some(2048 * 1024));
        assert_eq!(status_bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn differences_add_up_where_they_are_known() {
        let at = |client, server| ProcessorTime { client: Some(client), server };
        let mut sum = ProcessorTime::default();
        sum.add(at(1.0, None), at(1.5, None));
        sum.add(at(2.0, None), at(2.25, None));
        assert_eq!((sum.client, sum.server), (Some(0.75), None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_program_has_used_something() {
        let this = Process::this();
        assert!(this.peak_memory().unwrap() >= 1 << 20);
        assert!(this.memory().unwrap() >= 1 << 20);
        let start = ProcessorTime::now(None);
        let begin = std::time::Instant::now();
        while ProcessorTime::now(None).client.unwrap() < start.client.unwrap() + 0.02 {
            assert!(begin.elapsed().as_secs() < 60);
        }
        assert_eq!(Process::other(u32::MAX).seconds(), None);
    }
}
