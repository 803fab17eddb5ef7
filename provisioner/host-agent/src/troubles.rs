// SPDX-License-Identifier: Apache-2.0
//! What is wrong with this host, as far as it can see cheaply: services that failed, volumes that are gone, read-only or full,
//! file systems with errors, disks that the kernel has given up, memory errors that could not be corrected.
//!
//! It reads, and asks systemd; it changes nothing and wakes no disk.

use crate::host::Host;
use crate::root::Root;
use groundstate_api::healing::{Trouble, TroubleKind};
use groundstate_api::host::HostSeed;
use groundstate_api::text::inert;
use std::path::Path;

/// The services that matter, one a line, where the image names them; else every service that has failed does.
pub(crate) const SERVICES_PATH: &str = "etc/groundstate/services";
/// How full the root file system may be. Data volumes are full by design: VHDs fill them.
const FULL_PERCENT: u64 = 98;
/// The most troubles that are told, and lines of each.
const TROUBLES_MAX: usize = 16;
/// The longest line, in characters.
const LINE_MAX: usize = 200;

/// All that is wrong now.
pub(crate) fn find<H: Host>(root: &Root, host: &H, seed: &HostSeed) -> Vec<Trouble> {
    let mut found = Vec::new();
    services(root, host, &mut found);
    volumes(root, seed, &mut found);
    file_systems(root, &mut found);
    disks(root, &mut found);
    memory(root, &mut found);
    found.truncate(TROUBLES_MAX);
    found
}

fn trouble(kind: TroubleKind, what: &str, evidence: Vec<String>) -> Trouble {
    let line = |text: &str| inert(text).chars().take(LINE_MAX).collect::<String>();
    Trouble {
        kind,
        what: line(what),
        evidence: evidence
            .iter()
            .take(TROUBLES_MAX)
            .map(|text| line(text))
            .collect(),
    }
}

/// The units that failed, of those that matter.
pub(crate) fn failed_services<H: Host>(root: &Root, host: &H) -> Vec<String> {
    let listed = host.command(
        "systemctl",
        &[
            "list-units",
            "--type=service",
            "--state=failed",
            "--plain",
            "--no-legend",
            "--no-pager",
        ],
    );
    let failed = listed.unwrap_or_default();
    let failed = failed
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    let failed = failed.filter(|unit| is_unit(unit)).map(str::to_owned);
    match named_services(root) {
        Some(named) => failed.filter(|unit| named.contains(unit)).collect(),
        None => failed.collect(),
    }
}

/// The services that the image names.
fn named_services(root: &Root) -> Option<Vec<String>> {
    let text = root.read_text(SERVICES_PATH).ok().flatten()?;
    let units = text.lines().map(str::trim).filter(|line| is_unit(line));
    Some(units.map(str::to_owned).collect())
}

/// Whether it can be nothing but the name of a service.
fn is_unit(text: &str) -> bool {
    let allowed =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | ':' | '\\');
    text.ends_with(".service")
        && !text.starts_with('-')
        && text.len() <= 255
        && text.chars().all(allowed)
}

fn services<H: Host>(root: &Root, host: &H, found: &mut Vec<Trouble>) {
    let failed = failed_services(root, host);
    if let Some(first) = failed.first() {
        let what = match failed.len() {
            1 => format!("{first} has failed"),
            more => format!("{first} and {} more services have failed", more - 1),
        };
        let lines = failed
            .iter()
            .map(|unit| format!("{unit}: failed"))
            .collect();
        found.push(trouble(TroubleKind::Service, &what, lines));
    }
}

/// A mounted file system: where, and whether it is read-only.
struct Mounted {
    at: String,
    read_only: bool,
}

/// The file systems that are mounted.
fn mounts(root: &Root) -> Option<Vec<Mounted>> {
    let text = root.read_text("proc/self/mountinfo").ok().flatten()?;
    let read = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(4);
        let (at, options) = (fields.next()?, fields.next()?);
        let super_options = file_system.split(' ').nth(2).unwrap_or_default();
        let is_ro = |options: &str| options.split(',').any(|option| option == "ro");
        Some(Mounted {
            at: at.replace("\\040", " "),
            read_only: is_ro(options) || is_ro(super_options),
        })
    };
    Some(text.lines().filter_map(read).collect())
}

fn volumes(root: &Root, seed: &HostSeed, found: &mut Vec<Trouble>) {
    let Some(mounts) = mounts(root) else {
        return;
    };
    let wanted = seed.volumes.iter().map(|volume| {
        let serial = Some(volume.disk_serial.as_str());
        (volume.mount_point.as_str(), serial)
    });
    for (at, serial) in wanted.chain([("/", None)]) {
        let on = serial.map(|serial| format!("disk {serial}"));
        let on: Vec<String> = on.into_iter().collect();
        // The last one that was mounted there is the one that is seen.
        match mounts.iter().rfind(|mounted| mounted.at == at) {
            None => {
                let what = format!("the volume at {at} is not mounted");
                found.push(trouble(TroubleKind::Volume, &what, on));
            }
            Some(mounted) if mounted.read_only => {
                let what = format!("the file system at {at} is read-only");
                found.push(trouble(TroubleKind::Volume, &what, on));
            }
            Some(_) => {}
        }
    }
    if let Some(percent) = used_percent(root.path())
        && percent >= FULL_PERCENT
    {
        let what = format!("the root file system is {percent} % full");
        found.push(trouble(TroubleKind::Volume, &what, Vec::new()));
    }
}

fn used_percent(path: &Path) -> Option<u64> {
    let all = rustix::fs::statvfs(path).ok()?;
    let used = all.f_blocks.saturating_sub(all.f_bfree);
    let usable = used.saturating_add(all.f_bavail);
    used.saturating_mul(100).checked_div(usable)
}

