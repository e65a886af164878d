//! Keeps the rules of `ARCHITECTURE.md` true.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

use std::path::{Path, PathBuf};

const CRATES: &[&str] = &[
    "protocol",
    "proto",
    "engine",
    "compiler",
    "model-server",
    "client-sdk",
    "bench",
    "cli",
    "demo",
    "integration-tests",
];

/// For each crate the crates of this workspace that it may depend on.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("proto", &["tacit-protocol"]),
    ("engine", &["tacit-protocol"]),
    ("compiler", &["tacit-protocol", "tacit-engine"]),
    ("model-server", &["tacit-protocol", "tacit-proto", "tacit-engine", "tacit-compiler"]),
    ("client-sdk", &["tacit-protocol", "tacit-proto"]),
    ("bench", &["tacit-protocol", "tacit-proto", "tacit-client"]),
    ("cli", &["tacit-protocol", "tacit-client", "tacit-bench"]),
    ("demo", &["tacit-protocol", "tacit-engine", "tacit-compiler", "tacit-model-server", "tacit-client"]),
];

/// The only files that may contain `unsafe`: kernels behind a check of the processor's features.
const UNSAFE_FILES: &[&str] = &[
    "protocol/src/ot/simd/mod.rs",
    "engine/src/kernels/dispatch.rs",
    "engine/src/kernels/pieces.rs",
    "engine/src/kernels/vectors/x86.rs",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names in a section of a manifest that start a line.
fn section(manifest: &str, name: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != format!("[{name}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split_once(['=', '.']).map(|(key, _)| key.trim().to_string())).collect()
}

fn dependencies(folder: &str) -> Vec<String> {
    section(&std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap(), "dependencies")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&root().join(folder), &mut found);
    found
}

#[test]
fn crates_depend_in_the_stated_directions_only() {
    for (folder, allowed) in DIRECTIONS {
        for dependency in dependencies(folder).iter().filter(|name| name.starts_with("tacit-")) {
            assert!(allowed.contains(&dependency.as_str()), "{folder} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_core_knows_no_network_no_files_and_no_clock() {
    for folder in ["protocol", "engine", "compiler"] {
        for dependency in dependencies(folder) {
            for banned in ["tokio", "tonic", "hyper", "tower"] {
                assert!(!dependency.starts_with(banned), "{folder} must not depend on {dependency}");
            }
        }
    }
    for path in all_sources("protocol/src") {
        let text = std::fs::read_to_string(&path).unwrap();
        for banned in ["std::net", "std::fs", "std::time::", "prost::", "tonic::"] {
            assert!(!text.contains(banned), "{} uses {banned}", path.display());
        }
    }
}

#[test]
fn only_the_reader_knows_onnx() {
    for path in
        all_sources("compiler/src").into_iter().filter(|path| !path.components().any(|part| part.as_os_str() == "onnx"))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("prost::"), "{} uses prost", path.display());
    }
}

#[test]
fn only_binaries_install_a_subscriber() {
    for folder in ["protocol/src", "proto/src", "engine/src", "compiler/src", "client-sdk/src"] {
        for path in all_sources(folder) {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains("tracing_subscriber"), "{}", path.display());
        }
    }
}

#[test]
fn unsafe_code_is_in_the_named_kernels_only_and_explained() {
    for folder in CRATES {
        for path in all_sources(folder) {
            let text = std::fs::read_to_string(&path).unwrap();
            let relative = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
            let block = concat!("unsafe", " {");
            let function = concat!("unsafe", " fn");
            if text.contains(block) || text.contains(function) {
                assert!(UNSAFE_FILES.contains(&relative.as_str()), "{relative} contains unsafe code");
                assert!(
                    text.matches(block).count() <= text.matches("SAFETY:").count(),
                    "{relative} lacks a safety comment"
                );
            }
        }
    }
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    for folder in CRATES.iter().chain(&["docs", "deploy", "models"]) {
        let mut files = Vec::new();
        let mut folders = vec![root().join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        for path in files {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            for banned in [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/home", "/")] {
                assert!(!text.contains(banned), "{} contains {banned}", path.display());
            }
        }
    }
}
