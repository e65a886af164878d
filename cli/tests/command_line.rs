//! The program `tacit`: what it prints, and its exit status.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

// One server for the tests of the library and of its command line.
#[path = "../../client-sdk/tests/support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Output};

use ndarray::ArrayD;
use ndarray_npy::{read_npy, write_npy};
use support::{TestServer, network::Network};
use tempfile::TempDir;

async fn tacit(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tacit"));
    command.env_remove("TACIT_SERVER").args(arguments);
    // The server runs on this thread.
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

async fn infer(server: &TestServer, input: &Path, more: &[&str]) -> Output {
    let url = server.url();
    let fixed = ["infer", "--server", &url, "--model", "tiny", "--input", input.to_str().unwrap()];
    tacit(&[&fixed, more].concat()).await
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Two inputs in a file.
fn inputs(directory: &TempDir) -> (std::path::PathBuf, ArrayD<f32>) {
    let values = vec![0.5, -0.25, 1.0, 0.125, -1.0, 0.75, 0.0, 0.25];
    let array = ArrayD::from_shape_vec(vec![2, 1, 2, 2], values).unwrap();
    let path = directory.path().join("x.npy");
    write_npy(&path, &array).unwrap();
    (path, array)
}

#[tokio::test]
async fn json_and_logits() {
    let server = TestServer::start().await;
    let directory = TempDir::new().unwrap();
    let (path, array) = inputs(&directory);
    let logits_path = directory.path().join("logits.npy");
    let output = infer(&server, &path, &["--json", "--output", logits_path.to_str().unwrap()]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let logits: ArrayD<f32> = read_npy(&logits_path).unwrap();
    assert_eq!(logits.shape(), [2, 2]);
    for (index, (input, logits)) in array.outer_iter().zip(logits.outer_iter()).enumerate() {
        let expected = Network::plain(&input.to_owned());
        assert!(logits.iter().zip(&expected).all(|(logit, expected)| (logit - expected).abs() < 0.05));
        let class = usize::from(expected[1] > expected[0]);
        assert_eq!(json["classes"][index], class);
        assert_eq!(json["logits"][index][0].as_f64().unwrap() as f32, logits[0]);
    }
    for phase in ["preprocessing", "online"] {
        assert!(json[phase]["seconds"].as_f64().unwrap() > 0.0);
        for count in ["bytes_sent", "bytes_received", "round_trips"] {
            assert!(json[phase][count].as_u64().unwrap() > 0, "{phase} {count}");
        }
    }
}

#[tokio::test]
async fn tables() {
    let server = TestServer::start().await;
    let directory = TempDir::new().unwrap();
    let (path, _) = inputs(&directory);
    let output = infer(&server, &path, &[]).await;
    assert!(output.status.success());
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    assert!(lines[0].starts_with("input") && lines[2].starts_with("x.npy[0]") && lines[3].starts_with("x.npy[1]"));
    assert!(lines[5].starts_with("phase") && lines[7].starts_with("preprocessing") && lines[8].starts_with("online"));
    let models = tacit(&["models", "--server", &server.url()]).await;
    assert!(models.status.success() && text(&models.stdout).contains("tiny"));
    let models = tacit(&["models", "--json", "--server", &server.url()]).await;
    let json: serde_json::Value = serde_json::from_slice(&models.stdout).unwrap();
    assert_eq!(json[0]["name"], "tiny");
}

#[tokio::test]
async fn failures_are_one_line_and_status_1() {
    let server = TestServer::start().await;
    let directory = TempDir::new().unwrap();
    let (path, array) = inputs(&directory);
    let bad = directory.path().join("bad.npy");
    write_npy(&bad, &array.mapv(|value| if value == 1.0 { f32::NAN } else { value })).unwrap();
    let url = server.url();
    let path = path.to_str().unwrap();
    let cases: [(Vec<&str>, &str); 5] = [
        (vec!["--server", "http://127.0.0.1:1", "--model", "tiny", "--input", path], "cannot connect"),
        (vec!["--server", &url, "--model", "other", "--input", path], "no model named"),
        (vec!["--server", &url, "--model", "tiny", "--input", "missing.npy"], "missing.npy: No such file"),
        (vec!["--server", &url, "--model", "tiny", "--input", bad.to_str().unwrap()], "input 0: element 2"),
        (vec!["--server", &url, "--model", "tiny", "--input", path, "--scale", "1"], "float32 is taken as it is"),
    ];
    for (arguments, expected) in cases {
        let output = tacit(&[vec!["infer"], arguments].concat()).await;
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.starts_with("error: ") && error.contains(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!((server.online_calls(), server.preprocess_calls()), (0, 0));
}

#[tokio::test]
async fn usage_errors_are_status_2() {
    for arguments in [&[][..], &["infer"], &["models"], &["infer", "--unknown"], &["classify"]] {
        assert_eq!(tacit(arguments).await.status.code(), Some(2), "{arguments:?}");
    }
}
