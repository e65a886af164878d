//! Processor time and memory of processes, as Linux tells them. Other systems tell nothing here.

/// Name of the threads that emulate a network: they are no part of what the client costs.
pub(crate) const EMULATION_THREAD: &str = "tacit-network";

/// A process on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Process {
    /// This program.
    This,
    /// Another program, by its process ID.
    Other(u32),
}

/// What two processes have used up to now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProcessorTime {
    /// Seconds of this program, without those that emulate a network.
    pub(crate) client: Option<f64>,
    /// Seconds of the server.
    pub(crate) server: Option<f64>,
}

#[cfg(target_os = "linux")]
impl Process {
    /// Most memory that was in use at a time, in bytes.
    pub(crate) fn peak_memory(self) -> Option<u64> {
        self.open()?.status().ok()?.vmhwm?.checked_mul(1024)
    }

    /// Memory in use, in bytes.
    pub(crate) fn memory(self) -> Option<u64> {
        self.open()?.status().ok()?.vmrss?.checked_mul(1024)
    }

    /// Processor time in seconds, without that of the threads that emulate a network.
    fn seconds(self) -> Option<f64> {
        let process = self.open()?;
        let ticks = |stat: &procfs::process::Stat| stat.utime + stat.stime;
        let all = ticks(&process.stat().ok()?);
        // A thread may end while they are listed.
        let threads = process.tasks().ok()?.filter_map(|thread| thread.ok()?.stat().ok());
        let emulation: u64 = threads.filter(|stat| stat.comm == EMULATION_THREAD).map(|stat| ticks(&stat)).sum();
        Some(all.saturating_sub(emulation) as f64 / procfs::ticks_per_second() as f64)
    }

    fn open(self) -> Option<procfs::process::Process> {
        match self {
            Self::This => procfs::process::Process::myself().ok(),
            Self::Other(id) => procfs::process::Process::new(id.try_into().ok()?).ok(),
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Process {
    /// Most memory that was in use at a time, in bytes: unknown on this system.
    pub(crate) fn peak_memory(self) -> Option<u64> {
        None
    }

    /// Memory in use, in bytes: unknown on this system.
    pub(crate) fn memory(self) -> Option<u64> {
        None
    }

    fn seconds(self) -> Option<f64> {
        None
    }
}

impl ProcessorTime {
    /// What this program and `server` have used.
    pub(crate) fn now(server: Option<Process>) -> Self {
        Self { client: Process::This.seconds(), server: server.and_then(Process::seconds) }
    }

    /// Adds what was used from `start` to `end`.
    pub(crate) fn add(&mut self, start: Self, end: Self) {
        let add = |sum: Option<f64>, start: Option<f64>, end: Option<f64>| Some(sum.unwrap_or(0.0) + end? - start?);
        self.client = add(self.client, start.client, end.client);
        self.server = add(self.server, start.server, end.server);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(Process::This.peak_memory().unwrap() >= 1 << 20);
        assert!(Process::This.memory().unwrap() >= 1 << 20);
        let start = ProcessorTime::now(None);
        let begin = std::time::Instant::now();
        while ProcessorTime::now(None).client.unwrap() < start.client.unwrap() + 0.02 {
            assert!(begin.elapsed().as_secs() < 60);
        }
        assert_eq!(Process::Other(u32::MAX).seconds(), None);
    }
}
