//! The operations in portable code. Inlined into a function for each instruction set.

use super::lanes::{FOLD, LANE, LANE_BLOCKS, LOCALITY, Lane, Node, Row, STREAM_LANES, Stream};

/// Words of 64 bits in a lane.
const WORDS: usize = LANE / 8;

#[inline(always)]
pub(super) fn fold(leaves: &[Stream], sum: &mut [Lane], rows: &mut [Row]) {
    match rows.len() {
        1 => fold_exactly::<1, 2>(leaves, sum, rows),
        2 => fold_exactly::<2, 4>(leaves, sum, rows),
        3 => fold_exactly::<3, 8>(leaves, sum, rows),
        FOLD => fold_exactly::<FOLD, { 1 << FOLD }>(leaves, sum, rows),
        height => unreachable!("a fold of {height} rows"),
    }
}

#[inline(always)]
fn fold_exactly<const HEIGHT: usize, const LEAVES: usize>(leaves: &[Stream], sum: &mut [Lane], rows: &mut [Row]) {
    let (Ok(leaves), Ok(rows)) = (<&[Stream; LEAVES]>::try_from(leaves), <&mut [Row; HEIGHT]>::try_from(rows)) else {
        unreachable!("a fold of {} leaves", leaves.len());
    };
    for (lane, sum) in sum.iter_mut().enumerate().take(STREAM_LANES) {
        let mut values: [[u64; WORDS]; LEAVES] = std::array::from_fn(|leaf| words(&leaves[leaf][lane]));
        let mut remaining = LEAVES;
        for row in rows.iter_mut() {
            let mut odd = words(&row[lane]);
            remaining /= 2;
            for pair in 0..remaining {
                for word in 0..WORDS {
                    odd[word] ^= values[2 * pair + 1][word];
                    values[pair][word] = values[2 * pair][word] ^ values[2 * pair + 1][word];
                }
            }
            store(&mut row[lane], &odd);
        }
        store(sum, &values[0]);
    }
}

#[inline(always)]
pub(super) fn add(sum: &mut [Lane], term: &[Lane], mask: u8) {
    for (sum, term) in sum.iter_mut().zip(term) {
        for (sum, term) in sum.iter_mut().zip(term) {
            *sum ^= term & mask;
        }
    }
}

/// Swaps ever smaller squares across the diagonal (Eklundh). Lanes hold blocks side by side, so
/// that even the last stage, which swaps single bits of neighbouring rows, works on whole lanes.
#[inline(always)]
pub(super) fn transpose(rows: &[Row], lane: usize, columns: &mut [Lane]) {
    let mut square: [[u64; WORDS]; 128] = std::array::from_fn(|row| words(&rows[row][lane]));
    let (top, bottom) = square.split_at_mut(64);
    for (top, bottom) in top.iter_mut().zip(bottom) {
        for word in (0..WORDS).step_by(2) {
            std::mem::swap(&mut top[word + 1], &mut bottom[word]);
        }
    }
    swap_squares::<32>(&mut square, 0x0000_0000_ffff_ffff);
    swap_squares::<16>(&mut square, 0x0000_ffff_0000_ffff);
    swap_squares::<8>(&mut square, 0x00ff_00ff_00ff_00ff);
    swap_squares::<4>(&mut square, 0x0f0f_0f0f_0f0f_0f0f);
    swap_squares::<2>(&mut square, 0x3333_3333_3333_3333);
    swap_squares::<1>(&mut square, 0x5555_5555_5555_5555);
    for (column, words) in columns.iter_mut().zip(&square) {
        store(column, words);
    }
}

/// `mask` has the low half of each `2 * SIZE` bits.
#[inline(always)]
fn swap_squares<const SIZE: usize>(square: &mut [[u64; WORDS]; 128], mask: u64) {
    for rows in square.as_chunks_mut::<SIZE>().0.as_chunks_mut::<2>().0 {
        let [top, bottom] = rows;
        for (top, bottom) in top.iter_mut().zip(bottom) {
            for word in 0..WORDS {
                let change = (top[word] >> SIZE ^ bottom[word]) & mask;
                bottom[word] ^= change;
                top[word] ^= change << SIZE;
            }
        }
    }
}

