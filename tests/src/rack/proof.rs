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

#[test]
fn debians_kernel_sees_the_node_that_was_described() {
    if !wished() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let spec = NodeSpec::demo(1, Firmware::Bios);
    let mut node = Node::build(&spec, folder.path(), None).unwrap();
    let before = node.fingerprints().unwrap();
    let kernel = debian_kernel(folder.path());
    node.power_on(&PowerOn::kernel(&kernel, None, "console=ttyS0 panic=-1"))
        .unwrap();
    assert_eq!(
        node.ask("query-status", &json!({})).unwrap()["running"],
        true
    );
    node.wait_for_line(
        "DMI: Groundstate Labs Virtual Server",
        Duration::from_secs(120),
    )
    .unwrap();
    node.qom_set("disk2", "smart_critical_warning", &json!(4))
        .unwrap();
    let picture = node.screendump(&folder.path().join("screen.png")).unwrap();
    assert!(
        fs::metadata(&picture).unwrap().len() > 100,
        "{}",
        picture.display()
    );
    // There is no root file system: the kernel gives up and restarts, which ends QEMU.
    node.wait_for_line("Kernel panic", Duration::from_secs(120))
        .unwrap();
    assert!(node.wait_exit(Duration::from_secs(60)).unwrap().success());
    assert!(!node.is_on());
    assert_eq!(unchanged(&before, &node.fingerprints().unwrap()), (4, 4));
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
