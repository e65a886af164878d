//! `concrete-core` as the client's backend: an independent implementation of the same scheme.
//!
//! Its makers have deprecated it, and its products are the naive ones, so it is slow; it also serves the tests as an
//! oracle. Its seeded ciphertexts have the form of this crate's, so nothing is converted on the wire.

use concrete_core::commons::crypto::encoding::PlaintextList;
use concrete_core::commons::crypto::glwe::{GlweCiphertext, GlweSeededList};
use concrete_core::commons::crypto::secret::GlweSecretKey;
use concrete_core::commons::crypto::secret::generators::{DeterministicSeeder, SecretRandomGenerator};
use concrete_core::commons::math::random::{CompressionSeed, Seed as CoreSeed};
use concrete_core::commons::math::tensor::AsMutTensor;
use concrete_core::prelude::{
    ActivatedRandomGenerator, BinaryKeyKind, CiphertextCount, GlweDimension, PolynomialSize, StandardDev,
};
use zeroize::{Zeroize, Zeroizing};

use super::client_keys::{ClientBackend, ClientKeys, Encrypted, check_lengths, random_seed};
use super::error::RlweError;
use crate::plan::ParameterSet;

/// The backend on `concrete-core`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConcreteBackend;

/// One mask polynomial per ciphertext: RLWE.
const GLWE_DIMENSION: GlweDimension = GlweDimension(1);

/// A secret key in `concrete-core`'s form. Wiped on drop.
pub(super) struct ConcreteEngine {
    parameters: ParameterSet,
    key: GlweSecretKey<BinaryKeyKind, Vec<u64>>,
}

impl ClientBackend for ConcreteBackend {
    fn name(&self) -> &'static str {
        "concrete-core"
    }

    fn generate(&self, parameters: ParameterSet) -> Result<Box<dyn ClientKeys>, RlweError> {
        let mut generator = SecretRandomGenerator::<ActivatedRandomGenerator>::new(core_seed(&random_seed()?));
        let size = PolynomialSize(parameters.dimension());
        let key = GlweSecretKey::generate_binary(GLWE_DIMENSION, size, &mut generator);
        Ok(Box::new(ConcreteEngine { parameters, key }))
    }
}

fn core_seed(bytes: &[u8; 16]) -> CoreSeed {
    CoreSeed(u128::from_le_bytes(*bytes))
}

impl ConcreteEngine {
    /// Keys for a known key, for tests that share it with another backend.
    #[cfg(test)]
    pub(super) fn from_bits(parameters: ParameterSet, bits: &[i32]) -> Self {
        let coefficients = bits.iter().map(|bit| *bit as u64).collect();
        let key = GlweSecretKey::binary_from_container(coefficients, PolynomialSize(parameters.dimension()));
        Self { parameters, key }
    }
}

impl ClientKeys for ConcreteEngine {
    fn parameters(&self) -> ParameterSet {
        self.parameters
    }

    fn encrypt(&self, plaintexts: &[Vec<u32>]) -> Result<Encrypted, RlweError> {
        check_lengths(self.parameters, plaintexts.iter().map(Vec::len))?;
        let dimension = self.parameters.dimension();
        let seed = random_seed()?;
        let compression_seed = CompressionSeed { seed: core_seed(&seed) };
        let count = CiphertextCount(plaintexts.len());
        let mut list = GlweSeededList::allocate(PolynomialSize(dimension), GLWE_DIMENSION, count, compression_seed);
        let messages = plaintexts.iter().flatten().map(|message| u64::from(*message) << 32);
        let messages = Zeroizing::new(messages.collect::<Vec<_>>());
        self.key.encrypt_seeded_glwe_list::<_, _, _, _, _, ActivatedRandomGenerator>(
            &mut list,
            &PlaintextList::from_container(messages.as_slice()),
            StandardDev(self.parameters.torus_deviation()),
            &mut DeterministicSeeder::<ActivatedRandomGenerator>::new(core_seed(&random_seed()?)),
        );
        let bodies = list.tensor.as_container().chunks_exact(dimension).map(<[u64]>::to_vec).collect();
        Ok(Encrypted { seed, bodies })
    }

    fn phase(&self, mask: &[u64], body: &[u64]) -> Result<Vec<u64>, RlweError> {
        check_lengths(self.parameters, [mask.len(), body.len()].into_iter())?;
        // A ciphertext is laid out as mask, then body.
        let ciphertext = GlweCiphertext::from_container([mask, body].concat(), PolynomialSize(mask.len()));
        let mut phase = vec![0u64; mask.len()];
        self.key.decrypt_glwe(&mut PlaintextList::from_container(phase.as_mut_slice()), &ciphertext);
        Ok(phase)
    }
}

