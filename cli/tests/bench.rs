//! `tacit bench` against a server in this process.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

// One server for the tests of the library and of its command line.
#[path = "../../client-sdk/tests/support/mod.rs"]
mod support;

use std::process::{Command, Output};
use std::sync::atomic::Ordering;

use serde_json::Value;
use support::{TestServer, network::NETWORK};
use tacit_protocol::session::{PhasePrediction, Prediction, ServerModel as _, predict};

/// Levels that are enough to see that they work.
const LEVELS: [&str; 2] = ["--clients", "1,2"];
/// As few levels as possible.
const LEVEL: [&str; 2] = ["--clients", "1"];
/// Names of the phases in the JSON object.
const PHASES: [&str; 4] = ["preprocessing", "preprocessing_batch", "online", "first_online"];

async fn bench(server: &TestServer, more: &[&str]) -> Output {
    let url = server.url();
    let fixed = ["bench", "--server", &url, "--model", "tiny", "--runs", "2", "--batch", "2"];
    let few = ["--inferences", "4"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacit"));
    command.args(fixed).args(few).args(more);
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
    let figures = json(&bench(&server, &[&["--json", "--threads", "2"], &LEVELS[..]].concat()).await);
    let Prediction { setup, preprocessing, online } = predict(NETWORK.plan());
    check(&figures["preprocessing"], 1, setup, preprocessing);
    check(&figures["preprocessing_batch"], 2, setup, preprocessing);
    check(&figures["online"], 1, PhasePrediction::default(), online);
    check(&figures["first_online"], 1, PhasePrediction::default(), online);
    assert_eq!((&figures["model"], &figures["engine"]), (&"tiny".into(), &"native".into()));
    assert_eq!((&figures["runs"], &figures["threads"]), (&2.into(), &2.into()));
    // A server need not tell its times.
    for phase in PHASES {
        let times = &figures[phase]["time_by_kind"];
        assert!(times["server"].is_null() && times["wire"].is_null() && times["overlap"].is_null(), "{times}");
        assert!(times["client"]["he"].is_number() && figures[phase]["network_seconds"].is_null(), "{figures}");
    }
    assert!(figures["network"].is_null() && figures["memory"]["server_peak"].is_null());
    assert_eq!(figures["memory"]["client_peak"].is_number(), cfg!(target_os = "linux"));
    let levels = figures["throughput"].as_array().unwrap();
    assert_eq!(levels.len(), 2);
    for (level, clients) in levels.iter().zip([1, 2]) {
        assert_eq!((&level["clients"], &level["inferences"]), (&clients.into(), &(4 * clients).into()));
        assert_eq!(level["rounds"], 1);
        assert!(level["inferences_per_second"].as_f64().unwrap() > 0.0);
        assert!(level["p50_seconds"].as_f64() <= level["p99_seconds"].as_f64());
    }
    // Every session that was prepared has been used: to warm up, alone, in batches, on new connections, and by all clients,
    // each of which has warmed up too.
    assert_eq!(server.online_calls(), 1 + 2 + 2 * 2 + 2 + (1 + 4) * 3);
    assert!(server.state.sessions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_emulated_network_takes_its_round_trips() {
    let server = TestServer::start().await;
    let more = [&["--json", "--network", "100Mbit:20ms"], &LEVEL[..]].concat();
    let figures = json(&bench(&server, &more).await);
    let network = &figures["network"];
    assert_eq!((network["bits_per_second"].as_f64(), network["round_trip_seconds"].as_f64()), (Some(1e8), Some(0.02)));
    for phase in PHASES {
        let explained = &figures[phase]["network_seconds"];
        let [round_trips, bytes] = ["round_trips", "bytes"].map(|part| explained[part].as_f64().unwrap());
        assert_eq!(round_trips, 0.02 * figures[phase]["round_trips"].as_f64().unwrap());
        let [sent, received] = ["bytes_sent", "bytes_received"].map(|way| figures[phase][way].as_f64().unwrap() * 8e-8);
        assert!(bytes >= sent.max(received) * 0.999 && bytes <= (sent + received) * 1.001, "{phase}: {figures}");
        let [time, waiting] =
            ["seconds", "seconds_waiting"].map(|times| figures[phase][times]["min"].as_f64().unwrap());
        let trips = figures[phase]["round_trips"].as_u64().unwrap();
        assert!(trips > 0 && time >= 0.02 * trips as f64 && waiting >= 0.02, "{phase}: {figures}");
    }
}

/// Adds up computation by kind; each of these kinds took some time, and the others none.
fn computed(kinds: &Value, busy: &[&str]) -> f64 {
    let seconds = ["he", "ot", "linear", "activation"].map(|kind| {
        let seconds = kinds[kind].as_f64().unwrap();
        assert_eq!(seconds > 0.0, busy.contains(&kind), "{kind}: {kinds}");
        seconds
    });
    seconds.iter().sum()
}

#[tokio::test]
async fn time_is_shown_by_kind() {
    let server = TestServer::start().await;
    server.state.report_times.store(true, Ordering::SeqCst);
    let figures = json(&bench(&server, &["--json", "--clients", "1"]).await);
    for phase in PHASES {
        let times = &figures[phase]["time_by_kind"];
        let preprocessing = phase.starts_with("preprocessing");
        let busy = if preprocessing { ["he", "ot"] } else { ["linear", "activation"] };
        let [client, server] = [&times["client"], &times["server"]].map(|kinds| computed(kinds, &busy));
        let [elapsed, wire, overlap] = ["elapsed", "wire", "overlap"].map(|part| times[part].as_f64().unwrap());
        assert!(client <= elapsed && server <= elapsed, "{phase}: {times}");
        assert!((client + server + wire - overlap - elapsed).abs() < 1e-6 && wire >= 0.0 && overlap >= 0.0, "{times}");
        let [min, max] = ["min", "max"].map(|end| figures[phase]["seconds"][end].as_f64().unwrap());
        assert!(min <= elapsed && elapsed <= max, "{phase}: {figures}");
    }
}

#[tokio::test]
async fn a_server_without_much_room_is_filled_in_rounds() {
    let server = TestServer::start().await;
    // Two clients want four sessions each at the same time: they get two, and then two again. Six get none.
    server.state.room.store(5, Ordering::SeqCst);
    let figures = json(&bench(&server, &["--json", "--clients", "1,2,6"]).await);
    let levels = figures["throughput"].as_array().unwrap();
    let rounds: Vec<_> = levels.iter().map(|level| (&level["rounds"], &level["inferences"])).collect();
    assert_eq!(rounds, [(&1.into(), &4.into()), (&2.into(), &8.into())]);
    assert!(figures["notes"].to_string().contains("no room for a session of each of 6 clients"), "{figures}");
}

#[tokio::test]
async fn tables_and_pictures_show_all_measurements() {
    let server = TestServer::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("new").join("folder");
    let more = ["--pictures", path.to_str().unwrap(), "--network", "lan"];
    let output = bench(&server, &[&more, &LEVEL[..]].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "model tiny, 2 runs",
        "batch of 2",
        "online, new connection",
        "time by kind",
        "mask ciphertexts",
        "bytes / rate",
        "p99",
        "client, most",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for (name, parts) in [
        ("throughput.svg", ["clients in flight", "latency in ms", "p99"]),
        ("time-by-kind.svg", ["activation", "batch of 2", "elapsed"]),
    ] {
        let picture = std::fs::read_to_string(path.join(name)).unwrap();
        assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>"), "{picture}");
        assert!(picture.len() < 30_000 && !picture.contains("NaN"), "{name}: {} bytes", picture.len());
        for part in parts.into_iter().chain(["tiny", "1000 Mbit/s"]) {
            assert!(picture.contains(part), "{name}: {part}");
        }
    }
}

#[tokio::test]
async fn pictures_that_cannot_be_written_do_not_take_the_figures_with_them() {
    let server = TestServer::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("time-by-kind.svg")).unwrap();
    let more = ["--json", "--pictures", folder.path().to_str().unwrap()];
    let output = bench(&server, &[&more, &LEVEL[..]].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: cannot write pictures to "));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(figures["throughput"][0]["inferences"], 4);
}

#[tokio::test]
async fn failures_are_one_line_and_status_1() {
    let server = TestServer::start().await;
    let missing = bench(&server, &["--inputs", "missing.npy"]).await;
    assert_eq!(missing.status.code(), Some(1));
    let error = String::from_utf8_lossy(&missing.stderr);
    assert!(error.starts_with("error: missing.npy: ") && error.lines().count() == 1, "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let occupied = bench(&server, &["--pictures", file.path().to_str().unwrap()]).await;
    assert_eq!(occupied.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&occupied.stderr).starts_with("error: cannot write pictures to "));
    assert_eq!(server.preprocess_calls(), 0);
}
