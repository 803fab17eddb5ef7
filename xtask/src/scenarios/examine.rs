// SPDX-License-Identifier: Apache-2.0
//! The examination: hw-diag on a virtual server with 24 disks and a BMC, beside smartctl on the same disks.
//!
//! The boot image's own kernel, drivers and smartctl run; only PID 1 is a script. What both say of each disk is compared
//! field by field.

use crate::boot_image::cpio::Archive;
use crate::demo;
use crate::layout::Layout;
use crate::package;
use crate::product;
use crate::progress::note;
use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::boot::Firmware;
use groundstate_api::health::{DeviceKind, DeviceReport, Verdict};
use groundstate_tests::rack::{Node, NodeSpec, PowerOn};
use hw_core::capture::smartctl_json;
use hw_core::collected::Collected;
use hw_core::disk::DiskFacts;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

const SCRIPT: &str = include_str!("examine.sh");
const BUSYBOX: [&str; 2] = ["/bin/busybox", "/usr/bin/busybox"];
/// How long the whole examination may take here: many times what it takes on an idle machine.
const LIMIT: Duration = Duration::from_secs(10 * 60);
/// The most memory that a check may have resident, in KiB.
const MEMORY_MAX_KIB: u64 = 32 * 1024;
/// The most seconds that a check may take; every virtual disk answers within milliseconds.
const CHECK_MAX_SECS: f64 = 3.0;
/// Self-test logs and counters move between two looks; everything else must be the same.
const MOVING: [&str; 3] = ["power_on_hours", "temperature_c", "self_tests"];

pub(super) fn examine(layout: &Layout) -> Result<()> {
    demo::make_everything(layout)?;
    // The package's own program is examined, as a live host would install it.
    package::run(layout)?;
    let hw_diag = product::build_hw_diag(layout)?;
    let folder = layout.made("scenarios").join("examine");
    let spec = NodeSpec::crowded(1, Firmware::Bios);
    let mut node = Node::build(&spec, &folder, None)?;
    let initrd = folder.join("initrd");
    let mut bytes = fs::read(layout.boot().join("initrd.base"))?;
    // The kernel looks for the next archive at multiples of four bytes.
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend(examiner(&hw_diag, spec.disks.len())?.bytes()?);
    fs::write(&initrd, bytes)?;
    let kernel = layout.boot().join("vmlinuz");
    // `quiet`: a message of the kernel must not stand in the middle of a line.
    let cmdline = "console=ttyS0,115200 quiet loglevel=0 panic=1";
    let before = node.fingerprints()?;
    node.power_on(&PowerOn::kernel(&kernel, Some(&initrd), cmdline))?;
    let mut log = node.serial_log_from_power_on();
    node.wait_for_line("@done", LIMIT)?;
    node.power_off();
    let (same, disks) = groundstate_tests::rack::unchanged(&before, &node.fingerprints()?);
    ensure!(
        same == disks,
        "{} disks were changed by looking at them",
        disks - same
    );
    let mut text = String::new();
    while let Some(line) = log.next_line()? {
        text.push_str(&line);
        text.push('\n');
    }
    judge(&spec, &Said::of(&text))
}

/// The second half of the initramfs: what it brings replaces what is there.
fn examiner(hw_diag: &std::path::Path, disks: usize) -> Result<Archive> {
    let busybox = BUSYBOX.iter().find(|path| fs::metadata(path).is_ok());
    let busybox = busybox.context("busybox is not installed")?;
    let mut archive = Archive::default();
    let script = SCRIPT.replace("DISKS", &disks.to_string());
    archive.file("init", 0o755, script.into_bytes());
    archive.file("bin/busybox", 0o755, fs::read(busybox)?);
    archive.file("bin/hw-diag", 0o755, fs::read(hw_diag)?);
    Ok(archive)
}

/// What stands on the console: values by name, in their order.
struct Said(BTreeMap<String, Vec<String>>);

impl Said {
    fn of(log: &str) -> Self {
        let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in log.lines() {
            if let Some((name, value)) = line
                .trim()
                .strip_prefix('@')
                .and_then(|l| l.split_once(' '))
            {
                said.entry(name.to_owned())
                    .or_default()
                    .push(value.to_owned());
            }
        }
        Self(said)
    }

    fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    fn one(&self, name: &str) -> Result<&str> {
        let value = self.all(name).first();
        value
            .map(String::as_str)
            .with_context(|| format!("the examination did not say @{name}"))
    }
}

fn judge(spec: &NodeSpec, said: &Said) -> Result<()> {
    let errors = said.one("errors").unwrap_or_default();
    let collected = Collected::parse(said.one("collected")?.as_bytes())
        .with_context(|| format!("hw-diag collect: {errors}"))?;
    let disks = collected.disks.len();
    ensure!(
        disks == spec.disks.len(),
        "{disks} of {} disks were collected",
        spec.disks.len()
    );
    for facts in &collected.disks {
        let name = facts.device.trim_start_matches("/dev/");
        let theirs = said.one(&format!("smartctl/{name}"))?;
        let theirs = smartctl_json(theirs.as_bytes(), name)
            .with_context(|| format!("smartctl of {name}: {theirs}"))?;
        agree(facts, &theirs).with_context(|| format!("{name} against smartctl"))?;
    }
    reports(spec, said)?;
    figures(said)?;
    self_test(said)?;
    burn_in(spec, said)
}

