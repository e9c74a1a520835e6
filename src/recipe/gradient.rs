//! One gradient, nothing stepped: for checking the engine against other programs, and for building on it.

/// The objective and its gradient at the start image.
#[derive(Debug, Clone, PartialEq)]
pub struct GradientReport {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// d(total)/d(image), `[3,H,W]`, with respect to the `[0,1]` image.
    pub gradient: Vec<f32>,
    /// The total.
    pub loss: f32,
    /// The weighted value of every term of the recipe.
    pub terms: Vec<f32>,
}
