// SPDX-License-Identifier: Apache-2.0
//! The parts of a machine, for comparing with what the machine says of itself.

use super::system::health;
use crate::answer::{Answer, Part};
use crate::link::Link;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::{Bytes, MacAddr};

/// A memory module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimm {
    /// The slot's name.
    pub slot: String,
    /// Its size; absent for an empty slot.
    pub size: Option<Bytes>,
    /// Manufacturer and part number.
    pub what: String,
    /// Serial number.
    pub serial: Option<String>,
    /// Health, where it is not `ok`.
    pub bad: Option<String>,
}

impl Dimm {
    /// Reads a `Memory`; `None` for an empty slot.
    #[must_use]
    pub fn read(answer: &Answer) -> Option<Self> {
        let top = answer.top();
        if is_absent(top) {
            return None;
        }
        // CapacityMiB counts; VolatileSizeMiB is wrong on some services.
        let size = top.number("CapacityMiB").filter(|mib| *mib > 0);
        let label = top.at("Location").at("PartLocation").text("ServiceLabel");
        Some(Self {
            slot: label
                .or_else(|| top.text("DeviceLocator"))
                .or_else(|| top.text("Id"))
                .unwrap_or_default(),
            size: size.and_then(|mib| mib.checked_mul(1 << 20)).map(Bytes),
            what: words(&[top.text("Manufacturer"), top.text("PartNumber")]),
            serial: top.text("SerialNumber"),
            bad: health(top).filter(|health| health != "ok"),
        })
    }

    /// In one line, for reports.
    #[must_use]
    pub fn line(&self) -> String {
        let size = self.size.map(|size| format!("{size}"));
        let serial = self
            .serial
            .as_ref()
            .map(|serial| format!("serial {serial}"));
        commas(&[
            Some(self.slot.clone()),
            size,
            Some(self.what.clone()),
            serial,
            self.bad.clone(),
        ])
    }
}

/// A drive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    /// The bay.
    pub bay: String,
    /// Model.
    pub model: String,
    /// Serial number.
    pub serial: Option<String>,
    /// Its size.
    pub size: Option<Bytes>,
    /// Health, where it is not `ok`, and whether a failure is predicted.
    pub bad: Option<String>,
}

impl Drive {
    /// Reads a `Drive`; `None` for an empty bay.
    #[must_use]
    pub fn read(answer: &Answer) -> Option<Self> {
        Self::of(answer.top())
    }

    /// The drives of a `SimpleStorage`, which holds them inside.
    #[must_use]
    pub fn of_simple_storage(answer: &Answer) -> Vec<Self> {
        answer
            .top()
            .list("Devices")
            .into_iter()
            .filter_map(Self::of)
            .collect()
    }

    fn of(top: Part<'_>) -> Option<Self> {
        if is_absent(top) {
            return None;
        }
        let label = top
            .at("PhysicalLocation")
            .at("PartLocation")
            .text("ServiceLabel");
        let predicted = top.flag("FailurePredicted") == Some(true);
        Some(Self {
            bay: label
                .or_else(|| top.text("Id"))
                .or_else(|| top.text("Name"))
                .unwrap_or_default(),
            model: words(&[top.text("Manufacturer"), top.text("Model")]),
            serial: top.text("SerialNumber"),
            size: top
                .number("CapacityBytes")
                .filter(|bytes| *bytes > 0)
                .map(Bytes),
            bad: if predicted {
                Some("failure predicted".into())
            } else {
                health(top).filter(|health| health != "ok")
            },
        })
    }

    /// In one line, for reports.
    #[must_use]
    pub fn line(&self) -> String {
        let size = self.size.map(|size| format!("{size}"));
        let serial = self
            .serial
            .as_ref()
            .map(|serial| format!("serial {serial}"));
        commas(&[
            Some(self.bay.clone()),
            Some(self.model.clone()),
            serial,
            size,
            self.bad.clone(),
        ])
    }
}

/// A processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processor(pub String);

