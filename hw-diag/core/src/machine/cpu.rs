// SPDX-License-Identifier: Apache-2.0
//! Processors: how many there are and run, their microcode, and whether they were throttled by heat.
//!
//! Refuses to judge mitigations of vulnerabilities and frequency governors: they are settings, and are recorded only.

use super::finding::{figure, kind};
use super::limits::CPU_THROTTLES_WARN;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, HealthFinding, Sureness, Verdict};
use serde::{Deserialize, Serialize};

/// The most logical processors in a list such as `0-3,8`; the kernel's own limit on x86-64 is 8,192.
const CPUS_MAX: usize = 8_192;

/// What was read of the processors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuFacts {
    /// Processor packages that run, by the kernel's package number.
    pub packages: Vec<Package>,
    /// Logical processors that are there (`/sys/devices/system/cpu/present`).
    pub present: Vec<u32>,
    /// Logical processors that run (`online`).
    pub online: Vec<u32>,
    /// `on`, `off`, `forceoff` or `notsupported` (`smt/control`).
    pub smt: String,
    /// Vulnerability by name and what the kernel says of it.
    pub vulnerabilities: BTreeMap<String, String>,
    /// Sockets as SMBIOS type 4 describes them, in table order.
    pub sockets: Vec<Socket>,
}

/// One package that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Package {
    /// The kernel's number (`physical_package_id`).
    pub id: u32,
    /// Maker, for example `GenuineIntel`.
    pub vendor: String,
    /// Name.
    pub model: String,
    /// Cores that run.
    pub cores: u32,
    /// Logical processors that run.
    pub threads: u32,
    /// Microcode revisions of its logical processors, each once.
    pub microcode: Vec<String>,
    /// Which of the flags that matter it has: `vmx`, `svm`, `aes`, `sha_ni`, `avx2`, `hypervisor`.
    pub flags: Vec<String>,
    /// How often the package was throttled by heat since boot; `None` where nobody counts.
    pub package_throttles: Option<u64>,
    /// How often its cores were, together.
    pub core_throttles: Option<u64>,
}

/// A socket's status (DSP0134, 7.5, offset 18h, bits 2:0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketStatus {
    /// The firmware does not say.
    #[default]
    Unknown,
    /// In use.
    Enabled,
    /// Switched off in the firmware's setup.
    DisabledByUser,
    /// Switched off by the firmware after an error in its self-test.
    DisabledByFirmware,
    /// Idle, waiting to be switched on.
    Idle,
}

/// A processor socket (SMBIOS type 4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Socket {
    /// Silkscreen name.
    pub name: String,
    /// Maker.
    pub vendor: String,
    /// Processor name.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// Part number.
    pub part_number: String,
    /// Whether a processor is in it.
    pub populated: bool,
    /// Status.
    pub status: SocketStatus,
    /// Cores in the package; `None` where the firmware does not say.
    pub cores: Option<u32>,
    /// Cores that the firmware enabled.
    pub cores_enabled: Option<u32>,
    /// Threads in the package.
    pub threads: Option<u32>,
}

/// The numbers in a list such as `0-3,8`; `None` where it is not one, or longer than 8,192 numbers.
#[must_use]
pub fn cpu_list(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        let count = usize::try_from(to.checked_sub(from)?).ok()?;
        if numbers.len().checked_add(count)? >= CPUS_MAX {
            return None;
        }
        numbers.extend(from..=to);
    }
    Some(numbers)
}

pub(super) fn judge(facts: &CpuFacts) -> Vec<DeviceReport> {
    let populated: Vec<&Socket> = facts.sockets.iter().filter(|s| s.populated).collect();
    let in_use = |s: &&&Socket| !is_disabled(s.status);
    let running: Vec<&Socket> = populated.iter().filter(in_use).copied().collect();
    // Firmware and kernel number in the same order; a name is put on a package only where their counts agree.
    let named = running.len() == facts.packages.len();
    let mut reports: Vec<DeviceReport> = Vec::new();
    for (index, package) in facts.packages.iter().enumerate() {
        let socket = running.get(index).filter(|_| named).copied();
        let mut findings: Vec<HealthFinding> = Vec::new();
        findings.extend(microcode(package, &facts.packages));
        findings.extend(model(package, &facts.packages));
        findings.extend(throttled(package));
        findings.extend(socket.and_then(|socket| cores(package, socket, facts)));
        findings.extend(virtualisation(package));
        let name = format!("cpu{}", package.id);
        let mut report = DeviceReport::new(name, DeviceKind::Cpu, "kernel", findings);
        report.place.vendor.clone_from(&package.vendor);
        report.place.model.clone_from(&package.model);
        report.place.firmware = package.microcode.join(", ");
        if let Some(socket) = socket {
            report.place.slot.clone_from(&socket.name);
            report.place.serial.clone_from(&socket.serial);
            report.place.part_number.clone_from(&socket.part_number);
        }
        let mut put = |name: &str, value: Option<i64>| {
            report.figures.extend(value.map(|v| (name.to_string(), v)));
        };
        put("cores", Some(i64::from(package.cores)));
        put("threads", Some(i64::from(package.threads)));
        put("package_throttles", package.package_throttles.map(figure));
        put("core_throttles", package.core_throttles.map(figure));
        reports.push(report);
    }
    reports.extend(populated.iter().filter_map(|socket| disabled(socket)));
    reports.extend(machine_wide(facts, running.len()));
    reports
}

