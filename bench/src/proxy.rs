//! An emulated network: a proxy that passes bytes on as late as a slow and long link would.
//!
//! Each direction is one link that all connections share. Bytes leave one after the other at the link's rate, without
//! bursts, and arrive half a round trip after they have left. What counts is the data of TCP; headers of packets, their
//! loss, and TCP's slow start are not emulated.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

use crate::clock::Clock;
use crate::network::Network;
use crate::usage::EMULATION_THREAD;

/// Most bytes that are passed on together.
const CHUNK: usize = 16 << 10;

/// How far ahead the use of a link is planned. Covers the lateness of the threads without making a queue that small
/// messages would wait behind for long.
const LOOK_AHEAD: Duration = Duration::from_millis(10);

/// Bytes that a connection may have on a link beyond those that are travelling.
const QUEUE: usize = 256 << 10;

/// The running emulation; ends with this handle.
pub(crate) struct Proxy {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Listens on a free port of this machine and passes connections on to `host` and `port`.
    pub(crate) fn start(network: Network, host: String, port: u16) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(EMULATION_THREAD)
            .enable_all()
            .build()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let clock = Arc::new(Clock::start(EMULATION_THREAD)?);
        let links = Arc::new([Link::new(network, clock.clone()), Link::new(network, clock)]);
        runtime.spawn(accept(listener, links, (host, port)));
        Ok(Self { address, runtime: Some(runtime) })
    }

    /// Where to connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Waiting for its threads is not allowed where tasks run.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, links: Arc<[Link; 2]>, target: (String, u16)) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((near, _)) => {
                let (links, target) = (links.clone(), target.clone());
                tokio::spawn(async move {
                    // Both sides see the end of the connection, whatever its reason.
                    if let Err(error) = connect(near, &links, target).await {
                        tracing::debug!(%error, "a connection over the emulated network has failed");
                    }
                });
            }
            // Out of file descriptors, most likely: some may become free.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn connect(near: TcpStream, [out, back]: &[Link; 2], target: (String, u16)) -> io::Result<()> {
    let far = TcpStream::connect(target).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let (sent, received) = tokio::join!(out.carry(near_read, far_write), back.carry(far_read, near_write));
    sent.and(received)
}

/// One direction of the network.
struct Link {
    network: Network,
    clock: Arc<Clock>,
    /// When the last byte that was accepted has left.
    free_at: Mutex<Instant>,
}

/// Bytes on their way; none are the end of the connection.
struct Travelling {
    arrival: Instant,
    data: Vec<u8>,
    /// Their place in the buffer.
    _room: OwnedSemaphorePermit,
}

impl Link {
    fn new(network: Network, clock: Arc<Clock>) -> Self {
        Self { network, clock, free_at: Mutex::new(Instant::now()) }
    }

    /// Bytes that one connection may have on the link.
    fn capacity(&self) -> usize {
        let time = self.network.round_trip / 2 + LOOK_AHEAD;
        let travelling = self.network.bits_per_second / 8.0 * time.as_secs_f64();
        (travelling as usize).saturating_add(QUEUE).min(Semaphore::MAX_PERMITS)
    }

    /// Takes the link's next free time for some bytes and gives when the last of them arrives. Who asks first is served
    /// first.
    async fn send(&self, bytes: usize) -> Instant {
        let mut free_at = self.free_at.lock().await;
        if let Some(soon) = free_at.checked_sub(LOOK_AHEAD) {
            self.clock.sleep_until(soon).await;
        }
        *free_at = Instant::now().max(*free_at) + self.network.duration(bytes);
        *free_at + self.network.round_trip / 2
    }

    /// Passes on everything up to the end of `from`.
    async fn carry(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> io::Result<()> {
        // Bounded by the room for bytes.
        let (departures, mut arrivals) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(self.capacity()));
        let depart = async move {
            let mut buffer = vec![0; CHUNK];
            loop {
                let length = from.read(&mut buffer).await?;
                let room = room.clone().acquire_many_owned(length as u32).await.map_err(io::Error::other)?;
                let arrival = self.send(length).await;
                let travelling = Travelling { arrival, data: buffer[..length].to_vec(), _room: room };
                if departures.send(travelling).is_err() || length == 0 {
                    return Ok(());
                }
            }
        };
        let arrive = async move {
            while let Some(Travelling { arrival, data, _room }) = arrivals.recv().await {
                self.clock.sleep_until(arrival).await;
                if data.is_empty() {
                    break;
                }
                to.write_all(&data).await?;
            }
            to.shutdown().await
        };
        tokio::try_join!(depart, arrive).map(|_| ())
    }
}

#[cfg(test)]
mod tests;
