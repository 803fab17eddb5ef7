// SPDX-License-Identifier: Apache-2.0
//! What kind of client asks: an operating system, firmware, or iPXE.

use super::request::{Malformed, Options, code};
use alloc::vec::Vec;
use groundstate_api::boot::Firmware;

/// What kind of client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// An ordinary DHCP client: an operating system.
    Plain,
    /// PXE firmware (`PXEClient`) that we have a first stage for.
    Pxe(Firmware),
    /// UEFI HTTP Boot (`HTTPClient`) on x64.
    Http,
    /// iPXE, on whatever firmware it said it runs.
    Ipxe(Option<Firmware>),
    /// Firmware of an architecture that we have no boot file for.
    Unsupported {
        /// IANA processor architecture type (option 93).
        architecture: u16,
    },
}

const BIOS: u16 = 0;
const UEFI_X64: [u16; 2] = [7, 9];
const UEFI_X64_HTTP: u16 = 16;

impl Client {
    /// The firmware, where it is one that we know.
    #[must_use]
    pub const fn firmware(self) -> Option<Firmware> {
        match self {
            Self::Plain | Self::Unsupported { .. } => None,
            Self::Pxe(firmware) => Some(firmware),
            Self::Http => Some(Firmware::UefiHttp),
            Self::Ipxe(firmware) => firmware,
        }
    }

    pub(super) fn of(options: &Options) -> Result<Self, Malformed> {
        let value = |code: u8| options.get(&code).map(Vec::as_slice);
        let class = value(code::VENDOR_CLASS).unwrap_or_default();
        let architectures = match value(code::ARCHITECTURE) {
            Some(bytes) if bytes.is_empty() || bytes.len() % 2 != 0 => {
                return Err(Malformed::OptionLength {
                    code: code::ARCHITECTURE,
                    bytes: bytes.len(),
                });
            }
            Some(bytes) => bytes
                .chunks_exact(2)
                .map(|two| two.iter().fold(0, |n, b| n << 8 | u16::from(*b)))
                .collect(),
            None => class_architecture(class).into_iter().collect::<Vec<u16>>(),
        };
        // iPXE says so in its user class, raw or with the length byte of RFC 3004, or by its own options.
        let user_class = value(code::USER_CLASS).unwrap_or_default();
        if matches!(user_class, b"iPXE" | b"\x04iPXE") || value(code::IPXE).is_some() {
            return Ok(Self::Ipxe(
                architectures.iter().find_map(|a| pxe_firmware(*a)),
            ));
        }
        let first = architectures.first().copied();
        if class.starts_with(b"HTTPClient") {
            if architectures.contains(&UEFI_X64_HTTP) {
                return Ok(Self::Http);
            }
        } else if class.starts_with(b"PXEClient") {
            if let Some(firmware) = architectures.iter().find_map(|a| pxe_firmware(*a)) {
                return Ok(Self::Pxe(firmware));
            }
        } else {
            return Ok(Self::Plain);
        }
        // Network-boot firmware, yet of no architecture that we know; one that names none is a BIOS of before RFC 4578.
        Ok(first.map_or(Self::Pxe(Firmware::Bios), |architecture| {
            Self::Unsupported { architecture }
        }))
    }
}

fn pxe_firmware(architecture: u16) -> Option<Firmware> {
    if architecture == BIOS {
        Some(Firmware::Bios)
    } else {
        UEFI_X64
            .contains(&architecture)
            .then_some(Firmware::UefiPxe)
    }
}

/// `PXEClient:Arch:00007:UNDI:003001`.
fn class_architecture(class: &[u8]) -> Option<u16> {
    let text = core::str::from_utf8(class).ok()?;
    text.split(':').nth(2)?.parse().ok()
}
