// SPDX-License-Identifier: Apache-2.0
//! Faults of virtual hardware. Nothing here reaches the software under test except through the hardware it probes.

use super::{DiskKind, NodeSpec, RackError};
use std::fmt;
use std::str::FromStr;

/// A fault that a node can be built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The last populated slot is empty, and the memory is smaller by that DIMM.
    DimmMissing,
    /// Every DIMM is listed, and a quarter of the memory is not there.
    MemoryShort,
    /// The first NVMe data disk reports a critical warning: reliability degraded (NVMe base 2.0, figure 207, bit 2).
    SmartFailing,
    /// The OS disk is another one than the site file names: another serial number, and so another world-wide name.
    WrongDisk,
}

/// NVMe critical warning bit 2: reliability degraded by media or internal errors.
const RELIABILITY_DEGRADED: u8 = 0x04;

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] = [
        Self::DimmMissing,
        Self::MemoryShort,
        Self::SmartFailing,
        Self::WrongDisk,
    ];

    /// As it stands on a command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DimmMissing => "dimm-missing",
            Self::MemoryShort => "memory-short",
            Self::SmartFailing => "smart-failing",
            Self::WrongDisk => "wrong-disk",
        }
    }

    /// Puts the fault into a node that is not built yet, and says which part it broke: the DIMM's slot, or the
    /// serial number of the disk (for a wrong disk: of the one that is expected and not there).
    ///
    /// # Errors
    /// [`RackError::FaultDoesNotFit`] when the node has no such part.
    pub fn apply(self, node: &mut NodeSpec) -> Result<String, RackError> {
        let name = node.name.to_string();
        let misfit = |problem| RackError::FaultDoesNotFit {
            node: name,
            fault: self.as_str(),
            problem,
        };
        match self {
            Self::DimmMissing => {
                let dimm = node.dimms.iter_mut().rev().find(|d| d.size_mib > 0);
                let dimm = dimm.ok_or_else(|| misfit("no slot has a DIMM"))?;
                node.memory_mib = node.memory_mib.saturating_sub(dimm.size_mib);
                dimm.size_mib = 0;
                Ok(dimm.slot.clone())
            }
            Self::MemoryShort => {
                // Of 2 GiB that is more than firmware and kernel keep for themselves.
                node.memory_lost_mib = node.memory_mib / 4;
                let slots = node.dimms.iter().filter(|d| d.size_mib > 0);
                let slots: Vec<&str> = slots.map(|d| d.slot.as_str()).collect();
                Ok(slots.join("+"))
            }
            Self::SmartFailing => {
                let mut data = node.disks.iter_mut().skip(1);
                let disk = data.find(|d| d.kind == DiskKind::Nvme);
                let disk = disk.ok_or_else(|| misfit("no data disk is an NVMe disk"))?;
                disk.critical_warning = Some(RELIABILITY_DEGRADED);
                Ok(disk.serial.clone())
            }
            Self::WrongDisk => {
                let disk = node.disks.first_mut();
                let disk = disk.ok_or_else(|| misfit("it has no disk"))?;
                let expected = disk.serial.clone();
                disk.serial = format!("{expected:.17}-XX");
                disk.wwn = disk.wwn.map(|wwn| wwn ^ 0x00ee_0000);
                Ok(expected)
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A fault that nobody knows; it lists the known ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no hardware fault is called {0:?}; known: dimm-missing, memory-short, smart-failing, wrong-disk"
)]
pub struct ParseFaultError(pub String);

impl FromStr for Fault {
    type Err = ParseFaultError;
    fn from_str(text: &str) -> Result<Self, ParseFaultError> {
        let fault = Self::ALL.into_iter().find(|f| f.as_str() == text);
        fault.ok_or_else(|| ParseFaultError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::boot::Firmware;

    #[test]
    fn each_fault_breaks_one_part_and_leaves_a_sound_node() {
        let whole = NodeSpec::demo(1, Firmware::Bios);
        for (fault, part) in [
            (Fault::DimmMissing, "DIMM_B2"),
            (Fault::MemoryShort, "DIMM_A1+DIMM_A2+DIMM_B1+DIMM_B2"),
            (Fault::SmartFailing, "GS1-DATA-NVME"),
            (Fault::WrongDisk, "GS1-OS-NVME"),
        ] {
            let mut broken = whole.clone();
            assert_eq!(fault.apply(&mut broken).unwrap(), part);
            assert_ne!(broken, whole);
            broken.check().unwrap();
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert!(
                ParseFaultError(String::new())
                    .to_string()
                    .contains(fault.as_str())
            );
        }
    }

    #[test]
    fn a_missing_dimm_takes_its_memory_along() {
        let mut node = NodeSpec::demo(1, Firmware::Bios);
        Fault::DimmMissing.apply(&mut node).unwrap();
        assert_eq!((node.memory_mib, node.dimms.len()), (1536, 4));
    }

    #[test]
    fn a_fault_that_does_not_fit_is_refused() {
        let mut node = NodeSpec::demo(1, Firmware::Bios);
        node.disks.retain(|d| d.kind == DiskKind::Ahci);
        let text = Fault::SmartFailing
            .apply(&mut node)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("smart-failing") && text.contains("node-1"),
            "{text}"
        );
    }
}
