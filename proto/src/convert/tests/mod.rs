//! Round trips of random values, and one rejection for each field.

mod model;
mod plan;
mod samples;
mod session;

use super::{ConvertError, Problem};

/// Asserts that `result` refuses `field`.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, ConvertError>, field: &str) -> Problem {
    let error = result.expect_err("the message breaks the schema");
    assert_eq!(error.field, field, "{error}");
    assert!(error.to_string().starts_with(field));
    error.problem
}
