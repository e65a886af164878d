//! Keeps the directions of imports inside crates true: of the folders of `protocol` as `ARCHITECTURE.md` states them, and no
//! circle of imports among the files of `protocol` and of `engine`.

#![allow(clippy::unwrap_used)] // A test that cannot go on should stop where it stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// For each top module of `protocol` those that it may import.
const DIRECTIONS: &[(&str, &[&str])] = &[
    ("bits", &[]),
    ("random", &[]),
    ("wiped", &[]),
    ("share", &["wiped"]),
    ("plan", &["bits", "share"]),
    ("rlwe", &["bits", "random", "share", "plan"]),
    ("ot", &["random", "plan"]),
    ("steps", &["bits", "random", "wiped", "share", "plan", "rlwe", "ot"]),
    ("session", &["random", "share", "plan", "rlwe", "ot", "steps"]),
];

/// Where a module is: `["ot", "silent", "point"]` for `ot/silent/point.rs`.
type Module = Vec<String>;

/// The source of each module of a crate, without its tests.
fn modules(folder: &Path, place: &Module, found: &mut BTreeMap<Module, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut place = place.clone();
        match name.as_str() {
            "tests" | "uniformity" => continue,
            "mod" | "lib" => {}
            _ => place.push(name),
        }
        if path.is_dir() {
            modules(&path, &place, found);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
            found.insert(place, code.to_string());
        }
    }
}

/// The paths of a `use` declaration, braces expanded.
fn paths(declaration: &str) -> Vec<String> {
    let Some((prefix, rest)) = declaration.split_once('{') else {
        return vec![declaration.split(" as ").next().unwrap_or_default().trim().to_string()];
    };
    let (mut depth, mut item, mut items) = (0, String::new(), Vec::new());
    for character in rest.rsplit_once('}').map_or(rest, |(inner, _)| inner).chars() {
        match character {
            ',' if depth == 0 => items.push(std::mem::take(&mut item)),
            _ => {
                depth += i32::from(character == '{') - i32::from(character == '}');
                item.push(character);
            }
        }
    }
    items.push(item);
    items.retain(|item| !item.trim().is_empty());
    items.iter().flat_map(|item| paths(&format!("{}{}", prefix.trim(), item.trim()))).collect()
}

/// The module that a path leads to, seen from another; `None` for other crates.
fn target(path: &str, from: &Module, all: &BTreeMap<Module, String>) -> Option<Module> {
    let mut parts = path.split("::").map(str::trim).peekable();
    let mut place = match parts.peek().copied()? {
        "crate" => Module::new(),
        "self" | "super" => from.clone(),
        child => {
            let own = from.iter().cloned().chain([child.to_string()]).collect();
            return all.contains_key(&own).then_some(own);
        }
    };
    for part in parts {
        match part {
            "crate" | "self" => {}
            "super" => _ = place.pop(),
            child => {
                place.push(child.to_string());
                if !all.contains_key(&place) {
                    place.pop();
                    break;
                }
            }
        }
    }
    Some(place)
}

/// The paths of all declarations in a module's code.
fn declared(code: &str) -> Vec<String> {
    let (mut found, mut lines) = (Vec::new(), code.lines());
    while let Some(line) = lines.next() {
        let declaration = line.strip_prefix("use ").or_else(|| {
            let rest = line.strip_prefix("pub")?;
            let rest = if rest.starts_with('(') { rest.split_once(')')?.1 } else { rest };
            rest.strip_prefix(" use ")
        });
        let Some(first) = declaration else { continue };
        let mut declaration = first.to_string();
        while !declaration.contains(';') {
            declaration.push_str(lines.next().unwrap());
        }
        found.extend(paths(declaration.split(';').next().unwrap_or_default()));
    }
    found
}

/// The sources of a crate.
fn sources(folder: &str) -> BTreeMap<Module, String> {
    let mut all = BTreeMap::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder).join("src");
    modules(&source, &Module::new(), &mut all);
    all
}

/// What each module of a crate imports, by declarations outside of tests.
fn imports(folder: &str) -> BTreeMap<Module, BTreeSet<Module>> {
    let all = sources(folder);
    let imported = |module: &Module, code: &str| {
        let targets = declared(code).into_iter().filter_map(|path| target(&path, module, &all));
        targets.filter(|other| other != module).collect()
    };
    all.iter().map(|(module, code)| (module.clone(), imported(module, code))).collect()
}

/// The modules of a crate that are in circles of imports, or that import such modules.
fn in_circles(folder: &str) -> Vec<String> {
    let mut left = imports(folder);
    // Whatever imports nothing of what is left is in no circle.
    loop {
        let before = left.len();
        let free: BTreeSet<Module> = left
            .iter()
            .filter(|(_, imported)| imported.iter().all(|other| !left.contains_key(other)))
            .map(|(module, _)| module.clone())
            .collect();
        left.retain(|module, _| !free.contains(module));
        if left.len() == before {
            return left.keys().map(|module| module.join("::")).collect();
        }
    }
}

#[test]
fn folders_of_the_protocol_import_in_the_stated_directions_only() {
    let mut seen = BTreeSet::new();
    for (module, imported) in imports("protocol") {
        let Some(top) = module.first() else { continue };
        let (_, allowed) = DIRECTIONS.iter().find(|(name, _)| name == top).unwrap();
        for other in imported.iter().filter_map(|other| other.first()).filter(|other| *other != top) {
            assert!(allowed.contains(&other.as_str()), "{} must not import {other}", module.join("::"));
            seen.insert((top.clone(), other.clone()));
        }
    }
    assert!(seen.len() > 15, "imports are found: {seen:?}");
}

#[test]
fn files_of_the_protocol_and_of_the_engine_import_each_other_in_no_circle() {
    for folder in ["protocol", "engine"] {
        assert_eq!(in_circles(folder), Vec::<String>::new(), "{folder}: modules in circles, or above them");
    }
}

#[test]
fn a_session_knows_no_step_of_a_plan() {
    for (module, code) in
        sources("protocol").into_iter().filter(|(module, _)| module.first().is_some_and(|top| top == "session"))
    {
        let names_steps = declared(&code).iter().any(|path| path == "crate::plan::Step" || path == "crate::plan::*");
        assert!(!names_steps && !code.contains("plan::Step::"), "{} names steps", module.join("::"));
    }
}
