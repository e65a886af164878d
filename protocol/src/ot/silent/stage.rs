//! One instance of learning parity with noise, from the side of either party.

use aes::{
    Aes128Enc, Block,
    cipher::{Array, BlockCipherEncrypt, KeyInit},
};
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::{
    super::{
        hash::{HASHED, HashScratch, PadHash},
        pool::Pool,
        simd::{Instructions, LOCALITY},
        transcript::{Key, Transcript},
    },
    parameters::{Parameters, TREE},
    point::{Growth, Punctured, Trees, Whole},
};

/// Outputs whose places in the code are drawn at once.
const ENCODED: usize = 128;

/// Blocks of random bits for them, four places in each.
const CODE_BLOCKS: usize = ENCODED * LOCALITY / 4;

/// The public functions of a connection and direction.
pub(in crate::ot) struct Public {
    pub(in crate::ot) instructions: Instructions,
    pub(in crate::ot) hash: PadHash,
    trees: Aes128Enc,
    code: Aes128Enc,
}

impl Public {
    pub(in crate::ot) fn new(transcript: &Transcript) -> Self {
        Self {
            instructions: Instructions::detect(),
            hash: PadHash::new(transcript.cipher(b"tacit v1 ot silent hash")),
            trees: transcript.cipher(b"tacit v1 ot silent tree"),
            code: transcript.cipher(b"tacit v1 ot silent code"),
        }
    }

    /// What one tree grows with, under its own permutation.
    fn growth<'a>(&self, stage: u32, tree: usize, room: &'a mut [Key]) -> Growth<'a> {
        let mut key = block(0, stage, tree);
        self.trees.encrypt_block(&mut key);
        Growth { instructions: self.instructions, cipher: Aes128Enc::new(&key), room }
    }
}

/// `number: u64 | tree: u32 | stage: u32`.
fn block(number: u64, stage: u32, tree: usize) -> Block {
    let mut block = Block::default();
    block[..8].copy_from_slice(&number.to_le_bytes());
    block[8..12].copy_from_slice(&(tree as u32).to_le_bytes());
    block[12..].copy_from_slice(&stage.to_le_bytes());
    block
}

/// Room for one tree. Wiped on drop.
pub(in crate::ot) struct Scratch {
    pub(in crate::ot) leaves: Zeroizing<Vec<Key>>,
    pub(in crate::ot) hash: HashScratch,
    pub(in crate::ot) keys: [Zeroizing<Vec<u64>>; 2],
    room: Zeroizing<Vec<Key>>,
    random: Vec<Key>,
    places: Vec<u32>,
}

impl Scratch {
    pub(in crate::ot) fn new() -> Self {
        Self {
            leaves: Zeroizing::new(vec![Key::default(); TREE]),
            hash: HashScratch::new(),
            keys: [0; 2].map(|_| Zeroizing::new(vec![0; HASHED])),
            room: Zeroizing::new(vec![Key::default(); TREE / 2]),
            random: vec![Key::default(); CODE_BLOCKS],
            places: vec![0; ENCODED * LOCALITY],
        }
    }
}

/// A stage with one party's trees and its vector of `dimension` correlated strings.
pub(in crate::ot) struct Stage<T> {
    number: u32,
    parameters: Parameters,
    vector: Zeroizing<Vec<Key>>,
    trees: T,
}

impl<T: Trees> Stage<T> {
    /// Writes the outputs `range` of a tree, whose ends are multiples of 128, to their places in `scratch.leaves`.
    pub(in crate::ot) fn tree(
        &self,
        public: &Public,
        tree: usize,
        range: std::ops::Range<usize>,
        scratch: &mut Scratch,
    ) {
        let Scratch { leaves, room, random, places, .. } = scratch;
        let leaves = &mut leaves[..self.parameters.leaves()];
        self.trees.leaves(&mut public.growth(self.number, tree, room), tree, leaves);
        for (chunk, leaves) in leaves.chunks_exact_mut(ENCODED).enumerate() {
            if !range.contains(&(chunk * ENCODED)) {
                continue;
            }
            for (random, number) in random.iter_mut().zip((chunk * CODE_BLOCKS) as u64..) {
                *random = block(number, self.number, tree).into();
            }
            public.code.encrypt_blocks(Array::slice_as_chunks_mut(random.as_flattened_mut()).0);
            public.instructions.scale(random, self.parameters.dimension as u32, places);
            public.instructions.gather(&self.vector, places, leaves);
        }
    }

    /// `count` outputs from those of tree `first` on.
    pub(in crate::ot) fn outputs(
        &self,
        public: &Public,
        pool: &Pool<Scratch>,
        first: usize,
        count: usize,
    ) -> Zeroizing<Vec<Key>> {
        let mut outputs = Zeroizing::new(vec![Key::default(); count]);
        outputs.par_chunks_mut(self.parameters.leaves()).enumerate().for_each(|(tree, outputs)| {
            pool.with(Scratch::new, |scratch| {
                self.tree(public, first + tree, 0..outputs.len(), scratch);
                outputs.copy_from_slice(&scratch.leaves[..outputs.len()]);
            });
        });
        outputs
    }
}

impl Stage<Whole> {
    /// A stage of the sender, and the corrections for the receiver: one less than `height` for each tree.
    pub(in crate::ot) fn for_sender(
        (number, parameters): (u32, Parameters),
        public: &Public,
        pool: &Pool<Scratch>,
        inputs: &[Key],
        delta: &Key,
    ) -> (Self, Vec<Key>) {
        let height = parameters.height;
        let (vector, inputs) = inputs.split_at(parameters.dimension);
        let trees = Whole::new(parameters, inputs, delta);
        let mut corrections = vec![Key::default(); inputs.len() / height * (height - 1)];
        corrections.par_chunks_exact_mut(height - 1).zip(inputs.par_chunks_exact(height)).enumerate().for_each(
            |(tree, (corrections, inputs))| {
                pool.with(Scratch::new, |Scratch { leaves, room, .. }| {
                    let nodes = &mut leaves[..parameters.leaves()];
                    trees.corrections(&mut public.growth(number, tree, room), tree, inputs, nodes, corrections);
                });
            },
        );
        (Self { number, parameters, vector: Zeroizing::new(vector.to_vec()), trees }, corrections)
    }
}

impl Stage<Punctured> {
    /// A stage of the receiver, from the sender's corrections.
    pub(in crate::ot) fn for_receiver(
        (number, parameters): (u32, Parameters),
        inputs: &[Key],
        corrections: &[Key],
    ) -> Self {
        let (vector, inputs) = inputs.split_at(parameters.dimension);
        let trees = Punctured::new(parameters, inputs, corrections);
        Self { number, parameters, vector: Zeroizing::new(vector.to_vec()), trees }
    }
}
