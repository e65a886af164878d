//! The two programs as a user starts them: `model-server serve`, `tacit models`, `tacit infer`, `tacit bench`.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

/// A program of this workspace, built with the profile of this test.
///
/// It is built as `cargo test --workspace` builds it, so that there is nothing to do if that is what runs: a build of the
/// programs alone would take other features of what they depend on, and so compile everything again.
fn program(name: &str) -> Command {
    static BUILD: LazyLock<PathBuf> = LazyLock::new(|| {
        let tests = std::env::current_exe().unwrap();
        let folder = tests.parent().and_then(Path::parent).unwrap().to_path_buf();
        let mut build = Command::new(env!("CARGO"));
        build.args(["test", "--workspace", "--no-run", "--locked", "--quiet"]);
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        build.arg("--target-dir").arg(folder.parent().unwrap());
        if folder.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success());
        folder
    });
    Command::new(BUILD.join(name).with_extension(std::env::consts::EXE_EXTENSION))
}

fn models(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(file)
}

struct ServerProcess {
    child: Child,
    url: String,
}

impl ServerProcess {
    fn start() -> Self {
        let (quadratic, relu) = (models("m2_minionn_quad.onnx"), models("m1_minionn_relu.onnx"));
        let calibration = models("digits_calibration.npz");
        let named = |name: &str, file: &Path| format!("{name}={}", file.display());
        let mut child = program("model-server")
            .args(["serve", "--listen", "127.0.0.1:0", "--class-only", "class"])
            .args(["--model", &named("digits", &quadratic), "--model", &named("class", &relu)])
            .args(["--calibration", &named("digits", &calibration), "--calibration", &named("class", &calibration)])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect("the ready line");
        let url = format!("http://{address}");
        Self { child, url }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn tacit(arguments: &[&str]) -> Output {
    program("tacit").args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn images_are_classified_from_the_command_line() {
    let server = ServerProcess::start();
    let listed = tacit(&["models", "--server", &server.url]);
    assert!(listed.status.success());
    assert!(String::from_utf8_lossy(&listed.stdout).contains("digits"));

    let images = models("digits.npz");
    let folder = tempfile::tempdir().unwrap();
    let logits = folder.path().join("logits.npy");
    let arguments = ["infer", "--server", &server.url, "--model", "digits", "--input", images.to_str().unwrap()];
    let answer = json(&tacit(&[&arguments[..], &["--json", "--output", logits.to_str().unwrap()]].concat()));
    let labels = tacit_demo::images::labels(&std::fs::read(&images).unwrap()).unwrap();
    let classes: Vec<u64> = answer["classes"].as_array().unwrap().iter().map(|class| class.as_u64().unwrap()).collect();
    let expected = tacit_demo::bundled::find("m2").unwrap().expected().unwrap();
    assert_eq!(classes.len(), labels.len());
    for (index, class) in classes.iter().enumerate() {
        assert_eq!(*class as usize, tacit_demo::images::class(&expected.row(index).to_vec()));
    }
    for phase in ["preprocessing", "online"] {
        for field in ["seconds", "bytes_sent", "bytes_received", "round_trips"] {
            assert!(answer[phase][field].as_f64().unwrap() > 0.0, "{phase}.{field}");
        }
    }
    let written: ndarray::Array2<f32> = ndarray_npy::read_npy(&logits).unwrap();
    assert_eq!(written.dim(), (20, 10));
    assert!((f64::from(written[[0, 0]]) - answer["logits"][0][0].as_f64().unwrap()).abs() < 1e-3);

    let table = tacit(&arguments);
    assert!(table.status.success());
    assert!(String::from_utf8_lossy(&table.stdout).contains("online"));

    let wrong = tacit(&["infer", "--server", &server.url, "--model", "absent", "--input", images.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("absent"));
}

#[test]
fn a_model_that_reveals_classes_only_gives_no_logits() {
    let server = ServerProcess::start();
    let folder = tempfile::tempdir().unwrap();
    let (images, classes) = (folder.path().join("x.npy"), folder.path().join("classes.npy"));
    let network = tacit_demo::bundled::find("m1").unwrap();
    let inputs = network.images().unwrap();
    ndarray_npy::write_npy(&images, &inputs.slice_axis(ndarray::Axis(0), (..3).into())).unwrap();
    let arguments = ["infer", "--server", &server.url, "--model", "class", "--input", images.to_str().unwrap()];
    let answer = json(&tacit(&[&arguments[..], &["--json", "--output", classes.to_str().unwrap()]].concat()));
    let expected = network.expected().unwrap();
    let expected: Vec<usize> = (0..3).map(|index| tacit_demo::images::class(&expected.row(index).to_vec())).collect();
    assert_eq!(answer["classes"], serde_json::json!(expected));
    assert!(answer["logits"].is_null() && answer["outputs"].is_null(), "{answer}");
    let written: ndarray::Array1<i64> = ndarray_npy::read_npy(&classes).unwrap();
    assert_eq!(written.iter().map(|class| *class as usize).collect::<Vec<_>>(), expected);
}

/// A network whose graph has an operator that is not supported.
#[test]
fn an_unsupported_graph_is_refused_with_node_operator_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tanh.onnx");
    let mut network = std::fs::read(models("m1_minionn_relu.onnx")).unwrap();
    // The names of nodes and values change along with that of the operator.
    for start in 0..network.len() - 4 {
        if &network[start..start + 4] == b"Relu" {
            network[start..start + 4].copy_from_slice(b"Tanh");
        }
    }
    std::fs::write(&path, network).unwrap();
    let named = format!("x={}", path.display());
    let output =
        program("model-server").args(["serve", "--listen", "127.0.0.1:0", "--model", &named]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8_lossy(&output.stderr);
    for part in ["tanh.onnx", "Tanh", "neither piecewise linear nor a square"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let node = error.split('`').nth(1).unwrap_or_default();
    assert!(node.contains("Tanh") && node.contains('/'), "the node is not named: {error}");
}

#[test]
fn a_plan_is_inspected() {
    let network = models("m2_minionn_quad.onnx");
    let calibration = models("digits_calibration.npz");
    let arguments = ["inspect", "--model", network.to_str().unwrap(), "--calibration", calibration.to_str().unwrap()];
    let people = program("model-server").args(arguments).output().unwrap();
    assert!(people.status.success(), "{}", String::from_utf8_lossy(&people.stderr));
    assert!(String::from_utf8_lossy(&people.stdout).to_lowercase().contains("round trip"));
    let machines = program("model-server").args(arguments).arg("--json").output().unwrap();
    assert!(json(&machines).is_object());
}

#[test]
fn unusable_networks_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(models("m2_minionn_quad.onnx")).unwrap();
    let files = [("empty", Vec::new()), ("truncated", whole[..whole.len() / 2].to_vec()), ("random", vec![0xa5; 5000])];
    for (name, contents) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        for command in [vec!["inspect"], vec!["serve", "--listen", "127.0.0.1:0"]] {
            let named =
                if command[0] == "serve" { format!("x={}", path.display()) } else { path.display().to_string() };
            let output = program("model-server").args(&command).args(["--model", &named]).output().unwrap();
            assert!(!output.status.success(), "{name}");
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(error.contains(name) && !error.contains("panicked"), "{name}: {error}");
        }
    }
}

#[test]
fn a_bundled_network_is_measured_from_one_command() {
    let (network, calibration) = (models("m4_cryptonets_square.onnx"), models("digits_calibration.npz"));
    let network = ["bench", "--onnx", network.to_str().unwrap(), "--calibration", calibration.to_str().unwrap()];
    let few = ["--runs", "2", "--batch", "2", "--held", "3", "--clients", "2", "--inferences", "8", "--threads", "1"];
    let figures = json(&tacit(&[&network[..], &few, &["--json", "--", "--comparison-round-trips", "3"]].concat()));
    assert_eq!(figures["file"], "m4_cryptonets_square.onnx");
    for phase in ["preprocessing", "preprocessing_batch", "online", "first_online"] {
        let times = &figures[phase]["time_by_kind"];
        let total = |side: &str| -> f64 {
            times[side].as_object().unwrap().values().map(|seconds| seconds.as_f64().unwrap()).sum()
        };
        let elapsed = times["elapsed"].as_f64().unwrap();
        assert!(0.0 < total("client") && total("client") <= elapsed, "{phase}: {times}");
        assert!(0.0 < total("server") && total("server") <= elapsed, "{phase}: {times}");
    }
    let memory = &figures["memory"];
    assert_eq!(memory["held"], 3);
    assert_eq!(memory["server_held"].as_u64() > Some(0), cfg!(target_os = "linux"), "{memory}");
    assert_eq!(figures["throughput"][0]["inferences"], 8);
}

#[test]
fn a_server_that_cannot_hold_the_sessions_is_measured_without_them() {
    let network = models("m4_cryptonets_square.onnx");
    let few = ["--runs", "1", "--batch", "1", "--held", "6", "--clients", "1", "--inferences", "4"];
    let server = ["--", "--sessions-per-connection", "5"];
    let network = ["bench", "--onnx", network.to_str().unwrap(), "--json"];
    let figures = json(&tacit(&[&network[..], &few, &server].concat()));
    assert!(figures["memory"]["server_held"].is_null(), "{figures}");
    assert_eq!(figures["notes"].to_string().contains("the sessions that it was to hold"), cfg!(target_os = "linux"));
    assert_eq!(figures["throughput"][0]["inferences"], 4);
}
