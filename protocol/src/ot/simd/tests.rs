//! Each instruction set against the definition.

use super::*;
use crate::random::Seed;
use rand::Rng;

fn random_rows(number: u64, count: usize) -> Vec<Row> {
    let mut stream = Seed::for_test(number).stream();
    let mut rows = vec![[[0; LANE]; STREAM_LANES + 1]; count];
    rows.iter_mut().flatten().for_each(|lane| stream.fill_bytes(lane));
    rows
}

fn random_streams(number: u64, count: usize) -> Vec<Stream> {
    random_rows(number, count).iter().map(|row| std::array::from_fn(|lane| row[lane])).collect()
}

fn bit(bytes: &[u8], index: usize) -> u8 {
    bytes[index / 8] >> (index % 8) & 1
}

#[test]
fn every_instruction_set_transposes_each_block() {
    let rows = random_rows(1, 128);
    for instructions in Instructions::available() {
        for lane in 0..STREAM_LANES {
            let mut columns = [[0; LANE]; 128];
            instructions.transpose(&rows, lane, &mut columns);
            for block in 0..LANE_BLOCKS {
                let place = block * 16..block * 16 + 16;
                for (column, bytes) in columns.iter().enumerate() {
                    for (row, source) in rows.iter().enumerate() {
                        assert_eq!(
                            bit(&bytes[place.clone()], row),
                            bit(&source[lane][place.clone()], column),
                            "{instructions:?}, lane {lane}, block {block}, column {column}, row {row}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn every_instruction_set_folds_by_the_bits_of_the_leaf() {
    for instructions in Instructions::available() {
        for height in 1..=FOLD {
            let leaves = random_streams(2, 1 << height);
            for lanes in [1, 5, STREAM_LANES] {
                let before = random_rows(3, height);
                let mut rows = before.clone();
                let mut sum = [[0xa5; LANE]; STREAM_LANES];
                instructions.fold(&leaves, &mut sum[..lanes], &mut rows);
                for lane in 0..STREAM_LANES + 1 {
                    for byte in 0..LANE {
                        let of = |wanted: &dyn Fn(usize) -> bool| {
                            (0..leaves.len())
                                .filter(|leaf| wanted(*leaf))
                                .fold(0, |sum, leaf| sum ^ leaves[leaf][lane][byte])
                        };
                        for level in 0..height {
                            let change = before[level][lane][byte] ^ rows[level][lane][byte];
                            let expected = if lane < lanes { of(&|leaf| leaf >> level & 1 == 1) } else { 0 };
                            assert_eq!(change, expected);
                        }
                        if lane < STREAM_LANES {
                            let expected = if lane < lanes { of(&|_| true) } else { 0xa5 };
                            assert_eq!(sum[lane][byte], expected);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn every_instruction_set_adds_under_the_mask_and_tweaks_by_the_transfer() {
    let [before, term] = [4, 5].map(|number| random_streams(number, 1)[0]);
    for instructions in Instructions::available() {
        for mask in [0, 0xff, 0x5a] {
            let mut sum = before;
            instructions.add(&mut sum, &term, mask);
            for (index, byte) in sum.as_flattened().iter().enumerate() {
                assert_eq!(*byte, before.as_flattened()[index] ^ term.as_flattened()[index] & mask);
            }
        }
        let mut columns = [[0; LANE]; 128];
        instructions.tweak(&mut columns, 0x1_0000_0080);
        for (number, lane) in columns.iter().enumerate() {
            for (block, bytes) in lane.as_chunks::<16>().0.iter().enumerate() {
                let expected = 0x1_0000_0080 + (128 * block + number) as u128;
                assert_eq!(u128::from_le_bytes(*bytes), expected);
            }
        }
    }
}

/// Nodes as numbers, to compare with.
fn random_nodes(number: u64, count: usize) -> Vec<Node> {
    let mut stream = Seed::for_test(number).stream();
    let mut nodes = vec![Node::default(); count];
    stream.fill_bytes(nodes.as_flattened_mut());
    nodes
}

fn numbers(nodes: &[Node]) -> Vec<u128> {
    nodes.iter().map(|node| u128::from_le_bytes(*node)).collect()
}

#[test]
fn every_instruction_set_grows_trees() {
    for (instructions, count) in
        Instructions::available().into_iter().flat_map(|set| [1, 2, 7, 64].map(|count| (set, count)))
    {
        let [parents, encrypted] = [6, 7].map(|number| random_nodes(number, count));
        let mut sigma = vec![Node::default(); count];
        instructions.sigma(&parents, &mut sigma);
        let (mut near, mut far) = (parents.clone(), vec![Node::default(); count]);
        instructions.branch(&encrypted, &mut near, &mut far);
        let mut total = sigma[0];
        instructions.total(&near, &mut total);
        let (sigma, parents, encrypted) = (numbers(&sigma), numbers(&parents), numbers(&encrypted));
        for index in 0..count {
            let (high, low) = (parents[index] >> 64, parents[index] & u128::from(u64::MAX));
            assert_eq!(sigma[index], (high ^ low) << 64 | high);
            assert_eq!(numbers(&near)[index], encrypted[index] ^ sigma[index]);
            assert_eq!(numbers(&far)[index], numbers(&near)[index] ^ parents[index]);
        }
        let expected = numbers(&near).iter().fold(sigma[0], |sum, node| sum ^ node);
        assert_eq!(u128::from_le_bytes(total), expected);
    }
}

#[test]
fn every_instruction_set_changes_one_node_and_lowest_bits() {
    let before = random_nodes(8, 64);
    for instructions in Instructions::available() {
        for position in [0, 1, 31, 63, 64] {
            let mut nodes = before.clone();
            instructions.place(&mut nodes, position, &[0xa5; 16]);
            for (index, (before, after)) in numbers(&before).iter().zip(numbers(&nodes)).enumerate() {
                let change = if index == position { u128::from_le_bytes([0xa5; 16]) } else { 0 };
                assert_eq!(before ^ change, after);
            }
        }
        let mut nodes = before.clone();
        instructions.clear_lowest(&mut nodes);
        assert_eq!(numbers(&nodes), numbers(&before).iter().map(|node| node >> 1 << 1).collect::<Vec<_>>());
        let columns: Vec<Lane> = random_rows(9, 8).into_iter().flatten().take(128).collect();
        let mut bits = [0; LANE_BLOCKS];
        instructions.lowest(&columns, &mut bits);
        for (index, lane) in columns.iter().enumerate() {
            let expected = bits.map(|bits| bits >> index & 1);
            assert_eq!([0, 16, 32, 48].map(|byte| u128::from(lane[byte] & 1)), expected);
        }
    }
}

#[test]
fn every_instruction_set_gathers_the_elements_that_the_words_name() {
    let (vector, random) = (random_nodes(10, 1000), random_nodes(11, 20));
    for instructions in Instructions::available() {
        let mut indices = [0; 80];
        instructions.scale(&random, 1000, &mut indices);
        for (word, index) in random.as_flattened().as_chunks::<4>().0.iter().zip(indices) {
            assert_eq!(u128::from(u32::from_le_bytes(*word)) * 1000 / (1 << 32), u128::from(index));
        }
        let mut sums = random_nodes(12, 8);
        let before = numbers(&sums);
        instructions.gather(&vector, &indices, &mut sums);
        for (number, sum) in numbers(&sums).into_iter().enumerate() {
            let own = &indices[LOCALITY * number..LOCALITY * (number + 1)];
            let expected = own.iter().fold(before[number], |sum, index| sum ^ numbers(&vector)[*index as usize]);
            assert_eq!(sum, expected);
        }
    }
}
