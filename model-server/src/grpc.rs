//! The gRPC service `tacit.v1.PrivateInference`.

use std::sync::Arc;

use tacit_proto::convert::model_name;
use tacit_proto::pb;
use tacit_proto::pb::private_inference_server::PrivateInference;
use tonic::{Request, Response, Status, Streaming};

use crate::call::ResponseStream;
use crate::connection::Peer;
use crate::error::ServiceError;
use crate::service::Service;
use crate::{online, preprocess};

/// Calls the service's methods.
pub(crate) struct Adapter(pub(crate) Arc<Service>);

#[tonic::async_trait]
impl PrivateInference for Adapter {
    async fn list_models(&self, _: Request<pb::ListModelsRequest>) -> Result<Response<pb::ListModelsResponse>, Status> {
        Ok(Response::new(self.0.models.listing()))
    }

    async fn get_model(&self, request: Request<pb::GetModelRequest>) -> Result<Response<pb::GetModelResponse>, Status> {
        let name = model_name("name", request.into_inner().name)?;
        let model = self.0.models.get(&name)?.description();
        Ok(Response::new(pb::GetModelResponse { model: Some(model) }))
    }

    type PreprocessStream = ResponseStream<pb::PreprocessResponse>;

    async fn preprocess(
        &self,
        request: Request<Streaming<pb::PreprocessRequest>>,
    ) -> Result<Response<Self::PreprocessStream>, Status> {
        let peer = peer(&request)?;
        Ok(preprocess::start(Arc::clone(&self.0), peer, request.into_inner())?)
    }

    type OnlineStream = ResponseStream<pb::OnlineResponse>;

    async fn online(
        &self,
        request: Request<Streaming<pb::OnlineRequest>>,
    ) -> Result<Response<Self::OnlineStream>, Status> {
        let peer = peer(&request)?;
        Ok(online::start(Arc::clone(&self.0), peer, request.into_inner())?)
    }
}

/// The connection that a call came over.
fn peer<T>(request: &Request<T>) -> Result<Peer, ServiceError> {
    request.extensions().get().cloned().ok_or(ServiceError::NoPeer)
}
