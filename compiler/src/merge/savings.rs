//! What merging did, and what it saved.

use std::fmt;

use serde::Serialize;

use super::cost::Cost;

/// One rewrite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergeEntry {
    /// Name of the rule.
    pub rule: &'static str,
    /// Name of the layer that was rewritten.
    pub layer: String,
    /// What the rewrite saved; negative where it prepares a later saving.
    pub saved: Cost,
}

/// All rewrites and the counts before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MergeReport {
    /// The rewrites in order. Their savings sum to `before - after`.
    pub entries: Vec<MergeEntry>,
    /// Counts of the network as it was.
    pub before: Cost,
    /// Counts of the merged network.
    pub after: Cost,
}

impl MergeReport {
    /// Per rule: the number of rewrites and what they saved together, in the order of first use.
    pub fn by_rule(&self) -> Vec<(&'static str, usize, Cost)> {
        let mut rules: Vec<(&'static str, usize, Cost)> = Vec::new();
        for entry in &self.entries {
            match rules.iter_mut().find(|(rule, ..)| *rule == entry.rule) {
                Some((_, count, saved)) => {
                    *count += 1;
                    *saved = saved.plus(entry.saved);
                }
                None => rules.push((entry.rule, 1, entry.saved)),
            }
        }
        rules
    }
}

impl fmt::Display for MergeReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, count: &str, cost: Cost| {
            let Cost { levels, products, additions, round_trips } = cost;
            writeln!(formatter, "{name:<38} {count:>8} {levels:>7} {products:>12} {additions:>12} {round_trips:>12}")
        };
        line("as exported", "", self.before)?;
        for (rule, count, saved) in self.by_rule() {
            line(&format!("  saved: {rule}"), &count.to_string(), saved)?;
        }
        line("merged", "", self.after)
    }
}
