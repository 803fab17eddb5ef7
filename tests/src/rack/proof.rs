// SPDX-License-Identifier: Apache-2.0
//! Proof on real parts. The tests with virtual machines run where GROUNDSTATE_VM_TESTS=1 is set, the network's where
//! this machine lets a namespace be made; each says so when it does not.

use super::*;
use groundstate_api::boot::Firmware;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, thread};
use tempfile::TempDir;

fn wished() -> bool {
    let wished = env::var_os("GROUNDSTATE_VM_TESTS").is_some_and(|v| v == "1");
    if !wished {
        eprintln!("skipped: boots a virtual machine; set GROUNDSTATE_VM_TESTS=1");
    }
    wished
}

fn net(options: &NetOptions) -> Option<Net> {
    match Net::new(options) {
        Ok(net) => Some(net),
        Err(error @ (RackError::NoTun { .. } | RackError::NoNamespace { .. }))
            if env::var_os("CI").is_none() =>
        {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Debian's own kernel: the one of this machine, or the package's.
fn debian_kernel(folder: &Path) -> PathBuf {
    if let Some(kernel) = env::var_os("GROUNDSTATE_KERNEL") {
        return kernel.into();
    }
    let kernel_in = |boot: &Path| {
        let files = fs::read_dir(boot).ok()?.flatten().map(|f| f.path());
        files
            .filter(|p| p.to_string_lossy().contains("/vmlinuz-"))
            .max()
    };
    if let Some(kernel) = kernel_in(Path::new("/boot")) {
        return kernel;
    }
    let script = "package=$(apt-cache depends linux-image-amd64 | awk '/Depends:/{print $2; exit}')
        apt-get -q download \"$package\" && dpkg-deb --fsys-tarfile linux-image-*.deb | tar x --wildcards './boot/vmlinuz-*'";
    let done = Command::new("sh")
        .args(["-eu", "-c", script])
        .current_dir(folder)
        .status()
        .unwrap();
    assert!(done.success(), "Debian's kernel could not be fetched");
    kernel_in(&folder.join("boot")).expect("the package linux-image has a vmlinuz")
}

#[test]
fn a_listener_from_before_is_reachable_from_before() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let outside = fs::read_link("/proc/thread-self/ns/net").unwrap();
    let Some(rack) = net(&NetOptions {
        taps: 2,
        capture: None,
    }) else {
        return;
    };
    assert_ne!(fs::read_link("/proc/thread-self/ns/net").unwrap(), outside);
    let refused = std::net::TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let caller = thread::spawn(move || fs::read_link("/proc/thread-self/ns/net").unwrap());
    // A thread inherits the namespace of the one that starts it.
    assert_ne!(caller.join().unwrap(), outside);
    let seen = Command::new("ip").args(["-br", "addr"]).output().unwrap();
    let seen = String::from_utf8(seen.stdout).unwrap();
    for wanted in ["10.77.0.1/24", "tap0", "tap1", "127.0.0.1/8"] {
        assert!(seen.contains(wanted), "{wanted} in {seen}");
    }
    assert!(!seen.contains("fe80"), "{seen}");
    assert!(rack.tap(1).is_ok() && rack.tap(2).is_err());
    drop(rack);
    if fs::read_link("/proc/thread-self/ns/net").unwrap() == outside {
        std::net::TcpStream::connect(address).unwrap();
        listener.accept().unwrap();
    }
}

/// How long one step of a boot may take on a busy machine without KVM.
const STEP: Duration = Duration::from_secs(180);

#[test]
fn debians_kernel_sees_the_node_that_was_described() {
    if !wished() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let mut spec = NodeSpec::demo(1, Firmware::Bios);
    assert_eq!(Fault::DimmMissing.apply(&mut spec).unwrap(), "DIMM_B2");
    let mut node = Node::build(&spec, folder.path(), None).unwrap();
    let before = node.fingerprints().unwrap();
    let kernel = debian_kernel(folder.path());
    let waits = PowerOn::kernel(&kernel, None, "console=ttyS0 root=/dev/none rootwait");
    node.power_on(&waits).unwrap();
    assert!(matches!(node.power_on(&waits), Err(RackError::On { .. })));
    assert_eq!(
        node.ask("query-status", &json!({})).unwrap()["running"],
        true
    );
    node.wait_for_line("DMI: Groundstate Labs Virtual Server", STEP)
        .unwrap();
    node.wait_for_line("Waiting for root device", STEP).unwrap();
    check_smbios(&node, folder.path());
    let picture = node.screendump(&folder.path().join("screen.png")).unwrap();
    assert!(
        fs::metadata(&picture).unwrap().len() > 100,
        "{}",
        picture.display()
    );
    // A disk's health changes, and then the disk is pulled out: the kernel lets it go.
    node.qom_set("disk2", "smart_critical_warning", &json!(4))
        .unwrap();
    node.ask("device_del", &json!({ "id": "disk2" })).unwrap();
    node.qmp()
        .unwrap()
        .wait_event("DEVICE_DELETED", 0, STEP)
        .unwrap();
    assert!(
        node.qom_set("disk2", "smart_critical_warning", &json!(0))
            .is_err()
    );
    node.reset().unwrap();
    node.qmp().unwrap().wait_event("SHUTDOWN", 0, STEP).unwrap();
    assert!(node.wait_exit(STEP).unwrap().success());
    // There is no root file system: the kernel gives up and restarts, which ends QEMU. The console's reader has
    // forgotten the last power-on.
    node.power_cycle(&PowerOn::kernel(&kernel, None, "console=ttyS0 panic=-1"))
        .unwrap();
    let process = PathBuf::from(format!("/proc/{}", node.pid().unwrap()));
    assert!(process.exists());
    node.wait_for_line("Kernel panic", STEP).unwrap();
    assert!(node.wait_exit(STEP).unwrap().success());
    assert!(!node.is_on() && !process.exists());
    assert_eq!(unchanged(&before, &node.fingerprints().unwrap()), (4, 4));
}

#[test]
fn a_node_that_is_dropped_or_cut_leaves_no_process() {
    if !wished() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let mut spec = NodeSpec::demo(1, Firmware::UefiPxe);
    spec.disks.truncate(1);
    let mut node = Node::build(&spec, folder.path(), None).unwrap();
    for cut in [Node::cut_power, Node::power_off, |node: &mut Node| {
        drop(std::mem::replace(node, gone()))
    }] {
        node.power_on(&PowerOn::FIRMWARE).unwrap();
        let process = PathBuf::from(format!("/proc/{}", node.pid().unwrap()));
        assert!(process.exists());
        cut(&mut node);
        assert!(!process.exists());
    }
}

/// Another node, to stand in a dropped one's place.
fn gone() -> Node {
    let folder = TempDir::new().unwrap();
    let mut spec = NodeSpec::demo(2, Firmware::Bios);
    spec.disks.clear();
    Node::build(&spec, folder.path(), None).unwrap()
}

/// The table that the firmware has put into the node's memory, as dmidecode reads it.
fn check_smbios(node: &Node, folder: &Path) {
    let memory = |at: u64, size: u64| {
        let file = folder.join("memory.bin");
        let words = json!({ "val": at, "size": size, "filename": file.display().to_string() });
        node.ask("pmemsave", &words).unwrap();
        fs::read(file).unwrap()
    };
    // DSP0134 5.2.1: the entry point is at a 16-byte boundary of this segment; table length at 16h, address at 18h.
    let segment = memory(0xF_0000, 0x1_0000);
    let entry = segment
        .chunks(16)
        .position(|c| c.starts_with(b"_SM_"))
        .unwrap()
        * 16;
    let length = u16::from_le_bytes(segment[entry + 0x16..entry + 0x18].try_into().unwrap());
    let address = u32::from_le_bytes(segment[entry + 0x18..entry + 0x1C].try_into().unwrap());
    let text = smbios::decoded(&memory(address.into(), length.into()));
    let spec = node.spec();
    let whole = spec
        .dimms
        .iter()
        .filter(|d| d.size_mib > 0)
        .map(|d| &d.serial);
    for wanted in whole.chain([&spec.serial, &spec.uuid.to_string()]) {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
    assert_eq!(text.matches("Memory Device\n").count(), 4, "{text}");
    assert_eq!(text.matches("Size: 512 MB").count(), 3, "{text}");
    assert_eq!(
        text.matches("Size: No Module Installed").count(),
        1,
        "{text}"
    );
    assert_eq!(text.matches("Range Size: 1536 MB").count(), 1, "{text}");
}

/// Boots firmware with nobody to answer, and looks for what it asks in the capture.
fn asks(firmware: Firmware, architecture: &str) {
    if !wished() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let capture = folder.path().join("rack.pcap");
    let Some(mut net) = net(&NetOptions {
        taps: 1,
        capture: Some(capture),
    }) else {
        return;
    };
    let spec = NodeSpec::demo(1, firmware);
    let mut node = Node::build_in(&net, 0, &spec, &folder.path().join("node-1")).unwrap();
    // From outside its network it is not powered on.
    let outside = thread::scope(|scope| {
        let node = &mut node;
        let other = || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            node.power_on(&PowerOn::FIRMWARE).unwrap_err()
        };
        scope.spawn(other).join().unwrap()
    });
    assert!(
        matches!(outside, RackError::OtherNetwork { .. }),
        "{outside}"
    );
    node.power_on(&PowerOn::FIRMWARE).unwrap();
    let dump = |file: &Path| {
        let words = ["-n", "-e", "-vv", "-r"];
        let out = Command::new("tcpdump")
            .args(words)
            .arg(file)
            .arg("udp port 67")
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let mut seen = String::new();
    for _ in 0..120 {
        thread::sleep(Duration::from_secs(1));
        seen = dump(net.capture().unwrap());
        if seen.contains("Discover") && seen.contains(architecture) {
            break;
        }
    }
    node.power_off();
    let file = net.end_capture().unwrap().unwrap();
    assert!(dump(&file).contains(&spec.mac.to_string()));
    assert!(
        seen.contains("Discover") && seen.contains(architecture),
        "{seen}\n{}",
        node.serial_log().tail(20)
    );
}

#[test]
fn seabios_asks_for_an_address() {
    asks(Firmware::Bios, "ARCH (93), length 2: 0");
}

#[test]
fn ovmf_asks_for_a_boot_file_by_pxe() {
    asks(Firmware::UefiPxe, "ARCH (93), length 2: 7");
}

#[test]
fn ovmf_asks_for_a_boot_file_by_http() {
    asks(Firmware::UefiHttp, "ARCH (93), length 2: 16");
}

#[test]
fn qemu_that_does_not_start_says_why() {
    let folder = TempDir::new().unwrap();
    let mut spec = NodeSpec::demo(1, Firmware::Bios);
    spec.disks.truncate(1);
    let mut node = Node::build(&spec, folder.path(), None).unwrap();
    let missing = PowerOn::kernel(Path::new("/nonexistent/vmlinuz"), None, "");
    let text = node.power_on(&missing).unwrap_err().to_string();
    assert!(
        text.contains("node-1") && text.contains("/nonexistent/vmlinuz"),
        "{text}"
    );
    assert!(!node.is_on() && node.pid().is_none());
    assert!(
        node.reset()
            .unwrap_err()
            .to_string()
            .contains("powered off")
    );
}
