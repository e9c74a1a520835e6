//! What happens to a file: some of its bytes change, go, or come twice.

use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// A byte becomes another.
    Byte(usize, u8),
    /// Four bytes become those of a number, in either order.
    Number(usize, u32, bool),
    /// The file ends here.
    Cut(usize),
    /// So many bytes are missing.
    Missing(usize, usize),
    /// So many bytes come twice.
    Twice(usize, usize),
}

/// Most files say at their beginning what they are.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![0..64usize, 0..512usize, 0..1usize << 24]
}

fn change() -> impl Strategy<Value = Change> {
    let number = prop_oneof![
        Just(0),
        Just(1),
        Just(0x7FFF_FFFF),
        Just(0x8000_0000),
        Just(u32::MAX),
        Just(0x7FC0_0000),
        any::<u32>()
    ];
    prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        3 => (place(), number, any::<bool>()).prop_map(|(at, n, big)| Change::Number(at, n, big)),
        1 => place().prop_map(Change::Cut),
        1 => (place(), 1..64usize).prop_map(|(at, length)| Change::Missing(at, length)),
        1 => (place(), 1..64usize).prop_map(|(at, length)| Change::Twice(at, length)),
    ]
}

/// A few changes.
pub fn changes() -> impl Strategy<Value = Vec<Change>> {
    vec(change(), 1..5)
}

/// The file after the changes. Places beyond its end begin anew at its start.
pub fn changed(file: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match *change {
            Change::Byte(at, byte) => bytes[at % length] = byte,
            Change::Number(at, number, big) => {
                let number = if big {
                    number.to_be_bytes()
                } else {
                    number.to_le_bytes()
                };
                let at = at % length;
                let end = (at + 4).min(length);
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            Change::Cut(at) => bytes.truncate(at % length),
            Change::Missing(at, count) => {
                let at = at % length;
                bytes.drain(at..(at + count).min(length));
            }
            Change::Twice(at, count) => {
                let at = at % length;
                let part = bytes[at..(at + count).min(length)].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}
