//! Operators that change dimensions only, the shape arithmetic of exporters, and the batch.

use super::{Model, int, integer_tensor, ints, ramp, tensor};

#[track_caller]
fn assert_dimensions(model: &Model, dimensions: &[usize], operators: &[&str]) {
    let graph = model.load().unwrap();
    assert_eq!(graph.output_dimensions, dimensions);
    assert_eq!(model.operators(), operators);
    let elements = graph.layers[0].shape.elements();
    let values = ramp(elements);
    let doubled: Vec<f32> = values.iter().map(|value| 2.0 * value).collect();
    assert_eq!(graph.evaluate(&values).unwrap(), doubled);
}

/// Doubles the value `v`, so that there is something to compute.
fn doubled(model: Model) -> Model {
    model.floats("two", &[], &[2.0]).node("y", "Mul v two", vec![])
}

fn image() -> Model {
    Model::new(&[-1, 3, 2, 2])
}

#[test]
fn flatten() {
    let flatten = |attributes| doubled(image().node("v", "Flatten x", attributes));
    for attributes in [vec![], vec![int("axis", 1)], vec![int("axis", -3)], vec![int("axis", 0)]] {
        assert_dimensions(&flatten(attributes), &[12], &["Reshape", "Affine"]);
    }
}

#[test]
fn reshape() {
    let reshape = |target: &[i64]| {
        let model = image().integers("s", &[target.len() as i64], target);
        doubled(model.node("v", "Reshape x s", vec![]))
    };
    assert_dimensions(&reshape(&[-1, 12]), &[12], &["Reshape", "Affine"]);
    assert_dimensions(&reshape(&[1, -1]), &[12], &["Reshape", "Affine"]);
    assert_dimensions(&reshape(&[0, -1]), &[12], &["Reshape", "Affine"]);
    assert_dimensions(&reshape(&[0, 2, 3, 2]), &[2, 3, 2], &["Reshape", "Affine"]);
    assert_dimensions(&reshape(&[0, 0, 4]), &[3, 4], &["Reshape", "Affine"]);
    assert_dimensions(&reshape(&[0, 3, 2, 2]), &[3, 2, 2], &["Affine"]);
}

#[test]
fn squeeze_and_unsqueeze_as_attribute_and_as_input() {
    let vector = || Model::new(&[-1, 3, 1, 1]).integers("axes", &[2], &[2, -1]);
    assert_dimensions(&doubled(vector().node("v", "Squeeze x", vec![ints("axes", &[2, 3])])), &[3], &["Affine"]);
    assert_dimensions(&doubled(vector().node("v", "Squeeze x axes", vec![])), &[3], &["Affine"]);
    let flat = || Model::new(&[-1, 3]).integers("axes", &[2], &[2, -1]);
    assert_dimensions(&doubled(flat().node("v", "Unsqueeze x", vec![ints("axes", &[2, 3])])), &[3, 1, 1], &["Affine"]);
    assert_dimensions(&doubled(flat().node("v", "Unsqueeze x axes", vec![])), &[3, 1, 1], &["Affine"]);
    let channel = Model::new(&[-1, 4, 4]).integers("axes", &[1], &[1]);
    let channel = doubled(channel.node("v", "Unsqueeze x axes", vec![]));
    assert_dimensions(&channel, &[1, 4, 4], &["Reshape", "Affine"]);
}

#[test]
fn transposition_of_dimensions_of_one() {
    let gray = Model::new(&[-1, 4, 5, 1]).node("v", "Transpose x", vec![ints("perm", &[0, 3, 1, 2])]);
    assert_dimensions(&doubled(gray), &[1, 4, 5], &["Affine"]);
    let gray = || Model::new(&[-1, 4, 5, 1]).floats("w", &[2, 1, 2, 2], &ramp(8)).floats("half", &[], &[0.5]);
    let convolved = |value: &str| {
        let scaled = gray().node("h", "Mul x half", vec![]);
        scaled.node("t", &format!("Transpose {value}"), vec![ints("perm", &[0, 3, 1, 2])]).node("y", "Conv t w", vec![])
    };
    assert_eq!(convolved("x").operators(), ["Reshape", "Linear"]);
    assert_eq!(convolved("h").operators(), ["Reshape", "Affine", "Linear"]);
    let plain = Model::new(&[-1, 1, 4, 5]).floats("w", &[2, 1, 2, 2], &ramp(8)).node("y", "Conv x w", vec![]);
    let half: Vec<f32> = ramp(20).iter().map(|value| value * 0.5).collect();
    assert_eq!(convolved("h").run(&ramp(20)), plain.run(&half));
    let same = image().node("v", "Transpose x", vec![ints("perm", &[0, 1, 2, 3])]);
    assert_dimensions(&doubled(same), &[3, 2, 2], &["Affine"]);
}

