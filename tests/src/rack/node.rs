// SPDX-License-Identifier: Apache-2.0
//! One virtual server: its files, its board, and its console.
//!
//! It leaves its folder behind: logs and disks are for people.

use super::board::{Board, namespace};
use super::machine::Files;
use super::parts::POLL;
use super::{
    DiskFingerprint, DiskImage, Net, NodeSpec, Parts, PowerOn, Qmp, RackError, SerialLog, image,
    memory_array, memory_device,
};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{io, thread};
use tempfile::TempDir;

/// How long a line typed on the console may take to be taken.
const TYPE_LIMIT: Duration = Duration::from_secs(10);
/// A board's memory array can hold this many times what the rack's DIMMs are.
const CAPACITY_FACTOR: u64 = 4;

/// A virtual server in a folder of its own. Dropping it pulls the plug.
#[derive(Debug)]
pub struct Node {
    board: Arc<Board>,
    /// Unix sockets have paths of 107 bytes at most: they stand in a short folder.
    sockets: TempDir,
    serial: SerialLog,
}

impl Node {
    /// Builds a node in `folder` and leaves it powered off. Disks that are there already keep what they hold, and so
    /// does the UEFI variable store. A tap is one of the calling thread's network namespace ([`Net::tap`]).
    ///
    /// # Errors
    /// A part that is missing on this machine, a description that contradicts itself, or a file.
    pub fn build(spec: &NodeSpec, folder: &Path, tap: Option<&str>) -> Result<Self, RackError> {
        spec.check()?;
        let parts = Parts::find()?;
        fs::create_dir_all(folder).map_err(RackError::file(folder))?;
        let folder = folder.canonicalize().map_err(RackError::file(folder))?;
        let sockets = tempfile::Builder::new().prefix("rack-").tempdir();
        let sockets = sockets.map_err(RackError::file("a folder for sockets"))?;
        let disks: Result<Vec<DiskImage>, RackError> = spec
            .disks
            .iter()
            .map(|disk| DiskImage::create(&folder, disk, &parts))
            .collect();
        let uefi_vars = folder.join("uefi-vars.fd");
        if spec.firmware.is_uefi() && !uefi_vars.exists() {
            fs::copy(&parts.ovmf_vars, &uefi_vars).map_err(RackError::file(&uefi_vars))?;
        }
        let files = Files {
            disks: disks?,
            uefi_vars,
            smbios: write_smbios(spec, &folder)?,
            serial_log: folder.join("serial.log"),
            serial_socket: sockets.path().join("serial"),
            qmp_socket: sockets.path().join("qmp"),
            cache: image::cache_mode(&folder),
        };
        let serial = SerialLog::new(&files.serial_log);
        let tap = tap.map(|tap| namespace().map(|space| (tap.to_owned(), space)));
        let (spec, tap) = (spec.clone(), tap.transpose()?);
        let board = Board {
            spec,
            folder,
            parts,
            tap,
            files,
            running: Mutex::new(None),
        };
        Ok(Self {
            board: Arc::new(board),
            sockets,
            serial,
        })
    }

    /// Builds a node on tap `index` of a network. Power it on from the network's thread.
    ///
    /// # Errors
    /// As [`Node::build`], and [`RackError::NoSuchTap`].
    pub fn build_in(
        net: &Net,
        index: usize,
        spec: &NodeSpec,
        folder: &Path,
    ) -> Result<Self, RackError> {
        Self::build(spec, folder, Some(net.tap(index)?))
    }

    /// Powers it on. QEMU inherits the calling thread's network namespace, which must be the tap's.
    ///
    /// # Errors
    /// What QEMU said, when it does not start.
    pub fn power_on(&mut self, how: &PowerOn) -> Result<(), RackError> {
        self.serial.skip_to_end();
        self.board.power_on(how)
    }

    /// Pulls the plug: QMP `quit`, and SIGKILL when that does not help. Nothing that the node has not flushed
    /// survives in the node; what it has flushed does. A node that is off stays off.
    pub fn power_off(&mut self) {
        self.board.power_off();
    }

    /// Cuts the power as a broken supply does: SIGKILL, at once.
    pub fn cut_power(&mut self) {
        self.board.cut_power();
    }

    /// Off and on again.
    ///
    /// # Errors
    /// As [`Node::power_on`].
    pub fn power_cycle(&mut self, how: &PowerOn) -> Result<(), RackError> {
        self.power_off();
        self.power_on(how)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// When the node is off.
    pub fn reset(&mut self) -> Result<(), RackError> {
        self.ask("system_reset", &json!({})).map(drop)
    }

    /// Waits until QEMU ends by itself: the guest powered off, or restarted with [`PowerOn::no_reboot`].
    ///
    /// # Errors
    /// [`RackError::TooLong`] with the console's last lines; the node then stays on.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus, RackError> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.board.exited()? {
                return Ok(status);
            }
            if Instant::now() >= until {
                let what = format!("the end of node {}", self.board.spec.name);
                let detail = format!("; its console says:\n{}", self.serial.tail(12));
                return Err(RackError::TooLong {
                    what,
                    limit,
                    detail,
                });
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until a line of this power-on's console contains `pattern`; see [`SerialLog::wait_for_line`].
    ///
    /// # Errors
    /// [`RackError::TooLong`] with the console's last lines, [`RackError::QemuEnded`].
    pub fn wait_for_line(&mut self, pattern: &str, limit: Duration) -> Result<String, RackError> {
        let words = self.board.folder.join("qemu.log");
        let board = &self.board;
        self.serial
            .wait_for_line(pattern, limit, || board.alive(&words))
    }

    /// The same, and the line has come to its end; see [`SerialLog::wait_for_whole_line`].
    ///
    /// # Errors
    /// As [`Self::wait_for_line`].
    pub fn wait_for_whole_line(
        &mut self,
        pattern: &str,
        limit: Duration,
    ) -> Result<String, RackError> {
        let words = self.board.folder.join("qemu.log");
        let board = &self.board;
        self.serial
            .wait_for_whole_line(pattern, limit, || board.alive(&words))
    }

    /// Types a line on the serial console. What the node answers is in the log.
    ///
    /// # Errors
    /// When the node is off or takes nothing.
    pub fn type_line(&mut self, line: &str) -> Result<(), RackError> {
        let failed = || RackError::file(&self.board.files.serial_socket);
        let mut stream = UnixStream::connect(&self.board.files.serial_socket).map_err(failed())?;
        stream
            .set_write_timeout(Some(TYPE_LIMIT))
            .map_err(failed())?;
        stream
            .write_all(format!("{line}\n").as_bytes())
            .map_err(failed())?;
        // What stands in the stream when it is closed would be lost: stay until the echo comes, or a second.
        stream
            .set_read_timeout(Some(Duration::from_secs(1)))
            .map_err(failed())?;
        let mut echo = [0u8; 256];
        match stream.read(&mut echo) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(failed()(error)),
        }
    }

