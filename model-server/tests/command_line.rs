//! The binary: what scripts and containers rely on.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

fn model_server() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_model-server"));
    command.env_clear();
    command
}

fn bundled(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../models").join(name);
    path.to_str().unwrap().to_owned()
}

fn run(arguments: &[&str]) -> Output {
    model_server().args(arguments).output().unwrap()
}

/// The output of a server that is expected to end by itself; one that serves instead is ended after a minute.
fn refused(arguments: &[&str]) -> Output {
    let mut child = model_server().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Fails only if the server has ended.
    let _ = child.kill();
    child.wait_with_output().unwrap()
}

fn standard_error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server for the bundled network, ended at the latest with the test.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn start() -> Self {
        let model = format!("digits={}", bundled("m2_minionn_quad.onnx"));
        let calibration = format!("digits={}", bundled("digits_calibration.npz"));
        let mut child = model_server()
            .args(["serve", "--listen", "127.0.0.1:0", "--model", &model, "--calibration", &calibration])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").unwrap().to_owned();
        Self { child, address }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The exit code, if the server ends within ten seconds.
    fn exit_code(&mut self) -> Option<i32> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Fails only if the server has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_is_healthy_and_stops_at_either_signal() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut serving = Serving::start();
        let healthy = run(&["healthcheck", "--server", &format!("http://{}", serving.address)]);
        assert!(healthy.status.success(), "{}", standard_error(&healthy));
        let everywhere = serving.address.replace("127.0.0.1", "0.0.0.0");
        let healthy = run(&["healthcheck", "--listen", &everywhere]);
        assert!(healthy.status.success(), "{}", standard_error(&healthy));
        serving.signal(signal);
        assert_eq!(serving.exit_code(), Some(0));
        let mut rest = String::new();
        serving.child.stdout.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        let gone = run(&["healthcheck", "--server", &format!("http://{}", serving.address)]);
        assert_eq!(gone.status.code(), Some(1));
    }
}

#[test]
fn inspect_shows_the_plan_for_people_and_for_machines() {
    let (model, calibration) = (bundled("m2_minionn_quad.onnx"), bundled("digits_calibration.npz"));
    let arguments = ["inspect", "--model", &model, "--calibration", &calibration];
    let text = run(&arguments);
    assert!(text.status.success(), "{}", standard_error(&text));
    let text = String::from_utf8(text.stdout).unwrap();
    for expected in ["linear", "square", "expected traffic", "round trips"] {
        assert!(text.contains(expected), "{text}");
    }

    let json = run(&[&arguments[..], &["--json"]].concat());
    assert!(json.status.success(), "{}", standard_error(&json));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["digest"].as_str().unwrap().len(), 64);
    assert_eq!(json["steps"][0]["step"], "input");
    assert!(json["report"].is_object());
    let online = &json["prediction"]["online"];
    assert!(online["bytes_sent"].as_u64().unwrap() + online["bytes_received"].as_u64().unwrap() < 150_000);
    let squares = json["steps"].as_array().unwrap().iter().filter(|step| step["step"] == "square").count();
    assert_eq!(online["round_trips"], squares + 1);
}

/// Inspects with the images of one set for calibration and of another one to compare with.
fn compare(model: &str, calibration: &str, independent: &str, more: &[&str]) -> (Output, serde_json::Value) {
    let (model, calibration, independent) = (bundled(model), bundled(calibration), bundled(independent));
    let arguments = ["--model", &model, "--calibration", &calibration, "--independent", &independent, "--json"];
    let output = run(&[&["inspect"], &arguments[..], more].concat());
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output, json)
}

