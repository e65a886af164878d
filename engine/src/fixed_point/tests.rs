//! Elementary steps and their intervals.

use super::*;

#[test]
fn truncation_rounds_to_nearest_for_both_signs() {
    let cases = [(5, 1, 3), (-5, 1, -2), (-1, 1, 0), (7, 3, 1), (-12, 3, -1), (-13, 3, -2), (9, 0, 9)];
    for (value, drop, expected) in cases {
        assert_eq!(truncate(value as u32, drop) as i32, expected, "{value} {drop}");
    }
    assert_eq!(truncate(i32::MAX as u32, 30), 2);
    assert_eq!(truncate(i32::MIN as u32, 30) as i32, -2);
}

#[test]
fn intervals_of_elementary_steps() {
    assert_eq!(truncate_range((-9, 9), 2), (-3, 3));
    assert_eq!(truncate_range((8, 8), 2), (2, 2));
    assert_eq!(square_range((-3, 2)), (0, 9));
    assert_eq!(square_range((-3, -2)), (4, 9));
    assert_eq!(square_range((2, 5)), (4, 25));
    assert_eq!(centred((1 << 32, (1 << 32) + 2)), (0, 2));
    assert_eq!(centred((-5, 7)), (-5, 7));
}
