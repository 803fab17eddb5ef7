// SPDX-License-Identifier: Apache-2.0
//! What a program is for, by its header: PE (Microsoft, "PE Format", COFF file header) or ELF (System V gABI, chapter 4).

use super::read::{le16, le32};
use core::fmt;
use groundstate_api::image::Architecture;
use serde::{Serialize, Serializer};

/// An instruction set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// AMD64, Intel 64.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Intel.
    I386,
    /// 32-bit Arm.
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
    /// Another, by the number of its header.
    Other(u16),
}

impl Machine {
    /// As a manifest has it; `None` for one that no node is of.
    #[must_use]
    pub const fn architecture(self) -> Option<Architecture> {
        match self {
            Self::X86_64 => Some(Architecture::X86_64),
            Self::Aarch64 => Some(Architecture::Aarch64),
            Self::I386 | Self::Arm | Self::Riscv64 | Self::Other(_) => None,
        }
    }

    /// From the first bytes of a program, 4 KiB of them to be sure; `None` where they are neither's.
    #[must_use]
    pub fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"\x7fELF") {
            Self::of_elf(head)
        } else if head.starts_with(b"MZ") {
            Self::of_pe(head)
        } else {
            None
        }
    }

    fn of_pe(head: &[u8]) -> Option<Self> {
        let at = usize::try_from(le32(head, 0x3c)?).ok()?;
        if head.get(at..at.checked_add(4)?)? != b"PE\0\0" {
            return None;
        }
        let number = le16(head, at.checked_add(4)?)?;
        Some(match number {
            0x8664 => Self::X86_64,
            0xaa64 => Self::Aarch64,
            0x014c => Self::I386,
            0x01c0 | 0x01c2 | 0x01c4 => Self::Arm,
            0x5064 => Self::Riscv64,
            other => Self::Other(other),
        })
    }

    fn of_elf(head: &[u8]) -> Option<Self> {
        const BIG_ENDIAN: u8 = 2;
        let number = le16(head, 18)?;
        let number = if *head.get(5)? == BIG_ENDIAN {
            number.swap_bytes()
        } else {
            number
        };
        Some(match number {
            62 => Self::X86_64,
            183 => Self::Aarch64,
            3 => Self::I386,
            40 => Self::Arm,
            243 => Self::Riscv64,
            other => Self::Other(other),
        })
    }
}

impl From<Architecture> for Machine {
    fn from(architecture: Architecture) -> Self {
        match architecture {
            Architecture::X86_64 => Self::X86_64,
            Architecture::Aarch64 => Self::Aarch64,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X86_64 => f.pad("x86_64"),
            Self::Aarch64 => f.pad("aarch64"),
            Self::I386 => f.pad("i386"),
            Self::Arm => f.pad("arm"),
            Self::Riscv64 => f.pad("riscv64"),
            Self::Other(number) => write!(f, "machine {number:#06x}"),
        }
    }
}

impl Serialize for Machine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_a_program_is_for() {
        let mut pe = [0u8; 256];
        pe[..2].copy_from_slice(b"MZ");
        pe[0x3c] = 0x80;
        pe[0x80..0x84].copy_from_slice(b"PE\0\0");
        pe[0x84..0x86].copy_from_slice(&0xaa64u16.to_le_bytes());
        assert_eq!(Machine::of(&pe), Some(Machine::Aarch64));
        pe[0x3c..0x40].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Machine::of(&pe), None);
        let mut elf = [0u8; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 62;
        assert_eq!(Machine::of(&elf), Some(Machine::X86_64));
        elf[5] = 2;
        elf[18..20].copy_from_slice(&22u16.to_be_bytes());
        assert_eq!(Machine::of(&elf), Some(Machine::Other(22)));
        assert_eq!(Machine::of(&elf[..10]), None);
    }
}
