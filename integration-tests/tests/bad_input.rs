//! What a user gets wrong: a clear error, before anything is sent, and a server that goes on.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

use ndarray::ArrayD;
use tacit_client::{Client, ClientError};
use tacit_demo::bundled;
use tacit_demo::local_server::{LocalServer, compile_network};

#[tokio::test(flavor = "multi_thread")]
async fn unusable_inputs_are_refused_and_cost_no_session() {
    let network = bundled::find("m2").unwrap();
    let compiled = compile_network(network.onnx, &network.calibration().unwrap()).unwrap();
    let server = LocalServer::start(network.name, &compiled).await.unwrap();
    let client = Client::connect(&server.url).await.unwrap();
    let model = client.model("m2").await.unwrap();
    model.preprocess(1).await.unwrap();

    let image = |value: f32| ArrayD::from_elem(vec![1, 28, 28], value);
    let mut not_a_number = image(0.5);
    not_a_number[[0, 3, 4]] = f32::NAN;
    let inputs = [
        ArrayD::from_elem(vec![1, 28, 27], 0.5),
        ArrayD::from_elem(vec![3, 28, 28], 0.5),
        ArrayD::from_elem(vec![0], 0.5),
        not_a_number,
        image(f32::INFINITY),
        image(-100.0),
        image(255.0),
    ];
    for input in inputs {
        let error = model.infer(&input).await.unwrap_err();
        assert!(matches!(error, ClientError::Input(_)), "{error}");
        assert_eq!(model.available(), 1, "the session is still there");
    }
    assert!(model.infer(&image(0.5)).await.is_ok());

    let error = client.model("m3").await.unwrap_err();
    assert!(matches!(error, ClientError::UnknownModel(_)), "{error}");
    assert!(error.to_string().contains("m3"), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn nobody_at_the_address() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = Client::connect(&format!("http://127.0.0.1:{port}")).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    assert!(Client::connect("not an address").await.is_err());
}
