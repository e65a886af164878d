//! The client's half of the protocol without the client library: sends what it is told to.

use std::sync::Arc;

use tacit_compiler::{CompileOptions, CompiledModel};
use tacit_demo::bundled;
use tacit_demo::local_server::{LocalServer, compile_with};
use tacit_proto::pb::private_inference_client::PrivateInferenceClient;
use tacit_proto::{Reason, pb};
use tacit_protocol::plan::Plan;
use tacit_protocol::rlwe::NativeBackend;
use tacit_protocol::session::{
    ClientSession, OnlineClient, OnlineProgress, OnlineRequest, PreprocessClient, PreprocessRequest,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// A bundled network, served.
pub struct Served {
    pub compiled: CompiledModel,
    pub server: LocalServer,
    pub name: &'static str,
}

impl Served {
    pub async fn start(name: &'static str, options: &CompileOptions) -> Self {
        let network = bundled::find(name).unwrap();
        let compiled = compile_with(network.onnx, &network.calibration().unwrap(), options).unwrap();
        let server = LocalServer::start(name, &compiled).await.unwrap();
        Self { compiled, server, name }
    }

    /// A connection of its own.
    pub async fn client(&self) -> RawClient {
        let stubs = PrivateInferenceClient::connect(self.server.url.clone()).await.unwrap();
        RawClient { stubs, plan: self.compiled.plan.clone(), name: self.name }
    }

    /// A whole inference over a new connection works.
    pub async fn assert_serves(&self) {
        let client = self.client().await;
        let (mut machine, mut call) = client.start_online().await;
        let revealed = loop {
            match machine.handle(call.next().await.unwrap()).unwrap() {
                OnlineProgress::Continue(messages) => messages.into_iter().for_each(|message| call.send(message)),
                OnlineProgress::Finished(revealed) => break revealed,
            }
        };
        let logits: usize = client.plan.output_shape().elements();
        assert_eq!(revealed.len(), logits);
    }

    /// Waits until the server holds no session and runs no call.
    pub async fn assert_idle(&self) {
        let handle = self.server.handle();
        for _ in 0..500 {
            if handle.running_calls() == 0 && handle.occupancy().sessions == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the server still holds a session after 5 seconds");
    }
}

/// Stubs and the plan.
#[derive(Clone)]
pub struct RawClient {
    stubs: PrivateInferenceClient<Channel>,
    pub plan: Arc<Plan>,
    name: &'static str,
}

/// A `Preprocess` or `Online` call.
pub struct Call<In, Out> {
    requests: mpsc::UnboundedSender<In>,
    responses: Streaming<Out>,
}

impl<In, Out> Call<In, Out> {
    /// Sends a message; one that comes too late is dropped.
    pub fn send(&self, message: impl TryInto<In, Error: std::fmt::Debug>) {
        let _ = self.requests.send(message.try_into().unwrap());
    }

    /// The server's next message.
    pub async fn next<Message: TryFrom<Out, Error: std::fmt::Debug>>(&mut self) -> Result<Message, Status> {
        let message = self.responses.message().await?.expect("the server closed the call early");
        Ok(message.try_into().unwrap())
    }

    /// The status with which the server ends the call, its other messages left aside.
    pub async fn end(mut self) -> Result<(), Status> {
        while self.responses.message().await?.is_some() {}
        Ok(())
    }

    /// The same after the client has closed its side.
    pub async fn half_close(self) -> Result<(), Status> {
        let Self { requests, mut responses } = self;
        drop(requests);
        while responses.message().await?.is_some() {}
        Ok(())
    }
}

pub type PreprocessCall = Call<pb::PreprocessRequest, pb::PreprocessResponse>;
pub type OnlineCall = Call<pb::OnlineRequest, pb::OnlineResponse>;

impl RawClient {
    pub async fn preprocess(&self) -> PreprocessCall {
        let (requests, receiver) = mpsc::unbounded_channel();
        let call = self.stubs.clone().preprocess(UnboundedReceiverStream::new(receiver)).await;
        Call { requests, responses: call.unwrap().into_inner() }
    }

    pub async fn online(&self) -> OnlineCall {
        let (requests, receiver) = mpsc::unbounded_channel();
        let call = self.stubs.clone().online(UnboundedReceiverStream::new(receiver)).await;
        Call { requests, responses: call.unwrap().into_inner() }
    }

    /// Prepares a session; `change` may replace each message, and what comes after a failure is not sent.
    pub async fn prepare_with(
        &self,
        mut change: impl FnMut(PreprocessRequest) -> Vec<PreprocessRequest>,
    ) -> Result<ClientSession, Status> {
        let (mut machine, messages) = PreprocessClient::start(self.plan.clone(), self.name, 1, &NativeBackend).unwrap();
        let mut call = self.preprocess().await;
        messages.into_iter().flat_map(&mut change).for_each(|message| call.send(message));
        loop {
            let mut progress = machine.handle(call.next().await?).unwrap();
            progress.messages.into_iter().flat_map(&mut change).for_each(|message| call.send(message));
            if let Some(session) = progress.prepared.pop() {
                call.half_close().await?;
                return Ok(session);
            }
        }
    }

    pub async fn prepare(&self) -> ClientSession {
        self.prepare_with(|message| vec![message]).await.unwrap()
    }

    /// Prepares a session and sends its first online messages for a grey picture.
    pub async fn start_online(&self) -> (OnlineClient, OnlineCall) {
        let session = self.prepare().await;
        let input = &self.plan.input;
        let picture = vec![(input.low + input.high) / 2.0; self.plan.input_shape().elements()];
        let (machine, messages) = session.start(&self.plan.encode_input(&picture).unwrap()).unwrap();
        let call = self.online().await;
        messages.into_iter().for_each(|message: OnlineRequest| call.send(message));
        (machine, call)
    }
}

/// The call failed for this reason, with its status code and a message.
pub fn assert_reason<T: std::fmt::Debug>(context: &str, result: Result<T, Status>, reason: Reason) {
    let status = result.expect_err(context);
    assert_eq!(Reason::of(&status), Some(reason), "{context}: {status:?}");
    assert_eq!(status.code(), reason.code(), "{context}");
    assert!(!status.message().is_empty(), "{context}");
}
