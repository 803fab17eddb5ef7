// SPDX-License-Identifier: Apache-2.0
//! A host that runs already is taken in by the real command against a real provisioner over TLS; the real agent then makes the
//! node ready. The "host" is a folder: what the command reads of the machine and writes to it is below it, and nothing of the
//! machine that the test runs on is touched.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use groundstate_api::NodeId;
use groundstate_api::view::NodeReport;
use provisioner::peer::{Loopback, lab, lab_node};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

const BOOT: &str = "33333333-3333-4333-8333-333333333333";

/// A provisioner on loopback.
struct World {
    dir: TempDir,
    served: Loopback,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = lab(vec![lab_node(1, "HOST-1"), lab_node(2, "HOST-2")]);
        let served = Loopback::serve(dir.path(), site).live();
        Self { dir, served }
    }

    /// A command of an operator.
    fn operator(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        command
            .args(arguments)
            .args(["--server", &self.served.url()]);
        command.arg("--credential").arg(self.served.credential());
        command.output().unwrap()
    }

    /// Makes a token, and says where it lies and the fingerprint that goes with it.
    fn token(&self, whom: &[&str], name: &str) -> (PathBuf, String) {
        let file = self.dir.path().join(name);
        let mut arguments = vec!["node", "adopt-token", "--json", "--output"];
        arguments.push(file.to_str().unwrap());
        arguments.extend(whom);
        let answer: serde_json::Value =
            serde_json::from_str(&fine(&self.operator(&arguments))).unwrap();
        assert!(answer.get("secret").is_none(), "{answer}");
        (file, answer["ca"].as_str().unwrap().to_owned())
    }

    fn report(&self, node: &str) -> NodeReport {
        let node: NodeId = node.parse().unwrap();
        self.served.ours.report(&node).unwrap()
    }

    /// Until the node is in this phase. The test's own time-out is the limit.
    fn until(&self, node: &str, phase: &str) {
        let mut news = self.served.ours.follow();
        while self.report(node).view.phase.as_str() != phase {
            self.served.runtime.block_on(news.changed()).unwrap();
        }
    }
}

fn text(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{out}{}", String::from_utf8_lossy(&output.stderr))
}

fn fine(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A host: the folder that is its root.
struct Host {
    dir: TempDir,
}

impl Host {
    fn new(number: u8) -> Self {
        let host = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        host.put("proc/sys/kernel/random/boot_id", BOOT.as_bytes());
        host.put("proc/sys/kernel/osrelease", b"6.11.0\n");
        host.put("proc/uptime", b"100.0 1.0\n");
        host.put("proc/cpuinfo", b"processor\t: 0\nmodel name\t: c\n");
        host.put("proc/meminfo", b"MemTotal: 8388608 kB\n");
        host.put(
            "proc/self/mountinfo",
            b"25 1 259:2 / / rw,relatime - ext4 /dev/sda2 rw\n",
        );
        host.put("etc/os-release", b"PRETTY_NAME=\"Fedora Linux 41\"\n");
        host.put("etc/hostname", b"theirs\n");
        // No service of the machine that the test runs on is this host's.
        host.put("etc/groundstate/services", b"theirs.service\n");
        host.put("sys/firmware/efi/fw_platform_size", b"64\n");
        host.put("sys/class/net/eth0/type", b"1\n");
        host.put("sys/class/net/eth0/device/vendor", b"0x1af4\n");
        host.put("sys/class/net/eth0/carrier", b"1\n");
        let mac = format!("52:54:00:00:00:{number:02x}\n");
        host.put("sys/class/net/eth0/address", mac.as_bytes());
        host.put("sys/firmware/dmi/tables/smbios_entry_point", &entry_point());
        host.put("sys/firmware/dmi/tables/DMI", &tables(number));
        fs::create_dir_all(host.dir.path().join("sys/block")).unwrap();
        host
    }

    fn put(&self, path: &str, bytes: &[u8]) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn adopt(&self, world: &World, token: &Path, ca: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        command.args([
            "node",
            "adopt",
            "--url",
            &world.served.url(),
            "--ca-fingerprint",
            ca,
        ]);
        command.arg("--token-file").arg(token);
        command.arg("--root").arg(self.dir.path());
        command.arg("--agent").arg(agent());
        command.args(more).stdin(Stdio::null()).output().unwrap()
    }

    /// Starts what was left there, as its unit does.
    fn start(&self) -> Agent {
        let program = self.dir.path().join("usr/local/sbin/host-agent");
        let root = self.dir.path().to_str().unwrap();
        let child = Command::new(program)
            .args(["run", "--root", root])
            .stdout(Stdio::null())
            .spawn();
        Agent(child.unwrap())
    }

    /// Every file, with what is in it.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut left = vec![self.dir.path().to_owned()];
        while let Some(next) = left.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    left.push(path);
                    continue;
                }
                let name = path.strip_prefix(self.dir.path()).unwrap();
                let bytes = fs::read(&path).unwrap_or_default();
                found.push((name.to_str().unwrap().to_owned(), bytes));
            }
        }
        found.sort();
        found
    }
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        // It runs until it is stopped.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The agent's program: built beside this one, or built now.
fn agent() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_groundstate")).with_file_name("host-agent");
    if !beside.is_file() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--package", "host-agent"])
            .status();
        assert!(built.unwrap().success(), "the agent cannot be built");
    }
    beside
}

