//! Ciphertexts of uploads, made ready for products.

use rayon::prelude::*;

use super::bundle::{Bundle, fill};
use super::ciphertext::Upload;
use super::ntt::{Ntt, NttPolynomial};
use crate::plan::ParameterSet;
use crate::plan::packing::Geometry;

/// Mask and body of a ciphertext.
pub(super) type Polynomials = [Vec<u64>; 2];

/// Transforms of all inputs of some uploads: a bundle for each upload, group and window, in this order.
pub(super) fn transform(parameters: ParameterSet, geometry: &Geometry, uploads: &[Upload]) -> Vec<Bundle<2>> {
    let tiles = geometry.channel_tiles();
    let ciphertexts = geometry.input_ciphertexts();
    let bundles = uploads.len() * ciphertexts / tiles;
    let mut inputs: Vec<Bundle<2>> = (0..bundles).map(|_| Bundle::zero(parameters, tiles)).collect();
    let places: Vec<_> = inputs.iter_mut().flat_map(Bundle::places).enumerate().collect();
    let ntt = Ntt::of(parameters);
    let piece = places.len().div_ceil(4 * rayon::current_num_threads());
    places.into_par_iter().with_min_len(piece).for_each_init(
        || (vec![0; parameters.dimension()], [(); 2].map(|()| NttPolynomial::zero(parameters))),
        |(polynomial, [mask, body]), (index, places)| {
            let (upload, ciphertext) = (&uploads[index / ciphertexts], index % ciphertexts);
            upload.read_mask(ciphertext, polynomial);
            ntt.forward_large(polynomial, mask);
            upload.read_body(ciphertext, polynomial);
            ntt.forward_large(polynomial, body);
            fill(places, [&*mask, &*body]);
        },
    );
    inputs
}

/// All inputs of some uploads, as they are.
pub(super) fn read(parameters: ParameterSet, geometry: &Geometry, uploads: &[Upload]) -> Vec<Polynomials> {
    let ciphertexts = geometry.input_ciphertexts();
    let read = |index: usize| {
        let (upload, ciphertext) = (&uploads[index / ciphertexts], index % ciphertexts);
        let [mut mask, mut body] = [(); 2].map(|()| vec![0; parameters.dimension()]);
        upload.read_mask(ciphertext, &mut mask);
        upload.read_body(ciphertext, &mut body);
        [mask, body]
    };
    (0..uploads.len() * ciphertexts).into_par_iter().map(read).collect()
}
