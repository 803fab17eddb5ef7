// SPDX-License-Identifier: Apache-2.0
//! Limits that hold for every machine, as data: each with its unit and the reason.

/// Thermal throttling events of one package since boot. A few happen while fans spin up after power-on; a machine that is
/// cooled badly counts hundreds within an hour.
pub(crate) const CPU_THROTTLES_WARN: u64 = 100;
/// Corrected PCIe errors of one function since boot: receiver errors, bad TLPs and DLLPs, replays. Links are specified for
/// one bit error in 10^12, of which each is corrected; a good link shows none for weeks, a bad contact hundreds an hour.
pub(crate) const PCI_CORRECTED_WARN: u64 = 100;
/// Uncorrected PCIe errors of one function that were not fatal; `UnsupReq` is left out, because looking for devices
/// raises it on healthy ones.
pub(crate) const PCI_NONFATAL_WARN: u64 = 1;
/// Frames with a wrong checksum since boot. Ethernet is specified for one in 10^8 at worst; one or two come from plugging.
pub(crate) const NIC_CRC_WARN: u64 = 10;
/// And at least one in this many received frames, so that an old host is not blamed for years of traffic.
pub(crate) const NIC_CRC_FRAMES: u64 = 10_000_000;
/// Times the link went up or down since boot. Coming up is one or two, autonegotiation with a switch that restarts a few.
pub(crate) const NIC_CARRIER_CHANGES_WARN: u64 = 50;
/// Speed in Mb/s at or below which a link of a server's port has lost pairs of its cable: Fast Ethernet needs two of four.
pub(crate) const NIC_SLOW_MBPS: u32 = 100;
/// Clock skew in seconds that reading a clock of whole seconds explains.
pub(crate) const CLOCK_SKEW_SECONDS: u64 = 2;
/// Clock skew in seconds that a month on the shelf explains: 20 ppm of 30 days are 52 s.
pub(crate) const CLOCK_DRIFT_SECONDS: u64 = 60;
/// 2020-01-01T00:00:00Z in seconds since 1970: no machine of ours was made to run before; a clock there has lost its battery.
pub(crate) const CLOCK_LOST_BEFORE: i64 = 1_577_836_800;
/// How far back an event in the BMC's log still concerns the machine as it is, in seconds: 30 days. Older ones are
/// counted, because parts are often replaced without clearing the log.
pub(crate) const SEL_WINDOW_SECONDS: i64 = 30 * 86_400;
/// Temperatures in thousandths of a degree that no sensor of a running machine reports: an open or shorted diode does.
pub(crate) const TEMPERATURE_BELIEVED: core::ops::RangeInclusive<i64> = -20_000..=125_000;

/// Chips whose limits the board's firmware seldom sets: hardware monitors of boards (Super-I/O and alike). Their inputs are
/// wired as each board likes, so that their limits and alarms say nothing without its maker's table. Recorded, not judged.
pub(crate) const CHIPS_WITHOUT_LIMITS: &[&str] = &[
    "nct", "it8", "w83", "f71", "f81", "fintek", "lm7", "lm8", "lm9", "smsc", "sch56", "via",
    "pc87", "dme17", "adt7", "asus", "acpitz", "gigabyte",
];
/// Chips whose readings a disk's own report has already.
pub(crate) const CHIPS_OF_DISKS: &[&str] = &["nvme", "drivetemp"];
/// Drivers of interfaces without a cable of their own: virtual ones, and the BMC's USB network inside the machine.
pub(crate) const NICS_WITHOUT_CABLE: &[&str] = &[
    "",
    "cdc_eem",
    "cdc_ether",
    "cdc_ncm",
    "cdc_subset",
    "hv_netvsc",
    "rndis_host",
    "veth",
    "virtio_net",
    "vmxnet3",
    "xen_netfront",
];
