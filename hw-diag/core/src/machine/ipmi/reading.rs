// SPDX-License-Identifier: Apache-2.0
//! A sensor's raw byte as a value: y = L[(M·x + B·10^K1)·10^K2] (IPMI 2.0, 36.3).

use serde::{Deserialize, Serialize};

/// How the raw byte is to be read (43.1, byte 21, bits 7:6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Analog {
    /// 0 to 255.
    #[default]
    Unsigned,
    /// One's complement.
    OnesComplement,
    /// Two's complement.
    TwosComplement,
    /// It measures nothing: states only.
    None,
}

/// The function L (43.1, byte 24).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Linearization {
    /// None.
    #[default]
    Linear,
    /// Natural logarithm.
    Ln,
    /// Logarithm to base 10.
    Log10,
    /// Logarithm to base 2.
    Log2,
    /// e to the power.
    Exp,
    /// 10 to the power.
    Exp10,
    /// 2 to the power.
    Exp2,
    /// One by.
    Inverse,
    /// Squared.
    Square,
    /// Cubed.
    Cube,
    /// Square root.
    SquareRoot,
    /// Cube root.
    CubeRoot,
    /// Factors differ from reading to reading (70h and above), or reserved: such a sensor's value is not told.
    Unknown,
}

impl Linearization {
    /// Of the byte in a record.
    #[must_use]
    pub fn of(byte: u8) -> Self {
        match byte & 0x7f {
            0 => Self::Linear,
            1 => Self::Ln,
            2 => Self::Log10,
            3 => Self::Log2,
            4 => Self::Exp,
            5 => Self::Exp10,
            6 => Self::Exp2,
            7 => Self::Inverse,
            8 => Self::Square,
            9 => Self::Cube,
            10 => Self::SquareRoot,
            11 => Self::CubeRoot,
            _ => Self::Unknown,
        }
    }
}

/// What turns a raw byte into a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Factors {
    /// How the byte is to be read.
    pub analog: Analog,
    /// L.
    pub linearization: Linearization,
    /// M, 10 bits.
    pub m: i16,
    /// B, 10 bits.
    pub b: i16,
    /// K1, the exponent of B, 4 bits.
    pub b_exponent: i8,
    /// K2, the exponent of the result, 4 bits.
    pub r_exponent: i8,
}

/// The largest value that is told, in thousandths of the unit: beyond it a float has no whole numbers any more.
const MILLI_MAX: f64 = 9.0e15;

impl Factors {
    /// The value of a raw byte in thousandths of the sensor's unit; `None` where the sensor measures nothing, its function
    /// is not known, or the result is no number.
    #[must_use]
    pub fn milli(&self, raw: u8) -> Option<i64> {
        let x = f64::from(self.signed(raw)?);
        let linear = (f64::from(self.m) * x
            + f64::from(self.b) * libm::exp10(f64::from(self.b_exponent)))
            * libm::exp10(f64::from(self.r_exponent));
        let value = match self.linearization {
            Linearization::Linear => linear,
            Linearization::Ln => libm::log(linear),
            Linearization::Log10 => libm::log10(linear),
            Linearization::Log2 => libm::log2(linear),
            Linearization::Exp => libm::exp(linear),
            Linearization::Exp10 => libm::exp10(linear),
            Linearization::Exp2 => libm::exp2(linear),
            Linearization::Inverse => 1.0 / linear,
            Linearization::Square => linear * linear,
            Linearization::Cube => linear * linear * linear,
            Linearization::SquareRoot => libm::sqrt(linear),
            Linearization::CubeRoot => libm::cbrt(linear),
            Linearization::Unknown => return None,
        };
        let milli = libm::round(value * 1_000.0);
        let fits = milli.is_finite() && libm::fabs(milli) <= MILLI_MAX;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number within 9.0e15, which an i64 holds"
        )]
        fits.then_some(milli as i64)
    }

    fn signed(&self, raw: u8) -> Option<i16> {
        let unsigned = i16::from(raw);
        match self.analog {
            Analog::Unsigned => Some(unsigned),
            Analog::OnesComplement if raw & 0x80 != 0 => Some(unsigned - 255),
            Analog::TwosComplement if raw & 0x80 != 0 => Some(unsigned - 256),
            Analog::OnesComplement | Analog::TwosComplement => Some(unsigned),
            Analog::None => None,
        }
    }
}
