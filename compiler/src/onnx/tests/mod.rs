//! Hand-built files for every operator and every error, and the bundled networks.

mod activations;
mod answers;
mod arithmetic;
mod channels;
mod channels_last;
mod channels_last_input;
mod clips;
mod constants;
mod errors;
mod file_errors;
mod layout;
mod networks;
mod pools;
mod rectifiers;
mod robustness;
mod unsupported;
mod windows;

use prost::Message;

use super::schema::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto, attribute_kind, data_type,
};
use super::{OnnxError, load};
use crate::graph::{Graph, Layer, Operator};

/// Builds a model with the input `x` and the output `y`. Nodes are called as their output with `_node` behind it.
#[derive(Clone)]
pub(super) struct Model {
    pub proto: ModelProto,
}

impl Model {
    /// A model of opset 13; a dimension of -1 is symbolic.
    pub fn new(input: &[i64]) -> Self {
        let graph = GraphProto {
            input: vec![value_info("x", Some(input))],
            output: vec![value_info("y", None)],
            ..GraphProto::default()
        };
        let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: 13 }];
        Self { proto: ModelProto { graph: Some(graph), opset_import, ..ModelProto::default() } }
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.proto.graph.as_mut().unwrap()
    }

    pub fn initializer(mut self, tensor: TensorProto) -> Self {
        self.graph().initializer.push(tensor);
        self
    }

    pub fn floats(self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        self.initializer(float_tensor(name, dims, values))
    }

    pub fn integers(self, name: &str, dims: &[i64], values: &[i64]) -> Self {
        self.initializer(integer_tensor(name, dims, values))
    }

    /// The same model for another operator set.
    pub fn opset(mut self, version: i64) -> Self {
        self.proto.opset_import[0].version = version;
        self
    }

    /// Gives the last node these outputs.
    pub fn outputs(mut self, names: &[&str]) -> Self {
        let node = self.graph().node.last_mut().unwrap();
        node.output = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Adds a node; `arguments` is the operator and its inputs, separated by blanks, `_` for one left out.
    pub fn node(mut self, output: &str, arguments: &str, attributes: Vec<AttributeProto>) -> Self {
        let mut words = arguments.split(' ').map(|word| word.trim_matches('_').to_owned());
        let op_type = words.next().unwrap();
        self.graph().node.push(NodeProto {
            op_type,
            input: words.collect(),
            output: vec![output.to_owned()],
            name: format!("{output}_node"),
            attribute: attributes,
            domain: String::new(),
        });
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }

    pub fn load(&self) -> Result<Graph, OnnxError> {
        load(&self.bytes())
    }

    /// The names of the operators of the layers after the input.
    pub fn operators(&self) -> Vec<&'static str> {
        let graph = self.load().unwrap();
        graph.layers[1..].iter().map(operator_name).collect()
    }

    /// Checks that the network gives this function of each element of the input.
    #[track_caller]
    pub fn assert_elementwise(&self, input: &[f32], expected: impl Fn(f32) -> f32) {
        self.assert_close(input, &input.iter().map(|&x| expected(x)).collect::<Vec<_>>());
    }

    /// Checks what the network gives.
    #[track_caller]
    pub fn assert_close(&self, input: &[f32], expected: &[f32]) {
        let found = self.run(input);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} differs from {expected}");
        }
    }

    pub fn run(&self, input: &[f32]) -> Vec<f32> {
        self.load().unwrap().evaluate(input).unwrap()
    }

    /// Checks that loading fails with exactly this message.
    #[track_caller]
    pub fn assert_error(&self, message: &str) {
        assert_eq!(self.load().unwrap_err().to_string(), message);
    }

    /// Checks that loading fails with a message that contains these parts.
    #[track_caller]
    pub fn assert_error_contains(&self, parts: &[&str]) {
        let message = self.load().unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
}

pub(super) fn operator_name(layer: &Layer) -> &'static str {
    match layer.operator {
        Operator::Input => "Input",
        Operator::Linear(_) => "Linear",
        Operator::Affine { .. } => "Affine",
        Operator::AddMap(_) => "AddMap",
        Operator::Quadratic { .. } => "Quadratic",
        Operator::AveragePool { .. } => "AveragePool",
        Operator::SumPool { .. } => "SumPool",
        Operator::Pad(_) => "Pad",
        Operator::Add => "Add",
        Operator::Subtract => "Subtract",
        Operator::Multiply { .. } => "Multiply",
        Operator::Relu => "Relu",
        Operator::MaxPool { .. } => "MaxPool",
        Operator::Concat => "Concat",
        Operator::Slice { .. } => "Slice",
        Operator::Reshape => "Reshape",
    }
}

pub(super) fn value_info(name: &str, dims: Option<&[i64]>) -> ValueInfoProto {
    let dimension = |&size: &i64| match size {
        -1 => DimensionProto { dim_value: None, dim_param: Some("batch".to_owned()) },
        size => DimensionProto { dim_value: Some(size), dim_param: None },
    };
    let shape = dims.map(|dims| TensorShapeProto { dim: dims.iter().map(dimension).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: data_type::FLOAT, shape });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

pub(super) fn float_tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        ..TensorProto::default()
    }
}

pub(super) fn integer_tensor(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: data_type::INT64,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn attribute(name: &str, kind: i32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), kind, ..AttributeProto::default() }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: value, ..attribute(name, attribute_kind::INT) }
}

pub(super) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, attribute_kind::INTS) }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: value, ..attribute(name, attribute_kind::FLOAT) }
}

pub(super) fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto { floats: values.to_vec(), ..attribute(name, attribute_kind::FLOATS) }
}

pub(super) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: value.as_bytes().to_vec(), ..attribute(name, attribute_kind::STRING) }
}

pub(super) fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { t: Some(value), ..attribute(name, attribute_kind::TENSOR) }
}

/// Small numbers that are exact in float32 and differ from each other.
pub(super) fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|index| (index as f32 * 7.0 % 23.0 - 11.0) / 8.0).collect()
}
