// SPDX-License-Identifier: Apache-2.0
//! Real firmware in QEMU, each booting the maintenance OS to PID 1 from the boot service.

use super::ground::{Ground, POOL, read};
use super::row::{Outcome, Row};
use super::wire::Wire;
use crate::rack::{Node, NodeSpec, PowerOn};
use anyhow::{Context as _, Result, ensure};
use groundstate_api::Digest;
use groundstate_api::boot::Firmware;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How long a machine may take from power-on to PID 1: several times what it takes on an idle machine.
const LIMIT: Duration = Duration::from_secs(8 * 60);
/// What PID 1 says when its boot image names no site: it is up.
const PID1: &str = "/etc/groundstate/boot.json";
/// The script that sends iPXE from QEMU's ROM on to the first stage for BIOS, and that one on to the kernel: the ROM
/// drives the card itself, and undionly.kpxe drives it through the ROM.
const CHAIN: &str = "#!ipxe
iseq ${net0/chip} virtio-net && chain tftp://${next-server}/undionly.kpxe ||
kernel vmlinuz initrd=initrd.img console=ttyS0,115200
initrd initrd.img
boot
";

/// One boot, and the rows that it stands for.
struct Boot {
    name: &'static str,
    firmware: Firmware,
    /// A script that is served in place of the rendered one.
    script: Option<&'static str>,
    /// What the boot service is told besides the folder.
    arguments: &'static [&'static str],
    /// What UEFI leaves out, where that differs from the usual.
    left_out: Option<&'static [&'static str]>,
    /// Whether somebody else's DHCP server leases the addresses.
    beside: bool,
    /// The rows: client, what it does, and the file that it must have fetched, by what.
    rows: &'static [(&'static str, &'static str, &'static str, &'static str)],
}

const LEASES: &[&str] = &["--pool", POOL];

const ALL: [Boot; 8] = [
    Boot {
        name: "bios",
        firmware: Firmware::Bios,
        script: None,
        arguments: LEASES,
        left_out: None,
        beside: false,
        rows: &[(
            "SeaBIOS, iPXE ROM",
            "kernel by HTTP, to PID 1",
            "vmlinuz",
            "http",
        )],
    },
    Boot {
        name: "undionly",
        firmware: Firmware::Bios,
        script: Some(CHAIN),
        arguments: LEASES,
        left_out: None,
        beside: false,
        rows: &[(
            "undionly.kpxe",
            "itself by TFTP, kernel by HTTP, to PID 1",
            "undionly.kpxe",
            "tftp",
        )],
    },
    Boot {
        name: "uefi-pxe",
        firmware: Firmware::UefiPxe,
        script: None,
        arguments: LEASES,
        left_out: None,
        beside: false,
        rows: &[
            ("OVMF PXEv4", "first stage by TFTP", "snponly.efi", "tftp"),
            ("snponly.efi", "kernel by HTTP, to PID 1", "vmlinuz", "http"),
        ],
    },
    Boot {
        name: "uefi-http",
        firmware: Firmware::UefiHttp,
        script: None,
        arguments: LEASES,
        left_out: None,
        beside: false,
        rows: &[(
            "OVMF HTTPv4",
            "the UKI by HTTP, to PID 1",
            "groundstate.efi",
            "http",
        )],
    },
    Boot {
        name: "proxy-bios",
        firmware: Firmware::Bios,
        script: None,
        arguments: &["--proxy"],
        left_out: None,
        beside: true,
        rows: &[(
            "SeaBIOS, iPXE ROM",
            "proxyDHCP beside dnsmasq, to PID 1",
            "vmlinuz",
            "http",
        )],
    },
    Boot {
        name: "proxy-uefi",
        firmware: Firmware::UefiPxe,
        script: None,
        arguments: &["--proxy"],
        left_out: None,
        beside: true,
        rows: &[(
            "OVMF PXEv4",
            "proxyDHCP beside dnsmasq, to PID 1",
            "snponly.efi",
            "tftp",
        )],
    },
    Boot {
        name: "pxe6",
        firmware: Firmware::UefiPxe,
        script: None,
        arguments: &["--pool", POOL, "--dhcp6"],
        left_out: Some(&["IPv4PXESupport"]),
        beside: false,
        rows: &[(
            "OVMF PXEv6",
            "first stage by TFTP, to PID 1",
            "snponly.efi",
            "tftp",
        )],
    },
    // HTTPv4 comes before it and asks in vain for a minute: nobody leases an address of IPv4.
    Boot {
        name: "http6",
        firmware: Firmware::UefiHttp,
        script: None,
        arguments: &["--proxy", "--dhcp6"],
        left_out: None,
        beside: false,
        rows: &[(
            "OVMF HTTPv6",
            "the UKI by HTTP, to PID 1",
            "groundstate.efi",
            "http",
        )],
    },
];

/// Every row of firmware.
pub(super) fn rows(ground: &mut Ground) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for boot in &ALL {
        rows.extend(boot.play(ground)?);
    }
    Ok(rows)
}

impl Boot {
    fn play(&self, ground: &mut Ground) -> Result<Vec<Row>> {
        let script = ground.boot_dir.join("boot.ipxe");
        match self.script {
            Some(text) => fs::write(&script, text)?,
            None if script.exists() => fs::remove_file(&script)?,
            None => {}
        }
        let foreign = self.beside.then(|| ground.foreign()).transpose()?;
        if self.arguments.contains(&"--dhcp6") {
            ground.speak_ipv6()?;
        }
        ground.serve(self.arguments)?;
        let mut spec = NodeSpec::demo(1, self.firmware);
        spec.disks.truncate(1);
        spec.left_out = self.left_out;
        let folder = ground.folder.join(self.name);
        let tap = ground.net.tap(0)?.to_owned();
        let mut node = Node::build_in(&ground.net, 0, &spec, &folder)?;
        let capture = ground.capture(&tap, self.name)?;
        let up = node
            .power_on(&PowerOn::FIRMWARE)
            .and_then(|()| node.wait_for_line(PID1, LIMIT));
        drop((node, foreign));
        let wire = read(capture)?;
        let row = |(client, did, file, by): &(&str, &str, &str, &str)| {
            let came = came_over(&wire, &ground.boot_dir, file, by);
            let outcome = match up
                .as_ref()
                .map_err(|error| error.to_string())
                .and(came.as_ref().map_err(|error| format!("{error:#}")))
            {
                Ok(length) => Outcome::Well(format!("{file}, {length} bytes")),
                Err(why) => Outcome::Failed(why),
            };
            let mut row = Row::new(client, did, &wire, outcome);
            row.sha256 = wire
                .fetched
                .iter()
                .find(|one| named(&one.name, file))
                .map(|one| one.sha256.clone());
            row
        };
        Ok(self.rows.iter().map(row).collect())
    }
}

fn named(asked: &str, file: &str) -> bool {
    asked.rsplit('/').next() == Some(file)
}

/// The length of a file that came over the wire as it lies in the boot folder.
fn came_over(wire: &Wire, boot_dir: &Path, file: &str, by: &str) -> Result<usize> {
    let expected = fs::read(boot_dir.join(file))?;
    let one = wire
        .fetched
        .iter()
        .find(|one| one.by == by && named(&one.name, file));
    let one = one.with_context(|| {
        let names: Vec<_> = wire.fetched.iter().map(|one| one.name.as_str()).collect();
        format!("{file} did not go over the wire by {by}; what did: {names:?}")
    })?;
    ensure!(
        one.sha256 == Digest::of(&expected).hex(),
        "{file} arrived with other bytes"
    );
    Ok(one.length)
}
