// SPDX-License-Identifier: Apache-2.0
//! From a node's description to QEMU's command line. It decides only; [`super::Node`] starts the process.

use super::{DiskImage, DiskKind, DiskSpec, NicKind, NodeSpec, Parts};
use groundstate_api::boot::Firmware;
use std::path::{Path, PathBuf};

/// What a node does at power-on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Boot {
    /// The firmware decides: network first, then the first disk.
    Firmware,
    /// QEMU's loader starts a kernel directly.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// The initramfs.
        initrd: Option<PathBuf>,
        /// The kernel's command line.
        cmdline: String,
    },
}

/// How a node is powered on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerOn {
    /// What it boots.
    pub boot: Boot,
    /// Whether QEMU ends where the machine would restart.
    pub no_reboot: bool,
    /// What the firmware tries first, at this start only.
    pub first: Option<BootDevice>,
    /// An ISO in the virtual CD drive; without one there is no such drive.
    pub cdrom: Option<PathBuf>,
}

/// What firmware can be told to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootDevice {
    /// PXE.
    Network,
    /// UEFI HTTP Boot.
    Http,
    /// The first disk, or what the host on it has entered.
    Disk,
    /// The virtual CD drive.
    Cd,
}

impl PowerOn {
    /// The firmware decides, and a restart restarts.
    pub const FIRMWARE: Self = Self {
        boot: Boot::Firmware,
        no_reboot: false,
        first: None,
        cdrom: None,
    };

    /// A kernel directly; QEMU ends where the machine would restart.
    #[must_use]
    pub fn kernel(kernel: &Path, initrd: Option<&Path>, cmdline: &str) -> Self {
        let boot = Boot::Kernel {
            kernel: kernel.to_path_buf(),
            initrd: initrd.map(Path::to_path_buf),
            cmdline: cmdline.to_owned(),
        };
        Self {
            boot,
            no_reboot: true,
            ..Self::FIRMWARE
        }
    }
}

/// The files that a node consists of on this machine.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) disks: Vec<DiskImage>,
    pub(super) uefi_vars: PathBuf,
    pub(super) smbios: Vec<PathBuf>,
    pub(super) serial_log: PathBuf,
    pub(super) serial_socket: PathBuf,
    pub(super) qmp_socket: PathBuf,
    pub(super) cache: &'static str,
}

/// QEMU's arguments.
pub(super) fn arguments(
    spec: &NodeSpec,
    files: &Files,
    parts: &Parts,
    tap: Option<&str>,
    power_on: &PowerOn,
) -> Vec<String> {
    let mut line = Line::default();
    chassis(&mut line, spec, files);
    firmware(&mut line, spec, files, parts);
    let order = Order::of(spec.firmware, power_on.first);
    network(&mut line, spec, tap, order.network);
    for (index, (disk, image)) in spec.disks.iter().zip(&files.disks).enumerate() {
        let place = order.disk.filter(|_| index == 0);
        storage(&mut line, index, disk, image, files.cache, place);
    }
    if let Some(iso) = &power_on.cdrom {
        cdrom(&mut line, iso, order.cd);
    }
    if let Boot::Kernel {
        kernel,
        initrd,
        cmdline,
    } = &power_on.boot
    {
        line.two("-kernel", path(kernel));
        if let Some(initrd) = initrd {
            line.two("-initrd", path(initrd));
        }
        line.two("-append", cmdline.clone());
    }
    if power_on.no_reboot {
        line.0.push("-no-reboot".to_owned());
    }
    line.0
}

/// Places in QEMU's order of devices.
#[derive(Clone, Copy)]
struct Order {
    network: Option<u8>,
    disk: Option<u8>,
    cd: Option<u8>,
}

impl Order {
    /// A BIOS tries the network and then the first disk, and what is wished before both. UEFI keeps its own order in its
    /// variables: only a wish is told to it.
    fn of(firmware: Firmware, first: Option<BootDevice>) -> Self {
        let usual = |place| (!firmware.is_uefi()).then_some(place);
        let (network, disk, cd) = match first {
            None => (usual(0), usual(1), usual(2)),
            Some(BootDevice::Network | BootDevice::Http) => (Some(0), usual(1), usual(2)),
            Some(BootDevice::Disk) => (usual(1), Some(0), usual(2)),
            Some(BootDevice::Cd) => (usual(1), usual(2), Some(0)),
        };
        Self { network, disk, cd }
    }
}

