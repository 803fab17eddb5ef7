// SPDX-License-Identifier: Apache-2.0
//! Disks behind RAID controllers, which have no block device: asked by `smartctl`, which knows each controller's own way.
//!
//! Refuses to take a controller's volume for a disk, and to run a program where no such controller is.

mod smartctl;

use crate::sysfs::{Tree, below};
use hw_core::capture::smartctl_json;
use hw_core::disk::DiskFacts;
use hw_core::slot::numbered;
use smartctl::{Member, Smartctl};
use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Drivers of RAID controllers, and how `smartctl` reaches the disks behind each.
const DRIVERS: [(&str, Way); 11] = [
    ("megaraid_sas", Way::Scan),
    ("mpt3sas", Way::IfVolumes),
    ("mpt2sas", Way::IfVolumes),
    ("hpsa", Way::Numbers("cciss", 0..=127)),
    ("smartpqi", Way::Numbers("cciss", 0..=127)),
    ("cciss", Way::Numbers("cciss", 0..=127)),
    ("aacraid", Way::Addresses),
    ("arcmsr", Way::Slots("areca", 1..=24)),
    ("3w-9xxx", Way::Ports("/dev/twa", 0..=31)),
    ("3w-sas", Way::Ports("/dev/twl", 0..=31)),
    ("3w-xxxx", Way::Ports("/dev/twe", 0..=15)),
];
/// Vendors of MegaRAID volumes; a disk that the controller passes on keeps its own vendor.
const MEGARAID_VENDORS: [&str; 10] = [
    "LSI", "AVAGO", "BROADCOM", "DELL", "LENOVO", "CISCO", "FTS", "INTEL", "SMC", "IBM",
];
/// What stands in the model of a volume and of no disk.
const VOLUME_WORDS: [&str; 6] = [
    "LOGICAL VOLUME",
    "LOGICALDRV",
    "VIRTUAL DISK",
    "PERC",
    "RAID",
    "-VOL#",
];
/// The most disks that are asked behind all controllers; more are told.
const MEMBERS_MAX: usize = 256;
/// How many programs run at once: a controller answers its disks one after the other anyway, and each takes some 5 MiB.
const AT_ONCE: usize = 6;
/// How long beyond the patience the result may take to come together.
const GRACE: Duration = Duration::from_secs(1);
/// SCSI device type of a RAID controller.
const TYPE_CONTROLLER: u32 = 12;

