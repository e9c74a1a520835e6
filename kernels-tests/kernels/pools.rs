//! What the tests of the pooling kernels share: the windows of the networks and their output sizes.

use pixgrad::engine::kernels::View;

/// n, c, h, w; kernel, stride, padding and dilation, each for rows and columns; ceil.
pub type Layer = (u32, u32, u32, u32, [[u32; 2]; 4], bool);

/// The same by a square window without dilation.
const fn square(n: u32, c: u32, h: u32, w: u32, window: [u32; 3], ceil: bool) -> Layer {
    let [kernel, stride, pad] = window;
    (
        n,
        c,
        h,
        w,
        [[kernel; 2], [stride; 2], [pad; 2], [1; 2]],
        ceil,
    )
}

/// Sizes that no group of pixels divides, every window of the networks, and windows that are not square.
pub const LAYERS: &[Layer] = &[
    square(1, 3, 2, 2, [2, 2, 0], false),
    square(2, 7, 9, 13, [2, 2, 0], false), // VGG
    square(1, 12, 7, 11, [2, 2, 0], true), // torchvision's GoogLeNet pool4
    square(1, 6, 9, 15, [3, 2, 0], false), // AlexNet: overlapping
    square(2, 5, 8, 12, [3, 2, 0], true), // SqueezeNet, Caffe's GoogLeNet: the last windows are clipped
    square(1, 70, 5, 7, [3, 1, 1], false), // the Inception modules' pool branch
    square(1, 4, 1, 1, [3, 1, 1], false), // one pixel
    square(1, 4, 6, 9, [3, 2, 1], true),
    square(1, 2, 9, 6, [1, 3, 0], false), // some inputs in no window
    square(1, 5, 9, 10, [4, 3, 1], false),
    (2, 5, 9, 14, [[1, 2], [1, 2], [0, 0], [1, 1]], false),
    (1, 6, 13, 10, [[3, 2], [2, 1], [1, 0], [1, 1]], true),
    (1, 3, 8, 15, [[2, 7], [3, 2], [0, 3], [1, 1]], false),
    (1, 9, 11, 7, [[2, 2], [1, 2], [1, 0], [1, 1]], true),
    (2, 5, 9, 13, [[3, 3], [1, 1], [2, 2], [2, 2]], false),
    (1, 6, 12, 11, [[3, 2], [2, 3], [1, 2], [3, 2]], true),
    (1, 3, 7, 17, [[1, 7], [1, 1], [0, 9], [1, 3]], false),
    square(1, 7, 11, 12, [5, 1, 2], false), // an argmax of 8 bits
    square(1, 3, 15, 9, [7, 2, 3], true),
    (1, 4, 17, 14, [[5, 4], [1, 2], [4, 3], [2, 2]], false),
    // Gaps wider than the image: some windows see no pixel.
    (1, 5, 3, 2, [[2, 3], [1, 1], [5, 4], [5, 4]], false),
];

/// Input and output of a layer.
pub fn views(layer: Layer) -> (View, View) {
    let (n, c, h, w, [kernel, stride, pad, dilation], ceil) = layer;
    let size = |axis: usize, size| {
        let extent = (kernel[axis] - 1) * dilation[axis] + 1;
        output_size(size, extent, stride[axis], pad[axis], ceil)
    };
    (
        View::new(n, h, w, c),
        View::new(n, size(0, h), size(1, w), c),
    )
}

/// torch's and Caffe's: rounded down, or up but without a last window that starts beyond the image.
fn output_size(size: u32, extent: u32, stride: u32, pad: u32, ceil: bool) -> u32 {
    let span = size + 2 * pad - extent;
    if !ceil {
        return span / stride + 1;
    }
    let count = span.div_ceil(stride) + 1;
    if (count - 1) * stride >= size + pad {
        count - 1
    } else {
        count
    }
}

#[test]
fn sizes() {
    assert_eq!(output_size(224, 2, 2, 0, false), 112);
    assert_eq!(output_size(111, 3, 2, 0, true), 55);
    assert_eq!(output_size(112, 3, 2, 0, true), 56);
    assert_eq!(output_size(14, 3, 2, 0, true), 7);
    assert_eq!(output_size(14, 3, 1, 1, false), 14);
    // Without the rule for ceil this would be 4.
    assert_eq!(output_size(5, 2, 2, 1, true), 3);
}