/// The names in a folder of the kernel's.
fn names(root: &Root, folder: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root.at(folder)) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn line(root: &Root, path: &str) -> Option<String> {
    let text = root.read_text(path).ok().flatten()?;
    Some(text.trim().to_owned())
}

fn file_systems(root: &Root, found: &mut Vec<Trouble>) {
    for device in names(root, "sys/fs/ext4") {
        let folder = format!("sys/fs/ext4/{device}");
        let count = line(root, &format!("{folder}/errors_count"));
        let count = count
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or_default();
        if count > 0 {
            let what = format!("the kernel found errors in the file system on {device}");
            let at = line(root, &format!("{folder}/last_error_func")).unwrap_or_default();
            let lines = vec![format!("errors: {count}"), format!("last in: {at}")];
            found.push(trouble(TroubleKind::Volume, &what, lines));
        }
    }
}

fn disks(root: &Root, found: &mut Vec<Trouble>) {
    let nvme = names(root, "sys/class/nvme").into_iter().map(|name| {
        let path = format!("sys/class/nvme/{name}/state");
        (name, path)
    });
    let scsi = names(root, "sys/block").into_iter().map(|name| {
        let path = format!("sys/block/{name}/device/state");
        (name, path)
    });
    for (name, path) in nvme.chain(scsi) {
        let Some(state) = line(root, &path) else {
            continue;
        };
        if matches!(
            state.as_str(),
            "dead" | "offline" | "blocked" | "transport-offline"
        ) {
            let what = format!("the kernel has given disk {name} up");
            found.push(trouble(
                TroubleKind::Disk,
                &what,
                vec![format!("state: {state}")],
            ));
        }
    }
}

fn memory(root: &Root, found: &mut Vec<Trouble>) {
    for controller in names(root, "sys/devices/system/edac/mc") {
        let path = format!("sys/devices/system/edac/mc/{controller}/ue_count");
        let count = line(root, &path).and_then(|text| text.parse::<u64>().ok());
        if let Some(count) = count.filter(|count| *count > 0) {
            let what = "memory had errors that could not be corrected";
            let lines = vec![format!("{controller}: {count} uncorrected")];
            found.push(trouble(TroubleKind::Memory, what, lines));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::CommandFailed;
    use std::io;

    struct Systemd(&'static str);

    impl Host for Systemd {
        fn set_host_name(&self, _: &str) -> io::Result<()> {
            Ok(())
        }
        fn command(&self, program: &'static str, _: &[&str]) -> Result<String, CommandFailed> {
            assert_eq!(program, "systemctl");
            Ok(self.0.to_owned())
        }
    }

    fn seed() -> HostSeed {
        let text = r#"{"schema":1,"node":"n","run":"r","plan":"PLAN","provisioner":"","ca_pem":"","certificate_pem":"",
            "key_pem":"","root_guid":"","volumes":[{"uuid":"u","mount_point":"/data/a","disk_serial":"D-1"}],
            "network_boot":{"mac":"52:54:00:12:34:56","firmware":"uefi-pxe"}}"#;
        serde_json::from_str(&text.replace("PLAN", &"ab".repeat(32))).unwrap()
    }

    fn whats(root: &Root, host: &Systemd) -> Vec<(TroubleKind, String)> {
        let found = find(root, host, &seed());
        found.into_iter().map(|one| (one.kind, one.what)).collect()
    }

    const FINE: &str = "25 1 259:2 / / rw,relatime - ext4 /dev/sda2 rw\n26 25 259:3 / /data/a rw - ext4 /dev/sdb1 rw\n";

    #[test]
    fn a_host_that_is_well_says_nothing_and_each_trouble_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().to_owned());
        let put = |path: &str, text: &str| root.write(path, text.as_bytes(), 0o644).unwrap();
        put("proc/self/mountinfo", FINE);
        assert_eq!(whats(&root, &Systemd("")), []);

        put(
            "proc/self/mountinfo",
            "25 1 259:2 / / rw,relatime - ext4 /dev/sda2 ro,errors=remount-ro\n",
        );
        put("sys/fs/ext4/sda2/errors_count", "3\n");
        put("sys/class/nvme/nvme0/state", "dead\n");
        put("sys/class/nvme/nvme1/state", "live\n");
        put("sys/block/sdb/device/state", "offline\n");
        put("sys/devices/system/edac/mc/mc0/ue_count", "2\n");
        put("sys/devices/system/edac/mc/mc1/ue_count", "0\n");
        let failed = "nginx.service loaded failed failed A server\n-evil.service x\nphp.service loaded failed failed P\n";
        let found = whats(&root, &Systemd(failed));
        expect_test::expect![[r#"
            [
                (
                    Service,
                    "nginx.service and 1 more services have failed",
                ),
                (
                    Volume,
                    "the volume at /data/a is not mounted",
                ),
                (
                    Volume,
                    "the file system at / is read-only",
                ),
                (
                    Volume,
                    "the kernel found errors in the file system on sda2",
                ),
                (
                    Disk,
                    "the kernel has given disk nvme0 up",
                ),
                (
                    Disk,
                    "the kernel has given disk sdb up",
                ),
                (
                    Memory,
                    "memory had errors that could not be corrected",
                ),
            ]
        "#]]
        .assert_debug_eq(&found);
    }

    #[test]
    fn where_the_image_names_services_only_those_matter() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().to_owned());
        root.write(SERVICES_PATH, b"# ours\nphp.service\nnot a unit\n", 0o644)
            .unwrap();
        let host =
            Systemd("nginx.service loaded failed failed A\nphp.service loaded failed failed P\n");
        assert_eq!(failed_services(&root, &host), ["php.service"]);
    }
}
