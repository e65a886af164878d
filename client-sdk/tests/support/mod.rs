//! A server in this process: the real state machines of `tacit_protocol` over a tiny network, with faults on request.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

pub mod network;
mod service;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tacit_client::{Client, ClientBuilder, Model};
use tacit_proto::pb::private_inference_server::PrivateInferenceServer;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;

pub use service::{Fault, State};

/// A running server, on threads of its own.
pub struct TestServer {
    pub address: SocketAddr,
    pub state: Arc<State>,
    runtime: Option<Runtime>,
}

impl TestServer {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listener = listener.into_std().unwrap();
        let state = Arc::new(State::default());
        let service = PrivateInferenceServer::new(service::Service(state.clone()));
        runtime.spawn(async move {
            let incoming = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, state, runtime: Some(runtime) }
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
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
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

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}
