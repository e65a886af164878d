//! The client: encrypts its masks, decrypts its shares of the products.

use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::plan::LinearStep;
use crate::plan::packing::Geometry;
use crate::rlwe::{ClientKeys, Encrypted, RlweError, read_response, write_bodies};
use crate::share::Share;

/// Client: the upload for its input share `mask`.
///
/// # Errors
/// A wrong number of elements, or keys that fail.
pub fn client_encrypt(client_keys: &dyn ClientKeys, linear: &LinearStep, mask: &[u32]) -> Result<Vec<u8>, RlweError> {
    let expected = linear.shape.input.elements();
    if mask.len() != expected {
        return Err(RlweError::Elements { what: "the input mask", expected, got: mask.len() });
    }
    let plaintexts = Zeroizing::new(Geometry::new(linear).pack_inputs(mask));
    let Encrypted { seed, bodies } = client_keys.encrypt(&plaintexts)?;
    Ok(write_bodies(&seed, &bodies, linear))
}

/// Client: its share `u` from the server's response.
///
/// # Errors
/// A response of a wrong length, or keys that fail.
pub fn client_decrypt(client_keys: &dyn ClientKeys, linear: &LinearStep, response: &[u8]) -> Result<Share, RlweError> {
    let ciphertexts = read_response(linear, response)?;
    let phases: Vec<Zeroizing<Vec<u64>>> = ciphertexts
        .par_iter()
        .map(|(mask, body)| client_keys.phase(mask, body).map(Zeroizing::new))
        .collect::<Result<_, _>>()?;
    let geometry = Geometry::new(linear);
    let mut share = Share::zeros(linear.shape.output.elements());
    for (index, phase) in phases.iter().enumerate() {
        for (position, element) in geometry.outputs(index) {
            share[element] = (phase[position].wrapping_add(1 << 31) >> 32) as u32;
        }
    }
    Ok(share)
}
