use tacit_protocol::plan::{ExtensionKind, TreeHeight};

use super::*;

use tacit_compiler::Answer;

fn parse(arguments: &[&str]) -> Result<ServeArguments, String> {
    let all = ["model-server", "serve"].iter().chain(arguments);
    match Arguments::try_parse_from(all) {
        Ok(Arguments { command: Command::Serve(serve), .. }) => Ok(serve),
        Ok(_) => unreachable!("parsed another subcommand"),
        Err(error) => Err(error.to_string()),
    }
}

fn config_error(arguments: &[&str]) -> String {
    let mut all = vec!["--listen", "127.0.0.1:0"];
    all.extend(arguments);
    let config = parse(&all).and_then(|serve| {
        let config = serve.into_config();
        config.map_err(|error| error.to_string())
    });
    config.expect_err("accepted")
}

#[test]
fn a_whole_command_line_is_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let (a, b) = (format!("a={path}"), format!("b={path}"));
    let arguments = [
        "--listen",
        "127.0.0.1:0",
        "--model",
        &a,
        "--model",
        &b,
        "--calibration",
        &b,
        "--threads",
        "3",
        "--session-lifetime",
        "60",
        "--session-memory",
        "256MB",
        "--weight-memory",
        "2 MiB",
        "--grace-period",
        "0",
        "--idle-timeout",
        "1m 30s",
        "--report-times",
    ];
    let config = parse(&arguments).unwrap().into_config().unwrap();
    assert_eq!(config.listen, "127.0.0.1:0".parse().unwrap());
    assert_eq!(config.models.len(), 2);
    assert_eq!(config.models[0].calibration, None);
    assert_eq!(config.models[1].calibration.as_deref(), Some(file.path()));
    assert_eq!(config.limits.threads, 3);
    assert_eq!(config.limits.session_lifetime, Duration::from_secs(60));
    assert_eq!(config.limits.session_memory, 256_000_000);
    assert_eq!(config.weight_memory, 2 << 20);
    assert_eq!(config.limits.grace_period, Duration::ZERO);
    assert_eq!(config.limits.idle_timeout, Duration::from_secs(90));
    assert!(config.limits.report_times);
    assert!(config.models.iter().all(|model| model.options == CompileOptions::default()));
}

#[test]
fn models_are_compiled_as_asked() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let models = format!("a={path};b={path};c={path}");
    let arguments = [
        &["--listen", "127.0.0.1:0", "--model", &models, "--class-only", "a", "--class-only", "c"][..],
        &[
            "--input-range",
            "b=-1.5:2",
            "--headroom",
            "3",
            "--compared-bits",
            "15",
            "--comparison-round-trips",
            "3",
            "--transfers",
            "silent",
        ],
    ];
    let models = parse(&arguments.concat()).unwrap().into_config().unwrap().models;
    let answers: Vec<Answer> = models.iter().map(|model| model.options.answer).collect();
    assert_eq!(answers, [Answer::Class, Answer::Logits, Answer::Class]);
    let ranges: Vec<Option<(f32, f32)>> = models.iter().map(|model| model.options.input_range).collect();
    assert_eq!(ranges, [None, Some((-1.5, 2.0)), None]);
    for CompileOptions { headroom_bits, compared_bits, comparison_round_trips, transfers, .. } in
        models.iter().map(|model| &model.options)
    {
        assert_eq!((*headroom_bits, *compared_bits, *comparison_round_trips), (3, 15, 3));
        assert_eq!(*transfers, ExtensionKind::Silent);
    }
}

#[test]
fn transfers_have_names() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let model = format!("a={}", file.path().to_str().unwrap());
    let soft_spoken = |height| ExtensionKind::SoftSpoken(TreeHeight::new(height).unwrap());
    for (name, expected) in [
        ("soft-spoken", ExtensionKind::DEFAULT),
        ("soft-spoken:1", soft_spoken(1)),
        ("soft-spoken:8", soft_spoken(8)),
        ("silent", ExtensionKind::Silent),
    ] {
        let config = parse(&["--listen", "127.0.0.1:0", "--model", &model, "--transfers", name]).unwrap();
        assert_eq!(config.into_config().unwrap().models[0].options.transfers, expected);
    }
}

