//! What the tests of the pooling kernels share: the windows of the networks and their output sizes.

use pixgrad::engine::kernels::View;

/// n, c, h, w, kernel, stride, pad, ceil.
pub type Layer = (u32, u32, u32, u32, u32, u32, u32, bool);

/// Sizes that no group of pixels divides, and every window of the networks.
pub const LAYERS: &[Layer] = &[
    (1, 3, 2, 2, 2, 2, 0, false),
    (2, 7, 9, 13, 2, 2, 0, false), // VGG
    (1, 12, 7, 11, 2, 2, 0, true), // torchvision's GoogLeNet pool4
    (1, 6, 9, 15, 3, 2, 0, false), // AlexNet: overlapping
    (2, 5, 8, 12, 3, 2, 0, true),  // SqueezeNet, Caffe's GoogLeNet: the last windows are clipped
    (1, 70, 5, 7, 3, 1, 1, false), // the Inception modules' pool branch
    (1, 4, 1, 1, 3, 1, 1, false),  // one pixel
    (1, 4, 6, 9, 3, 2, 1, true),
    (1, 2, 9, 6, 1, 3, 0, false), // some inputs in no window
    (1, 5, 9, 10, 4, 3, 1, false),
];

/// Input and output of a layer.
pub fn views(layer: Layer) -> (View, View) {
    let (n, c, h, w, kernel, stride, pad, ceil) = layer;
    let size = |size| output_size(size, kernel, stride, pad, ceil);
    (View::new(n, h, w, c), View::new(n, size(h), size(w), c))
}

/// torch's and Caffe's: rounded down, or up but without a last window that starts beyond the image.
fn output_size(size: u32, kernel: u32, stride: u32, pad: u32, ceil: bool) -> u32 {
    let span = size + 2 * pad - kernel;
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