/// Field by field, where both say something.
fn agree(ours: &DiskFacts, theirs: &DiskFacts) -> Result<()> {
    let mut differences = Vec::new();
    let mut compared = 0;
    let (ours, theirs) = (serde_json::to_value(ours)?, serde_json::to_value(theirs)?);
    compare("", &ours, &theirs, &mut compared, &mut differences);
    ensure!(compared >= 10, "only {compared} fields could be compared");
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

fn compare(
    path: &str,
    ours: &serde_json::Value,
    theirs: &serde_json::Value,
    compared: &mut usize,
    differences: &mut Vec<String>,
) {
    use serde_json::Value::{Array, Null, Object};
    match (ours, theirs) {
        (Null, _) | (_, Null) => {}
        (Object(ours), Object(theirs)) => {
            for (name, value) in ours {
                // Who read it and how is not what was read; names and words differ between tools by design.
                let is_ours = [
                    "device", "slot", "source", "missed", "name", "family", "raw_text", "vendor",
                ]
                .contains(&name.as_str());
                if is_ours || MOVING.contains(&name.as_str()) {
                    continue;
                }
                if let Some(other) = theirs.get(name) {
                    compare(
                        &format!("{path}.{name}"),
                        value,
                        other,
                        compared,
                        differences,
                    );
                }
            }
        }
        (Array(ours), Array(theirs)) if ours.is_empty() || theirs.is_empty() => {}
        (Array(ours), Array(theirs)) => {
            if ours.len() != theirs.len() {
                differences.push(format!(
                    "{path}: {} entries, smartctl has {}",
                    ours.len(),
                    theirs.len()
                ));
            }
            for (index, (one, other)) in ours.iter().zip(theirs).enumerate() {
                compare(
                    &format!("{path}[{index}]"),
                    one,
                    other,
                    compared,
                    differences,
                );
            }
        }
        (one, other) => {
            *compared += 1;
            if one != other {
                differences.push(format!("{path}: {one}, smartctl says {other}"));
            }
        }
    }
}

fn reports(spec: &NodeSpec, said: &Said) -> Result<()> {
    let mut disks = 0;
    let mut kinds: BTreeMap<DeviceKind, usize> = BTreeMap::new();
    for line in said.all("report") {
        let report: DeviceReport = serde_json::from_str(line).with_context(|| line.clone())?;
        *kinds.entry(report.kind).or_default() += 1;
        if report.kind != DeviceKind::Disk {
            continue;
        }
        disks += 1;
        let disk = spec
            .disks
            .iter()
            .find(|disk| disk.serial == report.place.serial);
        let disk = disk.with_context(|| format!("a report on a disk that is not there: {line}"))?;
        let wanted = if disk.critical_warning.is_some() {
            Verdict::Fail
        } else {
            Verdict::Ok
        };
        ensure!(
            report.verdict == wanted,
            "{} is {:?}: {line}",
            disk.serial,
            report.verdict
        );
    }
    ensure!(
        disks == spec.disks.len(),
        "{disks} of {} disks have a report",
        spec.disks.len()
    );
    note(&format!(
        "reports: {}",
        kinds
            .iter()
            .map(|(kind, count)| format!("{count} {}", kind.as_str()))
            .collect::<Vec<_>>()
            .join(", ")
    ));
    ensure!(
        said.one("status")? == "2",
        "a failing disk ends with status 2, not {}",
        said.one("status")?
    );
    Ok(())
}

fn figures(said: &Said) -> Result<()> {
    let mut fastest = f64::MAX;
    let mut largest = 0;
    for line in said.all("time") {
        let (name, value) = line.rsplit_once(": ").with_context(|| line.clone())?;
        if name.contains("Maximum") {
            largest = largest.max(value.trim().parse::<u64>()?);
        } else {
            // `m:ss` or `0m 1.23s`.
            let text = value.replace(['m', 's'], " ");
            let parts: Vec<&str> = text
                .split([' ', ':'])
                .filter(|part| !part.is_empty())
                .collect();
            let [minutes, seconds] = parts[..] else {
                bail!("time said {value:?}")
            };
            fastest = fastest.min(minutes.parse::<f64>()? * 60.0 + seconds.parse::<f64>()?);
        }
    }
    note(&format!(
        "check of 24 disks: {fastest} s (at most {CHECK_MAX_SECS} s), {largest} KiB resident (at most {MEMORY_MAX_KIB})"
    ));
    ensure!(
        largest > 0 && largest <= MEMORY_MAX_KIB,
        "a check has {largest} KiB resident"
    );
    Ok(())
}

fn self_test(said: &Said) -> Result<()> {
    let (status, text) = (
        said.one("self-test-status")?,
        said.one("self-test").unwrap_or_default(),
    );
    note(&format!(
        "self-test of an NVMe disk: status {status}: {text}"
    ));
    // QEMU's NVMe disks have no self-test: the refusal must say so and name the disk.
    ensure!(
        status != "0" && text.contains("nvme"),
        "self-test: {status} {text}"
    );
    Ok(())
}

fn burn_in(spec: &NodeSpec, said: &Said) -> Result<()> {
    let mut read = 0;
    for line in said.all("burn-in") {
        let report: DeviceReport = serde_json::from_str(line).with_context(|| line.clone())?;
        ensure!(report.verdict != Verdict::Fail, "burn-in: {line}");
        if report
            .figures
            .get("sequential_kib_per_second")
            .is_some_and(|rate| *rate > 0)
        {
            read += 1;
        }
    }
    ensure!(
        read == spec.disks.len(),
        "{read} of {} disks were read under load",
        spec.disks.len()
    );
    Ok(())
}
