//! The networks in the program itself.

use std::collections::VecDeque;
use std::io::{self, Read};

use flate2::read::ZlibDecoder;

/// A weights file as `build.rs` compresses it: bytes at even and at odd places apart.
#[derive(Debug)]
pub(super) struct Embedded {
    pub name: &'static str,
    even: &'static [u8],
    odd: &'static [u8],
}

#[cfg_attr(
    not(any(feature = "embed-squeezenet1_1", feature = "embed-vgg19")),
    expect(unused_macros, reason = "no network is embedded")
)]
macro_rules! embedded {
    ($name:literal) => {
        Embedded {
            name: $name,
            even: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".even.z")),
            odd: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".odd.z")),
        }
    };
}

/// A static, since every use of a constant may put another copy of the weights into the program.
pub(super) static EMBEDDED: &[Embedded] = &[
    #[cfg(feature = "embed-squeezenet1_1")]
    embedded!("squeezenet1_1"),
    #[cfg(feature = "embed-vgg19")]
    embedded!("vgg19"),
];

/// The networks that a program may embed, each by a feature `embed-NAME`.
pub(super) const EMBEDDABLE: [&str; 2] = ["squeezenet1_1", "vgg19"];

impl Embedded {
    /// The embedded network of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        EMBEDDED.iter().find(|network| network.name == name)
    }

    /// The weights file from its beginning.
    pub fn reader(&self) -> impl Read + use<> {
        Interleaved {
            even: ZlibDecoder::new(self.even),
            odd: ZlibDecoder::new(self.odd),
            ready: VecDeque::new(),
        }
    }

    /// The whole weights file.
    pub fn file(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let read = self.reader().read_to_end(&mut file);
        read.expect("what the build compressed");
        file
    }
}

/// A byte of one, a byte of the other, and so on.
struct Interleaved<R> {
    even: R,
    odd: R,
    /// What has been read of both.
    ready: VecDeque<u8>,
}

/// Bytes that are read of each at a time.
const CHUNK: u64 = 1 << 15;

impl<R: Read> Read for Interleaved<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() {
            let (mut even, mut odd) = (Vec::new(), Vec::new());
            self.even.by_ref().take(CHUNK).read_to_end(&mut even)?;
            self.odd.by_ref().take(CHUNK).read_to_end(&mut odd)?;
            // At the end of a file of odd length there is one byte more in `even`.
            let mut odd = odd.into_iter();
            let pairs = even.into_iter().flat_map(|byte| [Some(byte), odd.next()]);
            self.ready.extend(pairs.flatten());
        }
        self.ready.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths around the size of a chunk, read in pieces of any size.
    #[test]
    fn bytes_at_even_and_odd_places_make_the_file() {
        for length in [
            0,
            1,
            2,
            3,
            2 * CHUNK as usize - 1,
            2 * CHUNK as usize + 1,
            100_003,
        ] {
            let file: Vec<u8> = (0..length).map(|i| (i * 7 % 251) as u8).collect();
            let every_second =
                |first| -> Vec<u8> { file.iter().skip(first).step_by(2).copied().collect() };
            let (even, odd) = (every_second(0), every_second(1));
            let mut reader = Interleaved {
                even: &even[..],
                odd: &odd[..],
                ready: VecDeque::new(),
            };
            let mut start = vec![0; length.min(3)];
            reader.read_exact(&mut start).unwrap();
            reader.read_to_end(&mut start).unwrap();
            assert!(start == file, "{length}");
        }
    }

    /// The files in `samples/models`, byte by byte.
    #[test]
    fn embedded_files_are_those_of_the_samples() {
        for network in EMBEDDED {
            let path = format!(
                "{}/samples/models/{}.safetensors",
                env!("CARGO_MANIFEST_DIR"),
                network.name
            );
            assert!(network.file() == std::fs::read(&path).unwrap(), "{path}");
        }
    }
}
