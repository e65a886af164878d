//! Where inputs, weights and outputs of a linear step lie in polynomials (`docs/protocol.md`, section 4.2).
//!
//! A strided convolution is first brought to stride 1: input pixels of equal remainder modulo the stride form a *phase*,
//! and each (channel, phase) pair that meets a kernel tap becomes a channel of its own (space-to-depth). Dilated taps
//! are taps at larger offsets. The image is cut into windows, overlapping by the kernel less one row and column; channels
//! are cut into tiles. A fully connected layer is the case of 1x1 windows. Groups of a convolution may be joined: they are laid
//! out as one group whose weights between different ones of them are zero.

use zeroize::Zeroize;

use super::linear::{LinearShape, LinearStep, Packing};

/// The layout of one linear step.
pub(crate) struct Geometry {
    shape: LinearShape,
    packing: Packing,
    /// Phases with kernel taps: row and column of the pixel within a stride.
    phases: Vec<[usize; 2]>,
    /// Kernel size after space-to-depth.
    kernel: [usize; 2],
    /// Windows, vertically and horizontally.
    windows: [usize; 2],
    /// Outputs of a window, vertically and horizontally.
    window_outputs: [usize; 2],
}

/// A coefficient of a kernel polynomial that is a weight.
#[derive(Clone, Copy, Default, Zeroize)]
pub(crate) struct Tap {
    /// Its place, below `N`.
    pub(crate) position: u16,
    pub(crate) weight: i16,
}

/// The phase-space kernel of a layer: size, and the phases that meet a tap.
pub(crate) fn phases(shape: &LinearShape) -> ([usize; 2], Vec<[usize; 2]>) {
    let extent = |axis: usize| (shape.dilation[axis] * (shape.kernel[axis] - 1)) / shape.stride[axis] + 1;
    let used = |axis: usize| -> Vec<usize> {
        let mut phases: Vec<usize> =
            (0..shape.kernel[axis]).map(|tap| tap * shape.dilation[axis] % shape.stride[axis]).collect();
        phases.sort_unstable();
        phases.dedup();
        phases
    };
    let columns = used(1);
    let pairs = used(0).into_iter().flat_map(|row| columns.iter().map(move |column| [row, *column]));
    ([extent(0), extent(1)], pairs.collect())
}

/// Checks that a packing fits a layer whose shape is valid.
///
/// # Errors
/// The broken rule.
pub fn check_packing(shape: &LinearShape, packing: &Packing) -> Result<(), &'static str> {
    let refuse = |reason: &'static str| Err(reason);
    let (kernel, phases) = phases(shape);
    let dimension = packing.parameters.dimension();
    let Packing { group_tile, channel_tile, output_tile, window, .. } = *packing;
    if group_tile == 0 || !shape.groups.is_multiple_of(group_tile) {
        return refuse("the joined groups do not divide the groups");
    }
    if window[0] < kernel[0] || window[1] < kernel[1] {
        return refuse("a window is smaller than the kernel");
    }
    let sizes = [channel_tile, output_tile, window[0], window[1]];
    let product = sizes.into_iter().try_fold(1usize, |product, size| product.checked_mul(size));
    if !product.is_some_and(|product| (1..=dimension).contains(&product)) {
        return refuse("a tile is empty or larger than a polynomial");
    }
    let joined = shape.groups / group_tile;
    if channel_tile > shape.input.channels / joined * phases.len() || output_tile > shape.output.channels / joined {
        return refuse("a tile has more channels than the layer");
    }
    let bits = [packing.upload_bits, packing.response_mask_bits, packing.response_body_bits];
    if bits.into_iter().any(|bits| !(1..=64).contains(&bits)) {
        return refuse("coefficients have 1 to 64 bits");
    }
    let geometry = Geometry::new(&LinearStep { shape: *shape, packing: *packing });
    let coefficients = |tiles: usize| {
        let sizes = [geometry.groups(), geometry.windows(), tiles, dimension];
        sizes.into_iter().try_fold(1u64, |coefficients, size| coefficients.checked_mul(size as u64))
    };
    let most = [geometry.channel_tiles(), geometry.output_tiles()].map(coefficients);
    if most.into_iter().any(|coefficients| coefficients.is_none_or(|coefficients| coefficients > 1 << 28)) {
        return refuse("too many ciphertexts");
    }
    Ok(())
}

