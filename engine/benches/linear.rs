//! The online linear step beside plain `f32` inference: `cargo bench -p tacit-engine --bench linear`.
//!
//! A table gives for each layer the medians of both and their ratio, measured in turn on one thread; then follow both
//! alone, the ring's with as many threads as `RAYON_NUM_THREADS` or the machine gives. A second table has the ring's times
//! with one thread and two, and on one thread with each set of instructions that the processor has. The `f32` side is the matrix
//! product alone, `matrixmultiply` behind `ndarray`: its weights and its image-to-columns matrix are prepared outside of
//! what is measured.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use divan::{Bencher, black_box};
use ndarray::Array2;
use ndarray::linalg::{general_mat_mul, general_mat_vec_mul};
use tacit_engine::kernels::{Instructions, LinearKernel};
use tacit_engine::{LinearParameters, RingBias};
use tacit_protocol::plan::{LinearShape, Padding, Shape};

fn main() {
    // `cargo test` starts benches without this argument, to see that they run.
    if std::env::args().any(|argument| argument == "--bench") {
        compare();
        compare_with_itself();
    }
    divan::main();
}

/// Medians and ratios of all layers on one thread.
fn compare() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    println!("{:<44} {:>12} {:>12} {:>7}", "one thread, medians", "ring, us", "f32, us", "ratio");
    for layer in LAYERS.iter() {
        let (ring, float) = pool.install(|| layer.race());
        let ratio = ring.as_secs_f64() / float.as_secs_f64();
        println!("{:<44} {:>12.1} {:>12.1} {:>7.2}", layer.name, micros(ring), micros(float), ratio);
    }
}

