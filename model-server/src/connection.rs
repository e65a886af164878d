//! Accepted connections and what belongs to each of them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tonic::transport::server::Connected;

use crate::limits::Limits;

/// Who is at the other end, and how much this connection may still ask for.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Address of the client.
    pub(crate) address: SocketAddr,
    /// One permit for each further session that may be prepared over this connection.
    pub(crate) sessions: Arc<Semaphore>,
    /// One permit for each further `Preprocess` call.
    pub(crate) preprocess_calls: Arc<Semaphore>,
}

/// A TCP connection that counts against the limit of connections until it is dropped. It breaks if its client says
/// nothing at all within the idle timeout; after that HTTP/2's own pings find out whether the client is there.
pub(crate) struct Connection {
    stream: TcpStream,
    peer: Peer,
    /// When the first bytes must be there; `None` once they are.
    deadline: Option<Pin<Box<Sleep>>>,
    _counted: OwnedSemaphorePermit,
}

/// Accepts connections, at most `limits.connections` at a time.
pub(crate) struct Acceptor {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    sessions: usize,
    preprocess_calls: usize,
    idle_timeout: Duration,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, limits: &Limits) -> Self {
        Self {
            listener,
            slots: Arc::new(Semaphore::new(limits.connections)),
            sessions: limits.sessions_per_connection as usize,
            preprocess_calls: limits.preprocess_calls_per_connection,
            idle_timeout: limits.idle_timeout,
        }
    }

    /// The connections in the order in which they come. Never ends and never fails: a connection that breaks
    /// while it is accepted, or a lack of file descriptors, concerns that one connection only.
    pub(crate) fn into_stream(self) -> impl tokio_stream::Stream<Item = io::Result<Connection>> {
        let (sender, receiver) = tokio::sync::mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = self.accept_into(&sender) => {}
            }
        });
        tokio_stream::wrappers::ReceiverStream::new(receiver)
    }

    async fn accept_into(&self, sender: &tokio::sync::mpsc::Sender<io::Result<Connection>>) {
        while let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await {
            match self.accept(slot).await {
                Ok(connection) => {
                    if sender.send(Ok(connection)).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn accept(&self, slot: OwnedSemaphorePermit) -> io::Result<Connection> {
        let (stream, address) = self.listener.accept().await?;
        // Messages of the online phase are small and each is waited for. Fails if the client has left already, which
        // whoever reads from the connection finds out.
        let _ = stream.set_nodelay(true);
        let peer = Peer {
            address,
            sessions: Arc::new(Semaphore::new(self.sessions)),
            preprocess_calls: Arc::new(Semaphore::new(self.preprocess_calls)),
        };
        let deadline = Some(Box::pin(tokio::time::sleep(self.idle_timeout)));
        Ok(Connection { stream, peer, deadline, _counted: slot })
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match &mut self.deadline {
            Some(deadline) if read.is_pending() => {
                deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            _ => {
                self.deadline = None;
                read
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
