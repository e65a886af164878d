use tacit_protocol::plan::Plan;
use tacit_protocol::session::predict;

use super::super::{ModelSummary, ServedModel};
use super::samples::plan;
use super::{Problem, assert_refused};
use crate::{limits, pb};

fn summary() -> pb::ModelSummary {
    let plan = plan();
    pb::ModelSummary {
        name: "m2".into(),
        digest: plan.digest().0.to_vec(),
        input: Some((&plan.input).try_into().expect("the sample fits the wire")),
        output_dimensions: vec![3],
        prediction: Some((&predict(&plan)).into()),
    }
}

fn served() -> pb::GetModelResponse {
    let plan = plan();
    let digest = plan.digest().0.to_vec();
    let prediction = Some((&predict(&plan)).into());
    let plan = Some(pb::Plan::try_from(&plan).expect("the sample fits the wire"));
    pb::GetModelResponse { model: Some(pb::Model { name: "m2".into(), digest, plan, prediction }) }
}

#[test]
fn listed_models_survive_the_wire() {
    let models = Vec::<ModelSummary>::try_from(pb::ListModelsResponse { models: vec![summary()] }).unwrap();
    let (plan, prediction) = (plan(), predict(&plan()));
    assert_eq!(models[0].name, "m2");
    assert_eq!(models[0].digest, plan.digest());
    assert_eq!(models[0].input, plan.input);
    assert_eq!(models[0].online, prediction.online);
    let sent = prediction.setup.bytes_sent + prediction.preprocessing.bytes_sent;
    assert_eq!(models[0].preprocessing.bytes_sent, sent);
}

#[test]
fn fetched_models_survive_the_wire() {
    let model = ServedModel::try_from(served()).unwrap();
    assert_eq!((model.name.as_str(), model.digest), ("m2", model.plan.digest()));
    assert_eq!(model.plan, plan());
}

#[test]
fn listed_fields_are_checked() {
    let refused = |field: &str, change: fn(&mut pb::ModelSummary)| {
        let mut model = summary();
        change(&mut model);
        let list = pb::ListModelsResponse { models: vec![summary(), model] };
        assert_refused(Vec::<ModelSummary>::try_from(list), &format!("models[1].{field}"))
    };
    refused("name", |model| model.name.clear());
    refused("digest", |model| model.digest.push(0));
    refused("input", |model| model.input = None);
    refused("input.low", |model| model.input.as_mut().expect("an input").low = f32::NAN);
    refused("output_dimensions", |model| model.output_dimensions.clear());
    refused("prediction", |model| model.prediction = None);
    refused("prediction.preprocessing", |model| {
        model.prediction.as_mut().expect("a prediction").preprocessing = None;
    });
    refused("prediction.online.bytes_sent", |model| {
        let prediction = model.prediction.as_mut().expect("a prediction");
        prediction.online.as_mut().expect("a phase").bytes_sent = u64::MAX;
    });
    let many = pb::ListModelsResponse { models: vec![pb::ModelSummary::default(); limits::MODELS + 1] };
    assert_refused(Vec::<ModelSummary>::try_from(many), "models");
}

#[test]
fn fetched_fields_are_checked() {
    let refused = |field: &str, change: fn(&mut pb::Model)| {
        let mut response = served();
        change(response.model.as_mut().expect("a model"));
        assert_refused(ServedModel::try_from(response), field)
    };
    refused("model.name", |model| model.name = "m".repeat(257));
    refused("model.digest", |model| model.digest.clear());
    refused("model.plan", |model| model.plan = None);
    refused("model.plan.nodes", |model| model.plan.as_mut().expect("a plan").nodes.clear());
    let problem = refused("model.plan.plan", |model| {
        model.plan.as_mut().expect("a plan").output.as_mut().expect("an output").dimensions = vec![4];
    });
    assert!(matches!(problem, Problem::Plan(_)));
    assert_refused(ServedModel::try_from(pb::GetModelResponse::default()), "model");
    assert_refused(Plan::try_from(pb::Plan::default()), "input");
}