/// Medians of the ring's time with one thread, with two, and with other instructions.
fn compare_with_itself() {
    let pools = [1, 2].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads"));
    let names = Instructions::available().map(Instructions::name).skip(1);
    let columns = ["1 thread", "2 threads"].into_iter().chain(names);
    println!("\n{:<44}{}", "ring, medians, us", columns.map(|name| format!("{name:>13}")).collect::<String>());
    for layer in LAYERS.iter() {
        // A layer is divided for the threads that there are when its weights are brought into order.
        let mut kernels: Vec<_> = pools.iter().map(|pool| (pool, pool.install(|| layer.kernel(None)))).collect();
        for instructions in Instructions::available().skip(1) {
            kernels.push((&pools[0], pools[0].install(|| layer.kernel(Some(instructions)))));
        }
        let mut times = vec![Vec::new(); kernels.len()];
        let mut accumulators = vec![0; layer.outputs];
        let begin = Instant::now();
        while times[0].len() < 15 || begin.elapsed() < Duration::from_millis(700) {
            for ((pool, kernel), times) in kernels.iter().zip(&mut times) {
                times.push(pool.install(|| {
                    let start = Instant::now();
                    kernel.apply(black_box(&layer.share), black_box(&mut accumulators));
                    start.elapsed()
                }));
            }
        }
        let times = times.into_iter().map(|times| format!("{:>13.1}", micros(median(times))));
        println!("{:<44}{}", layer.name, times.collect::<String>());
    }
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

struct Layer {
    name: &'static str,
    shape: LinearShape,
    parameters: LinearParameters,
    kernel: LinearKernel,
    share: Vec<u32>,
    outputs: usize,
    product: Product,
}

/// The same layer in `f32`: the product of weights and image-to-columns matrix.
struct Product {
    weights: Array2<f32>,
    image: Array2<f32>,
}

impl Product {
    fn new(shape: &LinearShape) -> Self {
        let (rows, columns) = (shape.output.channels, shape.output.height * shape.output.width);
        let inner = shape.weight_count() / rows;
        let number = |(row, column): (usize, usize)| ((row * 7 + column) % 251) as f32 / 251.0;
        Self {
            weights: Array2::from_shape_fn((rows, inner), number),
            image: Array2::from_shape_fn((inner, columns), number),
        }
    }

    fn output(&self) -> Array2<f32> {
        Array2::zeros((self.weights.nrows(), self.image.ncols()))
    }

    /// `matrixmultiply::sgemm`; for a single column the product with a vector, which is several times faster.
    fn run(&self, output: &mut Array2<f32>) {
        if self.image.ncols() == 1 {
            general_mat_vec_mul(1.0, &self.weights, &self.image.column(0), 0.0, &mut output.column_mut(0));
        } else {
            general_mat_mul(1.0, &self.weights, &self.image, 0.0, output);
        }
    }
}

impl Layer {
    fn new((name, shape): (&'static str, LinearShape)) -> Self {
        let weights = (0..shape.weight_count()).map(|index| (index * 7919 % 65_521) as i16).collect();
        let bias = RingBias::PerChannel(vec![1; shape.output.channels]);
        let parameters = LinearParameters { weights, bias };
        let kernel = LinearKernel::new(&shape, &parameters);
        let share = (0..shape.input.elements() as u32).map(|index| index.wrapping_mul(0x9E37_79B9)).collect();
        let (outputs, product) = (shape.output.elements(), Product::new(&shape));
        Self { name, shape, parameters, kernel, share, outputs, product }
    }

    /// With the best instructions, or given ones.
    fn kernel(&self, instructions: Option<Instructions>) -> LinearKernel {
        match instructions {
            Some(instructions) => LinearKernel::with(instructions, &self.shape, &self.parameters),
            None => LinearKernel::new(&self.shape, &self.parameters),
        }
    }

    /// Medians of the ring's and of the `f32` time, measured in turn.
    fn race(&self) -> (Duration, Duration) {
        let (mut accumulators, mut output) = (vec![0u32; self.outputs], self.product.output());
        let (mut ring, mut float) = (Vec::new(), Vec::new());
        let begin = Instant::now();
        while ring.len() < 31 || begin.elapsed() < Duration::from_millis(500) {
            let start = Instant::now();
            self.kernel.apply(black_box(&self.share), black_box(&mut accumulators));
            let middle = Instant::now();
            self.product.run(black_box(&mut output));
            ring.push(middle - start);
            float.push(middle.elapsed());
        }
        (median(ring), median(float))
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn convolution(channels: [usize; 2], size: usize, kernel: usize, padding: usize) -> LinearShape {
    let output = size + 2 * padding - kernel + 1;
    LinearShape {
        input: Shape::new(channels[0], size, size),
        output: Shape::new(channels[1], output, output),
        kernel: [kernel, kernel],
        padding: Padding { top: padding, left: padding, bottom: padding, right: padding },
        ..LinearShape::fully_connected(1, 1)
    }
}

static LAYERS: LazyLock<Vec<Layer>> = LazyLock::new(|| {
    let shapes = [
        ("convolution 3x3, 64 to 64, 32x32", convolution([64, 64], 32, 3, 1)),
        ("convolution 5x5, 16 to 16, 12x12", convolution([16, 16], 12, 5, 0)),
        ("convolution 1x1, 64 to 256, 56x56", convolution([64, 256], 56, 1, 0)),
        ("convolution 3x3, 16 to 16, 32x32", convolution([16, 16], 32, 3, 1)),
        ("convolution 5x5, 1 to 16, 28x28", convolution([1, 16], 28, 5, 0)),
        ("convolution 3x3, 64 to 64, 8x8", convolution([64, 64], 8, 3, 1)),
        ("convolution 3x3, 512 to 512, 7x7", convolution([512, 512], 7, 3, 1)),
        ("convolution 3x3, 64 to 64, 112x112", convolution([64, 64], 112, 3, 1)),
        ("fully connected, 2048 to 1001", LinearShape::fully_connected(2048, 1001)),
        ("fully connected, 256 to 100", LinearShape::fully_connected(256, 100)),
    ];
    shapes.into_iter().map(Layer::new).collect()
});

fn layer(name: &str) -> &'static Layer {
    LAYERS.iter().find(|layer| layer.name == name).expect("a layer of this bench")
}

#[divan::bench(args = LAYERS.iter().map(|layer| layer.name))]
fn ring(bencher: Bencher, name: &str) {
    let layer = layer(name);
    let mut accumulators = vec![0; layer.outputs];
    bencher.bench_local(|| layer.kernel.apply(black_box(&layer.share), black_box(&mut accumulators)));
}

#[divan::bench(args = LAYERS.iter().map(|layer| layer.name))]
fn float(bencher: Bencher, name: &str) {
    let layer = layer(name);
    let mut output = layer.product.output();
    bencher.bench_local(|| layer.product.run(black_box(&mut output)));
}
