// SPDX-License-Identifier: Apache-2.0
//! PCI functions: which ones have no driver or firmware file, which links run below what both ends can do, and errors.
//!
//! Refuses to call a link degraded that idles slowly on purpose: graphics processors and accelerators lower their link's
//! speed when they have nothing to do, and a suspended function may. Of those only the width is judged, which saving power
//! does not change. A card in a slot that is slower or narrower than the card is no fault either: what counts is the
//! smaller of what both ends can do.

use super::finding::{figure, kind};
use super::kernel_log::{LogFacts, MissingFirmware};
use super::known;
use super::limits::{PCI_CORRECTED_WARN, PCI_NONFATAL_WARN};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, HealthFinding, Sureness, Verdict};
use serde::{Deserialize, Serialize};

/// One PCI function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PciFunction {
    /// Address: `0000:3b:00.0`.
    pub address: String,
    /// Physical slot as the firmware numbers it; empty where it does not.
    pub slot: String,
    /// Vendor id.
    pub vendor: u16,
    /// Device id.
    pub device: u16,
    /// Vendor id of the card or board.
    pub subsystem_vendor: u16,
    /// Device id of the card or board.
    pub subsystem_device: u16,
    /// Class, subclass and programming interface: `0x010802` is NVMe.
    pub class: u32,
    /// The driver that holds it.
    pub driver: Option<String>,
    /// Modules of the running kernel that claim it; `None` where no list of aliases was there.
    pub claimed_by: Option<Vec<String>>,
    /// Those of them that are loaded.
    pub loaded: Vec<String>,
    /// Whether it is a virtual function, which belongs to a guest.
    pub virtual_function: bool,
    /// Whether it sleeps to save power.
    pub suspended: bool,
    /// Its PCI Express link.
    pub link: Option<PcieLink>,
    /// Errors that it reported since boot (Advanced Error Reporting).
    pub aer: Option<Aer>,
}

/// A PCI Express link. Speeds in millions of transfers a second and lane; 0 where the kernel does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PcieLink {
    /// Speed now.
    pub speed: u32,
    /// The most that both ends can do.
    pub speed_max: u32,
    /// Lanes now.
    pub width: u32,
    /// The most that both ends can do.
    pub width_max: u32,
}

/// Counters of Advanced Error Reporting: each with its short name, those that are not 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Aer {
    /// Corrected by the link itself.
    pub corrected: Vec<(String, u64)>,
    /// Uncorrected; the link went on.
    pub nonfatal: Vec<(String, u64)>,
    /// Uncorrected; the link was reset.
    pub fatal: Vec<(String, u64)>,
}

/// Whether a function of this class is of use only with a driver.
#[must_use]
pub fn wants_driver(class: u32) -> bool {
    known::class(class).is_some()
}

/// The most counters in one file of Advanced Error Reporting; the specification has 32 bits for each kind.
const AER_COUNTERS_MAX: usize = 32;

/// The counters of an `aer_dev_*` file that are not 0, without its total.
#[must_use]
pub fn aer_counters(text: &str) -> Vec<(String, u64)> {
    text.lines()
        .filter_map(|line| line.trim().rsplit_once(' '))
        .filter(|(name, _)| !name.starts_with("TOTAL_"))
        .filter_map(|(name, count)| {
            let count = count.parse().ok().filter(|count| *count > 0)?;
            Some((crate::clean(name.as_bytes()), count))
        })
        .take(AER_COUNTERS_MAX)
        .collect()
}

/// `8.0 GT/s PCIe` is 8,000; 0 for what the kernel does not know.
#[must_use]
pub fn transfers_per_second(text: &str) -> u32 {
    let number = text.split_whitespace().next().unwrap_or_default();
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let parsed = (|| {
        let whole: u32 = whole.parse().ok()?;
        let tenths: u32 = tenths.get(..1)?.parse().ok()?;
        whole
            .checked_mul(1_000)?
            .checked_add(tenths.checked_mul(100)?)
    })();
    parsed.unwrap_or(0)
}

/// Whether a module's alias (a shell pattern with `*`, `?` and `[a-c]`) fits a device's modalias. Takes time at most the
/// product of both lengths.
#[must_use]
pub fn matches_modalias(pattern: &str, modalias: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), modalias.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last star does not fit: the star takes one byte more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            (Some(b'?'), Some(_)) => Some(p + 1),
            (Some(b'['), Some(byte)) => in_set(pattern, p, *byte),
            (Some(a), Some(b)) if a == b => Some(p + 1),
            (Some(_) | None, Some(_)) | (Some(_), None) => None,
        };
        match (step, retry) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((after_star, from))) if from < text.len() => {
                retry = Some((after_star, from + 1));
                p = after_star;
                t = from + 1;
            }
            (None, _) => return false,
        }
    }
}

