//! Numbers that tell networks and pictures apart.

use std::fmt::{Display, Formatter};

use crate::device::fingerprint;
use crate::image::Image;
use crate::net;

/// A number that another network or picture is most unlikely to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    fn of(words: impl Iterator<Item = u32>) -> Self {
        Self(fingerprint(words))
    }

    /// Of a network's architecture, preprocessing and weights.
    pub fn of_network(graph: &net::Network) -> Self {
        let layers = match graph.architecture {
            Some(architecture) => architecture.name().to_owned(),
            None => format!("{:?}", graph.graph()),
        };
        let kind = format!("{layers} {:?}", graph.preprocessing);
        let numbers = graph.parameters().iter().flat_map(|p| &p.values);
        Self::of(
            kind.bytes()
                .map(u32::from)
                .chain(numbers.map(|v| v.to_bits())),
        )
    }

    /// Of a picture's size, colours and alpha, whatever its file looks like.
    pub fn of_image(image: &Image) -> Self {
        let numbers = image.rgb.iter().chain(image.alpha.iter().flatten());
        Self::of(
            [image.width, image.height]
                .into_iter()
                .chain(numbers.map(|v| v.to_bits())),
        )
    }
}

impl Display for Fingerprint {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
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
        }
    }
}
