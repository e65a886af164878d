//! What the step makes of its inputs.

use std::borrow::Cow;

use crate::share::Share;
use crate::steps::local::difference;

/// A party's share of the value whose sign decides, and of what is added to the result: `x` alone for a ReLU, `a - b` and
/// `b` for the maximum of `a` and `b`.
pub(super) fn operand<'a>(inputs: &[&'a Share]) -> (Cow<'a, Share>, Option<&'a Share>) {
    match inputs {
        [first, second] => (Cow::Owned(difference(first, second)), Some(second)),
        _ => (Cow::Borrowed(inputs[0]), None),
    }
}
