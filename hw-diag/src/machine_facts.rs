// SPDX-License-Identifier: Apache-2.0
//! Everything beside disks and memory modules, read in one go.
//!
//! What may wait (the BMC, sensor chips on slow busses) is asked in threads of its own from the beginning, while the caller
//! looks at the disks; what has not answered by the end of its patience is named. Their threads are left behind.

use crate::sysfs::Tree;
use crate::{cpu, firmware, ipmi, kernel_log, link, lldp, pci, rtc, sensor, tpm};
use groundstate_api::inventory::Nic;
use hw_core::machine::ipmi::IpmiFacts;
use hw_core::machine::{FirmwareFacts, HwmonChip, MachineFacts};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Stack of an asking thread: an answer of a few hundred bytes and a list; PID 1 must stay small.
const STACK: usize = 128 * 1024;
/// How long sensor chips may take. A chip on an I²C bus answers within 1 s, one whose bus hangs never.
const SENSORS_PATIENCE: Duration = Duration::from_secs(8);
/// What the walk through the BMC may take longer than its patience: one answer.
const GRACE: Duration = Duration::from_secs(6);

/// How to look.
#[derive(Clone, Copy, Debug)]
pub struct MachineAsk {
    /// A time that somebody else vouches for, in seconds since 1970: the provisioner's. Without it no skew is known.
    pub reference: Option<i64>,
    /// How long to listen for LLDP, [`lldp::PATIENCE`] by right; `None`: not at all.
    pub lldp: Option<Duration>,
    /// How long the walk through the BMC may take.
    pub bmc_patience: Duration,
}

impl Default for MachineAsk {
    fn default() -> Self {
        Self {
            reference: None,
            lldp: None,
            bmc_patience: ipmi::PATIENCE,
        }
    }
}

/// Reads everything beside disks and memory modules of the running machine. Takes at most 20 s, and the time to listen.
#[must_use]
pub fn machine_facts(ask: &MachineAsk) -> MachineFacts {
    let tree = Tree::machine();
    let mut missed = Vec::new();
    let nics = crate::nic::nics(&tree, &mut missed);
    let mut facts = begin(&tree, ask).finish(&tree, &nics);
    facts.missed.splice(0..0, missed);
    facts
}

/// A look that has begun.
pub(crate) struct Looking {
    ask: MachineAsk,
    begun: Instant,
    firmware: Option<FirmwareFacts>,
    bmc: Option<Receiver<IpmiFacts>>,
    sensors: Option<Receiver<Vec<HwmonChip>>>,
    missed: Vec<String>,
}

/// Begins with what may wait.
pub(crate) fn begin(tree: &Tree, ask: &MachineAsk) -> Looking {
    let mut missed = Vec::new();
    let firmware = firmware::firmware(tree);
    let patience = ask.bmc_patience;
    let bmc = match ipmi::device(tree) {
        Some(device) => in_thread("bmc", &mut missed, move || ipmi::read(&device, patience)),
        None => {
            if firmware.as_ref().is_some_and(|f| f.has_bmc) {
                missed.push("BMC: the firmware describes one, and there is no /dev/ipmi0 (modules ipmi_si and ipmi_devintf)".into());
            }
            None
        }
    };
    let of = tree.clone();
    let sensors = in_thread("sensors", &mut missed, move || sensor::chips(&of));
    Looking {
        ask: *ask,
        begun: Instant::now(),
        firmware,
        bmc,
        sensors,
        missed,
    }
}

fn in_thread<T: Send + 'static>(
    name: &str,
    missed: &mut Vec<String>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<Receiver<T>> {
    let (send, receive) = mpsc::channel();
    let thread = thread::Builder::new().name(name.into()).stack_size(STACK);
    let spawned = thread.spawn(move || {
        // Nobody listens any more when the patience ended; then the answer is too late by design.
        let _ = send.send(work());
    });
    match spawned {
        Ok(_) => Some(receive),
        Err(error) => {
            missed.push(format!("{name}: no thread to ask: {error}"));
            None
        }
    }
}

impl Looking {
    /// Reads the rest, and waits for what may wait.
    pub(crate) fn finish(mut self, tree: &Tree, nics: &[Nic]) -> MachineFacts {
        let missed = &mut self.missed;
        let sockets = self.firmware.as_ref().map(|f| f.sockets.clone());
        let has_tpm = self.firmware.as_ref().is_some_and(|f| f.has_tpm);
        let mut facts = MachineFacts {
            cpu: Some(cpu::cpus(tree, sockets.unwrap_or_default(), missed)),
            pci: pci::functions(tree, missed),
            nics: link::links(tree, nics),
            tpm: tpm::tpm(tree, has_tpm, missed),
            clock: rtc::clock(tree, self.ask.reference, missed),
            log: kernel_log::log(tree, missed),
            ..MachineFacts::default()
        };
        if let Some(patience) = self.ask.lldp {
            lldp::listen(tree, &mut facts.nics, patience, missed);
        }
        let wait = |patience: Duration| {
            let until = self.begun + patience;
            until.saturating_duration_since(Instant::now())
        };
        if let Some(sensors) = self.sensors {
            match sensors.recv_timeout(wait(SENSORS_PATIENCE)) {
                Ok(chips) => facts.sensors = chips,
                Err(_) => missed.push(format!(
                    "sensors: /sys/class/hwmon did not answer within {} s",
                    SENSORS_PATIENCE.as_secs()
                )),
            }
        }
        if let Some(bmc) = self.bmc {
            let patience = self.ask.bmc_patience + GRACE;
            match bmc.recv_timeout(wait(patience)) {
                Ok(told) => {
                    missed.extend(told.missed.iter().cloned());
                    facts.ipmi = Some(told);
                }
                Err(_) => missed.push(format!(
                    "BMC: it did not answer within {} s",
                    patience.as_secs()
                )),
            }
        }
        facts.firmware = self.firmware;
        facts.missed = self.missed;
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn an_empty_machine_is_named_part_by_part_and_waits_for_nobody() {
        let fixture = Fixture::new();
        let tree = fixture.tree();
        let facts = begin(&tree, &MachineAsk::default()).finish(&tree, &[]);
        assert_eq!(facts.ipmi, None);
        let parts: Vec<&str> = facts
            .missed
            .iter()
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(
            parts,
            [
                "processors",
                "processors",
                "processors",
                "PCI",
                "real-time clock",
                "kernel log"
            ]
        );
    }

    #[test]
    fn a_bmc_without_a_device_is_named_only_where_the_firmware_describes_one() {
        let fixture = Fixture::new();
        // One structure of type 38, 16 bytes long, without strings; then the end of the table.
        let mut table = vec![0u8; 16];
        (table[0], table[1]) = (38, 16);
        table.extend([0, 0, 127, 4, 0, 0, 0, 0]);
        let path = fixture.path().join("sys/firmware/dmi/tables");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("DMI"), table).unwrap();
        let tree = fixture.tree();
        let facts = begin(&tree, &MachineAsk::default()).finish(&tree, &[]);
        assert!(
            facts.missed[0].starts_with("BMC: the firmware describes one"),
            "{:?}",
            facts.missed
        );
        // A device that is no IPMI driver is asked, refuses, and is named.
        fixture.file("dev/ipmi0", "");
        let facts = begin(&tree, &MachineAsk::default()).finish(&tree, &[]);
        let said = facts
            .missed
            .iter()
            .find(|line| line.starts_with("BMC:"))
            .unwrap();
        assert!(
            said.contains("its identity, sensors and event log were not read"),
            "{said}"
        );
        assert_eq!(facts.ipmi.unwrap().device, None);
    }
}