/// An entry point of SMBIOS 3.0, as far as its version is read from it.
fn entry_point() -> Vec<u8> {
    let mut bytes = b"_SM3_".to_vec();
    bytes.extend([0, 24, 3, 0, 0, 1, 0]);
    bytes.resize(24, 0);
    let sum = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[5] = 0u8.wrapping_sub(sum);
    bytes
}

/// SMBIOS tables with a system (type 1) and their end.
fn tables(number: u8) -> Vec<u8> {
    let mut bytes = vec![1, 27, 0, 1, 1, 2, 0, 3];
    bytes.extend([0x34, 0x12, 0x4d, 0x56, 0x78, 0x56, 0xbc, 0x9a, 0xde, 0xf0]);
    bytes.extend([0x12, 0x34, 0x56, 0x78, 0x90, number, 6, 0, 0]);
    write!(bytes, "Acme\0Server 9\0HOST-{number}\0\0").unwrap();
    bytes.extend([127, 4, 1, 1, 0, 0]);
    bytes
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story, in its order")]
fn a_running_host_is_taken_in_reports_and_is_let_go() {
    let (world, host) = (World::new(), Host::new(1));
    let (token, ca) = world.token(&["--mac", "52:54:00:00:00:01"], "token");
    let before = host.files();

    // Nobody is told anything before the CA is the one that was meant.
    let wrong = format!("sha256:{}", "ab".repeat(32));
    let said = host.adopt(&world, &token, &wrong, &["--yes"]);
    assert!(!said.status.success(), "{}", text(&said));
    assert!(
        text(&said).contains("Nothing was sent to it"),
        "{}",
        text(&said)
    );
    // A dry run shows it all and changes nothing on either side.
    let events = *world.served.ours.follow().borrow();
    let said = host.adopt(&world, &token, &ca, &["--dry-run"]);
    fine(&said);
    for words in [
        "node-1 (the site knows this machine)",
        "Acme Server 9",
        "HOST-1",
        "Fedora Linux 41, Linux 6.11.0",
        "/usr/local/sbin/host-agent",
        "/etc/systemd/system/host-agent.service",
        "stays as it is",
    ] {
        assert!(text(&said).contains(words), "{words}: {}", text(&said));
    }
    // Where nobody can be asked, nobody has agreed.
    assert!(!host.adopt(&world, &token, &ca, &[]).status.success());
    assert_eq!(host.files(), before);
    assert_eq!(*world.served.ours.follow().borrow(), events);

    let said = fine(&host.adopt(&world, &token, &ca, &["--yes"]));
    assert!(said.contains("node-1 is adopted"), "{said}");
    assert_eq!(world.report("node-1").view.phase.as_str(), "suspect");
    // What was there is as it was; what came is what was shown.
    let after = host.files();
    assert!(before.iter().all(|file| after.contains(file)));
    for (name, bytes) in after.iter().filter(|file| !before.contains(file)) {
        let ours = [
            "usr/local/sbin/host-agent",
            "etc/systemd/system/",
            "etc/groundstate/credential/",
            "var/lib/groundstate/",
        ];
        assert!(ours.iter().any(|path| name.starts_with(path)), "{name}");
        let secret = fs::read(&token).unwrap();
        let leaks = bytes.windows(40).any(|part| secret.starts_with(part));
        assert!(!leaks, "{name} holds the token");
    }
    let agent = host.start();
    world.until("node-1", "ready");
    let reason = world.report("node-1").view.reason.unwrap();
    assert_eq!(reason.code.as_str(), "adopted", "{reason}");
    let explained = fine(&world.operator(&["node", "explain", "node-1"]));
    assert!(explained.contains("its image is unknown"), "{explained}");
    let shown = fine(&world.operator(&["node", "show", "node-1"]));
    assert!(shown.contains("adopted"), "{shown}");

    let said = world.operator(&["node", "diagnostics", "node-1"]);
    assert_eq!(said.status.code(), Some(3), "{}", text(&said));
    assert!(text(&said).contains("--collect"), "{}", text(&said));
    let package = world.dir.path().join("package");
    let collect = ["node", "diagnostics", "node-1", "--collect", "--output"];
    let arguments = [&collect[..], &[package.to_str().unwrap()]].concat();
    let said = world.operator(&arguments);
    let listed = fine(&said);
    for words in ["journal.txt", "kernel.txt", "os-release.txt", "sent "] {
        assert!(listed.contains(words), "{words}: {listed}");
    }
    assert!(
        text(&said).contains("with its next report"),
        "{}",
        text(&said)
    );
    assert!(fs::read(&package).unwrap().starts_with(&[0x1f, 0x8b]));

    // Once more with another token: the same host stays who it is, with the same key, and ready.
    let (again, _) = world.token(&["--name", "node-1"], "again");
    fine(&host.adopt(&world, &again, &ca, &["--yes"]));
    assert_eq!(world.report("node-1").view.phase.as_str(), "ready");
    assert!(
        after
            .iter()
            .all(|file| { !file.0.ends_with("host.key") || host.files().contains(file) })
    );
    // A used token opens nothing on another host, and leaves nothing there.
    let other = Host::new(2);
    let untouched = other.files();
    let said = other.adopt(&world, &again, &ca, &["--yes"]);
    assert_eq!(said.status.code(), Some(3), "{}", text(&said));
    assert!(text(&said).contains("was used already"), "{}", text(&said));
    assert_eq!(other.files(), untouched);

    let said =
        fine(&world.operator(&["node", "unadopt", "node-1", "--yes", "--why", "given back"]));
    assert!(said.contains("node-1 is enrolled now"), "{said}");
    drop(agent);
    // Its agent is told so when it calls again.
    let _agent = host.start();
    let status = host.dir.path().join("run/groundstate/agent.json");
    while !fs::read_to_string(&status).is_ok_and(|said| said.contains("let go")) {
        std::thread::yield_now();
    }
    assert_eq!(world.report("node-1").view.phase.as_str(), "enrolled");
}

#[test]
fn a_host_of_ours_and_a_program_of_somebody_else_are_left_alone() {
    let (world, host) = (World::new(), Host::new(1));
    let (token, ca) = world.token(&["--serial", "HOST-1"], "token");
    host.put("usr/local/sbin/host-agent", b"theirs");
    let said = host.adopt(&world, &token, &ca, &["--yes"]);
    assert!(
        text(&said).contains("is not of Groundstate"),
        "{}",
        text(&said)
    );
    // Without an agent nothing is written at all.
    let before = host.files();
    let said = fine(&host.adopt(&world, &token, &ca, &["--yes", "--no-agent"]));
    assert!(said.contains("without an agent"), "{said}");
    assert_eq!(host.files(), before);
    assert_eq!(
        world.report("node-1").inventory.unwrap().system.serial,
        "HOST-1"
    );
    let seed = format!(
        r#"{{"schema":1,"node":"node-1","run":"r-1","plan":"{}","provisioner":"https://a:1","ca_pem":"","certificate_pem":"",
        "key_pem":"","root_guid":"","volumes":[],"network_boot":{{"mac":"52:54:00:00:00:01","firmware":"bios"}}}}"#,
        "ab".repeat(32)
    );
    host.put("var/lib/groundstate/seed.json", seed.as_bytes());
    let said = host.adopt(&world, &token, &ca, &["--yes"]);
    assert!(text(&said).contains("made by run r-1"), "{}", text(&said));
}
