// SPDX-License-Identifier: Apache-2.0
//! PID 1 of the maintenance OS: mounts, drivers, network, and the loop that feeds the machine of `mos-core`.
//!
//! It decides nothing. It never exits and never unwinds out of `main`: a fault is shown, kept in the log, and followed
//! by a restart of the machine after [`RESTART_AFTER_FAULT`].

mod bedside;
mod call;
mod clock;
mod console;
mod custom;
mod drivers;
mod heap;
mod interface;
mod local;
mod log;
mod look;
mod network;
mod partitions;
mod postman;
mod rescue;
mod shell;
mod whole;
mod workshop;

use groundstate_api::inventory::Inventory;
use mos_core::phases::Event;
use rustix::mount::{MountFlags, mount};
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

/// How long a fault stays on the screen before the machine restarts: long enough to be read and photographed.
pub const RESTART_AFTER_FAULT: Duration = Duration::from_secs(120);

/// What threads tell the main loop.
enum Word {
    /// For the machine.
    Event(Event),
    /// The network is up.
    Online(network::Online),
    /// The probes have looked.
    Looked(Box<Inventory>),
    /// The rescue shell stands open.
    ShellOpened(rescue::Rescue, groundstate_api::enrol::RescueShell),
}

/// Runs as PID 1. Never returns.
pub fn run() -> ! {
    heap::set();
    let mounted = mount_all();
    let (page, lines) = console::open();
    let log = log::Log::new(lines);
    log.line(&format!(
        "Groundstate maintenance OS {} starts",
        env!("CARGO_PKG_VERSION")
    ));
    let first_line = clock::now();
    for problem in mounted {
        log.line(&problem);
    }
    let for_hook = log.clone();
    std::panic::set_hook(Box::new(move |info| {
        for_hook.line(&format!("FAULT in the maintenance OS: {info}"))
    }));
    let for_shell = log.clone();
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        shell::run(page, &for_shell, first_line)
    }));
    if let Ok(Err(reason)) = ended {
        log.line(&reason.to_string());
    }
    log.line(&format!(
        "this machine restarts in {} s",
        RESTART_AFTER_FAULT.as_secs()
    ));
    loop {
        std::thread::sleep(RESTART_AFTER_FAULT);
        let Err(reason) = crate::handover::reboot();
        log.line(&reason.what);
    }
}

/// Mounts what the kernel leaves to PID 1; says what could not be mounted.
fn mount_all() -> Vec<String> {
    let quiet = MountFlags::NOSUID | MountFlags::NOEXEC;
    let mounts = [
        ("devtmpfs", "/dev", MountFlags::NOSUID),
        ("proc", "/proc", quiet | MountFlags::NODEV),
        ("sysfs", "/sys", quiet | MountFlags::NODEV),
        ("tmpfs", "/run", MountFlags::NOSUID | MountFlags::NODEV),
        ("tmpfs", "/tmp", MountFlags::NOSUID | MountFlags::NODEV),
    ];
    let mut problems = Vec::new();
    for (kind, at, flags) in mounts {
        let done = fs::create_dir_all(at).and_then(|()| Ok(mount(kind, at, kind, flags, None)?));
        if let Err(error) = done {
            problems.push(format!("{at} cannot be mounted ({kind}): {error}"));
        }
    }
    // mke2fs looks for mounted file systems here; it is there already when the boot image brings it.
    let _already_there = symlink("/proc/self/mounts", "/etc/mtab");
    problems
}