fn placed(place: Option<u8>) -> String {
    place.map_or_else(String::new, |place| format!(",bootindex={place}"))
}

#[derive(Default)]
struct Line(Vec<String>);

impl Line {
    fn two(&mut self, option: &str, value: impl Into<String>) {
        self.0.push(option.to_owned());
        self.0.push(value.into());
    }
}

/// A path as the value of a QEMU option of its own.
fn path(path: &Path) -> String {
    path.display().to_string()
}

/// A path inside a list of QEMU options, where a comma is written twice.
fn listed(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

fn chassis(line: &mut Line, spec: &NodeSpec, files: &Files) {
    line.two("-name", format!("{},process=rack-{}", spec.name, spec.name));
    line.0.push("-nodefaults".to_owned());
    line.two("-machine", "q35");
    line.two("-accel", "tcg,thread=multi");
    line.two("-cpu", "max");
    line.two("-smp", spec.cpus.to_string());
    let memory = spec.memory_mib.saturating_sub(spec.memory_lost_mib);
    line.two("-m", format!("{memory}M"));
    line.two("-rtc", "base=utc");
    if !spec.firmware.is_uefi() {
        // SeaBIOS tries nothing but what has a bootindex, and begins anew after 10 s, as servers do. UEFI keeps its
        // own boot order in its variables, and a bootindex would overwrite at each power-on what the host has set.
        line.two("-boot", "strict=on,reboot-timeout=10000");
    }
    line.two("-display", "none");
    line.two("-device", "VGA,id=screen");
    line.two("-device", "virtio-rng-pci");
    if spec.bmc {
        line.two("-device", "ipmi-bmc-sim,id=bmc0");
        line.two("-device", "isa-ipmi-kcs,bmc=bmc0");
    }
    line.two("-uuid", spec.uuid.to_string());
    line.two(
        "-smbios",
        format!(
            "type=1,manufacturer=Groundstate Labs,product=Virtual Server,version=1,serial={},uuid={}",
            spec.serial, spec.uuid
        ),
    );
    for file in &files.smbios {
        line.two("-smbios", format!("file={}", listed(file)));
    }
    let (socket, log) = (listed(&files.serial_socket), listed(&files.serial_log));
    line.two(
        "-chardev",
        format!("socket,id=console,path={socket},server=on,wait=off,logfile={log},logappend=on"),
    );
    line.two("-serial", "chardev:console");
    let qmp = listed(&files.qmp_socket);
    line.two(
        "-chardev",
        format!("socket,id=monitor,path={qmp},server=on,wait=off"),
    );
    line.two("-mon", "chardev=monitor,mode=control");
}

fn firmware(line: &mut Line, spec: &NodeSpec, files: &Files, parts: &Parts) {
    if spec.firmware.is_uefi() {
        let code = listed(&parts.ovmf_code);
        line.two(
            "-drive",
            format!("if=pflash,unit=0,format=raw,readonly=on,file={code}"),
        );
        let vars = listed(&files.uefi_vars);
        line.two("-drive", format!("if=pflash,unit=1,format=raw,file={vars}"));
    }
    // OVMF would try PXEv4 and PXEv6 before HTTP: two minutes of waiting for nobody.
    let usual: &[&str] = match spec.firmware {
        Firmware::Bios => &[],
        Firmware::UefiPxe => &["IPv6PXESupport"],
        Firmware::UefiHttp => &["IPv4PXESupport", "IPv6PXESupport"],
    };
    let off = spec.left_out.unwrap_or(usual);
    for name in off {
        line.two("-fw_cfg", format!("name=opt/org.tianocore/{name},string=n"));
    }
}

fn network(line: &mut Line, spec: &NodeSpec, tap: Option<&str>, place: Option<u8>) {
    let Some(tap) = tap else { return };
    line.two(
        "-netdev",
        format!("tap,id=net0,ifname={tap},script=no,downscript=no"),
    );
    let device = match spec.nic {
        NicKind::Virtio => "virtio-net-pci",
        NicKind::E1000e => "e1000e",
    };
    // UEFI has a network stack of its own, and an option ROM would stand in its place. A BIOS needs iPXE's ROM, and
    // the default one: only that does QEMU fit with the card's PCI id, without which SeaBIOS leaves it out.
    let rom = if spec.firmware.is_uefi() {
        ",romfile="
    } else {
        ""
    };
    let place = placed(place);
    line.two(
        "-device",
        format!("{device},id=nic0,netdev=net0,mac={}{rom}{place}", spec.mac),
    );
}

fn cdrom(line: &mut Line, iso: &Path, place: Option<u8>) {
    let (file, place) = (listed(iso), placed(place));
    line.two(
        "-drive",
        format!("if=none,id=media,format=raw,readonly=on,media=cdrom,file={file}"),
    );
    line.two(
        "-device",
        format!("ide-cd,id=cdrom,bus=ide.5,drive=media{place}"),
    );
}

fn storage(
    line: &mut Line,
    index: usize,
    disk: &DiskSpec,
    image: &DiskImage,
    cache: &str,
    place: Option<u8>,
) {
    let file = listed(image.path());
    line.two(
        "-drive",
        format!("if=none,id=drive{index},format=raw,cache={cache},discard=unmap,file={file}"),
    );
    // Only the first disk is booted; see `-boot strict=on`.
    let boot = placed(place);
    let serial = &disk.serial;
    match disk.kind {
        DiskKind::Nvme => {
            // A root port of its own makes the disk one that can be pulled out.
            let slot = index + 1;
            line.two(
                "-device",
                format!("pcie-root-port,id=port{index},chassis={slot},slot={slot}"),
            );
            let warning = disk.critical_warning.map_or_else(String::new, |byte| {
                format!(",smart_critical_warning={byte}")
            });
            let controller =
                format!("nvme,id=disk{index},bus=port{index},serial={serial}{warning}");
            let Some(eui) = disk.wwn else {
                line.two("-device", format!("{controller},drive=drive{index}{boot}"));
                return;
            };
            line.two("-device", controller);
            // Without a UUID of none QEMU makes a random one at each start.
            line.two(
                "-device",
                format!("nvme-ns,bus=disk{index},drive=drive{index},nsid=1,uuid={NO_UUID},eui64={eui:#018x}"),
            );
        }
        DiskKind::Ahci => {
            let name = disk
                .wwn
                .map_or_else(String::new, |wwn| format!(",wwn={wwn:#018x}"));
            // ATA's word for "no platters" is a rotation rate of 1.
            let rate = disk.rotation_rpm.unwrap_or(1);
            line.two(
                "-device",
                format!(
                    "ide-hd,id=disk{index},bus=ide.{index},drive=drive{index},serial={serial}{name},rotation_rate={rate}{boot}"
                ),
            );
        }
        DiskKind::Virtio => line.two(
            "-device",
            format!("virtio-blk-pci,id=disk{index},drive=drive{index},serial={serial}{boot}"),
        ),
    }
}

/// "This namespace has no UUID."
const NO_UUID: &str = "00000000-0000-0000-0000-000000000000";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rack::Fault;
    use expect_test::{Expect, expect};

    fn check(spec: &NodeSpec, power_on: &PowerOn, expected: &Expect) {
        let at = |name: &str| Path::new("/rack").join(name);
        let images = spec.disks.iter().map(|d| DiskImage::named(&at("disks"), d));
        let files = Files {
            disks: images.collect(),
            uefi_vars: at("vars.fd"),
            smbios: vec![at("t16.bin"), at("t17-0.bin")],
            serial_log: at("serial.log"),
            serial_socket: at("serial"),
            qmp_socket: at("qmp"),
            cache: "none",
        };
        let parts = Parts {
            qemu: "qemu".into(),
            ovmf_code: "/fw/code.fd".into(),
            ovmf_vars: "/fw/vars.fd".into(),
            mkfs_ext4: "mkfs.ext4".into(),
            sgdisk: "sgdisk".into(),
        };
        let mut text = String::new();
        for word in arguments(spec, &files, &parts, Some("tap0"), power_on) {
            text.push_str(if word.starts_with('-') { "\n" } else { " " });
            text.push_str(&word);
        }
        expected.assert_eq(text.trim());
    }

    #[test]
    fn bios() {
        let spec = NodeSpec::demo(1, Firmware::Bios);
        check(
            &spec,
            &PowerOn::FIRMWARE,
            &expect![[r#"
                -name node-1,process=rack-node-1
                -nodefaults
                -machine q35
                -accel tcg,thread=multi
                -cpu max
                -smp 2
                -m 2048M
                -rtc base=utc
                -boot strict=on,reboot-timeout=10000
                -display none
                -device VGA,id=screen
                -device virtio-rng-pci
                -uuid 67730001-7261-406b-8000-64656d6f0001
                -smbios type=1,manufacturer=Groundstate Labs,product=Virtual Server,version=1,serial=GS-RACK-0001,uuid=67730001-7261-406b-8000-64656d6f0001
                -smbios file=/rack/t16.bin
                -smbios file=/rack/t17-0.bin
                -chardev socket,id=console,path=/rack/serial,server=on,wait=off,logfile=/rack/serial.log,logappend=on
                -serial chardev:console
                -chardev socket,id=monitor,path=/rack/qmp,server=on,wait=off
                -mon chardev=monitor,mode=control
                -netdev tap,id=net0,ifname=tap0,script=no,downscript=no
                -device virtio-net-pci,id=nic0,netdev=net0,mac=52:54:00:67:73:01,bootindex=0
                -drive if=none,id=drive0,format=raw,cache=none,discard=unmap,file=/rack/disks/disk-GS1-OS-NVME.raw
                -device pcie-root-port,id=port0,chassis=1,slot=1
                -device nvme,id=disk0,bus=port0,serial=GS1-OS-NVME,drive=drive0,bootindex=1
                -drive if=none,id=drive1,format=raw,cache=none,discard=unmap,file=/rack/disks/disk-GS1-DATA-SSD.raw
                -device ide-hd,id=disk1,bus=ide.1,drive=drive1,serial=GS1-DATA-SSD,wwn=0x5067730000000101,rotation_rate=1
                -drive if=none,id=drive2,format=raw,cache=none,discard=unmap,file=/rack/disks/disk-GS1-DATA-NVME.raw
                -device pcie-root-port,id=port2,chassis=3,slot=3
                -device nvme,id=disk2,bus=port2,serial=GS1-DATA-NVME
                -device nvme-ns,bus=disk2,drive=drive2,nsid=1,uuid=00000000-0000-0000-0000-000000000000,eui64=0x677300fffe000102
                -drive if=none,id=drive3,format=raw,cache=none,discard=unmap,file=/rack/disks/disk-GS1-DATA-HDD.raw
                -device ide-hd,id=disk3,bus=ide.3,drive=drive3,serial=GS1-DATA-HDD,wwn=0x5067730000000103,rotation_rate=7200"#]],
        );
    }

    #[test]
    fn uefi_http_with_a_failing_disk_and_a_missing_dimm() {
        let mut spec = NodeSpec::demo(2, Firmware::UefiHttp);
        Fault::SmartFailing.apply(&mut spec).unwrap();
        Fault::DimmMissing.apply(&mut spec).unwrap();
        check(
            &spec,
            &PowerOn::FIRMWARE,
            &expect![[r#"
                -name node-2,process=rack-node-2
                -nodefaults
                -machine q35
                -accel tcg,thread=multi
                -cpu max
                -smp 2
                -m 1536M
                -rtc base=utc
                -display none
                -device VGA,id=screen
                -device virtio-rng-pci
                -uuid 67730001-7261-406b-8000-64656d6f0002
                -smbios type=1,manufacturer=Groundstate Labs,product=Virtual Server,version=1,serial=GS-RACK-0002,uuid=67730001-7261-406b-8000-64656d6f0002
                -smbios file=/rack/t16.bin
                -smbios file=/rack/t17-0.bin
                -chardev socket,id=console,path=/rack/serial,server=on,wait=off,logfile=/rack/serial.log,logappend=on
                -serial chardev:console
                -chardev socket,id=monitor,path=/rack/qmp,server=on,wait=off
                -mon chardev=monitor,mode=control
                -drive if=pflash,unit=0,format=raw,readonly=on,file=/fw/code.fd
                -drive if=pflash,unit=1,format=raw,file=/rack/vars.fd
                -fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=n
                -fw_cfg name=opt/org.tianocore/IPv6PXESupport,string=n
                -netdev tap,id=net0,ifname=tap0,script=no,downscript=no
                -device virtio-net-pci,id=nic0,netdev=net0,mac=52:54:00:67:73:02,romfile=
                -drive if=none,id=drive0,format=raw,cache=none,discard=unmap,file=/rack/disks/disk-GS2-OS-NVME.raw
                -device pcie-root-port,id=port0,chassis=1,slot=1
                -device nvme,id=disk0,bus=port0,serial=GS2-OS-NVME,drive=drive0
                -drive if=none,id=drive1,format=raw,cache=none,discard=unmap,file=/rack/disks/disk-GS2-DATA-SSD.raw
                -device ide-hd,id=disk1,bus=ide.1,drive=drive1,serial=GS2-DATA-SSD,wwn=0x5067730000000201,rotation_rate=1
                -drive if=none,id=drive2,format=raw,cache=none,discard=unmap,file=/rack/disks/disk-GS2-DATA-NVME.raw
                -device pcie-root-port,id=port2,chassis=3,slot=3
                -device nvme,id=disk2,bus=port2,serial=GS2-DATA-NVME,smart_critical_warning=4
                -device nvme-ns,bus=disk2,drive=drive2,nsid=1,uuid=00000000-0000-0000-0000-000000000000,eui64=0x677300fffe000202
                -drive if=none,id=drive3,format=raw,cache=none,discard=unmap,file=/rack/disks/disk-GS2-DATA-HDD.raw
                -device ide-hd,id=disk3,bus=ide.3,drive=drive3,serial=GS2-DATA-HDD,wwn=0x5067730000000203,rotation_rate=7200"#]],
        );
    }

    #[test]
    fn uefi_pxe_with_other_parts_and_a_kernel() {
        let mut spec = NodeSpec::demo(3, Firmware::UefiPxe);
        spec.nic = NicKind::E1000e;
        spec.disks.truncate(1);
        spec.disks[0].kind = DiskKind::Virtio;
        spec.disks[0].wwn = None;
        let kernel = PowerOn::kernel(Path::new("/k"), Some(Path::new("/i,1")), "a=1,2 b");
        check(
            &spec,
            &kernel,
            &expect![[r#"
                -name node-3,process=rack-node-3
                -nodefaults
                -machine q35
                -accel tcg,thread=multi
                -cpu max
                -smp 2
                -m 2048M
                -rtc base=utc
                -display none
                -device VGA,id=screen
                -device virtio-rng-pci
                -uuid 67730001-7261-406b-8000-64656d6f0003
                -smbios type=1,manufacturer=Groundstate Labs,product=Virtual Server,version=1,serial=GS-RACK-0003,uuid=67730001-7261-406b-8000-64656d6f0003
                -smbios file=/rack/t16.bin
                -smbios file=/rack/t17-0.bin
                -chardev socket,id=console,path=/rack/serial,server=on,wait=off,logfile=/rack/serial.log,logappend=on
                -serial chardev:console
                -chardev socket,id=monitor,path=/rack/qmp,server=on,wait=off
                -mon chardev=monitor,mode=control
                -drive if=pflash,unit=0,format=raw,readonly=on,file=/fw/code.fd
                -drive if=pflash,unit=1,format=raw,file=/rack/vars.fd
                -fw_cfg name=opt/org.tianocore/IPv6PXESupport,string=n
                -netdev tap,id=net0,ifname=tap0,script=no,downscript=no
                -device e1000e,id=nic0,netdev=net0,mac=52:54:00:67:73:03,romfile=
                -drive if=none,id=drive0,format=raw,cache=none,discard=unmap,file=/rack/disks/disk-GS3-OS-NVME.raw
                -device virtio-blk-pci,id=disk0,drive=drive0,serial=GS3-OS-NVME
                -kernel /k
                -initrd /i,1
                -append a=1,2 b
                -no-reboot"#]],
        );
    }
}
