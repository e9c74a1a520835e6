//! Numbers that tell contents apart, the same on every machine and for every version of this program.

/// FNV-1a over 32-bit words; the standard library's hash may change with its version. Two contents that differ in one word
/// never agree; it is no protection against malice.
pub fn fingerprint(words: impl IntoIterator<Item = u32>) -> u64 {
    words.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        (hash ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3)
    })
}