/// The position after a set `[…]` that holds `byte`.
fn in_set(pattern: &[u8], open: usize, byte: u8) -> Option<usize> {
    let length = pattern.get(open..)?.iter().position(|b| *b == b']')?;
    let set = pattern.get(open + 1..open + length)?;
    let mut rest = set;
    let mut found = false;
    while let Some((first, tail)) = rest.split_first() {
        if let [b'-', last, more @ ..] = tail {
            found |= (first..=last).contains(&&byte);
            rest = more;
        } else {
            found |= *first == byte;
            rest = tail;
        }
    }
    found.then_some(open + length + 1)
}

/// Reports on functions of a class that wants a driver, and on any other of which there is something to say: a bridge
/// without a fault is nothing that a technician pulls.
pub(super) fn judge(functions: &[PciFunction], log: &LogFacts) -> Vec<DeviceReport> {
    functions
        .iter()
        .filter(|function| !function.virtual_function)
        .filter_map(|function| report(function, log))
        .collect()
}

fn report(function: &PciFunction, log: &LogFacts) -> Option<DeviceReport> {
    let class = known::class(function.class);
    let files: Vec<&MissingFirmware> = log
        .missing_firmware
        .iter()
        .filter(|file| file.device.as_deref() == Some(function.address.as_str()))
        .collect();
    let mut findings = Vec::new();
    findings.extend(driver(function, log));
    findings.extend(firmware(&files, class.map_or(Verdict::Ok, |c| c.without)));
    findings.extend(function.link.and_then(|link| degraded(function, link)));
    findings.extend(function.aer.as_ref().map(errors).unwrap_or_default());
    if findings.is_empty() && class.is_none() {
        return None;
    }
    let device = function.address.clone();
    let mut report = DeviceReport::new(device, DeviceKind::Pci, "kernel", findings);
    report.place.slot.clone_from(&function.slot);
    report.place.model = format!(
        "{} {:04x}:{:04x}",
        class.map_or("PCI function", |c| c.words),
        function.vendor,
        function.device
    );
    if let Some(link) = function.link.filter(|link| link.speed > 0) {
        let figures = [
            ("link_mega_transfers", link.speed),
            ("link_lanes", link.width),
        ];
        let figures = figures.map(|(name, value)| (name.to_string(), i64::from(value)));
        report.figures.extend(figures);
    }
    if let Some(aer) = &function.aer {
        let sum = |all: &[(String, u64)]| figure(total(all, &[]));
        let figures = [
            ("aer_corrected", sum(&aer.corrected)),
            ("aer_nonfatal", sum(&aer.nonfatal)),
            ("aer_fatal", sum(&aer.fatal)),
        ];
        report
            .figures
            .extend(figures.map(|(name, value)| (name.to_string(), value)));
    }
    Some(report)
}

fn driver(function: &PciFunction, log: &LogFacts) -> Option<HealthFinding> {
    let class = known::class(function.class)?;
    if function.driver.is_some() {
        return None;
    }
    let id = format!("{:04x}:{:04x}", function.vendor, function.device);
    let what = format!("the {} {id} has no driver", class.words);
    let mut seen = Vec::from([format!(
        "class {:06x}, card {:04x}:{:04x}",
        function.class, function.subsystem_vendor, function.subsystem_device
    )]);
    let lines = log.lines_about(&function.address);
    let claimed = function.claimed_by.as_deref().unwrap_or_default();
    let elsewhere = known::module(function.vendor, function.device);
    // No maintenance OS drives a display; only where a module could have is it worth a line.
    if class.without == Verdict::Ok && claimed.is_empty() && elsewhere.is_none() {
        return None;
    }
    let (next, advice) = if let Some(module) = function.loaded.first() {
        seen.push(format!("module {module} is loaded and did not take it"));
        seen.extend(lines);
        let next =
            "look at the kernel's lines on this address; reseat the card, then update its firmware";
        (next.to_string(), Advice::Reseat)
    } else if let Some(module) = claimed.first() {
        seen.push(format!("claimed by: {}", claimed.join(", ")));
        (
            format!("load it: `modprobe {module}`; if that fails, look at the kernel's log"),
            Advice::Update,
        )
    } else if let Some(module) = elsewhere {
        seen.push("no module of this kernel claims it".to_string());
        let next = format!(
            "module {module} of Debian's kernel drives it: use a kernel or boot image that has {module}"
        );
        (next, Advice::Update)
    } else {
        seen.push(match function.claimed_by {
            Some(_) => "no module of this kernel claims it".to_string(),
            None => "which modules claim it could not be looked up".to_string(),
        });
        let next = format!(
            "look {id} up in the PCI ID repository (pci-ids.ucw.cz), and find its maker's driver"
        );
        (next, Advice::Look)
    };
    let kind = kind("pci-no-driver", class.without, Sureness::Certain, advice);
    Some(kind.says(what, seen, next))
}

