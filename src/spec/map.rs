//! Maps: what makes the image, and what happens to it on its way to the network.

use serde::{Deserialize, Serialize};

/// A differentiable map: in `image.parameterisation` it makes the image of what is optimized, in
/// `image.transformation` it changes the image before the network sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MapSpec {
    /// The spectrum of the image (Olah et al. 2017, "Preconditioning and Parameterization"). A parameterisation.
    Fourier {
        /// Amplitudes fall with the frequency to this power.
        #[serde(default = "one")]
        decay: f64,
    },
    /// Colours in a decorrelated space, then a sigmoid that keeps them in `[0,1]` (Olah et al. 2017). A
    /// parameterisation.
    Colour {
        /// Whether channels are decorrelated; else there is the sigmoid only.
        #[serde(default = "yes")]
        decorrelate: bool,
    },
    /// ½(tanh w + 1) (Carlini and Wagner 2017, section V-B). A parameterisation.
    Tanh {},
    /// What an 8-bit file would hold; the gradient passes as if nothing had happened.
    Round {},
    /// A circular shift by a random number of pixels in either direction, anew in every iteration.
    Jitter {
        /// The longest shift in pixels.
        pixels: u32,
    },
    /// Padding, shifts, a random scale and a random rotation, anew in every iteration: Lucid's standard
    /// transformations.
    Warp {},
}

fn one() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::MapSpec;

    /// A mistyped key is an error for every kind, also for those that have no keys: serde would read `Tanh` as
    /// well as `Tanh {}`, but then take any key in silence.
    #[test]
    fn unknown_keys_are_refused() {
        let keys = |kind: &str| match kind {
            "jitter" => "pixels = 3\n",
            _ => "",
        };
        for kind in ["fourier", "colour", "tanh", "round", "jitter", "warp"] {
            let text = format!("kind = \"{kind}\"\n{}", keys(kind));
            toml::from_str::<MapSpec>(&text).unwrap_or_else(|e| panic!("{kind}: {e}"));
            let wrong = toml::from_str::<MapSpec>(&format!("{text}pixel = 4\n"));
            let message = wrong.expect_err("an unknown key").to_string();
            assert!(message.contains("`pixel`"), "{kind}: {message}");
        }
    }
}
