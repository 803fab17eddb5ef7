// SPDX-License-Identifier: Apache-2.0
//! What kind of client asks: an operating system, firmware, or iPXE.

use super::options::{Options, code};
use super::request::Malformed;
use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;
use groundstate_api::boot::Firmware;

/// What kind of client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// An ordinary DHCP client: an operating system.
    Plain,
    /// PXE firmware (`PXEClient`), or network-boot firmware that names an architecture and no class (U-Boot).
    Pxe {
        /// IANA processor architecture type (option 93).
        architecture: u16,
    },
    /// UEFI HTTP Boot (`HTTPClient`).
    Http {
        /// IANA processor architecture type (option 93).
        architecture: u16,
    },
    /// iPXE.
    Ipxe {
        /// IANA processor architecture type (option 93) of the firmware it runs on, where it said so.
        architecture: Option<u16>,
    },
}

/// IANA processor architecture types (RFC 4578 as corrected by its errata: x64 is 7, and 9 is sent for it too).
pub(crate) mod architecture {
    /// BIOS.
    pub(crate) const BIOS: u16 = 0;
    /// UEFI x64, PXE.
    pub(crate) const UEFI_X64: [u16; 2] = [7, 9];
    /// UEFI x64, HTTP Boot.
    pub(crate) const UEFI_X64_HTTP: u16 = 16;
    /// Those we have words for, with the words.
    pub(super) const WORDS: [(u16, &str); 11] = [
        (BIOS, "BIOS PXE"),
        (6, "UEFI IA32 PXE"),
        (7, "UEFI PXE"),
        (9, "UEFI PXE"),
        (10, "UEFI arm32 PXE"),
        (11, "UEFI arm64 PXE"),
        (15, "UEFI IA32 HTTP Boot"),
        (UEFI_X64_HTTP, "UEFI HTTP Boot"),
        (18, "UEFI arm32 HTTP Boot"),
        (19, "UEFI arm64 HTTP Boot"),
        (22, "U-Boot arm64"),
    ];
}
use architecture::{BIOS, UEFI_X64, UEFI_X64_HTTP};

impl Client {
    /// The firmware, where it is one that we know.
    #[must_use]
    pub fn firmware(self) -> Option<Firmware> {
        match self {
            Self::Plain => None,
            Self::Pxe { architecture } => pxe_firmware(architecture),
            Self::Http { architecture } => {
                (architecture == UEFI_X64_HTTP).then_some(Firmware::UefiHttp)
            }
            Self::Ipxe { architecture } => architecture.and_then(pxe_firmware),
        }
    }

    /// The processor architecture type, where it was sent.
    #[must_use]
    pub const fn architecture(self) -> Option<u16> {
        match self {
            Self::Plain => None,
            Self::Pxe { architecture } | Self::Http { architecture } => Some(architecture),
            Self::Ipxe { architecture } => architecture,
        }
    }

    /// In words: `BIOS PXE`, `UEFI HTTP Boot`, `UEFI arm64 PXE, architecture 11`,
    /// `architecture 33`, `iPXE`, `an operating system`.
    #[must_use]
    pub fn words(self) -> Cow<'static, str> {
        let (wanted, http) = match self {
            Self::Plain => return Cow::Borrowed("an operating system"),
            Self::Ipxe { .. } => return Cow::Borrowed("iPXE"),
            Self::Pxe { architecture } => (architecture, false),
            Self::Http { architecture } => (architecture, true),
        };
        let words = architecture::WORDS
            .iter()
            .find(|(known, words)| *known == wanted && words.ends_with("HTTP Boot") == http);
        match words {
            Some((_, words)) if self.firmware().is_some() => Cow::Borrowed(*words),
            Some((_, words)) => Cow::Owned(format!("{words}, architecture {wanted}")),
            None => Cow::Owned(format!("architecture {wanted}")),
        }
    }

    pub(super) fn of(options: &Options<'_>) -> Result<Self, Malformed> {
        let class = options.get(code::VENDOR_CLASS).unwrap_or_default();
        let named = options.get(code::ARCHITECTURE);
        let architectures: Vec<u16> = match &named {
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
            None => class_architecture(&class).into_iter().collect(),
        };
        // Firmware may name several; the one that we know is the one to answer.
        let known = |a: &&u16| pxe_firmware(**a).is_some();
        let pxe = architectures
            .iter()
            .find(known)
            .or(architectures.first())
            .copied();
        // iPXE says so in its user class, raw or with the length byte of RFC 3004, or by its own options.
        let user_class = options.get(code::USER_CLASS).unwrap_or_default();
        if is_ipxe(&user_class) || options.has(code::IPXE) {
            return Ok(Self::Ipxe { architecture: pxe });
        }
        if class.starts_with(b"HTTPClient") {
            // Some x64 firmware names its PXE architecture here.
            let x64 = |a: &u16| *a == UEFI_X64_HTTP || UEFI_X64.contains(a);
            let architecture = if architectures.is_empty() || architectures.iter().any(x64) {
                UEFI_X64_HTTP
            } else {
                pxe.unwrap_or(UEFI_X64_HTTP)
            };
            Ok(Self::Http { architecture })
        } else if class.starts_with(b"PXEClient") || named.is_some() {
            // One that names no architecture is a BIOS of before RFC 4578.
            let architecture = pxe.unwrap_or(BIOS);
            Ok(Self::Pxe { architecture })
        } else {
            Ok(Self::Plain)
        }
    }
}

/// `iPXE` as it stands, or as one of the counted strings of RFC 3004.
fn is_ipxe(user_class: &[u8]) -> bool {
    let mut rest = user_class;
    while let [length, after @ ..] = rest {
        let Some((class, next)) = after.split_at_checked(usize::from(*length)) else {
            break;
        };
        if class == b"iPXE" {
            return true;
        }
        rest = next;
    }
    user_class == b"iPXE"
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
