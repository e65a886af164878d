//! Class labels from a model's metadata.

use std::collections::BTreeMap;

use super::schema::StringStringEntryProto;

/// Keys under which exporters store class labels.
const KEYS: [&str; 3] = ["labels", "classes", "names"];

/// The labels of `count` classes: a JSON list, a JSON object from index to label, or a comma-separated list.
/// Empty if there are none, or not as many as classes.
pub(super) fn read(metadata: &[StringStringEntryProto], count: usize) -> Vec<String> {
    let find = |key: &str| metadata.iter().find(|entry| entry.key == key);
    let Some(entry) = KEYS.into_iter().find_map(find) else {
        return Vec::new();
    };
    let labels = parse(&entry.value);
    if labels.len() != count {
        tracing::warn!(
            key = entry.key,
            labels = labels.len(),
            outputs = count,
            "class labels are ignored: their number is not that of the outputs"
        );
        return Vec::new();
    }
    labels
}

fn parse(text: &str) -> Vec<String> {
    if let Ok(labels) = serde_json::from_str::<Vec<String>>(text) {
        return labels;
    }
    if let Ok(labels) = serde_json::from_str::<BTreeMap<usize, String>>(text) {
        let complete = labels.keys().enumerate().all(|(index, &key)| index == key);
        return if complete { labels.into_values().collect() } else { Vec::new() };
    }
    text.split(',').map(|label| label.trim().to_owned()).collect()
}
