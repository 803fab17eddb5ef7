// SPDX-License-Identifier: Apache-2.0
//! A folder with a state directory in it, disks made with sgdisk and mtools, and the command.

use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

pub(crate) const MIB: u64 = 1 << 20;

pub(crate) struct World {
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        command
            .arg("image")
            .args(line.split_whitespace())
            .current_dir(self.dir.path())
            .env("GROUNDSTATE_STATE_DIR", self.path("state"))
            .env_remove("GROUNDSTATE_CREDENTIAL")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// What it printed; it must succeed.
    pub(crate) fn done(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", both(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.done(&format!("{line} --json"))).unwrap()
    }

    /// What it says when it does not do it, which must be with this exit status.
    pub(crate) fn refused(&self, line: &str, status: i32) -> String {
        let output = self.run(line);
        let said = both(&output);
        assert_eq!(output.status.code(), Some(status), "{line}: {said}");
        said
    }

    pub(crate) fn tool(&self, program: &str, line: &str) -> String {
        let output = Command::new(program)
            .args(line.split_whitespace())
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{program} {line}: {}",
            both(&output)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// `vmlinuz`, `initrd` and `loader.efi`: the marks by which such files are known, and nothing else.
    pub(crate) fn boot_files(&self) {
        let mut program = vec![0; 512];
        for (at, mark) in [
            (0, &b"MZ"[..]),
            (0x3c, b"\x80"),
            (0x80, b"PE\0\0\x64\x86"),
            (0x80 + 24 + 68, b"\x0a"),
        ] {
            program[at..at + mark.len()].copy_from_slice(mark);
        }
        fs::write(self.path("vmlinuz"), &program).unwrap();
        fs::write(self.path("loader.efi"), &program).unwrap();
        fs::write(self.path("initrd"), "070701 initrd").unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// A file of zeros of this length.
    pub(crate) fn blank(&self, name: &str, mib: u64) -> PathBuf {
        let path = self.path(name);
        File::create(&path).unwrap().set_len(mib * MIB).unwrap();
        path
    }

    /// A disk of 72 MiB: an EFI system partition whose loader entry names the second partition, and an ext4.
    pub(crate) fn disk(&self, name: &str) {
        self.blank(name, 72);
        self.tool(
            "sgdisk",
            &format!("-n1:2048:+40M -t1:ef00 -n2:0:0 -c2:root {name}"),
        );
        self.tool("mformat", &format!("-i {name}@@1M -F -T 81920 ::"));
        self.tool("mmd", &format!("-i {name}@@1M ::loader ::loader/entries"));
        let guid = self.guid(name, 2).to_lowercase();
        fs::write(
            self.path("host.conf"),
            format!("title host\noptions root=PARTUUID={guid} quiet\n"),
        )
        .unwrap();
        self.tool(
            "mcopy",
            &format!("-i {name}@@1M host.conf ::loader/entries/host.conf"),
        );
        fs::create_dir_all(self.path("root/etc")).unwrap();
        let release = "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian for a test\"\n";
        fs::write(self.path("root/etc/os-release"), release).unwrap();
        self.tool("truncate", "-s 28M root.ext4");
        self.tool("mkfs.ext4", "-q -F -d root root.ext4");
        let root = self.read("root.ext4");
        let disk = File::options().write(true).open(self.path(name)).unwrap();
        disk.write_all_at(&root, 41 * MIB).unwrap();
    }

    pub(crate) fn guid(&self, disk: &str, partition: u32) -> String {
        let said = self.tool("sgdisk", &format!("-i {partition} {disk}"));
        let line = said
            .lines()
            .find(|line| line.starts_with("Partition unique GUID"));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    }

    pub(crate) fn import_disk(&self, name: &str, version: &str) {
        self.disk("made.raw");
        self.done(&format!(
            "import made.raw --format raw --name {name} --version {version}"
        ));
    }
}

pub(crate) fn both(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

pub(crate) fn has(text: &str, wants: &[&str]) {
    for want in wants {
        assert!(text.contains(want), "{want:?} is not in {text}");
    }
}

/// Whether this test may mount and make loop devices.
pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0 && Path::new("/dev/loop-control").exists()
}
