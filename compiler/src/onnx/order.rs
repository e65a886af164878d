//! The order of a value's elements in the file, where transpositions have made it another than that of its layer.
//!
//! Exporters of frameworks that store channels last wrap each convolution in transpositions. Nothing is moved for
//! them: a value remembers how its elements are to be read, and mostly the next transposition undoes it.

/// How the elements of a layer come one after the other in the file.
///
/// The layer's elements are a tensor of `sizes`, and the file has that tensor transposed by `axes`. No size is 1, and
/// no two axes that are neighbours in the layer are neighbours in the file: they would be one axis. The layer's own
/// order has no axes at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    sizes: Vec<usize>,
    axes: Vec<usize>,
}

/// A part of an axis: as long as both an axis of the order and one of the file's dimensions permit.
struct Part {
    size: usize,
    /// Position in the layer, among the parts.
    position: usize,
    /// Dimension of the file that it belongs to.
    dimension: usize,
}

impl Order {
    /// The order of a layer of `channels` channels of `area` elements whose channels come last in the file.
    pub fn channels_last(channels: usize, area: usize) -> Self {
        let parts = [(area, 1), (channels, 0)];
        Self::from_parts(parts.into_iter().filter(|(size, _)| *size != 1).collect())
    }

    /// Whether this is the layer's own order.
    pub fn is_straight(&self) -> bool {
        self.axes.is_empty()
    }

    /// The order after the dimensions `dims` of a sample, whose elements come in this order, are transposed by `axes`.
    ///
    /// `None` if the dimensions do not fall on the axes that the order consists of.
    pub fn transposed(&self, dims: &[usize], axes: &[usize]) -> Option<Self> {
        let parts = self.parts(dims)?;
        let moved = axes.iter().flat_map(|axis| parts.iter().filter(move |part| part.dimension == *axis));
        Some(Self::from_parts(moved.map(|part| (part.size, part.position)).collect()))
    }

    /// For each dimension of a sample the distance, in the layer, between its elements; `None` where there is no single
    /// one.
    pub fn strides(&self, dims: &[usize]) -> Vec<Option<usize>> {
        if self.is_straight() {
            let mut strides = vec![Some(1); dims.len()];
            for axis in (1..dims.len()).rev() {
                strides[axis - 1] = strides[axis].and_then(|stride: usize| stride.checked_mul(dims[axis]));
            }
            return strides;
        }
        let Some(parts) = self.parts(dims) else {
            return vec![None; dims.len()];
        };
        let stride_of = |part: &Part| {
            let inner = parts.iter().filter(|other| other.position > part.position);
            inner.map(|other| other.size).product::<usize>()
        };
        let stride = |dimension: usize| {
            let mut own = parts.iter().filter(|part| part.dimension == dimension).peekable();
            let mut stride = None;
            while let Some(part) = own.next() {
                if own.peek().is_some_and(|next| next.position != part.position + 1) {
                    return None;
                }
                stride = Some(stride_of(part));
            }
            stride
        };
        (0..dims.len()).map(stride).collect()
    }

    /// The order after a dimension of a sample, which runs over the outermost axis of the layer or is 1, becomes one of
    /// size `to` over the outermost axis. `None` if the dimensions do not fall on the axes that the order consists of.
    pub fn with_channels(&self, dims: &[usize], dimension: usize, to: usize) -> Option<Self> {
        let parts = self.parts(dims)?;
        let kept = |range: fn(&usize, &usize) -> bool| {
            let kept = parts.iter().filter(move |part| range(&part.dimension, &dimension));
            kept.map(|part| (part.size, part.position + 1))
        };
        let channels = Some((to, 0)).filter(|_| to != 1);
        Some(Self::from_parts(kept(usize::lt).chain(channels).chain(kept(usize::gt)).collect()))
    }

    /// For each of `count` elements in the order of the file, its index in the layer.
    pub fn indices(&self, count: usize) -> Vec<usize> {
        let mut indices = vec![0];
        let stride = |axis: usize| self.sizes[axis + 1..].iter().product::<usize>();
        for &axis in &self.axes {
            let stride = stride(axis);
            let places = |start: usize| (0..self.sizes[axis]).map(move |place| start + place * stride);
            indices = indices.into_iter().flat_map(places).collect();
        }
        if self.is_straight() { (0..count).collect() } else { indices }
    }

    /// The common parts of this order's axes and of the dimensions of a sample, in the order of the file.
    fn parts(&self, dims: &[usize]) -> Option<Vec<Part>> {
        if dims.contains(&0) {
            return None;
        }
        let own: Vec<usize> = match self.is_straight() {
            true => vec![dims.iter().product()],
            false => self.axes.iter().map(|&axis| self.sizes[axis]).collect(),
        };
        let mut parts: Vec<(usize, Part)> = Vec::new();
        let mut dimension = 0;
        let mut left_of_dimension = dims.first().copied().unwrap_or(1);
        for (index, &size) in own.iter().enumerate() {
            let mut left = size;
            while left > 1 {
                while left_of_dimension == 1 {
                    dimension += 1;
                    left_of_dimension = *dims.get(dimension)?;
                }
                let size = left.min(left_of_dimension);
                if !left.is_multiple_of(size) || !left_of_dimension.is_multiple_of(size) {
                    return None;
                }
                left /= size;
                left_of_dimension /= size;
                let axis = self.axes.get(index).copied().unwrap_or(0);
                parts.push((axis, Part { size, position: 0, dimension }));
            }
        }
        // Parts of the same axis lie in the layer as they do in the file.
        let mut by_position: Vec<usize> = (0..parts.len()).collect();
        by_position.sort_by_key(|&part| (parts[part].0, part));
        for (position, part) in by_position.into_iter().enumerate() {
            parts[part].1.position = position;
        }
        Some(parts.into_iter().map(|(_, part)| part).collect())
    }

