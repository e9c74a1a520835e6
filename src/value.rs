//! A number that cannot be used, and what it must be.

use std::fmt::{self, Display, Formatter};

/// A number is not what it must be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{field} is {value}; it must be {rule}{}", too_large(.value))]
pub struct ValueError {
    /// The name of the number.
    pub field: &'static str,
    /// The number. One that was given in single precision has the same digits here.
    pub value: f64,
    /// What it must be.
    pub rule: Rule,
}

/// What a finite number that single precision does not hold is told.
fn too_large(value: &f64) -> &'static str {
    let fits = value.is_infinite() || (*value as f32).is_finite() || value.is_nan();
    if fits {
        ""
    } else {
        ", and at most 3.4e38, as single precision has it"
    }
}

/// What a number must be. No rule allows NaN, an infinite number, or one that is infinite in single precision, which
/// kernels compute in.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Greater than 0.
    Positive,
    /// This or more.
    AtLeast(f64),
    /// From the first to the second, as counts and shares are written.
    FromTo(f64, f64),
    /// The same for a factor: written as a closed interval.
    Within(f64, f64),
    /// From the first to less than the second.
    Below(f64, f64),
}

impl Rule {
    /// 0 or more.
    pub const NOT_NEGATIVE: Self = Self::AtLeast(0.0);

    /// Whether a number is what it must be.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        (value as f32).is_finite()
            && match self {
                Self::Positive => value > 0.0,
                Self::AtLeast(least) => value >= least,
                Self::FromTo(least, most) | Self::Within(least, most) => {
                    (least..=most).contains(&value)
                }
                Self::Below(least, limit) => (least..limit).contains(&value),
            }
    }

    /// An error with the number's name where it is not what it must be.
    pub(crate) fn check<N: Display + Copy + Into<f64>>(
        self,
        field: &'static str,
        value: N,
    ) -> Result<(), ValueError> {
        let exact: f64 = value.into();
        if self.holds(exact) {
            return Ok(());
        }
        Err(ValueError {
            field,
            // 0.1 in single precision is 0.10000000149 in double precision; the text has the digits that were given.
            value: value.to_string().parse().unwrap_or(exact),
            rule: self,
        })
    }
}

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Positive => f.write_str("greater than 0"),
            Self::AtLeast(0.0) => f.write_str("0 or more"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::FromTo(least, most) => write!(f, "from {least} to {most}"),
            Self::Within(least, most) => write!(f, "in [{least}, {most}]"),
            Self::Below(least, limit) => write!(f, "in [{least}, {limit})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_with_the_digits_it_was_given_with() {
        let error = Rule::Below(0.0, 0.1).check("decay", 0.1f32);
        let error = error.expect_err("too large");
        assert_eq!(error.value, 0.1);
        assert_eq!(error.to_string(), "decay is 0.1; it must be in [0, 0.1)");
        let error = Rule::FromTo(1.0, 127.0).check("history", u32::MAX);
        let error = error.expect_err("too large").to_string();
        assert_eq!(error, "history is 4294967295; it must be from 1 to 127");
        let error = Rule::Positive.check("weight", 1e39);
        let error = error.expect_err("too large").to_string();
        let expected = "it must be greater than 0, and at most 3.4e38, as single precision has it";
        assert!(error.ends_with(expected), "{error}");
    }

    #[test]
    fn rules_hold_for_what_they_say() {
        for (rule, right, wrong) in [
            (Rule::Positive, 1e-9, 0.0),
            (Rule::NOT_NEGATIVE, 0.0, -1e-9),
            (Rule::FromTo(1.0, 16.0), 16.0, 17.0),
            (Rule::Within(0.0, 1.0), 1.0, 1.1),
            (Rule::Below(0.0, 1.0), 0.0, 1.0),
        ] {
            assert!(rule.holds(right), "{right} {rule}");
            for wrong in [wrong, 1e39, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(!rule.holds(wrong), "{wrong} {rule}");
            }
        }
    }
}
