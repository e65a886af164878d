//! The last-place rule of `docs/protocol.md` (section 10), held against private logits.

use anyhow::bail;
use tacit_compiler::CompiledModel;
use tacit_engine::fixed_point;
use tacit_protocol::plan::Step;

/// How many private logits of `input` the rule does not allow. `input` is in the network's domain.
///
/// # Errors
/// If the input does not fit the plan.
pub fn violations<'a>(
    compiled: &CompiledModel,
    input: &[f32],
    logits: impl IntoIterator<Item = &'a f32>,
) -> anyhow::Result<usize> {
    let plan = &compiled.plan;
    let Some((Step::Output { drop }, fraction_bits)) = plan.nodes.last().map(|node| (&node.step, node.fraction_bits))
    else {
        bail!("a plan ends with its output");
    };
    // The client takes the middle of what the dropped bits could have been.
    let half_unit = if *drop == 0 { 0 } else { 1i64 << (drop - 1) };
    let ranges = fixed_point::evaluate_range(plan, &compiled.parameters, &plan.encode_input(input)?);
    let scale = 2f64.powi(fraction_bits);
    let breaks_rule = |(logit, (low, high)): &(&f32, (i64, i64))| {
        let integer = (f64::from(**logit) * scale).round() as i64;
        !(low - half_unit..=high + half_unit).contains(&integer)
    };
    Ok(logits.into_iter().zip(ranges).filter(breaks_rule).count())
}
