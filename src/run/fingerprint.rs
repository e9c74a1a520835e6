//! Numbers that tell networks and pictures apart.

use std::fmt::{Display, Formatter};

use crate::device::fingerprint;
use crate::image::Image;
use crate::net::{self, ChannelOrder};

/// A number that another network or picture does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u128);

impl Fingerprint {
    /// Of a network's architecture, preprocessing and weights.
    pub fn of_network(graph: &net::Network) -> Self {
        let kind = kind(graph);
        let numbers = weights(graph).map(bytemuck::cast_slice);
        Self(fingerprint(std::iter::once(kind.as_bytes()).chain(numbers)))
    }

    /// Of a picture's size, colours and alpha, whatever its file looks like.
    pub fn of_image(image: &Image) -> Self {
        let size = [image.width, image.height];
        let alpha = image.alpha.as_deref().map(bytemuck::cast_slice);
        let parts = [
            bytemuck::cast_slice(&size),
            bytemuck::cast_slice(&image.rgb),
        ];
        Self(fingerprint(parts.into_iter().chain(alpha)))
    }

    /// Whether a file that says `written` means this network.
    pub fn is_of_network(written: &str, graph: &net::Network) -> bool {
        if written.len() == OLD_DIGITS {
            let kind = kind(graph);
            let numbers = weights(graph).flatten().map(|v| v.to_bits());
            return written == old(kind.bytes().map(u32::from).chain(numbers));
        }
        written == Self::of_network(graph).to_string()
    }

    /// Whether a file that says `written` means this picture.
    pub fn is_of_image(written: &str, image: &Image) -> bool {
        if written.len() == OLD_DIGITS {
            let numbers = image.rgb.iter().chain(image.alpha.iter().flatten());
            let size = [image.width, image.height].into_iter();
            return written == old(size.chain(numbers.map(|v| v.to_bits())));
        }
        written == Self::of_image(image).to_string()
    }
}

fn kind(graph: &net::Network) -> String {
    let layers = match graph.architecture {
        Some(architecture) => architecture.name().to_owned(),
        None => format!("{:?}", graph.graph()),
    };
    let net::Preprocessing { mean, std, order } = graph.preprocessing;
    // As the first versions wrote it, which knew one order.
    let order = match order {
        ChannelOrder::Rgb => "",
        ChannelOrder::Bgr => " bgr",
    };
    format!("{layers} Preprocessing {{ mean: {mean:?}, std: {std:?} }}{order}")
}

fn weights(graph: &net::Network) -> impl Iterator<Item = &[f32]> {
    graph
        .parameters()
        .iter()
        .map(|parameter| &parameter.values[..])
}

/// Digits of the fingerprints that files of the first versions hold.
const OLD_DIGITS: usize = 16;

/// The fingerprint of the first versions, FNV-1a over 32-bit words. It is here for the checkpoints that hold it; none
/// is written any more.
fn old(words: impl Iterator<Item = u32>) -> String {
    let hash = words.fold(0xcbf2_9ce4_8422_2325_u64, |hash, word| {
        (hash ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

impl Display for Fingerprint {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_value_changes_the_fingerprint() {
        let image = Image::filled(4, 3, [0.25; 3]).expect("an image");
        let print = Fingerprint::of_image(&image);
        assert_eq!(print, Fingerprint::of_image(&image.clone()));
        let mut changed = image.clone();
        changed.rgb[17] = 0.250_000_03;
        let turned = Image::filled(3, 4, [0.25; 3]).expect("an image");
        let clear = image.clone().with_alpha(vec![1.0; 12]).expect("12 values");
        for other in [&changed, &turned, &clear] {
            assert_ne!(print, Fingerprint::of_image(other));
            assert!(!Fingerprint::is_of_image(&print.to_string(), other));
        }
        assert!(Fingerprint::is_of_image(&print.to_string(), &image));
    }

    /// The numbers are what pixgrad 0.1.0 wrote before.
    #[test]
    fn fingerprints_of_older_files_are_known() {
        let image = Image::filled(2, 1, [0.25, 0.5, 0.75]).expect("an image");
        assert!(Fingerprint::is_of_image("df0e3d70d424fb2c", &image));
        assert!(!Fingerprint::is_of_image("df0e3d70d424fb2d", &image));
        let network = net::Network::open("squeezenet1_1").expect("an embedded network");
        assert!(Fingerprint::is_of_network("91979c2d0dd78fe1", &network));
    }
}