/// How to find the disks behind a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// `smartctl --scan-open` names them.
    Scan,
    /// The same, and only where the controller has volumes: without, its disks are disks of the kernel.
    IfVolumes,
    /// Numbers without a gap on the controller's own generic node.
    Numbers(&'static str, std::ops::RangeInclusive<u8>),
    /// Numbers with gaps on the controller's own generic node.
    Slots(&'static str, std::ops::RangeInclusive<u8>),
    /// Ports on a character device of the driver.
    Ports(&'static str, std::ops::RangeInclusive<u8>),
    /// SCSI addresses of a channel that has no block devices.
    Addresses,
}

/// A controller.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Controller {
    host: u32,
    driver: &'static str,
    way: Way,
}

/// What is being looked at behind controllers.
pub(crate) enum Behind {
    /// There is no controller.
    Nothing,
    /// Somebody looks.
    Asked(mpsc::Receiver<(Vec<DiskFacts>, Vec<String>)>, String),
}

impl Behind {
    /// The disks and what could not be looked at, as far as it came by `until`.
    pub(crate) fn wait(self, until: Instant) -> (Vec<DiskFacts>, Vec<String>) {
        let Self::Asked(receive, names) = self else {
            return (Vec::new(), Vec::new());
        };
        let rest = until.saturating_duration_since(Instant::now()) + GRACE;
        receive.recv_timeout(rest).unwrap_or_else(|_| {
            let line = format!("disks behind {names}: smartctl did not come to an end in time");
            (Vec::new(), vec![line])
        })
    }
}

/// Begins to look behind every RAID controller, until `until`.
pub(crate) fn look(tree: &Tree, until: Instant) -> Behind {
    let controllers = controllers(tree);
    if controllers.is_empty() {
        return Behind::Nothing;
    }
    let names = names(&controllers);
    let (send, receive) = mpsc::channel();
    let tree = tree.clone();
    let spawned = thread::Builder::new().name("raid".into()).spawn(move || {
        // Nobody listens any more when the patience ended.
        let _ = send.send(members(&tree, &controllers, until));
    });
    // Without the thread the channel ends at once, and that is told.
    drop(spawned);
    Behind::Asked(receive, names)
}

fn names(controllers: &[Controller]) -> String {
    let name = |c: &Controller| format!("RAID controller host{} ({})", c.host, c.driver);
    controllers.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The driver's name where the disk at `path` is a volume of a RAID controller.
pub(crate) fn volume_of(tree: &Tree, path: &str, block: &str) -> Option<&'static str> {
    let host = path.split('/').find_map(|part| numbered(part, "host"))?;
    let (driver, _) = driver(tree, host)?;
    let text = |file: &str| {
        let text = tree.text(&below(block, file)).unwrap_or_default();
        text.to_ascii_uppercase()
    };
    is_volume(driver, &text("device/vendor"), &text("device/model")).then_some(driver)
}

fn is_volume(driver: &str, vendor: &str, model: &str) -> bool {
    // Behind SATL a SATA disk's vendor is "ATA"; it is passed on.
    if vendor == "ATA" {
        return false;
    }
    if VOLUME_WORDS.iter().any(|word| model.contains(word)) {
        return true;
    }
    match driver {
        "megaraid_sas" => MEGARAID_VENDORS.contains(&vendor),
        "aacraid" => ["ADAPTEC", "SERVERA", "ASR", "AACRAID", "MICROSEM"]
            .iter()
            .any(|word| vendor.starts_with(word)),
        "arcmsr" => vendor == "ARECA",
        "3w-9xxx" | "3w-sas" | "3w-xxxx" => ["AMCC", "3WARE", "LSI"].contains(&vendor),
        _ => false,
    }
}

fn driver(tree: &Tree, host: u32) -> Option<(&'static str, Way)> {
    let name = tree.text(&format!("sys/class/scsi_host/host{host}/proc_name"))?;
    let known = DRIVERS.iter().find(|(driver, _)| *driver == name)?;
    Some((known.0, known.1.clone()))
}

/// The machine's RAID controllers.
fn controllers(tree: &Tree) -> Vec<Controller> {
    let hosts = tree.names("sys/class/scsi_host").unwrap_or_default();
    let volumes = tree
        .names("sys/class/raid_devices")
        .is_ok_and(|names| !names.is_empty());
    hosts
        .iter()
        .filter_map(|name| {
            let host = numbered(name, "host")?;
            let (driver, way) = driver(tree, host)?;
            (way != Way::IfVolumes || volumes).then_some(Controller { host, driver, way })
        })
        .collect()
}

/// Every disk behind the controllers that answers by `until`.
fn members(
    tree: &Tree,
    controllers: &[Controller],
    until: Instant,
) -> (Vec<DiskFacts>, Vec<String>) {
    let names = names(controllers);
    let Some(program) = Smartctl::find() else {
        let line = format!("disks behind {names}: smartctl is not there: install smartmontools");
        return (Vec::new(), vec![line]);
    };
    let mut missed = Vec::new();
    let mut queue = match program.scan(until) {
        Ok(scanned) => scanned,
        Err(why) => {
            missed.push(format!("disks behind {names}: {why}"));
            Vec::new()
        }
    };
    let mut rows = Vec::new();
    for controller in controllers {
        candidates(tree, controller, &mut queue, &mut rows);
    }
    let unique: BTreeSet<Member> = queue.into_iter().collect();
    let mut facts = at_once(&program, unique.into_iter().collect(), until, &mut missed);
    for row in rows {
        facts.extend(in_a_row(&program, row, until, &mut missed));
    }
    if facts.is_empty() && missed.is_empty() {
        missed.push(format!(
            "disks behind {names}: smartctl found none (it needs root)"
        ));
    }
    if facts.len() > MEMBERS_MAX {
        missed.push(format!("disks behind {names}: more than {MEMBERS_MAX}"));
        facts.truncate(MEMBERS_MAX);
    }
    (facts, missed)
}

/// What the scan does not name: single disks to try, and rows that end with the first that is not there.
fn candidates(
    tree: &Tree,
    controller: &Controller,
    queue: &mut Vec<Member>,
    rows: &mut Vec<Vec<Member>>,
) {
    let host = controller.host;
    let at = |device: &str, kind: String| Member {
        device: device.to_owned(),
        kind,
        tried: true,
    };
    match &controller.way {
        Way::Scan | Way::IfVolumes => {}
        Way::Numbers(kind, numbers) => rows.extend(generic(tree, host).map(|device| {
            let number = |n| at(&device, format!("{kind},{n}"));
            numbers.clone().map(number).collect()
        })),
        Way::Slots(kind, numbers) => {
            if let Some(device) = generic(tree, host) {
                let number = |n| at(&device, format!("{kind},{n}"));
                queue.extend(numbers.clone().map(number));
            }
        }
        Way::Ports(device, ports) => {
            let number = |n| at(&format!("{device}0"), format!("3ware,{n}"));
            queue.extend(ports.clone().map(number));
        }
        Way::Addresses => {
            let all = tree.names("sys/class/scsi_device").unwrap_or_default();
            for address in all {
                let mut fields = address.split(':').map(str::parse::<u32>);
                let (Some(Ok(h)), Some(Ok(channel)), Some(Ok(id)), Some(Ok(lun))) =
                    (fields.next(), fields.next(), fields.next(), fields.next())
                else {
                    continue;
                };
                // Channel 0 has the volumes.
                if h == host && channel > 0 {
                    queue.push(at("/dev/null", format!("aacraid,{h},{lun},{id}")));
                }
            }
        }
    }
}

/// The generic node of the controller itself.
fn generic(tree: &Tree, host: u32) -> Option<String> {
    let names = tree.names("sys/class/scsi_generic").ok()?;
    names.into_iter().find_map(|name| {
        let device = format!("sys/class/scsi_generic/{name}/device");
        let path = tree.device_path(&device)?;
        let here = path
            .split('/')
            .any(|part| numbered(part, "host") == Some(host));
        let controller = tree.number(&below(&device, "type")) == Some(TYPE_CONTROLLER);
        (here && controller).then(|| format!("/dev/{name}"))
    })
}

/// Asks disks, a few at once.
fn at_once(
    program: &Smartctl,
    members: Vec<Member>,
    until: Instant,
    missed: &mut Vec<String>,
) -> Vec<DiskFacts> {
    let mut facts = Vec::new();
    for group in members.chunks(AT_ONCE) {
        let answers: Vec<_> = thread::scope(|scope| {
            let asked: Vec<_> = group
                .iter()
                .map(|member| scope.spawn(|| ask(program, member, until)))
                .collect();
            let joined = asked.into_iter().map(thread::ScopedJoinHandle::join);
            // A thread of ours that panicked has no answer.
            joined.filter_map(Result::ok).collect()
        });
        for answer in answers {
            match answer {
                Ok(Some(disk)) => facts.push(disk),
                Ok(None) => {}
                Err(why) => missed.push(why),
            }
        }
    }
    facts
}

/// Asks disks one after the other until one is not there.
fn in_a_row(
    program: &Smartctl,
    row: Vec<Member>,
    until: Instant,
    missed: &mut Vec<String>,
) -> Vec<DiskFacts> {
    let mut facts = Vec::new();
    for member in row {
        match ask(program, &member, until) {
            Ok(Some(disk)) => facts.push(disk),
            Ok(None) => break,
            Err(why) => {
                missed.push(why);
                break;
            }
        }
    }
    facts
}

/// What `smartctl` reads of one disk; `None` where a place that was only tried has none.
fn ask(program: &Smartctl, member: &Member, until: Instant) -> Result<Option<DiskFacts>, String> {
    let name = member.to_string();
    let report = program.report(member, until)?;
    let read = smartctl_json(&report, &name);
    match read {
        Ok(facts) if member.tried && facts.identity.serial.is_empty() => Ok(None),
        Ok(mut facts) => {
            facts.slot.clone_from(&name);
            Ok(Some(facts))
        }
        Err(_) if member.tried => Ok(None),
        Err(why) => Err(format!("disk {name}: {why}")),
    }
}

#[cfg(test)]
mod tests;
