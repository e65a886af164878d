//! Results against the definition.

use super::*;
use crate::steps::tests::{edge_sharings, split};
use rand::{Rng, RngExt};

const BOTH: [Selection; 2] = [Selection::Truncated, Selection::Whole];

/// Edge values and random ones of all magnitudes inside the range.
fn values(bits: u32, ignored: u32, count: usize, seed: u64) -> Vec<i32> {
    let (unit, least, most) = (1 << ignored, -(1 << (bits - 1)), (1 << (bits - 1)) - (1 << ignored));
    let edges = [0, 1, unit - 1, unit, unit + 1, 2 * unit, 3 * unit - 1];
    let mut values: Vec<i32> = edges.iter().flat_map(|edge| [*edge, -edge]).collect();
    values.extend([most, most - 1, most - unit, -most, least, least + 1, least + unit]);
    values.retain(|value| (least..=most).contains(value));
    let mut stream = Seed::for_test(seed).stream();
    while values.len() < count {
        let shift = stream.random_range(32 - bits..31);
        values.push((stream.next_u32() as i32 >> shift).clamp(least, most));
    }
    values.truncate(count);
    values
}

/// Whether `result` is one that the definition allows.
fn allowed(value: i32, ignored: u32, selection: Selection, result: i32) -> bool {
    let unit = 1i64 << ignored;
    let (value, result) = (i64::from(value), i64::from(result));
    match selection {
        Selection::Truncated => result >= 0 && (value.max(0) - result * unit).abs() < unit,
        Selection::Whole if -unit < value && value < 0 => result == 0 || result == value,
        Selection::Whole => result == value.max(0),
    }
}

fn check(layout: &SelectLayout, values: &[i32], results: &[u32]) {
    assert_eq!(values.len(), results.len());
    for (value, result) in values.iter().zip(results) {
        let fits = allowed(*value, layout.ignored, layout.selection, *result as i32);
        assert!(fits, "{value} gave {} in {layout:?}", *result as i32);
    }
}

fn some_ignored(bits: u32) -> Vec<u32> {
    let mut ignored = vec![0, 1, bits / 2, bits - 3, bits - 2];
    ignored.dedup();
    ignored
}

#[test]
fn results_follow_the_definition_for_every_sharing() {
    for bits in 8..=31 {
        for ignored in some_ignored(bits) {
            for selection in BOTH {
                let values = values(bits, ignored, 77, u64::from(bits));
                let mut sharings = edge_sharings(&values);
                sharings.push(split(&values, 5));
                for (index, sharing) in sharings.iter().enumerate() {
                    let layout = layout(values.len(), bits, ignored, selection, 2 + index as u32 % 2);
                    check(&layout, &values, &run(&layout, sharing, None, 10).values);
                }
            }
        }
    }
}

#[test]
fn every_number_of_elements_works() {
    for count in [1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 2047, 2048, 2049, 4096, 6001] {
        for selection in BOTH {
            let values = values(22, 7, count, count as u64);
            let layout = layout(count, 22, 7, selection, 2);
            check(&layout, &values, &run(&layout, &split(&values, 5), None, 20).values);
        }
    }
}

#[test]
fn every_cut_into_digits_works() {
    let cuts: [&[u32]; 12] = [
        &[1],
        &[6],
        &[1, 1],
        &[6, 6],
        &[2, 5, 3],
        &[6, 6, 6, 6],
        &[1, 2, 3, 4, 5],
        &[5, 4, 3, 2, 1, 1],
        &[1; 7],
        &[3; 8],
        &[1; 9],
        &[1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 1, 1, 1],
    ];
    for digits in cuts {
        let window: u32 = digits.iter().sum();
        for ignored in [0, 30 - window] {
            for selection in BOTH {
                let bits = window + ignored + 1;
                let values = values(bits, ignored, 300, 3);
                let layout = SelectLayout { digits: digits.to_vec(), ..layout(300, bits, ignored, selection, 2) };
                check(&layout, &values, &run(&layout, &split(&values, 6), None, 30).values);
            }
        }
    }
}

#[test]
fn a_million_values_of_each_width_have_no_larger_error() {
    let count = 1 << 20;
    for bits in 8..=31 {
        let ignored = bits / 2;
        let selection = BOTH[bits as usize % 2];
        let values = values(bits, ignored, count, u64::from(bits));
        let layout = layout(count, bits, ignored, selection, 2);
        check(&layout, &values, &run(&layout, &split(&values, 8), None, 40).values);
    }
}

#[test]
fn multiples_of_the_unit_are_exact() {
    for (bits, ignored) in [(8, 0), (20, 0), (31, 0), (22, 7), (29, 14), (31, 29)] {
        let values: Vec<i32> = values(bits, ignored, 5000, 9).iter().map(|value| value >> ignored << ignored).collect();
        for selection in BOTH {
            let layout = layout(values.len(), bits, ignored, selection, 2);
            let outcome = run(&layout, &split(&values, 4), None, 50);
            let dropped = if selection == Selection::Truncated { ignored } else { 0 };
            for (value, result) in values.iter().zip(&outcome.values) {
                assert_eq!(*result as i32, value.max(&0) >> dropped, "{value} in {layout:?}");
            }
        }
    }
}

#[test]
fn truncation_has_no_bias() {
    let count = 1 << 16;
    for value in [0x1234_5678 >> 6, 12_345, 1] {
        let values = vec![value; count];
        let outcome = run(&layout(count, 28, 10, Selection::Truncated, 2), &split(&values, 3), None, 60);
        let exact = f64::from(value) / 1024.0;
        let mean = outcome.values.iter().map(|value| f64::from(*value as i32) - exact).sum::<f64>() / count as f64;
        // The error's standard deviation is at most one half, so the mean's is at most 0.002.
        assert!(mean.abs() < 0.012, "mean error {mean} of {value}");
    }
}

#[test]
fn the_addend_gives_the_maximum_of_two() {
    let (bits, ignored, count) = (24, 5, 3000);
    let second = values(bits - 1, 0, count, 1);
    let mut first = values(bits - 1, 0, count, 2);
    first.reverse();
    let differences: Vec<i32> = first.iter().zip(&second).map(|(first, second)| first - second).collect();
    let layout = layout(count, bits, ignored, Selection::Whole, 2);
    let outcome = run(&layout, &split(&differences, 1), Some(&split(&second, 2)), 70);
    for ((first, second), result) in first.iter().zip(&second).zip(outcome.values) {
        let result = result as i32;
        let near = (first - second).abs() < 1 << ignored;
        let fits = if near { result == *first || result == *second } else { result == *first.max(second) };
        assert!(fits, "maximum of {first} and {second} gave {result}");
        assert!(first < second || result == *first, "{first} is not below {second}, but {result} was taken");
    }
}
