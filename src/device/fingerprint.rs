//! Numbers that tell contents apart, the same on every machine and for every version of this program.

use xxhash_rust::xxh3::Xxh3;

/// XXH3 of 128 bits over the parts, each behind its length, so that it matters where one ends. It is no protection
/// against malice.
pub fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u128 {
    let mut hash = Xxh3::new();
    for part in parts {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.digest128()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files hold these numbers: they must not change.
    #[test]
    fn it_stays_as_it_is() {
        assert_eq!(fingerprint([&b"one"[..], b"two"]), EXPECTED);
        assert_ne!(fingerprint([&b"onet"[..], b"wo"]), EXPECTED);
    }

    const EXPECTED: u128 = 0xf1ad_1af1_9caf_d4f5_5796_9902_194f_7997;
}
