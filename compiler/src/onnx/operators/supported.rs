//! What the reader accepts, and why it refuses the rest.

/// An operator that the reader accepts, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SupportedOperator {
    /// Name in the default ONNX domain.
    pub name: &'static str,
    /// Attributes that are read or do not matter for inference; a node with any other is refused.
    pub attributes: &'static [&'static str],
    /// What is supported of it, if not everything.
    pub limits: &'static str,
}

const fn operator(name: &'static str, attributes: &'static [&'static str], limits: &'static str) -> SupportedOperator {
    SupportedOperator { name, attributes, limits }
}

const CONSTANTS: &str = "constants only";
const AT_THE_END: &str = "at the very end, over one vector of outputs: left to the client";
const IMAGES: &str = "images (2-D)";
const SPACE: &str = "over height, width or both";
const REDUCTION: &[&str] = &["axes", "keepdims", "noop_with_empty_axes"];

/// Every operator that the reader accepts, by name.
pub const SUPPORTED_OPERATORS: &[SupportedOperator] = &[
    operator("Add", &[], "two layers of the same dimensions, or a constant"),
    operator("ArgMax", &["axis", "keepdims", "select_last_index"], AT_THE_END),
    operator(
        "AveragePool",
        &["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"],
        "images (2-D), dilation 1, pads smaller than the kernel",
    ),
    operator("BatchNormalization", &["epsilon", "momentum", "training_mode"], "inference, images and vectors"),
    operator("Cast", &["saturate", "to"], "constants; values to float32 and float64"),
    operator("Clip", &["max", "min"], "constant bounds"),
    operator("Concat", &["axis"], "along channels; constants along any axis"),
    operator("Constant", &["value", "value_float", "value_floats", "value_int", "value_ints"], ""),
    operator("ConstantOfShape", &["value"], CONSTANTS),
    operator("Conv", &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"], IMAGES),
    operator("Div", &[], "by a constant: scalar or per channel"),
    operator("Dropout", &["ratio", "seed"], "inference"),
    operator("Flatten", &["axis"], "the batch stays first"),
    operator("Gather", &["axis"], CONSTANTS),
    operator("Gemm", &["alpha", "beta", "transA", "transB"], "constant B and C"),
    operator("GlobalAveragePool", &[], IMAGES),
    operator("GlobalMaxPool", &[], IMAGES),
    operator("HardSigmoid", &["alpha", "beta"], ""),
    operator("HardSwish", &[], ""),
    operator("Identity", &[], ""),
    operator("LeakyRelu", &["alpha"], ""),
    operator("LogSoftmax", &["axis"], AT_THE_END),
    operator("MatMul", &[], "one row of features times a constant matrix"),
    operator("Max", &[], "layers of the same dimensions, constants that are scalars or per channel"),
    operator(
        "MaxPool",
        &["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"],
        "images (2-D), without the indices",
    ),
    operator("Min", &[], "layers of the same dimensions, constants that are scalars or per channel"),
    operator("Mul", &[], "a constant (scalar or per channel), the square of a value, x * clip(x) as in hard swish"),
    operator("Neg", &[], ""),
    operator("PRelu", &[], "constant slope: scalar or per channel"),
    operator("Pad", &["mode", "pads", "value"], "zeros around channels, height and width"),
    operator("Pow", &[], "exponents 1 and 2"),
    operator("Reciprocal", &[], CONSTANTS),
    operator("ReduceMax", REDUCTION, SPACE),
    operator("ReduceMean", REDUCTION, SPACE),
    operator("ReduceSum", REDUCTION, SPACE),
    operator("Relu", &[], ""),
    operator("Reshape", &["allowzero"], "the batch stays first"),
    operator("Shape", &["end", "start"], ""),
    operator("Sigmoid", &[], "at the very end: left to the client; x * sigmoid(x) is not supported"),
    operator("Slice", &["axes", "ends", "starts"], "ranges of channels, every so-many-th row or column; constants"),
    operator("Softmax", &["axis"], AT_THE_END),
    operator("Split", &["axis", "num_outputs", "split"], "along channels"),
    operator("Sqrt", &[], CONSTANTS),
    operator("Squeeze", &["axes"], "the batch stays first"),
    operator("Sub", &[], "two layers of the same dimensions, or a constant"),
    operator("Sum", &[], "layers of the same dimensions and constants"),
    operator("Transpose", &["perm"], "the batch stays first; channels last and back, as TensorFlow exports it"),
    operator("Unsqueeze", &["axes"], "the batch stays first"),
];

/// Why an operator of another domain is refused.
pub(in crate::onnx) const OTHER_DOMAIN: &str = "it is not a standard ONNX operator";

/// Why a standard operator that is not in [`SUPPORTED_OPERATORS`] is refused.
pub(in crate::onnx) fn refusal(operator: &str) -> &'static str {
    match operator {
        "Acos" | "Acosh" | "Asin" | "Asinh" | "Atan" | "Atanh" | "Celu" | "Cos" | "Cosh" | "Elu" | "Erf" | "Exp"
        | "Gelu" | "Log" | "Mish" | "Selu" | "Sin" | "Sinh" | "Softplus" | "Softsign" | "Swish" | "Tan" | "Tanh" => {
            "it is neither piecewise linear nor a square, and approximations are not made silently; train with ReLU, \
             HardSwish or another activation of the list"
        }
        "GroupNormalization"
        | "InstanceNormalization"
        | "LRN"
        | "LayerNormalization"
        | "LpNormalization"
        | "MeanVarianceNormalization"
        | "RMSNormalization" => "it divides by statistics of the input, a secret; BatchNormalization has fixed ones",
        "GRU" | "LSTM" | "RNN" | "Loop" | "Scan" | "If" => "recurrence and control flow are not supported",
        "Attention" | "Einsum" | "Hardmax" => "products of two secrets are not supported",
        "ConvInteger"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear"
        | "MatMulInteger"
        | "QLinearConv"
        | "QLinearMatMul"
        | "QuantizeLinear" => "quantised networks are not read; export the network in floats, it is quantised here",
        "Resize" | "Upsample" | "ConvTranspose" | "DepthToSpace" | "SpaceToDepth" => {
            "it changes the resolution in a way that is not supported; strided convolutions and pools are"
        }
        _ => "it is not one of the supported operators",
    }
}
