//! pixels: rounding by hand, both orders, rows longer than the image.

use pixgrad::engine::kernels::{Pixels, View, to_quads};

use crate::common::{Data, check, random, uniform};

#[test]
fn by_hand() {
    let x = View::new(1, 1, 2, 3);
    // 0.5/255 rounds up to 1, 0.499/255 down to 0; outside [0, 1] is clamped.
    let planes = [
        0.5f32 / 255.0 + 1e-6,
        1.0,
        0.499 / 255.0,
        2.0,
        -1.0,
        128.0 / 255.0,
    ];
    for (bgra, expected) in [
        (false, [0xff00_0001u32, 0xff80_ffff]),
        (true, [0xff01_0000, 0xffff_ff80]),
    ] {
        let data = [Data::Reals(to_quads(x, &planes)), Data::Words(vec![7; 3])];
        let words = check(&Pixels { x, pitch: 3, bgra }, &data);
        assert_eq!(
            words[0].words(),
            [expected[0], expected[1], 7],
            "the word beyond the row stays"
        );
    }
}

#[test]
fn shaders() {
    for (h, w, pitch) in [(1, 1, 64), (3, 65, 128), (7, 64, 64), (2, 130, 192)] {
        let x = View::new(2, h, w, 3);
        let pixels: Vec<f32> = uniform(&mut random(5), x.elements())
            .iter()
            .map(|v| 0.5 + 0.6 * v)
            .collect();
        // Away from the rounding's halves, where f32 and f64 may differ.
        let pixels: Vec<f32> = pixels
            .iter()
            .map(|v| ((v * 255.0).round() + 0.2) / 255.0)
            .collect();
        let data = [
            Data::Reals(to_quads(x, &pixels)),
            Data::Words(vec![0; (h * pitch) as usize]),
        ];
        check(
            &Pixels {
                x,
                pitch,
                bgra: false,
            },
            &data,
        );
    }
}
