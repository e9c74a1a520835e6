//! matmul: by hand, against plain loops, the shader against the reference.

use pixgrad::engine::kernels::{Matmul, Matrix, Product, View};

use crate::common::oracle::{run_f64, wide};
use crate::common::{Data, check, random, uniform};

/// Rows, columns, inner, batch, whether b is shared: around a tile of 32 and a vec4.
const SHAPES: [(u32, u32, u32, u32, bool); 7] = [
    (1, 1, 1, 1, false),
    (3, 5, 2, 2, false),
    (32, 32, 32, 1, false),
    (33, 37, 41, 2, true),
    (5, 70, 9, 3, false),
    (100, 8, 65, 1, false),
    (64, 64, 4, 5, true),
];

/// Columns beyond the matrix's own in its buffer.
const GAP: u32 = 1;

struct Operand {
    matrix: Matrix,
    data: Vec<f32>,
    rows: usize,
    columns: usize,
}

/// Random matrices of whole vec4s with zeros in the padding, in a buffer with gaps: a slice of channels.
fn operand(rng: &mut rand_chacha::ChaCha8Rng, batch: u32, rows: u32, columns: u32) -> Operand {
    let quads = columns.div_ceil(4);
    let view = View::new(batch, rows, 1, (quads + 2 * GAP) * 4).slice(4 * GAP, columns);
    let mut data = uniform(rng, view.len());
    for row in 0..(batch * rows) as usize {
        let from = view.at(row / rows as usize, row % rows as usize, 0);
        data[from + columns as usize..from + quads as usize * 4].fill(0.0);
    }
    Operand {
        matrix: Matrix::of_view(view),
        data,
        rows: rows as usize,
        columns: columns as usize,
    }
}

impl Operand {
    fn at(&self, z: usize, i: usize, j: usize) -> f64 {
        let m = self.matrix;
        let row = m.offset as usize + z * m.batch as usize + i * m.row as usize;
        f64::from(self.data[row * 4 + j])
    }
}

fn cases() -> Vec<(Matmul, Operand, Operand, Operand)> {
    let mut cases = Vec::new();
    for (seed, (rows, columns, inner, batch, shared)) in SHAPES.into_iter().enumerate() {
        for product in [Product::Plain, Product::Transposed, Product::Distance] {
            let mut rng = random(seed as u64);
            let a = operand(&mut rng, batch, rows, inner);
            let of_b = if shared { 1 } else { batch };
            let b = match product {
                Product::Plain => operand(&mut rng, of_b, inner, columns),
                _ => operand(&mut rng, of_b, columns, inner),
            };
            let c = operand(&mut rng, batch, rows, columns);
            let matmul = Matmul {
                a: a.matrix,
                b: b.matrix,
                c: c.matrix,
                batch,
                rows,
                columns,
                inner,
                product,
                alpha: (-1.5f32).into(),
                diagonal: 0.75,
                size: columns.min(rows).saturating_sub(1),
                accumulate: product == Product::Plain && seed % 2 == 0,
            };
            cases.push((matmul, a, b, c));
        }
    }
    cases
}

fn plain(m: &Matmul, a: &Operand, b: &Operand, c: &Operand, z: usize, i: usize, j: usize) -> f64 {
    let sum: f64 = (0..a.columns)
        .map(|k| match m.product {
            Product::Plain => a.at(z, i, k) * b.at(z, k, j),
            Product::Transposed => a.at(z, i, k) * b.at(z, j, k),
            Product::Distance => (a.at(z, i, k) - b.at(z, j, k)).powi(2),
        })
        .sum();
    let diagonal = if i == j && i < m.size as usize {
        0.75
    } else {
        0.0
    };
    let before = if m.accumulate { c.at(z, i, j) } else { 0.0 };
    before - 1.5 * sum + diagonal
}