#[test]
fn inspect_compiles_as_serve_does() {
    let arguments = [
        &["model-server", "inspect", "--model", "m.onnx", "--calibration", "c.npz", "--independent", "i.npz"][..],
        &["--class-only", "--input-range", "-1:1", "--headroom", "2", "--compared-bits", "9"],
    ];
    let Command::Inspect(inspect) = Arguments::try_parse_from(arguments.concat()).unwrap().command else {
        unreachable!("parsed another subcommand")
    };
    let options = inspect.options();
    assert_eq!((options.answer, options.input_range), (Answer::Class, Some((-1.0, 1.0))));
    assert_eq!((options.headroom_bits, options.compared_bits), (2, 9));
    let alone = ["model-server", "inspect", "--model", "m.onnx", "--independent", "i.npz"];
    assert!(Arguments::try_parse_from(alone).unwrap_err().to_string().contains("--calibration"));
}

#[test]
fn errors_name_the_flag() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let (a, b) = (format!("a={path}"), format!("b={path}"));
    let cases: &[(&[&str], &str)] = &[
        (&[], "--model"),
        (&["--model", "no-equals-sign"], "--model"),
        (&["--model", "=file"], "--model"),
        (&["--model", "name="], "--model"),
        (&["--model", "a=/there/is/no/such.onnx"], "--model: /there/is/no/such.onnx"),
        (&["--model", "a=/"], "--model: / is not a file"),
        (&["--model", &a, "--model", &a], "--model: the name \"a\" is given twice"),
        (&["--model", &a, "--calibration", &b], "--calibration: there is no model"),
        (&["--model", &a, "--calibration", &a, "--calibration", &a], "--calibration: the name"),
        (&["--model", &a, "--calibration", "a=/there/is/no/such.npy"], "--calibration: /there"),
        (&["--model", &a, "--threads", "0"], "--threads"),
        (&["--model", &a, "--session-lifetime", "0"], "--session-lifetime"),
        (&["--model", &a, "--idle-timeout", "25h"], "must be 1s to 1day"),
        (&["--model", &a, "--grace-period", "soon"], "expected seconds or a time"),
        (&["--model", &a, "--session-memory", "0"], "--session-memory"),
        (&["--model", &a, "--session-memory", "12 parsecs"], "--session-memory"),
        (&["--model", &a, "--session-memory", "99999999999GiB"], "--session-memory"),
        (&["--model", &a, "--weight-memory", "much"], "--weight-memory"),
        (&["--model", &a, "--sessions-per-call", "1025"], "--sessions-per-call"),
        (&["--model", &a, "--class-only", "b"], "--class-only: there is no model of the name \"b\""),
        (&["--model", &a, "--class-only", "a;a"], "--class-only: the name \"a\" is given twice"),
        (&["--model", &a, "--input-range", "b=0:1"], "--input-range: there is no model"),
        (&["--model", &a, "--input-range", "a=0:1", "--input-range", "a=0:1"], "--input-range: the name"),
        (&["--model", &a, "--input-range", "a=1:0"], "LOW must be smaller than HIGH"),
        (&["--model", &a, "--input-range", "a=0"], "expected LOW:HIGH"),
        (&["--model", &a, "--input-range", "a=0:NaN"], "not a finite number"),
        (&["--model", &a, "--input-range", "0:1"], "expected NAME=LOW:HIGH"),
        (&["--model", &a, "--headroom", "16"], "--headroom"),
        (&["--model", &a, "--compared-bits", "3"], "--compared-bits"),
        (&["--model", &a, "--comparison-round-trips", "4"], "--comparison-round-trips"),
        (&["--model", &a, "--transfers", "loud"], "expected soft-spoken, soft-spoken:HEIGHT or silent"),
        (&["--model", &a, "--transfers", "soft-spoken:0"], "HEIGHT must be 1 to 8"),
        (&["--model", &a, "--transfers", "soft-spoken:9"], "HEIGHT must be 1 to 8"),
        (&["--model", &a, "--transfers", "soft-spoken8"], "HEIGHT must be 1 to 8"),
    ];
    for (arguments, expected) in cases {
        let error = config_error(arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    for listen in ["nonsense", "127.0.0.1", "127.0.0.1:99999"] {
        let error = parse(&["--listen", listen, "--model", &a]).unwrap_err();
        assert!(error.contains("--listen"), "{listen}: {error}");
    }
}

#[test]
fn byte_counts_have_units() {
    assert_eq!(byte_count("4096"), Ok(4096));
    assert_eq!(byte_count("2 MiB"), Ok(2 << 20));
    assert_eq!(byte_count("3GB"), Ok(3_000_000_000));
    assert_eq!(byte_count_or_none("0"), Ok(0));
    assert!(byte_count("0").is_err());
    assert!(byte_count("MB").is_err());
    assert!(byte_count("-1").is_err());
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Arguments::command().debug_assert();
}
