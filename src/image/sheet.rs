//! Contact sheets.

use std::borrow::Borrow;

use super::{Image, ImageError, pixel_count};

/// A contact sheet: the images in reading order in `columns` columns, each centred in a cell of
/// the largest width and the largest height, `gap` pixels between cells and around the sheet.
/// A sheet is opaque: images with an alpha channel are laid over the `background`.
///
/// # Errors
/// No image, no column, or a sheet of more than [`MAX_PIXELS`](super::MAX_PIXELS).
pub fn sheet<I: Borrow<Image>>(
    images: &[I],
    columns: usize,
    gap: u32,
    background: [f32; 3],
) -> Result<Image, ImageError> {
    if images.is_empty() || columns == 0 {
        return Err(ImageError::EmptySheet);
    }
    let columns = columns.min(images.len());
    let rows = images.len().div_ceil(columns);
    let largest = |side: fn(&Image) -> u32| images.iter().map(|i| side(i.borrow())).max();
    let cell_width = largest(|i| i.width).unwrap_or(0);
    let cell_height = largest(|i| i.height).unwrap_or(0);

    let length = |cells: usize, cell: u32| {
        let (cells, cell, gap) = (cells as u64, u64::from(cell), u64::from(gap));
        cells.saturating_mul(cell + gap).saturating_add(gap)
    };
    let (width, height) = (length(columns, cell_width), length(rows, cell_height));
    pixel_count(width, height)?;
    let mut sheet = Image::filled(width as u32, height as u32, background)?;

    for (i, image) in images.iter().map(Borrow::borrow).enumerate() {
        let (column, row) = ((i % columns) as u32, (i / columns) as u32);
        let left = gap + column * (cell_width + gap) + (cell_width - image.width) / 2;
        let top = gap + row * (cell_height + gap) + (cell_height - image.height) / 2;
        paste(&mut sheet, image, left, top);
    }
    Ok(sheet)
}

/// The images in one row; see [`sheet`].
///
/// # Errors
/// As [`sheet`].
pub fn side_by_side<I: Borrow<Image>>(
    images: &[I],
    gap: u32,
    background: [f32; 3],
) -> Result<Image, ImageError> {
    sheet(images, images.len(), gap, background)
}

/// Lays `image`, which must fit, over the opaque `sheet`.
fn paste(sheet: &mut Image, image: &Image, left: u32, top: u32) {
    let (sheet_width, width) = (sheet.width as usize, image.width as usize);
    for y in 0..image.height as usize {
        let to = 3 * ((top as usize + y) * sheet_width + left as usize);
        let from = 3 * y * width;
        let target = &mut sheet.rgb[to..to + 3 * width];
        let source = &image.rgb[from..from + 3 * width];
        match &image.alpha {
            None => target.copy_from_slice(source),
            Some(alpha) => {
                for (i, (t, s)) in target.iter_mut().zip(source).enumerate() {
                    *t += alpha[y * width + i / 3] * (s - *t);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: u32, height: u32, v: f32) -> Image {
        Image::filled(width, height, [v; 3]).unwrap()
    }

    #[test]
    fn images_are_centred_in_equal_cells() {
        let images = [grey(2, 1, 0.2), grey(1, 3, 0.4), grey(1, 1, 0.6)];
        let sheet = sheet(&images, 2, 1, [1.0; 3]).unwrap();
        let red: Vec<f32> = sheet.rgb.iter().step_by(3).copied().collect();
        #[rustfmt::skip]
        let expected = [
            1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0,
            1.0, 1.0, 1.0, 1.0, 0.4, 1.0, 1.0,
            1.0, 0.2, 0.2, 1.0, 0.4, 1.0, 1.0,
            1.0, 1.0, 1.0, 1.0, 0.4, 1.0, 1.0,
            1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0,
            1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0,
            1.0, 0.6, 1.0, 1.0, 1.0, 1.0, 1.0,
            1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0,
            1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0,
        ];
        assert_eq!(sheet.size(), (7, 9));
        assert_eq!(red, expected);
    }

    #[test]
    fn alpha_is_laid_over_the_background() {
        let half = grey(2, 1, 0.5).with_alpha(vec![0.5, 1.0]).unwrap();
        let row = side_by_side(&[&half], 0, [1.0, 0.5, 0.0]).unwrap();
        assert_eq!(row.rgb, [0.75, 0.5, 0.25, 0.5, 0.5, 0.5]);
        assert_eq!(row.alpha, None);
    }

    #[test]
    fn impossible_sheets_are_refused() {
        assert!(sheet::<Image>(&[], 2, 0, [0.0; 3]).is_err());
        assert!(sheet(&[grey(1, 1, 0.0)], 0, 0, [0.0; 3]).is_err());
        let error = side_by_side(&[grey(1, 1, 0.0)], u32::MAX, [0.0; 3]).unwrap_err();
        assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    }
}