fn is_disabled(status: SocketStatus) -> bool {
    match status {
        SocketStatus::DisabledByUser | SocketStatus::DisabledByFirmware => true,
        SocketStatus::Unknown | SocketStatus::Enabled | SocketStatus::Idle => false,
    }
}

/// What concerns no single package: threads that do not run, and packages that are gone.
fn machine_wide(facts: &CpuFacts, running: usize) -> Option<DeviceReport> {
    let offline: Vec<u32> = facts
        .present
        .iter()
        .filter(|cpu| !facts.online.contains(cpu))
        .copied()
        .collect();
    let mut findings = Vec::new();
    findings.extend(stopped(&offline, &facts.smt));
    // Packages whose threads are all stopped are explained by those.
    if running > facts.packages.len() && offline.is_empty() && !facts.packages.is_empty() {
        findings.push(gone(facts, running));
    }
    if findings.is_empty() {
        return None;
    }
    let mut report = DeviceReport::new("cpus", DeviceKind::Cpu, "kernel and SMBIOS", findings);
    let count = |cpus: &[u32]| i64::try_from(cpus.len()).unwrap_or(i64::MAX);
    let present = ("threads_present".to_string(), count(&facts.present));
    let online = ("threads_online".to_string(), count(&facts.online));
    report.figures.extend([present, online]);
    Some(report)
}

fn stopped(offline: &[u32], smt: &str) -> Option<HealthFinding> {
    let list: Vec<String> = offline.iter().take(64).map(|n| format!("cpu{n}")).collect();
    let first = list.first()?;
    let what = match offline.len() {
        1 => format!("the logical processor {first} is there and does not run"),
        many => format!("{many} logical processors are there and do not run"),
    };
    let seen = [
        format!("not running: {}", list.join(", ")),
        format!("simultaneous multithreading: {smt}"),
    ];
    // With SMT off every sibling stands still by somebody's wish.
    Some(if matches!(smt, "off" | "forceoff") {
        let kind = kind(
            "cpu-smt-off",
            Verdict::Ok,
            Sureness::Certain,
            Advice::Configure,
        );
        let next = "nothing, if multithreading was switched off on purpose (kernel command line `nosmt`, `smt/control`)";
        kind.says(what, seen, next)
    } else {
        let kind = kind(
            "cpu-thread-offline",
            Verdict::Warn,
            Sureness::Certain,
            Advice::Look,
        );
        let next = "look at the kernel's command line (`maxcpus=`, `nr_cpus=`) and log; where neither explains it, the processor or its socket does not start all cores: reseat it";
        kind.says(what, seen, next)
    })
}

fn gone(facts: &CpuFacts, running: usize) -> HealthFinding {
    let names: Vec<&str> = facts
        .sockets
        .iter()
        .filter(|s| s.populated && !is_disabled(s.status))
        .map(|s| s.name.as_str())
        .collect();
    // Hypervisors list sockets that they do not fill.
    let virtual_machine = |p: &Package| p.flags.iter().any(|flag| flag == "hypervisor");
    let (verdict, sureness) = if facts.packages.iter().any(virtual_machine) {
        (Verdict::Warn, Sureness::Hint)
    } else {
        (Verdict::Fail, Sureness::Likely)
    };
    kind("cpu-missing", verdict, sureness, Advice::Reseat)
    .says(
        format!(
            "the firmware has {running} processors in their sockets, and the kernel runs on {}",
            facts.packages.len()
        ),
        [format!("sockets with a processor: {}", names.join(", "))],
        "look at the firmware's event log and setup for the processor that it left out; reseat that processor and look at the socket's pins",
    )
}

fn disabled(socket: &Socket) -> Option<DeviceReport> {
    let finding = match socket.status {
        SocketStatus::Unknown | SocketStatus::Enabled | SocketStatus::Idle => return None,
        SocketStatus::DisabledByUser => kind(
            "cpu-socket-off",
            Verdict::Warn,
            Sureness::Certain,
            Advice::Configure,
        )
        .says(
            format!("the processor in {} is switched off in the firmware's setup", socket.name),
            ["SMBIOS type 4: populated, disabled by user".to_string()],
            "switch it on in the firmware's setup, unless it is off on purpose",
        ),
        SocketStatus::DisabledByFirmware => kind(
            "cpu-socket-failed",
            Verdict::Fail,
            Sureness::Certain,
            Advice::Reseat,
        )
        .says(
            format!("the firmware has switched off the processor in {} after an error in its self-test", socket.name),
            ["SMBIOS type 4: populated, disabled by BIOS (POST error)".to_string()],
            "reseat the processor and look at the socket's pins; if it is left out again, replace it",
        ),
    };
    let mut report = DeviceReport::new(
        socket.name.clone(),
        DeviceKind::Cpu,
        "SMBIOS",
        [finding].into(),
    );
    report.place.slot.clone_from(&socket.name);
    report.place.vendor.clone_from(&socket.vendor);
    report.place.model.clone_from(&socket.model);
    report.place.serial.clone_from(&socket.serial);
    report.place.part_number.clone_from(&socket.part_number);
    Some(report)
}