impl Drop for ConcreteEngine {
    fn drop(&mut self) {
        self.key.as_mut_tensor().as_mut_container().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::super::client_keys::NativeEngine;
    use super::super::keys::SecretKey;
    use super::super::ring::binary;
    use super::super::{LinearRequest, PreparedLinear, PreparedPublicKey, choose_packing, expand_masks};
    use super::*;
    use crate::plan::{LinearShape, LinearStep};
    use crate::random::Seed;
    use crate::steps::linear::{client_decrypt, client_encrypt, server_respond};

    /// Engines of both backends with the same secret key.
    fn key_sets(parameters: ParameterSet) -> [Box<dyn ClientKeys>; 2] {
        let bits = binary(parameters, &mut Seed::for_test(5).stream());
        let native = NativeEngine(SecretKey::from_bits(parameters, &bits));
        [Box::new(native), Box::new(ConcreteEngine::from_bits(parameters, &bits))]
    }

    #[test]
    fn each_backend_decrypts_the_others_ciphertexts() {
        for parameters in ParameterSet::ALL {
            let key_sets = key_sets(parameters);
            let dimension = parameters.dimension();
            let plaintexts: Vec<Vec<u32>> = (0..2).map(|seed| Seed::for_test(seed).uniform_u32(dimension)).collect();
            for (encryptor, decryptor) in [(0, 1), (1, 0), (1, 1)] {
                let Encrypted { seed, bodies } = key_sets[encryptor].encrypt(&plaintexts).unwrap();
                let masks = expand_masks(&seed, parameters, bodies.len());
                let mut square = 0.0;
                for ((mask, body), plaintext) in masks.chunks_exact(dimension).zip(&bodies).zip(&plaintexts) {
                    let phase = key_sets[decryptor].phase(mask, body).unwrap();
                    for (phase, message) in phase.iter().zip(plaintext) {
                        let noise = phase.wrapping_sub(u64::from(*message) << 32) as i64 as f64;
                        assert!(noise.abs() < 9.5 * parameters.deviation(), "{encryptor} to {decryptor}: {noise}");
                        square += noise * noise;
                    }
                }
                let deviation = (square / (2 * dimension) as f64).sqrt();
                assert!((deviation / parameters.deviation() - 1.0).abs() < 0.06, "{encryptor} to {decryptor}");
            }
        }
    }

    #[test]
    fn phases_of_both_backends_are_the_same() {
        for parameters in ParameterSet::ALL {
            let words = expand_masks(&[3; 16], parameters, 2);
            let (mask, body) = words.split_at(parameters.dimension());
            let [native, concrete] = key_sets(parameters).map(|client_keys| client_keys.phase(mask, body).unwrap());
            assert_eq!(native, concrete);
        }
    }

    #[test]
    fn a_whole_step_with_this_backend() {
        let shape = LinearShape::fully_connected(70, 9);
        let weights: Vec<i16> = (0..630).map(|index| index % 101 - 50).collect();
        let plan = LinearStep { shape, packing: choose_packing(&shape, &weights).unwrap() };
        let client_keys = ConcreteBackend.generate(plan.packing.parameters).unwrap();
        let key = PreparedPublicKey::new(&client_keys.public_key().unwrap()).unwrap();
        let prepared = PreparedLinear::new(&plan, &weights).unwrap();
        let mask = Seed::for_test(2).uniform_u32(70);
        let upload = client_encrypt(&*client_keys, &plan, &mask).unwrap();
        let request = LinearRequest { public_key: &key, upload: &upload, seed: &Seed::for_test(3) };
        let (response, server) = server_respond(&prepared, &[request]).unwrap().swap_remove(0);
        let client = client_decrypt(&*client_keys, &plan, &response).unwrap();
        for (output, row) in weights.chunks_exact(70).enumerate() {
            let product = |(weight, element): (&i16, &u32)| (i32::from(*weight) as u32).wrapping_mul(*element);
            let expected = row.iter().zip(&mask).map(product).fold(0, u32::wrapping_add);
            let error = client[output].wrapping_add(server[output]).wrapping_sub(expected) as i32;
            assert!(error.abs() <= 1, "{error}");
        }
        assert!(client_keys.encrypt(&[vec![0]]).is_err());
        assert!(client_keys.phase(&[0], &[0]).is_err());
    }
}
