//! Which kernels an adapter can run.

use super::cooperative;
use crate::device::{CooperativeTile, DeviceError, Gpu, LARGE, LARGE_BYTES, Shader};

/// Whether a kernel can run: the workgroup memory that it takes must be there; cooperative matrices too, and right.
///
/// # Errors
/// [`DeviceError`] when the device fails.
pub async fn is_allowed_async(gpu: &Gpu, shader: Shader) -> Result<bool, DeviceError> {
    if shader.definitions().contains(&LARGE) && gpu.info().max_workgroup_bytes < LARGE_BYTES {
        return Ok(false);
    }
    match shader.cooperative_tile() {
        None => Ok(true),
        Some(side) => {
            let test = async |side, exact| cooperative::test(gpu, side, exact).await;
            let tiles = gpu.cooperative_tiles(test).await?;
            let fits = |tile: &CooperativeTile| tile.exact || !shader.needs_exact_sums();
            Ok(tiles.iter().any(|tile| tile.side == side && fits(tile)))
        }
    }
}