    /// One QMP command, for example `query-status`, `device_del`, `device_add`.
    ///
    /// # Errors
    /// QEMU's refusal, or that the node is off.
    pub fn ask(&self, command: &str, arguments: &Value) -> Result<Value, RackError> {
        self.board.ask(command, arguments)
    }

    /// Changes a property of a virtual device, for example `smart_critical_warning` of `disk2`.
    ///
    /// # Errors
    /// QEMU's refusal, or that the node is off.
    pub fn qom_set(&self, device: &str, property: &str, value: &Value) -> Result<(), RackError> {
        let path = format!("/machine/peripheral/{device}");
        let arguments = json!({ "path": path, "property": property, "value": value });
        self.ask("qom-set", &arguments).map(drop)
    }

    /// A picture of the node's screen. PNG where this QEMU can, else PPM with that ending; gives the file.
    ///
    /// # Errors
    /// QEMU's refusal, or that the node is off.
    pub fn screendump(&self, file: &Path) -> Result<PathBuf, RackError> {
        let parent = file
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        // QEMU's working directory is the node's folder, not ours.
        let parent = parent.canonicalize().map_err(RackError::file(parent))?;
        let file = parent.join(file.file_name().unwrap_or("screen.png".as_ref()));
        let png = json!({ "filename": file.display().to_string(), "format": "png" });
        match self.ask("screendump", &png) {
            Ok(_) => Ok(file),
            Err(RackError::QmpRefused { .. }) => {
                let file = file.with_extension("ppm");
                self.ask(
                    "screendump",
                    &json!({ "filename": file.display().to_string() }),
                )?;
                Ok(file)
            }
            Err(other) => Err(other),
        }
    }

    /// QEMU's monitor, for events. QEMU takes one connection at a time, and this is it.
    ///
    /// # Errors
    /// That the node is off.
    pub fn qmp(&self) -> Result<Arc<Qmp>, RackError> {
        self.board.qmp()
    }

    /// What each disk holds, in the order of the description.
    ///
    /// # Errors
    /// A disk file that cannot be read.
    pub fn fingerprints(&self) -> Result<Vec<DiskFingerprint>, RackError> {
        let one = |image: &DiskImage| {
            let serial = image.serial().to_owned();
            image
                .fingerprint()
                .map(|content| DiskFingerprint { serial, content })
        };
        self.board.files.disks.iter().map(one).collect()
    }

    /// Whether QEMU runs.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.board.is_on()
    }

    /// QEMU's process id while it is on.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.board.pid()
    }

    /// What it consists of, faults included.
    #[must_use]
    pub fn spec(&self) -> &NodeSpec {
        &self.board.spec
    }

    /// Its folder: disks, `serial.log`, `qemu.log`, `qemu.command`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.board.folder
    }

    /// Its disks, in the order of the description.
    #[must_use]
    pub fn disks(&self) -> &[DiskImage] {
        &self.board.files.disks
    }

    /// A reader of its console of its own, at the log's beginning.
    #[must_use]
    pub fn serial_log(&self) -> SerialLog {
        SerialLog::new(&self.board.files.serial_log)
    }

    /// A reader of its console of its own, where this power-on's reader stands now.
    #[must_use]
    pub fn serial_log_from_power_on(&self) -> SerialLog {
        self.serial.clone()
    }

    /// What its BMC shares with it.
    pub(super) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// The socket of its serial console, for `socat` or a person's `nc -U`.
    #[must_use]
    pub fn console_socket(&self) -> PathBuf {
        self.sockets.path().join("serial")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.cut_power();
    }
}

/// Type 16 and each type 17, one file each.
fn write_smbios(spec: &NodeSpec, folder: &Path) -> Result<Vec<PathBuf>, RackError> {
    let write = |name: String, bytes: Vec<u8>| {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(RackError::file(&path))?;
        Ok(path)
    };
    let slots = u16::try_from(spec.dimms.len()).unwrap_or(u16::MAX);
    if slots == 0 {
        return Ok(Vec::new());
    }
    let capacity = u64::from(spec.memory_mib) * CAPACITY_FACTOR;
    let array = write("smbios-16.bin".to_owned(), memory_array(slots, capacity));
    let devices = (0..slots).zip(&spec.dimms);
    let devices = devices.map(|(at, d)| write(format!("smbios-17-{at}.bin"), memory_device(at, d)));
    std::iter::once(array).chain(devices).collect()
}