impl Processor {
    /// Reads a `Processor`; `None` for an empty socket and for what is no CPU.
    #[must_use]
    pub fn read(answer: &Answer) -> Option<Self> {
        let top = answer.top();
        let other = top.word("ProcessorType").is_some_and(|kind| kind != "CPU");
        if is_absent(top) || other {
            return None;
        }
        let model = top.text("Model").or_else(|| top.text("Name"))?;
        let cores = top
            .number("TotalCores")
            .map(|cores| format!("{cores} cores"));
        Some(Self(commas(&[
            top.text("Socket").or_else(|| top.text("Id")),
            Some(model),
            cores,
        ])))
    }
}

/// A network interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nic(pub MacAddr);

impl Nic {
    /// Reads an `EthernetInterface`; `None` where it says no address, and for the link between BMC and host.
    #[must_use]
    pub fn read(answer: &Answer) -> Option<Self> {
        let top = answer.top();
        if top.at("Links").at("HostInterface").is_there() {
            return None;
        }
        let mac = top.word("PermanentMACAddress").and_then(mac);
        mac.or_else(|| top.word("MACAddress").and_then(self::mac))
            .map(Self)
    }

    /// The addresses of a `NetworkAdapter`'s function (`Ethernet.PermanentMACAddress`) or port (`AssociatedNetworkAddresses`).
    #[must_use]
    pub fn of_adapter(answer: &Answer) -> Vec<Self> {
        let top = answer.top();
        let ethernet = top.at("Ethernet");
        let own = ethernet
            .word("PermanentMACAddress")
            .or_else(|| ethernet.word("MACAddress"))
            .and_then(mac);
        own.into_iter().map(Self).collect()
    }
}

fn mac(text: &str) -> Option<MacAddr> {
    let mac: MacAddr = text.trim().parse().ok()?;
    (mac.0 != [0; 6] && mac.0 != [0xff; 6]).then_some(mac)
}

/// A BMC itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manager {
    /// Its firmware version.
    pub firmware: Option<String>,
    /// `VirtualMedia`.
    pub media: Option<Link>,
    /// `LogServices`.
    pub logs: Option<Link>,
}

impl Manager {
    /// Reads a `Manager`.
    #[must_use]
    pub fn read(answer: &Answer) -> Self {
        let top = answer.top();
        Self {
            firmware: top.text("FirmwareVersion"),
            media: top.link("VirtualMedia"),
            logs: top.link("LogServices"),
        }
    }
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogService {
    /// Its id.
    pub id: String,
    /// Its entries.
    pub entries: Option<Link>,
}

impl LogService {
    /// Reads a `LogService`.
    #[must_use]
    pub fn read(answer: &Answer) -> Self {
        let top = answer.top();
        Self {
            id: top.text("Id").unwrap_or_default(),
            entries: top.link("Entries"),
        }
    }
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogEntry {
    /// When, as the BMC writes it.
    pub at: String,
    /// How bad, and what.
    pub text: String,
}

impl LogEntry {
    /// The entries of one page that stand in the page itself.
    #[must_use]
    pub fn of_page(answer: &Answer) -> Vec<Self> {
        answer
            .top()
            .list("Members")
            .into_iter()
            .filter_map(Self::of)
            .collect()
    }

    /// Reads a `LogEntry` of its own.
    #[must_use]
    pub fn read(answer: &Answer) -> Option<Self> {
        Self::of(answer.top())
    }

    fn of(entry: Part<'_>) -> Option<Self> {
        let message = entry.text("Message").or_else(|| entry.text("MessageId"))?;
        let severity = entry.text("Severity").filter(|severity| severity != "OK");
        Some(Self {
            at: entry
                .text("Created")
                .or_else(|| entry.text("EventTimestamp"))
                .unwrap_or_default(),
            text: commas(&[severity, Some(message)]),
        })
    }
}

fn is_absent(part: Part<'_>) -> bool {
    part.at("Status").word("State") == Some("Absent")
}

fn words(parts: &[Option<String>]) -> String {
    joined(parts, " ")
}

fn commas(parts: &[Option<String>]) -> String {
    joined(parts, ", ")
}

fn joined(parts: &[Option<String>], between: &str) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .flatten()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join(between)
}
