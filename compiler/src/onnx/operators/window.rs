//! Windows of convolutions and pools: kernel, strides, pads, in the ways that ONNX writes them.

use tacit_protocol::plan::{Padding, Shape};

use crate::onnx::node::Node;

/// Largest kernel, stride, dilation or pad.
const MAX_EXTENT: i64 = 1 << 16;

/// Geometry of a sliding window over an image, resolved for one image size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Step between windows.
    pub stride: [usize; 2],
    /// Distance between taps.
    pub dilation: [usize; 2],
    /// Zeros around the image.
    pub padding: Padding,
    /// Rows below and columns to the right of the padding that `ceil_mode` adds, outside of every average.
    pub extension: [usize; 2],
    /// Rows and columns of the result.
    pub output: [usize; 2],
}

/// Channels, rows and columns of a four-dimensional value.
pub(super) fn image(dims: &[usize]) -> Result<Shape, String> {
    match *dims {
        [_, channels, height, width] => Ok(Shape::new(channels, height, width)),
        _ => Err(format!(
            "takes a value of {} dimensions; only two-dimensional images [batch, channels, height, width] are supported",
            dims.len()
        )),
    }
}

/// Reads `strides`, `pads`, `auto_pad`, `dilations` and `ceil_mode` of a node.
pub(super) fn resolve(node: &Node<'_>, kernel: [usize; 2], image: Shape) -> Result<Window, String> {
    let stride = pair(node, "strides")?.unwrap_or([1, 1]);
    let dilation = pair(node, "dilations")?.unwrap_or([1, 1]);
    let ceil_mode = node.int("ceil_mode")?.unwrap_or(0) != 0;
    let size = [image.height, image.width];
    let extent: [usize; 2] = std::array::from_fn(|axis| dilation[axis] * (kernel[axis] - 1) + 1);

    let auto_pad = node.string("auto_pad")?.unwrap_or("NOTSET");
    let pads = match (auto_pad, node.ints("pads")?) {
        ("NOTSET" | "", None) | ("VALID", _) => [0; 4],
        ("NOTSET" | "", Some(pads)) => extents::<4>("pads", pads, 0)?,
        ("SAME_UPPER" | "SAME_LOWER", _) => {
            let reach: [usize; 2] = std::array::from_fn(|axis| {
                let windows = size[axis].div_ceil(stride[axis]);
                (windows - 1) * stride[axis] + extent[axis]
            });
            // Where the windows leave out more than one line, some runtimes begin with the first one and others do not.
            if (0..2).any(|axis| reach[axis] + 1 < size[axis]) {
                return Err(format!(
                    "has auto_pad `{auto_pad}` and strides that leave out more than one line of the image, which \
                     runtimes read in different ways; export it with explicit pads"
                ));
            }
            let total: [usize; 2] = std::array::from_fn(|axis| reach[axis].saturating_sub(size[axis]));
            let smaller = total.map(|total| total / 2);
            let larger = total.map(|total| total.div_ceil(2));
            if auto_pad == "SAME_UPPER" {
                [smaller[0], smaller[1], larger[0], larger[1]]
            } else {
                [larger[0], larger[1], smaller[0], smaller[1]]
            }
        }
        (other, _) => {
            return Err(format!("has auto_pad `{other}`; supported are NOTSET, VALID, SAME_UPPER, SAME_LOWER"));
        }
    };
    let mut output = [0; 2];
    let mut extension = [0; 2];
    for axis in 0..2 {
        let padded = size[axis] + pads[axis] + pads[axis + 2];
        let room = (padded + stride[axis]).saturating_sub(extent[axis]);
        let (whole, partial) = (room / stride[axis], !room.is_multiple_of(stride[axis]));
        // A last, partial window counts only if it starts inside the image or the leading padding.
        let windows = whole + usize::from(ceil_mode && partial && whole * stride[axis] < size[axis] + pads[axis]);
        if windows == 0 {
            return Err(format!(
                "has a kernel of extent {extent:?}, larger than the padded image of {padded} in one dimension"
            ));
        }
        output[axis] = windows;
        extension[axis] = ((windows - 1) * stride[axis] + extent[axis]).saturating_sub(padded);
    }
    let [top, left, bottom, right] = pads;
    let padding = Padding { top, left, bottom, right };
    Ok(Window { kernel, stride, dilation, padding, extension, output })
}

/// An attribute that holds two positive extents.
pub(super) fn pair(node: &Node<'_>, name: &str) -> Result<Option<[usize; 2]>, String> {
    node.ints(name)?.map(|values| extents::<2>(name, values, 1)).transpose()
}

/// Checks the number and the range of extents.
pub(super) fn extents<const N: usize>(name: &str, values: &[i64], minimum: i64) -> Result<[usize; N], String> {
    let wrong = || {
        format!(
            "has {name} {values:?}; {N} numbers from {minimum} to {MAX_EXTENT} are supported (two-dimensional images)"
        )
    };
    let checked = values
        .iter()
        .map(|&value| if (minimum..=MAX_EXTENT).contains(&value) { Ok(value as usize) } else { Err(wrong()) })
        .collect::<Result<Vec<_>, _>>()?;
    checked.try_into().map_err(|_| wrong())
}
