// SPDX-License-Identifier: Apache-2.0
//! A node's board: what starts and stops its QEMU process. A node and its BMC share one.
//!
//! It refuses to end any process but its own QEMU.

use super::machine::{Files, arguments};
use super::net::OWN_NAMESPACE;
use super::parts::{POLL, shown};
use super::plug::{Plug, ended, kill};
use super::{BootDevice, NodeSpec, Parts, PowerOn, Qmp, RackError, uefi_vars};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

/// How long QEMU may take to open its monitor.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long QEMU may take to end after a `quit`, before it is killed.
const QUIT_LIMIT: Duration = Duration::from_secs(20);

/// What a node and its BMC share.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) spec: NodeSpec,
    pub(super) folder: PathBuf,
    pub(super) parts: Parts,
    /// The tap, and the network namespace it is in.
    pub(super) tap: Option<(String, PathBuf)>,
    pub(super) files: Files,
    pub(super) running: Mutex<Option<Running>>,
}

#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    qmp: Arc<Qmp>,
}

impl Board {
    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        // A panic in between leaves a process that is still ours, or none.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn power_on(&self, how: &PowerOn) -> Result<(), RackError> {
        let mut running = self.running();
        // A guest that powered itself off has left its place.
        if running
            .as_mut()
            .is_some_and(|r| matches!(r.child.try_wait(), Ok(Some(_))))
        {
            *running = None;
        }
        if running.is_some() {
            return Err(RackError::On {
                node: self.spec.name.to_string(),
            });
        }
        // Elsewhere QEMU, as root, would make a tap of that name in the machine's own network.
        if self.tap.as_ref().map(|(_, space)| space)
            != self.tap.as_ref().map(|_| namespace()).transpose()?.as_ref()
        {
            return Err(RackError::OtherNetwork {
                node: self.spec.name.to_string(),
            });
        }
        for socket in [&self.files.qmp_socket, &self.files.serial_socket] {
            if let Err(error) = fs::remove_file(socket)
                && error.kind() != io::ErrorKind::NotFound
            {
                return Err(RackError::file(socket)(error));
            }
        }
        let (child, qmp) = self.start(&self.told_to_firmware(how)?)?;
        // The next start within this process begins as usual: QEMU reads the order anew at each reset.
        if how.first.is_some() && !self.spec.firmware.is_uefi() {
            usual_order(&qmp, how)?;
        }
        *running = Some(Running {
            child,
            qmp: Arc::new(qmp),
        });
        Ok(())
    }

    /// UEFI has `BootNext`, which holds for one start; where the firmware knows no such entry yet, and in a BIOS, QEMU's
    /// order of devices says what comes first.
    fn told_to_firmware(&self, how: &PowerOn) -> Result<PowerOn, RackError> {
        let mut how = how.clone();
        if let Some(first) = how.first
            && self.spec.firmware.is_uefi()
        {
            let found = uefi_vars::boot_next(&self.files.uefi_vars, first, self.spec.mac)?;
            let usual = matches!(first, BootDevice::Network | BootDevice::Http);
            if found || usual {
                how.first = None;
            }
        }
        Ok(how)
    }

    fn start(&self, how: &PowerOn) -> Result<(Child, Qmp), RackError> {
        let words = self.folder.join("qemu.log");
        let log = File::create(&words).map_err(RackError::file(&words))?;
        let mut command = Command::new(&self.parts.qemu);
        command.args(arguments(
            &self.spec,
            &self.files,
            &self.parts,
            self.tap.as_ref().map(|(tap, _)| tap.as_str()),
            how,
        ));
        let line = self.folder.join("qemu.command");
        fs::write(&line, shown(&command) + "\n").map_err(RackError::file(&line))?;
        let both = log.try_clone().map_err(RackError::file(&words))?;
        command
            .stdin(Stdio::null())
            .stdout(both)
            .stderr(log)
            .current_dir(&self.folder);
        let start = |cause| RackError::CommandStart {
            command: "qemu-system-x86_64".into(),
            cause,
        };
        let mut child = Plug(Some(command.spawn().map_err(start)?));
        let name = self.spec.name.to_string();
        let qmp = Qmp::connect(&self.files.qmp_socket, START_LIMIT, || {
            child.alive(&name, "its monitor", &words)
        });
        // A QEMU that gives up may still have taken the connection: its own words are the better answer.
        let qmp = qmp.or_else(|error| child.last_words(&name, &words).and(Err(error)))?;
        match child.0.take() {
            Some(child) => Ok((child, qmp)),
            None => Err(self.off("its monitor")),
        }
    }

    pub(super) fn power_off(&self) {
        let Some(mut running) = self.running().take() else {
            return;
        };
        // An error means that QEMU is ending already.
        drop(running.qmp.ask("quit", &json!({})));
        let until = Instant::now() + QUIT_LIMIT;
        while Instant::now() < until {
            if matches!(running.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(POLL);
        }
        kill(&mut running.child);
    }

    pub(super) fn cut_power(&self) {
        if let Some(mut running) = self.running().take() {
            kill(&mut running.child);
        }
    }

    /// How QEMU ended, once it has.
    pub(super) fn exited(&self) -> Result<Option<ExitStatus>, RackError> {
        let mut running = self.running();
        let own = running
            .as_mut()
            .ok_or_else(|| self.off("waiting for its end"))?;
        let ended = own
            .child
            .try_wait()
            .map_err(RackError::file("QEMU's process"))?;
        if ended.is_some() {
            *running = None;
        }
        Ok(ended)
    }

    /// `Ok` while QEMU runs.
    pub(super) fn alive(&self, words: &Path) -> Result<(), RackError> {
        let name = self.spec.name.to_string();
        let mut running = self.running();
        let own = running
            .as_mut()
            .ok_or_else(|| self.off("waiting for its console"))?;
        ended(&mut own.child, &name, "a line on the console", words)
    }

    pub(super) fn ask(&self, command: &str, arguments: &Value) -> Result<Value, RackError> {
        self.qmp()?.ask(command, arguments)
    }

    pub(super) fn qmp(&self) -> Result<Arc<Qmp>, RackError> {
        let running = self.running();
        let qmp = running.as_ref().map(|r| Arc::clone(&r.qmp));
        qmp.ok_or_else(|| self.off("asking its monitor"))
    }

    pub(super) fn is_on(&self) -> bool {
        self.running()
            .as_mut()
            .is_some_and(|r| matches!(r.child.try_wait(), Ok(None)))
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.running().as_ref().map(|r| r.child.id())
    }

    fn off(&self, wish: &'static str) -> RackError {
        RackError::Off {
            node: self.spec.name.to_string(),
            wish,
        }
    }
}

/// Network first, then the first disk, as without a wish.
fn usual_order(qmp: &Qmp, how: &PowerOn) -> Result<(), RackError> {
    let mut order = vec![("nic0", 0), ("disk0", 1)];
    if how.cdrom.is_some() {
        order.push(("cdrom", 2));
    }
    // Two devices may not have one place, not even for a moment.
    for shift in [10, 0] {
        for (device, place) in &order {
            let path = format!("/machine/peripheral/{device}");
            let arguments =
                json!({ "path": path, "property": "bootindex", "value": place + shift });
            qmp.ask("qom-set", &arguments)?;
        }
    }
    Ok(())
}

/// The calling thread's network namespace, as the kernel names it: `net:[4026531840]`.
pub(super) fn namespace() -> Result<PathBuf, RackError> {
    fs::read_link(OWN_NAMESPACE).map_err(RackError::file(OWN_NAMESPACE))
}
