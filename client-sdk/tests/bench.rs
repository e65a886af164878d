//! `tacit bench` against a server in this process.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![cfg(feature = "cli")]

mod support;

use std::process::{Command, Output};

use serde_json::Value;
use support::{TestServer, network::NETWORK};
use tacit_protocol::session::{PhasePrediction, Prediction, ServerModel as _, predict};

async fn bench(server: &TestServer, more: &[&str]) -> Output {
    let url = server.url();
    let fixed = ["bench", "--server", &url, "--model", "tiny", "--runs", "2", "--batch", "2", "--clients", "1,2"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacit"));
    command.args(fixed).args(more);
    // The server runs on this thread.
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Bytes as the plan predicts them, and times in order.
fn check(phase: &Value, sessions: u64, setup: PhasePrediction, predicted: PhasePrediction) {
    assert_eq!(phase["sessions"], sessions);
    let (sent, received) = (
        setup.bytes_sent + sessions * predicted.bytes_sent,
        setup.bytes_received + sessions * predicted.bytes_received,
    );
    for figures in [phase, &phase["predicted"]] {
        assert_eq!((figures["data_sent"].as_u64(), figures["data_received"].as_u64()), (Some(sent), Some(received)));
    }
    assert!(phase["bytes_sent"].as_u64().unwrap() > sent && phase["bytes_received"].as_u64().unwrap() > received);
    let kinds = phase["data_by_kind"].as_object().unwrap();
    assert_eq!(kinds.values().map(|bytes| bytes.as_u64().unwrap()).sum::<u64>(), sent + received);
    assert_eq!(kinds.contains_key("setup"), setup.bytes_sent > 0);
    assert_eq!(phase["predicted"]["transfers"], sessions * predicted.transfers);
    if sessions == 1 {
        assert_eq!(phase["round_trips"], predicted.round_trips);
        assert_eq!(phase["predicted"]["round_trips"], predicted.round_trips);
    }
    for times in ["seconds", "seconds_per_session"] {
        let [min, median, max] = ["min", "median", "max"].map(|field| phase[times][field].as_f64().unwrap());
        assert!(0.0 < min && min <= median && median <= max, "{times}: {phase}");
    }
    assert!(phase["seconds_waiting"]["max"].as_f64() <= phase["seconds"]["max"].as_f64(), "{phase}");
    assert!(phase["processor_seconds"]["server"].is_null());
    assert_eq!(phase["processor_seconds"]["client"].is_number(), cfg!(target_os = "linux"));
}

#[tokio::test]
async fn json_has_what_was_predicted() {
    let server = TestServer::start().await;
    let figures = json(&bench(&server, &["--json", "--threads", "2"]).await);
    let Prediction { setup, preprocessing, online } = predict(NETWORK.plan());
    check(&figures["preprocessing"], 1, setup, preprocessing);
    check(&figures["preprocessing_batch"], 2, setup, preprocessing);
    check(&figures["online"], 1, PhasePrediction::default(), online);
    assert_eq!((&figures["model"], &figures["engine"]), (&"tiny".into(), &"native".into()));
    assert_eq!((&figures["runs"], &figures["threads"]), (&2.into(), &2.into()));
    assert!(figures["network"].is_null() && figures["memory"]["server_peak"].is_null());
    assert_eq!(figures["memory"]["client_peak"].is_number(), cfg!(target_os = "linux"));
    let levels = figures["throughput"].as_array().unwrap();
    assert_eq!(levels.len(), 2);
    for (level, clients) in levels.iter().zip([1, 2]) {
        assert_eq!((&level["clients"], &level["inferences"]), (&clients.into(), &(4 * clients).into()));
        assert!(level["inferences_per_second"].as_f64().unwrap() > 0.0);
        assert!(level["p50_seconds"].as_f64() <= level["p99_seconds"].as_f64());
    }
    // Every session that was prepared has been used: to warm up, alone, in batches, and by all clients.
    assert_eq!(server.online_calls(), 1 + 2 + 2 * 2 + 4 * 3);
    assert!(server.state.sessions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_emulated_network_takes_its_round_trips() {
    let server = TestServer::start().await;
    let figures = json(&bench(&server, &["--json", "--network", "100Mbit:20ms"]).await);
    let network = &figures["network"];
    assert_eq!((network["bits_per_second"].as_f64(), network["round_trip_seconds"].as_f64()), (Some(1e8), Some(0.02)));
    for phase in ["preprocessing", "preprocessing_batch", "online"] {
        let [time, waiting] =
            ["seconds", "seconds_waiting"].map(|times| figures[phase][times]["min"].as_f64().unwrap());
        let trips = figures[phase]["round_trips"].as_u64().unwrap();
        assert!(trips > 0 && time >= 0.02 * trips as f64 && waiting >= 0.02, "{phase}: {figures}");
    }
}

#[tokio::test]
async fn tables_show_all_measurements() {
    let server = TestServer::start().await;
    let output = bench(&server, &[]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in
        ["model tiny, 2 runs", "preprocessing", "batch of 2", "online", "mask ciphertexts", "p99", "client, most"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn failures_are_one_line_and_status_1() {
    let server = TestServer::start().await;
    let missing = bench(&server, &["--inputs", "missing.npy"]).await;
    assert_eq!(missing.status.code(), Some(1));
    let error = String::from_utf8_lossy(&missing.stderr);
    assert!(error.starts_with("error: missing.npy: ") && error.lines().count() == 1, "{error}");
    assert_eq!(server.preprocess_calls(), 0);
}