#[test]
fn inspect_compares_an_independent_set_with_the_calibration_set() {
    let (output, json) = compare("m1_minionn_relu.onnx", "digits_calibration.npz", "digits.npz", &[]);
    assert!(output.status.success(), "{}", standard_error(&output));
    let comparison = &json["independent"];
    assert_eq!((&comparison["samples"], &comparison["overflowing"]), (&20.into(), &0.into()));
    assert_eq!(comparison["same_class"], 20);
    assert!(comparison["logits"]["largest"].as_f64().unwrap() < 0.5);
    let layers = comparison["layers"].as_array().unwrap();
    assert_eq!(layers.len(), json["report"]["layers"].as_array().unwrap().len());
    for layer in layers {
        assert!(layer["calibration_headroom"].as_f64().unwrap() >= 1.0, "{layer}");
        assert!(layer["independent_headroom"].as_f64().unwrap() > 0.0, "{layer}");
    }

    let (output, json) = compare("m1_minionn_relu.onnx", "digits_calibration.npz", "digits.npz", &["--class-only"]);
    assert!(output.status.success(), "{}", standard_error(&output));
    assert_eq!((&json["independent"]["same_class"], &json["output"]["function"]), (&20.into(), &"arg-max".into()));
    assert!(json["independent"]["logits"].is_null());
}

#[test]
fn inspect_fails_if_independent_inputs_leave_the_headroom() {
    // Digits say little about garments, which are brighter by far.
    let more = ["--headroom", "0"];
    let (output, json) = compare("m2_minionn_quad.onnx", "digits_calibration.npz", "fashion_calibration.npz", &more);
    assert_eq!(output.status.code(), Some(1));
    let overflowing = json["independent"]["overflowing"].as_u64().unwrap();
    let expected = format!("{overflowing} of 256 independent samples leave the bits of the plan");
    assert!(overflowing > 0 && standard_error(&output).contains(&expected), "{}", standard_error(&output));
    let layers = json["independent"]["layers"].as_array().unwrap();
    assert!(layers.iter().any(|layer| layer["independent_headroom"].as_f64().unwrap() < 0.0));
    assert!(layers.iter().any(|layer| layer["values_beyond"].as_u64().unwrap() > 0));

    let (output, _) = compare("m2_minionn_quad.onnx", "digits_calibration.npz", "cifar.npz", &[]);
    assert_eq!(output.status.code(), Some(1));
    let error = standard_error(&output);
    assert!(error.contains("--independent") && error.contains("3072 elements"), "{error}");
}

#[test]
fn too_little_headroom_is_refused_with_the_layer() {
    let model = format!("m={}", bundled("m2_minionn_quad.onnx"));
    let calibration = format!("m={}", bundled("digits_calibration.npz"));
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--model", &model, "--calibration", &calibration];
    let output = refused(&[&arguments[..], &["--headroom", "15"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let error = standard_error(&output);
    assert!(error.contains(&format!("--calibration {}", bundled("digits_calibration.npz"))), "{error}");
    assert!(error.contains("layer `/fc1/Gemm`: the calibration inputs leave"), "{error}");
    assert!(error.contains("less than the 15 asked for"), "{error}");
    assert!(output.stdout.is_empty());

    let arguments = ["inspect", "--model", &model[2..], "--calibration", &calibration[2..], "--headroom", "15"];
    let text = String::from_utf8(run(&arguments).stdout).unwrap();
    assert!(text.contains("warning: `serve` refuses this: layer `/fc1/Gemm`"), "{text}");
}

#[test]
fn unusable_settings_name_the_flag_before_anything_is_bound() {
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--model", "m=/there/is/no/such.onnx"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(standard_error(&output).contains("--model: /there/is/no/such.onnx"));
    assert!(output.stdout.is_empty());

    let calibration = bundled("digits_calibration.npz");
    let unknown = format!("m={calibration}");
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--model", &unknown, "--class-only", "n"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(standard_error(&output).contains("--class-only: there is no model of the name \"n\""));

    let no_network = format!("m={calibration}");
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--model", &no_network]);
    assert_eq!(output.status.code(), Some(1));
    assert!(standard_error(&output).contains(&format!("--model {calibration}")), "{}", standard_error(&output));
    assert!(output.stdout.is_empty());

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let model = format!("m={}", bundled("m4_cryptonets_square.onnx"));
    let output = run(&["serve", "--listen", &address, "--model", &model]);
    assert_eq!(output.status.code(), Some(1));
    assert!(standard_error(&output).contains(&format!("cannot listen on {address}")), "{}", standard_error(&output));
}
