//! A server in this process: the real state machines of `tacit_protocol` over a tiny network, with faults on request.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod network;
mod service;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tacit_client::{Client, ClientBuilder, Model};
use tacit_proto::pb::private_inference_server::PrivateInferenceServer;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;

pub use service::{Fault, State};

/// A running server.
pub struct TestServer {
    pub address: SocketAddr,
    pub state: Arc<State>,
    task: JoinHandle<()>,
}

impl TestServer {
    /// Listens on a free port.
    pub async fn start() -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn listen(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let service = PrivateInferenceServer::new(service::Service(state.clone()));
        let serve = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        Self { address, state, task: tokio::spawn(async move { serve.await.unwrap() }) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn client(&self) -> Client {
        self.client_with(Client::builder()).await
    }

    pub async fn client_with(&self, builder: ClientBuilder) -> Client {
        builder.connect(&self.url()).await.unwrap()
    }

    pub async fn model(&self) -> Model {
        self.client().await.model("tiny").await.unwrap()
    }

    /// Stops at once; connections break.
    pub async fn stop(self) {
        self.state.stop.notify_waiters();
        self.task.abort();
        let _ = self.task.await;
    }

    /// Number of `Online` streams that were opened.
    pub fn online_calls(&self) -> usize {
        self.state.online_calls.load(Ordering::SeqCst)
    }

    /// Number of `Preprocess` streams that were opened.
    pub fn preprocess_calls(&self) -> usize {
        self.state.preprocess_calls.load(Ordering::SeqCst)
    }
}