#[test]
fn flattening_by_shape_gather_concat() {
    // What older PyTorch exporters write for x.view(x.size(0), -1).
    let model = image()
        .node("shape", "Shape x", vec![])
        .node("zero", "Constant", vec![tensor("value", integer_tensor("", &[], &[0]))])
        .node("batch", "Gather shape zero", vec![int("axis", 0)])
        .node("batch1", "Unsqueeze batch", vec![ints("axes", &[0])])
        .node("rest", "Constant", vec![tensor("value", integer_tensor("", &[1], &[-1]))])
        .node("target", "Concat batch1 rest", vec![int("axis", 0)])
        .node("v", "Reshape x target", vec![]);
    assert_dimensions(&doubled(model), &[12], &["Reshape", "Affine"]);
}

#[test]
fn flattening_by_shape_slice_and_product() {
    let model = image()
        .integers("one", &[1], &[1])
        .integers("far", &[1], &[i64::MAX])
        .integers("zero", &[1], &[0])
        .integers("indices", &[3], &[0, 1, 2])
        .node("shape", "Shape x", vec![])
        .node("batch", "Slice shape zero one zero one", vec![])
        .node("sizes", "Slice shape one far zero", vec![])
        .node("cast", "Cast sizes", vec![int("to", 7)])
        .node("channels", "Gather cast zero", vec![])
        .node("height", "Gather cast one", vec![])
        .node("two", "Add one one", vec![])
        .node("width", "Gather cast two", vec![])
        .node("area", "Mul height width", vec![])
        .node("features", "Mul channels area", vec![])
        .node("target", "Concat batch features", vec![int("axis", -1)])
        .node("v", "Reshape x target", vec![])
        .floats("factor", &[], &[2.0])
        .node("y", "Mul v factor", vec![]);
    assert_dimensions(&model, &[12], &["Reshape", "Affine"]);
}

#[test]
fn shape_with_bounds() {
    let model = image()
        .node("batch", "Shape x", vec![int("end", 1)])
        .node("sizes", "Shape x", vec![int("start", -3)])
        .node("s", "Concat batch sizes", vec![int("axis", 0)])
        .node("v", "Reshape x s", vec![]);
    assert_dimensions(&doubled(model), &[3, 2, 2], &["Affine"]);
}

#[test]
fn layers_of_which_only_the_shape_is_used_are_dropped() {
    let model = image()
        .node("xx", "GlobalAveragePool x", vec![])
        .node("s", "Shape xx", vec![int("start", 0), int("end", 1)])
        .integers("rest", &[1], &[-1])
        .node("target", "Concat s rest", vec![int("axis", 0)])
        .node("v", "Reshape x target", vec![]);
    assert_dimensions(&doubled(model), &[12], &["Reshape", "Affine"]);
}

#[test]
fn a_fixed_batch_is_one_sample_of_it() {
    let model = Model::new(&[8, 3, 2, 2])
        .integers("s", &[2], &[8, 12])
        .floats("w", &[12, 2], &ramp(24))
        .node("v", "Reshape x s", vec![])
        .node("y", "MatMul v w", vec![]);
    let graph = model.load().unwrap();
    assert_eq!((graph.input_dimensions, graph.output_dimensions), (vec![3, 2, 2], vec![2]));
    Model::new(&[8, 3, 2, 2]).integers("s", &[2], &[4, 24]).node("y", "Reshape x s", vec![]).assert_error(
        "node `y_node` (Reshape): gives dimensions [4, 24]; the batch of 8 must stay the first dimension",
    );
}
