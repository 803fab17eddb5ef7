// SPDX-License-Identifier: Apache-2.0
//! The fuzz targets: what each reads, how long its inputs are, and what it begins with.
//!
//! What a parser may hold is asserted by the target itself, byte by byte; the limit here is for the whole process with
//! libFuzzer's own tables and the corpus.

use super::packets::Port;

/// One target.
#[derive(Debug)]
pub(super) struct Target {
    /// Its program, and its folder of seeds in `tests/fuzz/seeds`.
    pub(super) name: &'static str,
    /// What it reads, for people.
    pub(super) reads: &'static str,
    /// The longest input, in bytes.
    pub(super) input_max: usize,
    /// The most memory of the process, in MiB.
    pub(super) rss_mib_max: u32,
    /// What it begins with, from the captures.
    pub(super) seeds: &'static [Seed],
}

/// Where first inputs come from, below the folder of captures.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seed {
    /// Files as they are, with this ending, in a folder and the folders in it.
    Files(&'static str, &'static str),
    /// Compressed images in a folder, each with this ending, as a disk with holes after so many zero bytes.
    Images(&'static str, &'static str, usize),
    /// Payloads of packets in every capture, after so many zero bytes; with their length before them or without.
    Packets(Port, usize, bool),
}

/// The usual limit of the process.
const RSS: u32 = 256;

const fn target(
    name: &'static str,
    input_max: usize,
    seeds: &'static [Seed],
    reads: &'static str,
) -> Target {
    Target {
        name,
        reads,
        input_max,
        rss_mib_max: RSS,
        seeds,
    }
}

/// All of them.
pub(super) const TARGETS: &[Target] = &[
    target(
        "smartctl_json",
        64 << 10,
        &[Seed::Files("smart", ".json")],
        "smartctl --json, and the verdict on the disk",
    ),
    target(
        "smartctl_text",
        64 << 10,
        &[Seed::Files("smart/linuxhw-enterprise", ".txt")],
        "the text of smartctl -x, and the verdict on the disk",
    ),
    target(
        "smbios",
        32 << 10,
        &[Seed::Files("smbios/go-smbios-raw", ".dmi")],
        "SMBIOS tables, raw or dumped: memory, machine, firmware",
    ),
    target(
        "dmidecode_text",
        64 << 10,
        &[Seed::Files("smbios/linuxhw-servers", ".txt")],
        "the text of dmidecode",
    ),
    target(
        "ata",
        16 << 10,
        &[],
        "IDENTIFY, SMART data and logs of an ATA disk, and the verdict on it",
    ),
    target(
        "nvme",
        16 << 10,
        &[],
        "Identify and log pages of an NVMe disk, and the verdict on it",
    ),
    target(
        "scsi",
        8 << 10,
        &[],
        "INQUIRY, VPD, log and mode pages, sense data of a SCSI disk, and the verdict on it",
    ),
    target(
        "lldp",
        1_600,
        &[Seed::Packets(Port::Lldp, 0, false)],
        "frames of switches",
    ),
    target(
        "ipmi",
        8 << 10,
        &[],
        "sensor records, events, and a whole walk through a BMC",
    ),
    target(
        "kernel_log",
        8 << 10,
        &[],
        "lines of the kernel's log and of sysfs",
    ),
    target(
        "collected",
        32 << 10,
        &[],
        "a capture of a whole machine, its verdicts and its redaction",
    ),
    target(
        "profile",
        8 << 10,
        &[],
        "a hardware profile, held against a machine",
    ),
    target(
        "vhd",
        16 << 10,
        &[Seed::Images("disk-images", ".vhd", 9)],
        "a VHD: open, read, map, check",
    ),
    target(
        "vhdx",
        16 << 10,
        &[Seed::Images("disk-images", ".vhdx", 9)],
        "a VHDX: open, read, map, check",
    ),
    target(
        "signatures",
        16 << 10,
        &[Seed::Images("disk-images/util-linux-blkid", ".img", 1)],
        "what a disk or partition holds, GPT and DOS tables",
    ),
    target("efi", 16 << 10, &[], "boot variables of the firmware"),
    target(
        "dhcp_client",
        8 << 10,
        &[Seed::Packets(Port::DhcpClient, 1, true)],
        "what DHCP servers answer",
    ),
    target("loader_entry", 17 << 10, &[], "boot loader entries"),
    target(
        "dhcp_server",
        8 << 10,
        &[Seed::Packets(Port::DhcpServer, 1, true)],
        "what machines ask the DHCP server",
    ),
    target(
        "proxy",
        8 << 10,
        &[Seed::Packets(Port::DhcpServer, 1, true)],
        "what machines ask beside a foreign DHCP server",
    ),
    target(
        "dhcp6",
        8 << 10,
        &[Seed::Packets(Port::Dhcp6Server, 1, true)],
        "what machines and relay agents ask the DHCPv6 server",
    ),
    target(
        "tftp",
        2 << 10,
        &[Seed::Packets(Port::Tftp, 8, true)],
        "TFTP requests and acknowledgements",
    ),
    target("manifest", 32 << 10, &[], "an image's manifest"),
    target(
        "http",
        2 << 10,
        &[],
        "Range headers, boot paths, command lines, PE headers",
    ),
];