impl Geometry {
    /// The layout of a validated step.
    pub(crate) fn new(linear: &LinearStep) -> Self {
        let LinearStep { shape, packing } = *linear;
        let (kernel, phases) = phases(&shape);
        let window_outputs = [packing.window[0] - kernel[0] + 1, packing.window[1] - kernel[1] + 1];
        let windows = [shape.output.height.div_ceil(window_outputs[0]), shape.output.width.div_ceil(window_outputs[1])];
        Self { shape, packing, phases, kernel, windows, window_outputs }
    }

    fn dimension(&self) -> usize {
        self.packing.parameters.dimension()
    }

    /// Groups as they are laid out: joined ones are one.
    pub(crate) fn groups(&self) -> usize {
        self.shape.groups / self.packing.group_tile
    }

    /// Channels of a group after space-to-depth.
    fn group_channels(&self) -> usize {
        self.shape.input.channels / self.groups() * self.phases.len()
    }

    fn group_outputs(&self) -> usize {
        self.shape.output.channels / self.groups()
    }

    /// Input tiles of one group and window.
    pub(crate) fn channel_tiles(&self) -> usize {
        self.group_channels().div_ceil(self.packing.channel_tile)
    }

    /// Output tiles of one group and window.
    pub(crate) fn output_tiles(&self) -> usize {
        self.group_outputs().div_ceil(self.packing.output_tile)
    }

    /// Windows of one image.
    pub(crate) fn windows(&self) -> usize {
        self.windows[0] * self.windows[1]
    }

    /// Input ciphertexts, ordered by group, window, channel tile.
    pub(crate) fn input_ciphertexts(&self) -> usize {
        self.groups() * self.windows() * self.channel_tiles()
    }

    /// Output ciphertexts, ordered by group, window, output tile.
    pub(crate) fn output_ciphertexts(&self) -> usize {
        self.groups() * self.windows() * self.output_tiles()
    }

    /// The client's share of the input, packed into the polynomials of all input ciphertexts.
    pub(crate) fn pack_inputs(&self, share: &[u32]) -> Vec<Vec<u32>> {
        let [window_height, window_width] = self.packing.window;
        let area = window_height * window_width;
        let mut polynomials = Vec::with_capacity(self.input_ciphertexts());
        for group in 0..self.groups() {
            for window in 0..self.windows() {
                for tile in 0..self.channel_tiles() {
                    let mut polynomial = vec![0; self.dimension()];
                    let first = tile * self.packing.channel_tile;
                    let last = (first + self.packing.channel_tile).min(self.group_channels());
                    for channel in first..last {
                        let plane = &mut polynomial[(channel - first) * area..][..area];
                        self.fill_plane(share, group, channel, window, plane);
                    }
                    polynomials.push(polynomial);
                }
            }
        }
        polynomials
    }

    /// One channel (after space-to-depth) of one window.
    fn fill_plane(&self, share: &[u32], group: usize, channel: usize, window: usize, plane: &mut [u32]) {
        let [phase_row, phase_column] = self.phases[channel % self.phases.len()];
        let source = (group * self.group_channels() + channel) / self.phases.len();
        let input = self.shape.input;
        let top = window / self.windows[1] * self.window_outputs[0];
        let left = window % self.windows[1] * self.window_outputs[1];
        for (row, line) in plane.chunks_exact_mut(self.packing.window[1]).enumerate() {
            let image_row = ((top + row) * self.shape.stride[0] + phase_row).wrapping_sub(self.shape.padding.top);
            if image_row >= input.height {
                continue;
            }
            let image_line = &share[(source * input.height + image_row) * input.width..][..input.width];
            for (column, element) in line.iter_mut().enumerate() {
                let position = (left + column) * self.shape.stride[1] + phase_column;
                if let Some(value) = image_line.get(position.wrapping_sub(self.shape.padding.left)) {
                    *element = *value;
                }
            }
        }
    }

    /// The highest coefficient of a kernel polynomial, that of the first tap of the first channels.
    fn origin(&self) -> usize {
        let [height, width] = self.packing.window;
        height * width * (self.packing.output_tile * self.packing.channel_tile - 1)
            + width * (self.kernel[0] - 1)
            + (self.kernel[1] - 1)
    }

    /// Kernel polynomials of the whole step.
    pub(crate) fn kernel_count(&self) -> usize {
        self.groups() * self.output_tiles() * self.channel_tiles()
    }

