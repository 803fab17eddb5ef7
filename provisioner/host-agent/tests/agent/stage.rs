// SPDX-License-Identifier: Apache-2.0
//! A host's root directory as the maintenance OS leaves it, and two running systems: one that runs the real commands
//! against it, and one that does what they would do.

use groundstate_api::host::{HostSeed, NetworkBoot, SEED_PATH, SeedVolume};
use groundstate_api::{BootId, SCHEMA};
use host_agent::{CommandFailed, Host, Root, ThisHost};
use std::cell::{Cell, RefCell};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

pub(crate) const KEY: &str = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n";
const DEVICE: &str = "dev/nvme0n1p2";
const PARTITION_BYTES: u64 = 64 << 20;

pub(crate) fn boot(number: u8) -> BootId {
    format!("00000000-0000-4000-8000-0000000000{number:02x}")
        .parse()
        .unwrap()
}

pub(crate) fn seed() -> HostSeed {
    HostSeed {
        schema: SCHEMA,
        node: "node1".parse().unwrap(),
        run: "run-1".parse().unwrap(),
        plan: "0123456789abcdef".repeat(4).parse().unwrap(),
        provisioner: "https://127.0.0.1:1".into(),
        others: Vec::new(),
        ca_pem: "CA\n".into(),
        certificate_pem: "CERTIFICATE\n".into(),
        key_pem: KEY.into(),
        root_guid: "C12A7328-F81F-11D2-BA4B-00A0C93EC93B".into(),
        volumes: vec![SeedVolume {
            uuid: "8c3f0e9a-0000-4000-8000-000000000001".into(),
            mount_point: "/data/gs-data-1".into(),
            disk_serial: "GS-DATA-1".into(),
            fs: groundstate_api::plan::VolumeFs::Ext4,
        }],
        network_boot: NetworkBoot {
            mac: "52:54:00:12:34:56".parse().unwrap(),
            firmware: groundstate_api::boot::Firmware::UefiHttp,
        },
        same_host: false,
        epoch: 3,
        adopted: false,
    }
}

/// An empty ext4 of 16 MiB in a "partition" of 64 MiB; made once.
fn file_system() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let dir = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let device = dir.path().join("ext4");
        fs::File::create(&device)
            .unwrap()
            .set_len(PARTITION_BYTES)
            .unwrap();
        let made = Command::new("/sbin/mkfs.ext4")
            .args(["-q", "-F"])
            .arg(&device)
            .arg("16M")
            .status()
            .unwrap();
        assert!(made.success());
        dir
    });
    dir.path()
}

/// A root with a real ext4 behind it. In memory where that is possible: every move of the agent is synced.
pub(crate) fn root() -> (tempfile::TempDir, Root) {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    }
    .unwrap();
    let root = Root::new(dir.path().into());
    let put = |path: &str, text: &str| root.write(path, text.as_bytes(), 0o644).unwrap();
    put("etc/hostname", "debian-image\n");
    put(
        "etc/hosts",
        "127.0.0.1\tlocalhost\n127.0.1.1\tdebian-image\n",
    );
    put("etc/machine-id", "11111111111111111111111111111111\n");
    put("etc/ssh/sshd_config", "");
    put("etc/ssh/ssh_host_ed25519_key", "image's");
    put(
        "etc/ssh/ssh_host_ed25519_key.pub",
        "ssh-ed25519 image root@image\n",
    );
    put("etc/fstab", "# /etc/fstab\n");
    put(
        "proc/self/mountinfo",
        "25 1 259:2 / / rw,relatime - ext4 /dev/nvme0n1p2 rw\n",
    );
    put(
        "sys/dev/block/259:2/uevent",
        "MAJOR=259\nMINOR=2\nDEVNAME=nvme0n1p2\nDEVTYPE=partition\n",
    );
    put(
        "sys/dev/block/259:2/size",
        &format!("{}\n", PARTITION_BYTES / 512),
    );
    fs::create_dir(root.at("dev")).unwrap();
    let copied = Command::new("cp")
        .arg("--sparse=always")
        .arg(file_system().join("ext4"))
        .arg(root.at(DEVICE))
        .status();
    assert!(copied.unwrap().success());
    root.write_json(SEED_PATH, &seed()).unwrap();
    (dir, root)
}

/// A running system over a root directory.
pub(crate) struct Stage {
    root: Root,
    /// Whether `ssh-keygen` and `resize2fs` are the real ones.
    real: bool,
    /// Fails the call with this number, from 0, once.
    pub(crate) fail_at: Cell<Option<usize>>,
    calls: Cell<usize>,
    /// What was asked for.
    pub(crate) log: RefCell<Vec<String>>,
}

impl Stage {
    pub(crate) fn new(root: &Root, real: bool) -> Self {
        Self {
            root: root.clone(),
            real,
            fail_at: Cell::new(None),
            calls: Cell::new(0),
            log: RefCell::new(Vec::new()),
        }
    }

    fn fails(&self, line: &str) -> bool {
        let call = self.calls.replace(self.calls.get() + 1);
        self.log.borrow_mut().push(line.into());
        self.fail_at.get() == Some(call)
    }

    fn mount(&self, place: &str) {
        let table = self.root.read_text("proc/self/mountinfo").unwrap().unwrap();
        let table = format!("{table}60 25 8:1 / {place} rw,relatime - ext4 /dev/sda1 rw\n");
        self.root
            .write("proc/self/mountinfo", table.as_bytes(), 0o644)
            .unwrap();
    }

    /// Takes the file system's block count to the partition's end, as resize2fs does.
    fn grow(&self, device: &Path) {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(device)
            .unwrap();
        let mut log_block = [0; 4];
        file.read_exact_at(&mut log_block, 1024 + 0x18).unwrap();
        let blocks =
            u32::try_from(PARTITION_BYTES / (1024 << u32::from_le_bytes(log_block))).unwrap();
        file.write_all_at(&blocks.to_le_bytes(), 1024 + 4).unwrap();
    }

    fn make_keys(&self) {
        let made = format!("ssh-ed25519 made{} root@node\n", self.calls.get());
        self.root
            .write("etc/ssh/ssh_host_ed25519_key", b"made", 0o600)
            .unwrap();
        self.root
            .write("etc/ssh/ssh_host_ed25519_key.pub", made.as_bytes(), 0o644)
            .unwrap();
    }
}

impl Host for Stage {
    fn set_host_name(&self, name: &str) -> io::Result<()> {
        if self.fails(&format!("hostname {name}")) {
            Err(io::ErrorKind::PermissionDenied.into())
        } else {
            Ok(())
        }
    }

    fn command(&self, program: &'static str, arguments: &[&str]) -> Result<String, CommandFailed> {
        let line = [&[program], arguments].concat().join(" ");
        if self.fails(&line) {
            return Err(CommandFailed {
                line,
                said: "it was made to fail".into(),
            });
        }
        match (program, arguments) {
            ("mount", [place]) => self.mount(place),
            ("ssh-keygen" | "resize2fs", _) if self.real => {
                return ThisHost.command(program, arguments);
            }
            ("ssh-keygen", ["-A", ..]) => self.make_keys(),
            ("ssh-keygen", ["-l", "-f", path]) => {
                let text = fs::read_to_string(path).unwrap();
                return Ok(format!(
                    "256 SHA256:{} comment (ED25519)\n",
                    text.split(' ').nth(1).unwrap()
                ));
            }
            ("resize2fs", [device]) => self.grow(Path::new(device)),
            other => panic!("nobody expected {other:?}"),
        }
        Ok(String::new())
    }
}