#[inline(always)]
pub(super) fn tweak(columns: &mut [Lane], first: u64) {
    for (column, number) in columns.iter_mut().zip(first..) {
        let mut values = words(column);
        for block in 0..WORDS / 2 {
            values[2 * block] ^= number.wrapping_add(128 * block as u64);
        }
        store(column, &values);
    }
}

#[inline(always)]
pub(super) fn sigma(nodes: &[Node], out: &mut [Node]) {
    for (node, out) in nodes.iter().zip(out) {
        *out = orthomorphism(node);
    }
}

#[inline(always)]
pub(super) fn branch(encrypted: &[Node], near: &mut [Node], far: &mut [Node]) {
    for ((encrypted, near), far) in encrypted.iter().zip(near).zip(far) {
        let left = xor(encrypted, &orthomorphism(near));
        *far = xor(&left, near);
        *near = left;
    }
}

#[inline(always)]
pub(super) fn total(nodes: &[Node], sum: &mut Node) {
    let (lanes, rest) = nodes.as_chunks::<LANE_BLOCKS>();
    let mut totals = [Node::default(); LANE_BLOCKS];
    for lane in lanes {
        for (total, node) in totals.iter_mut().zip(lane) {
            *total = xor(total, node);
        }
    }
    for node in totals.iter().chain(rest) {
        *sum = xor(sum, node);
    }
}

#[inline(always)]
pub(super) fn place(nodes: &mut [Node], position: usize, value: &Node) {
    let [low, high] = halves(value);
    for (index, node) in nodes.iter_mut().enumerate() {
        let difference = (index ^ position) as u64;
        // All ones if there is no difference.
        let mask = 0u64.wrapping_sub((difference.wrapping_sub(1) & !difference) >> 63);
        let [node_low, node_high] = halves(node);
        *node = join([node_low ^ low & mask, node_high ^ high & mask]);
    }
}

#[inline(always)]
pub(super) fn clear_lowest(nodes: &mut [Node]) {
    for node in nodes {
        node[0] &= 0xfe;
    }
}

#[inline(always)]
pub(super) fn scale(random: &[Node], bound: u32, indices: &mut [u32]) {
    for (word, index) in random.as_flattened().as_chunks::<4>().0.iter().zip(indices) {
        *index = ((u64::from(u32::from_le_bytes(*word)) * u64::from(bound)) >> 32) as u32;
    }
}

#[inline(always)]
pub(super) fn gather(vector: &[Node], indices: &[u32], sums: &mut [Node]) {
    for (sum, indices) in sums.iter_mut().zip(indices.as_chunks::<LOCALITY>().0) {
        let mut value = *sum;
        for index in indices {
            value = xor(&value, &vector[*index as usize]);
        }
        *sum = value;
    }
}

#[inline(always)]
pub(super) fn lowest(columns: &[Lane], bits: &mut [u128; LANE_BLOCKS]) {
    for (block, bits) in bits.iter_mut().enumerate() {
        let mut halves = [0u64; 2];
        for (half, columns) in halves.iter_mut().zip(columns.chunks(64)) {
            for (index, lane) in columns.iter().enumerate() {
                *half |= u64::from(lane[16 * block] & 1) << index;
            }
        }
        *bits = u128::from(halves[0]) | u128::from(halves[1]) << 64;
    }
}

/// The orthomorphism of the hash `H(x) = pi(sigma(x)) ^ sigma(x)`.
#[inline(always)]
fn orthomorphism(node: &Node) -> Node {
    let [low, high] = halves(node);
    join([high, high ^ low])
}

#[inline(always)]
fn xor(one: &Node, other: &Node) -> Node {
    std::array::from_fn(|byte| one[byte] ^ other[byte])
}

#[inline(always)]
fn halves(node: &Node) -> [u64; 2] {
    let halves = node.as_chunks::<8>().0;
    [u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])]
}

#[inline(always)]
fn join(halves: [u64; 2]) -> Node {
    let mut node = Node::default();
    for (bytes, half) in node.as_chunks_mut::<8>().0.iter_mut().zip(halves) {
        *bytes = half.to_le_bytes();
    }
    node
}

#[inline(always)]
fn words(lane: &Lane) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(lane.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

#[inline(always)]
fn store(lane: &mut Lane, words: &[u64; WORDS]) {
    for (bytes, word) in lane.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
}
