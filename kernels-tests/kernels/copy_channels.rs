//! copy_channels: by hand, against plain indexing, and what it must leave alone.

use pixgrad::engine::kernels::{CopyChannels, View, from_quads, to_quads};

use crate::common::{Data, check_within, random, tensor};

/// Moving numbers rounds nothing.
const EXACT: f64 = 0.0;

#[test]
fn by_hand() {
    let (x, y) = (View::new(1, 1, 1, 5), View::new(1, 1, 1, 8));
    let copy = CopyChannels {
        x,
        y,
        from: 1,
        to: 2,
        channels: 3,
        accumulate: false,
    };
    let data = || {
        let before = [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0];
        [
            Data::Reals(to_quads(x, &[1.0, 2.0, 3.0, 4.0, 5.0])),
            Data::Reals(before.to_vec()),
        ]
    };
    // Channels before the first stay, those behind the last one in its vec4 become zero.
    let copied = check_within(&copy, &data(), EXACT).remove(0);
    let expected = [10.0, 20.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0];
    assert_eq!(from_quads(y, copied.reals()), expected);
    let add = CopyChannels {
        accumulate: true,
        ..copy
    };
    let added = check_within(&add, &data(), EXACT).remove(0);
    let expected = [10.0, 20.0, 32.0, 43.0, 54.0, 60.0, 70.0, 80.0];
    assert_eq!(from_quads(y, added.reals()), expected);
}

/// Every place that a vec4 can begin at, on both sides.
#[test]
fn channels_come_from_where_they_should() {
    let shapes = [
        (View::new(1, 1, 1, 9), View::new(1, 1, 1, 14)),
        (
            View::new(2, 3, 5, 24).slice(8, 9),
            View::new(2, 3, 5, 20).slice(4, 14),
        ),
        (View::new(1, 7, 33, 9), View::new(1, 7, 33, 14)),
    ];
    for (seed, (x, y)) in shapes.into_iter().enumerate() {
        for (from, to) in (0..5).flat_map(|from| (0..6).map(move |to| (from, to))) {
            for (channels, accumulate) in [(1, false), (3, false), (4, true), (4, false), (2, true)]
            {
                let kernel = CopyChannels {
                    x,
                    y,
                    from,
                    to,
                    channels,
                    accumulate,
                };
                let mut rng = random(seed as u64);
                let (from_data, to_data) = (tensor(&mut rng, x), tensor(&mut rng, y));
                let data = [Data::Reals(from_data.clone()), Data::Reals(to_data.clone())];
                // One sum in f32 against f64.
                let tolerance = if accumulate { 1e-7 } else { EXACT };
                let result = check_within(&kernel, &data, tolerance).remove(0);
                let end = (to + channels) as usize;
                for pixel in 0..y.pixels() {
                    let at = pixel * y.pixel_stride();
                    for lane in 0..y.pixel_stride() {
                        let old = f64::from(to_data[at + lane]);
                        // The channel of the view, where it is one.
                        let c = lane.checked_sub(y.offset as usize * 4);
                        let expected = match c {
                            Some(c) if (to as usize..end).contains(&c) => {
                                let source =
                                    x.offset as usize * 4 + c - to as usize + from as usize;
                                let value = from_data[pixel * x.pixel_stride() + source];
                                f64::from(value) + if accumulate { old } else { 0.0 }
                            }
                            Some(c)
                                if (end..end.next_multiple_of(4)).contains(&c) && !accumulate =>
                            {
                                0.0
                            }
                            _ => old,
                        };
                        assert_eq!(result.reals()[at + lane], expected, "{kernel:?}");
                    }
                }
            }
        }
    }
}