    /// The taps of all kernel polynomials, ordered by group, output tile, channel tile, from weights ordered
    /// `[output channel][input channel of the group][row][column]`. How many there are says nothing of the weights.
    pub(crate) fn taps(&self, weights: &[i16]) -> Vec<Vec<Tap>> {
        let mut counts = vec![0; self.kernel_count()];
        self.for_each_place(|polynomial, _| counts[polynomial] += 1);
        // With their room from the start: a vector that grows leaves copies of weights behind.
        let mut polynomials: Vec<Vec<Tap>> = counts.into_iter().map(Vec::with_capacity).collect();
        let mut weights = weights.iter();
        self.for_each_place(|polynomial, position| {
            polynomials[polynomial].extend(weights.next().map(|weight| Tap { position, weight: *weight }));
        });
        polynomials
    }

    /// Calls `visit` with the kernel polynomial and the coefficient of each weight, in the order of the weights.
    fn for_each_place(&self, mut visit: impl FnMut(usize, u16)) {
        let tiles = self.channel_tiles();
        let [taps_high, taps_wide] = self.shape.kernel;
        let channels = self.shape.channels_per_group();
        for row_index in 0..self.shape.output.channels * channels {
            let (output, channel) = (row_index / channels, row_index % channels);
            // The first channel that the output's own group has in its joined one.
            let own_group = output / (self.shape.output.channels / self.shape.groups);
            let channel = own_group % self.packing.group_tile * channels + channel;
            let (group, output) = (output / self.group_outputs(), output % self.group_outputs());
            for tap in 0..taps_high * taps_wide {
                let offset = [tap / taps_wide * self.shape.dilation[0], tap % taps_wide * self.shape.dilation[1]];
                let phase = [offset[0] % self.shape.stride[0], offset[1] % self.shape.stride[1]];
                let phase = self.phases.iter().position(|used| *used == phase).unwrap_or(0);
                let channel = channel * self.phases.len() + phase;
                let (channel_tile, channel) =
                    (channel / self.packing.channel_tile, channel % self.packing.channel_tile);
                let (output_tile, output) = (output / self.packing.output_tile, output % self.packing.output_tile);
                let [height, width] = self.packing.window;
                let planes = output * self.packing.channel_tile + channel;
                let place = [offset[0] / self.shape.stride[0], offset[1] / self.shape.stride[1]];
                let position = self.origin() - planes * height * width - place[0] * width - place[1];
                visit((group * self.output_tiles() + output_tile) * tiles + channel_tile, position as u16);
            }
        }
    }

    /// Rows, columns and channels of the outputs that one ciphertext holds.
    fn output_extent(&self, output_ciphertext: usize) -> ([usize; 3], [usize; 3]) {
        let (group_window, tile) = (output_ciphertext / self.output_tiles(), output_ciphertext % self.output_tiles());
        let (group, window) = (group_window / self.windows(), group_window % self.windows());
        let channel = tile * self.packing.output_tile;
        let channels = self.packing.output_tile.min(self.group_outputs() - channel);
        let top = window / self.windows[1] * self.window_outputs[0];
        let left = window % self.windows[1] * self.window_outputs[1];
        let rows = self.window_outputs[0].min(self.shape.output.height - top);
        let columns = self.window_outputs[1].min(self.shape.output.width - left);
        ([group * self.group_outputs() + channel, top, left], [channels, rows, columns])
    }

    /// Number of outputs in one ciphertext.
    pub(crate) fn output_count(&self, output_ciphertext: usize) -> usize {
        self.output_extent(output_ciphertext).1.iter().product()
    }

    /// The outputs in one ciphertext: coefficient and index of the output element, ordered by channel, row, column.
    pub(crate) fn outputs(&self, output_ciphertext: usize) -> impl Iterator<Item = (usize, usize)> {
        let ([channel, top, left], [channels, rows, columns]) = self.output_extent(output_ciphertext);
        let [height, width] = self.packing.window;
        let output = self.shape.output;
        let origin = self.origin();
        let channel_stride = self.packing.channel_tile * height * width;
        (0..channels * rows * columns).map(move |index| {
            let (index, column) = (index / columns, index % columns);
            let (place, row) = (index / rows, index % rows);
            let element = ((channel + place) * output.height + top + row) * output.width + left + column;
            (origin - place * channel_stride + row * width + column, element)
        })
    }
}
