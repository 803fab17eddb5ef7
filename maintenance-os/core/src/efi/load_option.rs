// SPDX-License-Identifier: Apache-2.0
//! EFI_LOAD_OPTION (UEFI 2.10, section 3.1.3): what a `Boot####` variable holds.

use super::{DevicePath, EfiError, Ucs2};
use alloc::vec::Vec;

/// The option takes part in booting.
pub const LOAD_OPTION_ACTIVE: u32 = 1;

/// The file path list's length field has 16 bits.
const FILE_PATH_LIST_BYTES_MAX: usize = 0xffff;

/// A load option. Decoding and encoding again gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOption {
    /// `LOAD_OPTION_*` bits.
    pub attributes: u32,
    /// What the firmware's menu shows.
    pub description: Ucs2,
    /// The file path list; the first is what is booted.
    pub paths: Vec<DevicePath>,
    /// What is passed to the loaded program; firmware marks its own options here.
    pub optional_data: Vec<u8>,
}

impl LoadOption {
    /// Reads a variable's data, without the attributes that efivarfs puts before it.
    ///
    /// # Errors
    /// The data ends early, or a device path is broken.
    pub fn decode(bytes: &[u8]) -> Result<Self, EfiError> {
        let short = |field| EfiError::Short {
            field,
            length: bytes.len(),
        };
        let (attributes, rest) = bytes.split_first_chunk::<4>().ok_or(short("attributes"))?;
        let (list_length, rest) = rest
            .split_first_chunk::<2>()
            .ok_or(short("file path list length"))?;
        let (description, rest) = Ucs2::decode(rest, "description")?;
        let list_length = usize::from(u16::from_le_bytes(*list_length));
        let (mut list, optional_data) = rest
            .split_at_checked(list_length)
            .ok_or(short("file path list"))?;
        let mut paths = Vec::new();
        while !list.is_empty() {
            let (path, after) = DevicePath::decode(list)?;
            paths.push(path);
            list = after;
        }
        Ok(Self {
            attributes: u32::from_le_bytes(*attributes),
            description,
            paths,
            optional_data: optional_data.to_vec(),
        })
    }

    /// The variable's data, without attributes.
    ///
    /// # Errors
    /// A path is too long for its length field.
    pub fn encode(&self) -> Result<Vec<u8>, EfiError> {
        let mut list = Vec::new();
        for path in &self.paths {
            path.encode(&mut list)?;
        }
        let length = u16::try_from(list.len()).map_err(|_| EfiError::TooLong {
            what: "the file path list",
            length: list.len(),
            most: FILE_PATH_LIST_BYTES_MAX,
        })?;
        let mut out = Vec::new();
        out.extend_from_slice(&self.attributes.to_le_bytes());
        out.extend_from_slice(&length.to_le_bytes());
        self.description.encode(&mut out);
        out.append(&mut list);
        out.extend_from_slice(&self.optional_data);
        Ok(out)
    }

    /// Whether the option takes part in booting.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.attributes & LOAD_OPTION_ACTIVE != 0
    }
}
