//! What each party sees.

use super::*;
use crate::steps::tests::split;
use crate::uniformity::assert_uniform;

#[test]
fn messages_are_uniform_whatever_the_values() {
    let count = 1 << 15;
    for (selection, rounds) in [(Selection::Truncated, 2), (Selection::Truncated, 3), (Selection::Whole, 2)] {
        let layout = layout(count, 29, 10, selection, rounds);
        for value in [0, 1, -1, (1 << 28) - (1 << 10), -12345] {
            let values = vec![value; count];
            // Constant shares: what is uniform is so by the step's own randomness.
            let (client, server) = (Share(vec![0x1234_5678; count]), split(&values, 1));
            let fixed = Share(vec![(value as u32).wrapping_sub(0x1234_5678); count]);
            for sharing in [server, (client, fixed)] {
                let outcome = run(&layout, &sharing, None, 100);
                let views = [&outcome.rows, &outcome.corrections].into_iter();
                let views = views.chain(&outcome.server_openings).chain(&outcome.client_openings);
                for (index, view) in views.enumerate() {
                    assert_uniform(&format!("message {index} for {value} in {layout:?}"), view.iter().copied());
                }
            }
        }
    }
}