fn firmware(files: &[&MissingFirmware], verdict: Verdict) -> Option<HealthFinding> {
    let first = files.first()?;
    let next = match known::firmware_package(&first.file) {
        Some(package) => format!(
            "install Debian's package {package}, which brings the file, or a boot image with it"
        ),
        None => format!(
            "put {} below /lib/firmware; its maker or linux-firmware has it",
            first.file
        ),
    };
    let kind = kind(
        "pci-firmware-missing",
        verdict,
        Sureness::Certain,
        Advice::Update,
    );
    Some(kind.says(
        format!("its driver did not find the firmware file {}", first.file),
        files.iter().map(|file| file.line.clone()),
        next,
    ))
}

/// Base classes whose functions carry data that a slow link holds up; of the latter ones only the width counts.
const BASE_STORAGE: u32 = 0x01;
const BASE_NETWORK: u32 = 0x02;
const BASE_DISPLAY: u32 = 0x03;
const BASE_ACCELERATOR: u32 = 0x12;

fn degraded(function: &PciFunction, link: PcieLink) -> Option<HealthFinding> {
    let (judged, speed_too) = match function.class >> 16 {
        BASE_STORAGE | BASE_NETWORK => (true, !function.suspended),
        BASE_DISPLAY | BASE_ACCELERATOR => (true, false),
        _ => (false, false),
    };
    if !judged || link.speed == 0 || link.width == 0 {
        return None;
    }
    let narrow = link.width < link.width_max;
    let slow = speed_too && link.speed < link.speed_max;
    if !narrow && !slow {
        return None;
    }
    let words = |speed: u32, width: u32| {
        format!(
            "{}.{} GT/s on {width} lanes",
            speed / 1_000,
            speed % 1_000 / 100
        )
    };
    let kind = kind(
        "pci-link-degraded",
        Verdict::Warn,
        Sureness::Likely,
        Advice::Reseat,
    );
    Some(kind.says(
        format!(
            "its link runs with {} where both ends can do {}",
            words(link.speed, link.width),
            words(link.speed_max, link.width_max)
        ),
        [format!("now {}", words(link.speed, link.width))],
        "reseat the card or disk and its riser or cable, and clean the contacts; if it stays, check the slot's settings in the firmware's setup",
    ))
}

fn total(counters: &[(String, u64)], without: &[&str]) -> u64 {
    counters
        .iter()
        .filter(|(name, _)| !without.contains(&name.as_str()))
        .fold(0, |sum, (_, count)| sum.saturating_add(*count))
}

fn errors(aer: &Aer) -> Vec<HealthFinding> {
    let list = |word: &str, counters: &[(String, u64)]| {
        let counters: Vec<String> = counters
            .iter()
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        format!("{word} since boot: {}", counters.join(", "))
    };
    let reseat = "reseat the card or disk and its riser or cable; if errors go on, replace it, then the riser";
    let mut findings = Vec::new();
    let fatal = total(&aer.fatal, &["UnsupReq"]);
    if fatal > 0 {
        let kind = kind(
            "pci-errors-fatal",
            Verdict::Fail,
            Sureness::Certain,
            Advice::Reseat,
        );
        let what = format!("its link broke down {fatal} times");
        findings.push(kind.says(what, [list("fatal", &aer.fatal)], reseat));
    }
    let nonfatal = total(&aer.nonfatal, &["UnsupReq"]);
    if nonfatal >= PCI_NONFATAL_WARN {
        let kind = kind(
            "pci-errors-uncorrected",
            Verdict::Warn,
            Sureness::Likely,
            Advice::Reseat,
        );
        let what = format!("it reported {nonfatal} errors that could not be corrected");
        findings.push(kind.says(what, [list("not fatal", &aer.nonfatal)], reseat));
    }
    // `NonFatalErr` is the advisory copy of an uncorrected error, counted above.
    let corrected = total(&aer.corrected, &["NonFatalErr"]);
    if corrected >= PCI_CORRECTED_WARN {
        let kind = kind(
            "pci-errors-corrected",
            Verdict::Warn,
            Sureness::Likely,
            Advice::Reseat,
        );
        let what = format!("its link corrected {corrected} errors");
        findings.push(kind.says(what, [list("corrected", &aer.corrected)], reseat));
    }
    findings
}
