// SPDX-License-Identifier: Apache-2.0
//! Network interfaces: link, speed, errors, and who is at the other end.
//!
//! A port without a cable is no fault here; whether it should have one is a profile's to say. Packets dropped for want of
//! room are load and not judged.

use super::finding::{figure, kind};
use super::limits::{
    NIC_CARRIER_CHANGES_WARN, NIC_CRC_FRAMES, NIC_CRC_WARN, NIC_SLOW_MBPS, NICS_WITHOUT_CABLE,
};
use super::lldp::Neighbour;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, HealthFinding, Sureness, Verdict};
use serde::{Deserialize, Serialize};

/// Whether both ends may speak at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplex {
    /// The driver does not say.
    #[default]
    Unknown,
    /// One at a time.
    Half,
    /// Both.
    Full,
}

/// One network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NicFacts {
    /// The kernel's name.
    pub name: String,
    /// MAC address.
    pub mac: String,
    /// Address of the device behind it, for example `0000:3b:00.0`.
    pub address: String,
    /// Driver.
    pub driver: String,
    /// Firmware version, where the driver says.
    pub firmware: String,
    /// Whether the interface is switched on; without that nobody knows of a link.
    pub up: bool,
    /// Whether there is a link.
    pub link: bool,
    /// Speed in Mb/s.
    pub speed_mbps: Option<u32>,
    /// Duplex.
    pub duplex: Duplex,
    /// How often the link went up or down since boot.
    pub carrier_changes: Option<u64>,
    /// Counters since boot by the kernel's names (`rx_crc_errors`, …), those that are not 0.
    pub counters: BTreeMap<String, u64>,
    /// Whether somebody listened for LLDP.
    pub listened: bool,
    /// Who is at the other end; `None` where nobody said so, or nobody listened.
    pub neighbour: Option<Neighbour>,
}