    /// From the sizes of axes in the order of the file, each with its rank in the layer. None is of size 1.
    fn from_parts(parts: Vec<(usize, usize)>) -> Self {
        let mut ranks: Vec<usize> = parts.iter().map(|(_, position)| *position).collect();
        ranks.sort_unstable();
        let rank = |position: usize| ranks.partition_point(|&other| other < position);
        let mut joined: Vec<(usize, usize)> = Vec::new();
        let mut previous = None;
        for (size, position) in parts {
            let position = rank(position);
            match joined.last_mut() {
                Some((length, _)) if previous.is_some_and(|previous: usize| previous + 1 == position) => {
                    *length *= size;
                }
                _ => joined.push((size, position)),
            }
            previous = Some(position);
        }
        if joined.len() <= 1 {
            return Self::default();
        }
        let mut by_rank: Vec<usize> = (0..joined.len()).collect();
        by_rank.sort_by_key(|&index| joined[index].1);
        let sizes = by_rank.iter().map(|&index| joined[index].0).collect();
        let mut axes = vec![0; joined.len()];
        for (axis, index) in by_rank.into_iter().enumerate() {
            axes[index] = axis;
        }
        Self { sizes, axes }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Order;

    /// The elements of `values` of dimensions `dims` transposed by `axes`, and the new dimensions.
    fn transpose(values: &[usize], dims: &[usize], axes: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let new: Vec<usize> = axes.iter().map(|&axis| dims[axis]).collect();
        let moved = (0..values.len()).map(|mut index| {
            let mut places = vec![0; dims.len()];
            for position in (0..axes.len()).rev() {
                places[axes[position]] = index % new[position];
                index /= new[position];
            }
            values[places.iter().zip(dims).fold(0, |source, (place, dim)| source * dim + place)]
        });
        (moved.collect(), new)
    }

    #[test]
    fn transpositions_that_cancel_out() {
        let last = Order::default().transposed(&[3, 4, 5], &[1, 2, 0]).unwrap();
        assert_eq!(last, Order::channels_last(3, 20));
        assert_eq!(last.strides(&[4, 5, 3]), [Some(5), Some(1), Some(20)]);
        assert_eq!(last.strides(&[20, 3]), [Some(1), Some(20)]);
        assert_eq!(last.strides(&[60]), [None]);
        assert!(last.transposed(&[4, 5, 3], &[2, 0, 1]).unwrap().is_straight());
        assert!(last.transposed(&[20, 3], &[1, 0]).unwrap().is_straight());
        assert_eq!(last.with_channels(&[4, 5, 3], 2, 7), Some(Order::channels_last(7, 20)));
        let single = last.with_channels(&[20, 3], 1, 1).unwrap();
        assert!(single.is_straight());
        assert_eq!(single.with_channels(&[4, 5, 1], 2, 3), Some(last));
    }

    #[test]
    fn dimensions_that_cut_through_an_axis() {
        let last = Order::channels_last(4, 6);
        assert!(last.transposed(&[4, 6], &[1, 0]).is_none());
        assert!(last.transposed(&[0, 6], &[1, 0]).is_none());
        assert!(Order::channels_last(1, 6).is_straight());
    }

    fn permutation(rank: usize) -> impl Strategy<Value = Vec<usize>> {
        Just((0..rank).collect::<Vec<_>>()).prop_shuffle()
    }

    proptest! {
        #[test]
        fn any_two_transpositions(
            dims in prop::collection::vec(1_usize..5, 4),
            first in permutation(4),
            second in permutation(4),
        ) {
            let count = dims.iter().product();
            let values: Vec<usize> = (0..count).collect();
            let (moved, new) = transpose(&values, &dims, &first);
            let order = Order::default().transposed(&dims, &first).unwrap();
            prop_assert_eq!(order.indices(count), moved.clone());
            prop_assert_eq!(order.is_straight(), moved == values);
            for (axis, stride) in order.strides(&new).into_iter().enumerate() {
                let inner: usize = new[axis + 1..].iter().product();
                if let (Some(stride), true) = (stride, new[axis] > 1) {
                    prop_assert_eq!(moved[inner] - moved[0], stride);
                }
            }
            let order = order.transposed(&new, &second).unwrap();
            let (moved, _) = transpose(&moved, &new, &second);
            prop_assert_eq!(order.indices(count), moved.clone());
            prop_assert_eq!(order.is_straight(), moved == values);
        }
    }
}
