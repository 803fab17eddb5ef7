// SPDX-License-Identifier: Apache-2.0
//! The global boot variables, and the file format of Linux's `efivarfs`: four bytes of attributes, then the data.

use super::EfiError;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The order of boot options.
pub const BOOT_ORDER: &str = "BootOrder";
/// The option for the next boot only.
pub const BOOT_NEXT: &str = "BootNext";
/// The option that was booted.
pub const BOOT_CURRENT: &str = "BootCurrent";
/// Non-volatile, boot service and runtime access: what UEFI table 3-1 asks of the boot variables that we write.
pub const VARIABLE_ATTRIBUTES: u32 = 7;
/// EFI_GLOBAL_VARIABLE.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// A variable as a file of efivarfs holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// `EFI_VARIABLE_*` bits.
    pub attributes: u32,
    /// The data.
    pub data: Vec<u8>,
}

impl Variable {
    /// A boot variable with this data.
    #[must_use]
    pub const fn boot(data: Vec<u8>) -> Self {
        Self {
            attributes: VARIABLE_ATTRIBUTES,
            data,
        }
    }

    /// Reads a file of efivarfs.
    ///
    /// # Errors
    /// The file is shorter than its attributes.
    pub fn decode(file: &[u8]) -> Result<Self, EfiError> {
        let short = EfiError::Short {
            field: "the variable's attributes",
            length: file.len(),
        };
        let (attributes, data) = file.split_first_chunk::<4>().ok_or(short)?;
        Ok(Self {
            attributes: u32::from_le_bytes(*attributes),
            data: data.to_vec(),
        })
    }

    /// The file's bytes, to be written with one `write` call.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.attributes.to_le_bytes().to_vec();
        out.extend_from_slice(&self.data);
        out
    }
}

/// The name of boot option `number`: `Boot0003`, `Boot00AF`.
#[must_use]
pub fn boot_variable(number: u16) -> String {
    format!("Boot{number:04X}")
}

/// The file of the global variable `name` in efivarfs.
#[must_use]
pub fn file_name(name: &str) -> String {
    format!("{name}-{GLOBAL}")
}

/// The number of the boot option that a file of efivarfs holds, if it holds one.
#[must_use]
pub fn boot_number(file: &str) -> Option<u16> {
    let (name, guid) = file.split_at_checked(8)?;
    let digits = name.strip_prefix("Boot")?;
    let upper = digits
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    let ours = guid.strip_prefix('-') == Some(GLOBAL);
    if upper && ours {
        u16::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

/// Reads `BootOrder`'s data.
///
/// # Errors
/// The length is odd.
pub fn decode_order(data: &[u8]) -> Result<Vec<u16>, EfiError> {
    let (pairs, rest) = data.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
    } else {
        Err(EfiError::OddList { length: data.len() })
    }
}

/// `BootOrder`'s data.
#[must_use]
pub fn encode_order(order: &[u16]) -> Vec<u8> {
    order
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect()
}

/// Reads the data of `BootNext` or `BootCurrent`.
///
/// # Errors
/// It is not two bytes.
pub fn decode_number(data: &[u8]) -> Result<u16, EfiError> {
    let pair: [u8; 2] = data
        .try_into()
        .map_err(|_| EfiError::NumberLength { length: data.len() })?;
    Ok(u16::from_le_bytes(pair))
}

/// `BootNext`'s data.
#[must_use]
pub fn encode_number(number: u16) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}