impl NicFacts {
    fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

pub(super) fn judge(nics: &[NicFacts]) -> Vec<DeviceReport> {
    nics.iter().map(report).collect()
}

fn report(nic: &NicFacts) -> DeviceReport {
    let mut findings = Vec::new();
    findings.extend(no_link(nic));
    findings.extend(slow(nic));
    findings.extend(damaged(nic));
    findings.extend(unsent(nic));
    findings.extend(flapping(nic));
    findings.extend(nic.neighbour.as_ref().map(known));
    let mut report = DeviceReport::new(nic.name.clone(), DeviceKind::Nic, "kernel", findings);
    report.place.slot.clone_from(&nic.address);
    report.place.model.clone_from(&nic.driver);
    report.place.serial.clone_from(&nic.mac);
    report.place.firmware.clone_from(&nic.firmware);
    let mut put = |name: &str, value: Option<u64>| {
        report
            .figures
            .extend(value.map(|v| (name.to_string(), figure(v))));
    };
    put("link", Some(u64::from(nic.link)));
    put("speed_mbps", nic.speed_mbps.map(u64::from));
    put("carrier_changes", nic.carrier_changes);
    for name in ["rx_crc_errors", "rx_errors", "tx_errors"] {
        put(name, Some(nic.counter(name)));
    }
    report
}

/// Nothing is wrong: a technician at the switch wants to know.
fn known(neighbour: &Neighbour) -> HealthFinding {
    let kind = kind(
        "nic-neighbour",
        Verdict::Ok,
        Sureness::Certain,
        Advice::Look,
    );
    let what = format!("at the other end of its cable: {}", neighbour.words());
    let seen = [
        neighbour.port_description.clone(),
        neighbour.system_description.clone(),
    ];
    let seen = seen.into_iter().filter(|line| !line.is_empty());
    kind.says(what, seen, "nothing")
}

fn no_link(nic: &NicFacts) -> Option<HealthFinding> {
    if nic.link {
        return None;
    }
    let (what, next) = if nic.up {
        (
            "it has no link",
            "plug a cable in, if this port is to be used",
        )
    } else {
        (
            "it is switched off, so nobody knows whether it has a link",
            "nothing, if this port is not used",
        )
    };
    let kind = kind("nic-no-link", Verdict::Ok, Sureness::Certain, Advice::Look);
    Some(kind.says(what, [], next))
}

/// Only physical ports have cables; virtual ones say any speed.
fn is_physical(nic: &NicFacts) -> bool {
    !NICS_WITHOUT_CABLE.contains(&nic.driver.as_str())
}

fn slow(nic: &NicFacts) -> Option<HealthFinding> {
    if !nic.link || !is_physical(nic) {
        return None;
    }
    let speed = nic.speed_mbps.filter(|speed| *speed > 0);
    let seen = [
        speed.map(|speed| format!("speed {speed} Mb/s")),
        (nic.duplex == Duplex::Half).then(|| "half duplex".to_string()),
        nic.neighbour
            .as_ref()
            .map(|n| format!("at the other end: {}", n.words())),
    ];
    if nic.duplex == Duplex::Half {
        let kind = kind(
            "nic-half-duplex",
            Verdict::Warn,
            Sureness::Certain,
            Advice::Configure,
        );
        let next = "set both ends to negotiate; if both do, replace the cable";
        return Some(kind.says("its link is half duplex", seen.into_iter().flatten(), next));
    }
    let speed = speed.filter(|speed| *speed <= NIC_SLOW_MBPS)?;
    let kind = kind(
        "nic-slow-link",
        Verdict::Warn,
        Sureness::Likely,
        Advice::Reseat,
    );
    Some(kind.says(
        format!("its link runs with {speed} Mb/s only"),
        seen.into_iter().flatten(),
        "replace the cable: a broken pair makes a gigabit port fall back to 100 Mb/s; then look at the switch port's settings",
    ))
}

fn damaged(nic: &NicFacts) -> Option<HealthFinding> {
    let bad = nic
        .counter("rx_crc_errors")
        .max(nic.counter("rx_frame_errors"));
    let all = nic.counter("rx_packets");
    if bad < NIC_CRC_WARN || bad < all / NIC_CRC_FRAMES {
        return None;
    }
    let kind = kind(
        "nic-crc-errors",
        Verdict::Warn,
        Sureness::Likely,
        Advice::Reseat,
    );
    Some(kind.says(
        format!("{bad} frames came in damaged since boot"),
        [format!("rx_crc_errors {}, rx_frame_errors {}, rx_packets {all}", nic.counter("rx_crc_errors"), nic.counter("rx_frame_errors"))],
        "reseat cable and transceiver at both ends and clean optical connectors; replace the cable, then the transceiver",
    ))
}

fn unsent(nic: &NicFacts) -> Option<HealthFinding> {
    let lost = nic.counter("tx_carrier_errors");
    let aborted = nic.counter("tx_aborted_errors");
    if lost.saturating_add(aborted) < NIC_CRC_WARN || !is_physical(nic) {
        return None;
    }
    let kind = kind(
        "nic-carrier-errors",
        Verdict::Warn,
        Sureness::Likely,
        Advice::Reseat,
    );
    Some(kind.says(
        format!(
            "{} frames could not be sent since boot because the link was lost",
            lost.saturating_add(aborted)
        ),
        [format!(
            "tx_carrier_errors {lost}, tx_aborted_errors {aborted}"
        )],
        "reseat cable and transceiver at both ends; replace the cable, then the transceiver",
    ))
}

fn flapping(nic: &NicFacts) -> Option<HealthFinding> {
    let changes = nic
        .carrier_changes
        .filter(|changes| *changes >= NIC_CARRIER_CHANGES_WARN)?;
    let kind = kind(
        "nic-link-flaps",
        Verdict::Warn,
        Sureness::Hint,
        Advice::Reseat,
    );
    let neighbour = nic
        .neighbour
        .as_ref()
        .map(|n| format!("at the other end: {}", n.words()));
    Some(kind.says(
        format!("its link went up or down {changes} times since boot"),
        neighbour,
        "reseat cable and transceiver at both ends; look at the switch port's log",
    ))
}
