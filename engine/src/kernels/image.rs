//! A padded image, rearranged so that every line that a kernel tap meets is contiguous.

use tacit_protocol::plan::LinearShape;

/// The padded input, its columns sorted by remainder modulo the horizontal stride.
///
/// Column `x` of the padded image lies in phase `x % stride` at position `x / stride`, so the outputs of one row meet
/// consecutive elements whatever the stride.
pub(super) struct PhasedImage<'a> {
    shape: &'a LinearShape,
    elements: Vec<u32>,
    /// Rows of the padded image.
    rows: usize,
    /// Elements of one phase of one row.
    phase_width: usize,
}

impl<'a> PhasedImage<'a> {
    /// Pads and rearranges `share`.
    pub(super) fn new(shape: &'a LinearShape, share: &[u32]) -> Self {
        let rows = shape.input.height + shape.padding.top + shape.padding.bottom;
        let columns = shape.input.width + shape.padding.left + shape.padding.right;
        let stride = shape.stride[1];
        let phase_width = columns.div_ceil(stride);
        let mut elements = vec![0; shape.input.channels * rows * stride * phase_width];
        let lines = share.chunks_exact(shape.input.width).enumerate();
        for (index, line) in lines {
            let (channel, row) = (index / shape.input.height, index % shape.input.height + shape.padding.top);
            let target = &mut elements[(channel * rows + row) * stride * phase_width..][..stride * phase_width];
            if stride == 1 {
                target[shape.padding.left..][..line.len()].copy_from_slice(line);
                continue;
            }
            for (column, element) in line.iter().enumerate() {
                let column = column + shape.padding.left;
                target[column % stride * phase_width + column / stride] = *element;
            }
        }
        Self { shape, elements, rows, phase_width }
    }

    /// The elements that one kernel tap meets along a row of outputs.
    pub(super) fn line(&self, channel: usize, output_row: usize, tap: [usize; 2]) -> &[u32] {
        let [stride_down, stride] = self.shape.stride;
        let row = output_row * stride_down + tap[0] * self.shape.dilation[0];
        let column = tap[1] * self.shape.dilation[1];
        let start = ((channel * self.rows + row) * stride + column % stride) * self.phase_width + column / stride;
        &self.elements[start..][..self.shape.output.width]
    }
}
