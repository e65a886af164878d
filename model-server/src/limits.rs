//! What a server allows its clients, and for how long.

use std::time::Duration;

use tacit_protocol::session::Open;

/// Bounds on work, memory and time. The defaults suit a machine that does nothing else.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Threads that compute, in each of the two lanes (preprocessing and online).
    pub threads: usize,
    /// How long a prepared session is kept, at least one second.
    pub session_lifetime: Duration,
    /// Bytes of all prepared sessions together.
    pub session_memory: usize,
    /// Most sessions that one `Preprocess` call prepares, 1 to 1024.
    pub sessions_per_call: u32,
    /// Most unused sessions that were prepared over one connection.
    pub sessions_per_connection: u32,
    /// Most `Preprocess` calls at a time.
    pub preprocess_calls: usize,
    /// Most `Preprocess` calls at a time over one connection.
    pub preprocess_calls_per_connection: usize,
    /// Most `Online` calls at a time.
    pub online_calls: usize,
    /// Most calls of any kind at a time over one connection.
    pub calls_per_connection: u32,
    /// Most connections at a time; further ones wait to be accepted.
    pub connections: usize,
    /// Most jobs of a lane that wait for a thread.
    pub queued_jobs: usize,
    /// How long a call may wait for its client to send, or to receive.
    pub idle_timeout: Duration,
    /// How long inferences may go on after a shutdown was asked for.
    pub grace_period: Duration,
    /// Whether clients are told how long the server computed for them, by kind of work. That says something about the model and
    /// the load, so it is for measurements.
    pub report_times: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            session_lifetime: Duration::from_secs(3600),
            session_memory: 1 << 30,
            sessions_per_call: Open::MAX_SESSIONS / 4,
            sessions_per_connection: 1024,
            preprocess_calls: 64,
            preprocess_calls_per_connection: 8,
            online_calls: 1024,
            calls_per_connection: 128,
            connections: 1024,
            queued_jobs: 2048,
            idle_timeout: Duration::from_secs(120),
            grace_period: Duration::from_secs(10),
            report_times: false,
        }
    }
}