/// Revisions are hexadecimal numbers that grow; the one behind is the one to update.
fn revision(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

fn microcode(package: &Package, all: &[Package]) -> Option<HealthFinding> {
    let newest = all
        .iter()
        .filter(|other| other.model == package.model)
        .flat_map(|other| &other.microcode)
        .filter_map(|text| revision(text))
        .max()?;
    let oldest = package.microcode.iter().filter_map(|t| revision(t)).min()?;
    if oldest >= newest {
        return None;
    }
    let seen = all
        .iter()
        .map(|p| format!("cpu{}: microcode {}", p.id, p.microcode.join(", ")));
    let kind = kind(
        "cpu-microcode-differs",
        Verdict::Warn,
        Sureness::Certain,
        Advice::Update,
    );
    Some(kind.says(
        format!("its microcode {oldest:#x} is older than {newest:#x}, which its like in this machine has"),
        seen,
        "update the firmware, which loads the microcode of all sockets; if they still differ, the processors are of different steppings: pair them anew",
    ))
}

fn model(package: &Package, all: &[Package]) -> Option<HealthFinding> {
    let first = all.first()?;
    if first.model == package.model {
        return None;
    }
    let kind = kind(
        "cpu-model-differs",
        Verdict::Warn,
        Sureness::Certain,
        Advice::Replace,
    );
    Some(kind.says(
        "the processors of this machine are not of one model",
        all.iter().map(|p| format!("cpu{}: {}", p.id, p.model)),
        "put processors of one model and stepping into all sockets; no maker supports a mixture",
    ))
}

fn throttled(package: &Package) -> Option<HealthFinding> {
    let count = package
        .package_throttles
        .unwrap_or(0)
        .max(package.core_throttles.unwrap_or(0));
    if count < CPU_THROTTLES_WARN {
        return None;
    }
    let kind = kind(
        "cpu-throttled",
        Verdict::Warn,
        Sureness::Likely,
        Advice::Look,
    );
    let seen = [
        package
            .package_throttles
            .map(|n| format!("package throttled {n} times since boot")),
        package
            .core_throttles
            .map(|n| format!("cores throttled {n} times since boot")),
    ];
    Some(kind.says(
        "the processor was slowed down by heat",
        seen.into_iter().flatten(),
        "look at fans, air ducts and filters; then at the heat sink's seat and paste",
    ))
}

/// Firmware says how many cores it enabled; fewer than the package has is a setting, fewer running is not.
fn cores(package: &Package, socket: &Socket, facts: &CpuFacts) -> Option<HealthFinding> {
    let (there, enabled) = (socket.cores?, socket.cores_enabled?);
    let seen = [format!(
        "{}: {there} cores, {enabled} enabled by the firmware, {} running",
        socket.name, package.cores
    )];
    let all_run = facts.present.len() == facts.online.len();
    if package.cores < enabled && all_run && enabled <= there {
        let kind = kind(
            "cpu-cores-missing",
            Verdict::Warn,
            Sureness::Likely,
            Advice::Look,
        );
        let next = "look at the firmware's event log for cores that failed their self-test, then at the kernel's log; update the firmware";
        let what = "fewer cores run than the firmware has enabled";
        return Some(kind.says(what, seen, next));
    }
    (enabled > 0 && enabled < there).then(|| {
        let kind = kind(
            "cpu-cores-off",
            Verdict::Ok,
            Sureness::Certain,
            Advice::Configure,
        );
        let next = "nothing, if the cores were switched off in the firmware's setup on purpose";
        kind.says(
            "the firmware has enabled only some of its cores",
            seen,
            next,
        )
    })
}

fn virtualisation(package: &Package) -> Option<HealthFinding> {
    let has = |flag: &str| package.flags.iter().any(|f| f == flag);
    let known = matches!(package.vendor.as_str(), "GenuineIntel" | "AuthenticAMD");
    if !known || package.flags.is_empty() || has("vmx") || has("svm") || has("hypervisor") {
        return None;
    }
    let kind = kind(
        "cpu-no-virtualisation",
        Verdict::Ok,
        Sureness::Certain,
        Advice::Configure,
    );
    Some(kind.says(
        "virtualisation is switched off",
        ["neither `vmx` nor `svm` among the processor's flags".to_string()],
        "switch VT-x or AMD-V on in the firmware's setup, if virtual machines are to run here",
    ))
}