#[test]
fn by_hand() {
    // (1 2; 3 4)·(5 6; 7 8) and the squared distances of their rows.
    let a = [1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0];
    let b = [5.0, 6.0, 0.0, 0.0, 7.0, 8.0, 0.0, 0.0];
    let m = Matmul {
        rows: 2,
        columns: 2,
        inner: 2,
        ..Matmul::square(1, 2)
    };
    let of = |product| {
        run_f64(
            &Matmul {
                product,
                ..m.clone()
            },
            &[&a, &b, &[f64::NAN; 8]],
        )
        .remove(2)
    };
    assert_eq!(
        of(Product::Plain),
        [19.0, 22.0, 0.0, 0.0, 43.0, 50.0, 0.0, 0.0]
    );
    assert_eq!(
        of(Product::Transposed),
        [17.0, 23.0, 0.0, 0.0, 39.0, 53.0, 0.0, 0.0]
    );
    assert_eq!(
        of(Product::Distance),
        [32.0, 72.0, 0.0, 0.0, 8.0, 32.0, 0.0, 0.0]
    );
}

#[test]
fn the_reference_is_the_definition_and_writes_nothing_else() {
    for (m, a, b, c) in cases() {
        let data = [wide(&a.data), wide(&b.data), wide(&c.data)];
        let got = run_f64(&m, &[&data[0], &data[1], &data[2]]).remove(2);
        let mut written = vec![false; got.len()];
        for z in 0..m.batch as usize {
            for i in 0..c.rows {
                let start = (c.matrix.offset + i as u32 * c.matrix.row) as usize * 4
                    + z * c.matrix.batch as usize * 4;
                for j in 0..c.columns.next_multiple_of(4) {
                    let expected = if j < c.columns {
                        plain(&m, &a, &b, &c, z, i, j)
                    } else {
                        0.0
                    };
                    let value = got[start + j];
                    written[start + j] = true;
                    assert!(
                        (value - expected).abs() < 1e-12,
                        "{m:?} ({z},{i},{j}): {value}, not {expected}"
                    );
                }
            }
        }
        for (i, written) in written.into_iter().enumerate() {
            assert!(
                written || got[i] == data[2][i],
                "{m:?}: element {i} is not c's"
            );
        }
    }
}

#[test]
fn shaders() {
    for (m, a, b, c) in cases() {
        // What lies beside c stays, what is written is NaN before unless it is added to.
        let mut before = c.data.clone();
        if !m.accumulate {
            for z in 0..m.batch {
                for i in 0..m.rows {
                    let at =
                        ((c.matrix.offset + z * c.matrix.batch + i * c.matrix.row) * 4) as usize;
                    before[at..at + c.columns.next_multiple_of(4)].fill(f32::NAN);
                }
            }
        }
        check(
            &m,
            &[
                Data::Reals(a.data),
                Data::Reals(b.data),
                Data::Reals(before),
            ],
        );
    }
}

#[test]
fn bands_are_the_whole() {
    let mut rng = random(9);
    let (a, b) = (operand(&mut rng, 3, 50, 10), operand(&mut rng, 3, 21, 10));
    let whole = Matmul {
        a: a.matrix,
        b: b.matrix,
        c: Matrix::dense(50, 6),
        batch: 3,
        rows: 50,
        columns: 21,
        inner: 10,
        product: Product::Distance,
        alpha: 1.0.into(),
        diagonal: 0.0,
        size: 0,
        accumulate: false,
    };
    let (left, right) = (wide(&a.data), wide(&b.data));
    let all = run_f64(&whole, &[&left, &right, &vec![f64::NAN; 3 * 50 * 24]]).remove(2);
    // Rows 20..50 of the second matrix.
    let band = Matmul {
        a: whole.a.from(1, 20),
        b: whole.b.from(1, 0),
        c: Matrix::dense(30, 6),
        batch: 1,
        rows: 30,
        ..whole
    };
    let part = run_f64(&band, &[&left, &right, &vec![f64::NAN; 30 * 24]]).remove(2);
    assert_eq!(part, all[(50 + 20) * 24..100 * 24]);
}
