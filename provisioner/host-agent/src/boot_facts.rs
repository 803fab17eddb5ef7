// SPDX-License-Identifier: Apache-2.0
//! What the host says of this boot of itself.

use crate::error::AgentError;
use crate::root::Root;
use groundstate_api::BootId;
use std::collections::BTreeSet;
use std::fs;

/// What the host says of this boot of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFacts {
    /// This boot.
    pub boot_id: BootId,
    /// `PRETTY_NAME` of `/etc/os-release`.
    pub os: String,
    /// `uname -r`.
    pub kernel: String,
    /// The serial numbers of its disks.
    pub disk_serials: Vec<String>,
}

const BOOT_ID: &str = "proc/sys/kernel/random/boot_id";
const KERNEL: &str = "proc/sys/kernel/osrelease";
/// A disk that has no serial number file of its own keeps it in SCSI vital product data, after four bytes of header.
const VPD_HEADER_BYTES: usize = 4;

impl BootFacts {
    /// Reads them.
    ///
    /// # Errors
    /// The kernel's boot id cannot be read; everything else may be missing and is then said to be unknown.
    pub fn read(root: &Root) -> Result<Self, AgentError> {
        let text = root.read_text(BOOT_ID)?.unwrap_or_default();
        let boot_id = text.trim().parse().map_err(|error| AgentError::Document {
            path: root.at(BOOT_ID),
            what: format!("{text:?}: {error}"),
        })?;
        let os = root
            .read_text("etc/os-release")?
            .as_deref()
            .and_then(pretty_name);
        let kernel = root.read_text(KERNEL)?.map(|text| text.trim().to_string());
        Ok(Self {
            boot_id,
            os: os.unwrap_or_else(|| "unknown".into()),
            kernel: kernel.unwrap_or_else(|| "unknown".into()),
            disk_serials: disk_serials(root),
        })
    }
}

/// Seconds since the kernel started.
pub(crate) fn uptime_secs(root: &Root) -> u64 {
    let text = root
        .read_text("proc/uptime")
        .ok()
        .flatten()
        .unwrap_or_default();
    text.split(['.', ' '])
        .next()
        .and_then(|whole| whole.parse().ok())
        .unwrap_or(0)
}

fn pretty_name(os_release: &str) -> Option<String> {
    let value = os_release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_string())
}

/// Sorted; a disk without a readable serial number is left out.
fn disk_serials(root: &Root) -> Vec<String> {
    let Ok(list) = fs::read_dir(root.at("sys/block")) else {
        return Vec::new();
    };
    let mut serials = BTreeSet::new();
    for entry in list.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let plain = ["device/serial", "serial"].iter().find_map(|file| {
            root.read_text(&format!("sys/block/{name}/{file}"))
                .ok()
                .flatten()
        });
        let vital = || {
            let page = root
                .read(&format!("sys/block/{name}/device/vpd_pg80"))
                .ok()
                .flatten()?;
            page.get(VPD_HEADER_BYTES..)
                .map(|text| String::from_utf8_lossy(text).into_owned())
        };
        let serial = plain.or_else(vital).unwrap_or_default();
        let serial = serial.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        if !serial.is_empty() {
            serials.insert(serial.to_string());
        }
    }
    serials.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_facts_come_from_the_kernels_files() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path().into());
        let put = |path: &str, text: &[u8]| root.write(path, text, 0o644).unwrap();
        put(BOOT_ID, b"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9fa\n");
        put(KERNEL, b"6.1.0-40-amd64\n");
        put(
            "etc/os-release",
            b"NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
        );
        put("sys/block/nvme0n1/device/serial", b"GS-OS-1   \n");
        put("sys/block/sda/device/vpd_pg80", b"\0\x80\0\x09GS-DATA-1");
        put("sys/block/loop0/size", b"0\n");
        put("proc/uptime", b"123.45 99.0\n");
        let facts = BootFacts::read(&root).unwrap();
        assert_eq!(
            (facts.os.as_str(), facts.kernel.as_str()),
            ("Debian GNU/Linux 12 (bookworm)", "6.1.0-40-amd64")
        );
        assert_eq!(facts.disk_serials, ["GS-DATA-1", "GS-OS-1"]);
        assert_eq!(uptime_secs(&root), 123);
    }

    #[test]
    fn without_a_boot_id_nothing_is_said() {
        let dir = tempfile::tempdir().unwrap();
        assert!(BootFacts::read(&Root::new(dir.path().into())).is_err());
    }
}
