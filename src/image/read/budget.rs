//! How much memory the decoding of one picture may take.

use std::sync::atomic::{AtomicU64, Ordering};

use super::raster::{Fault, Header};
use crate::device::host_memory;

/// The most that is taken without being asked for more: a picture of the largest size that there can be, in 8 bits and
/// then as [`Image`](crate::Image).
const USUAL: u64 = 4 << 30;

/// What was asked for; 0: nothing.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Sets the bytes that the decoding of one picture may take, for the whole process. Without it they are half of the
/// memory that is free or that the process may have, and at most 4 GiB.
pub fn limit_decoding(bytes: u64) {
    ASKED.store(bytes.max(1), Ordering::Relaxed);
}

/// The bytes that the decoding of one picture may take.
pub fn limit() -> u64 {
    match ASKED.load(Ordering::Relaxed) {
        0 => {
            let there_is = [host_memory::free(), host_memory::planned_at_most()];
            let half = there_is.into_iter().flatten().min().map(|bytes| bytes / 2);
            half.map_or(USUAL, |bytes| USUAL.min(bytes))
        }
        asked => asked,
    }
}

/// Bytes that decoding takes: the file's, those of the decoder, and, unless the picture is `reduced` row by row, those
/// of the whole picture in full precision, for which each pixel has three colours and alpha.
pub fn needed(header: Header, file: usize, reduced: bool) -> u64 {
    let pixels = u64::from(header.width) * u64::from(header.height);
    let result = if reduced { 0 } else { 16 };
    file as u64 + pixels * (header.bytes_per_pixel + result)
}

/// Refuses a picture whose decoding takes more than there is.
pub fn check(header: Header, file: usize, reduced: bool) -> Result<(), Fault> {
    let needed = needed(header, file, reduced);
    if needed > limit() {
        return Err(Fault::OverBudget { needed });
    }
    Ok(())
}
