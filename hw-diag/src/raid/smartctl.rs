// SPDX-License-Identifier: Apache-2.0
//! Runs `smartctl` as a program of its own: by its absolute path, with a bound on time and on what it writes.
//!
//! Refuses to wait for a program that hangs in the kernel: it is killed and left.

use serde_json::Value;
use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Where it is looked for: never by a search path that somebody else set.
const PLACES: [&str; 4] = [
    "/usr/sbin/smartctl",
    "/sbin/smartctl",
    "/usr/bin/smartctl",
    "/usr/local/sbin/smartctl",
];
/// The most that is read of one report, in bytes: full reports with all logs have under 1 MiB.
const REPORT_MAX: u64 = 4 << 20;
/// How long one report may take: a disk in standby spins up in 15 s.
const REPORT_TIME: Duration = Duration::from_secs(18);
/// The most devices that a scan may name.
const DEVICES_MAX: usize = 512;

/// The program.
#[derive(Clone, Debug)]
pub(super) struct Smartctl(PathBuf);

/// A disk behind a controller, as `smartctl` reaches it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Member {
    /// The device.
    pub(super) device: String,
    /// What follows `-d`.
    pub(super) kind: String,
    /// Whether nobody named it and it is only tried.
    pub(super) tried: bool,
}

impl fmt::Display for Member {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.device, self.kind)
    }
}

impl Smartctl {
    /// The program, where it is installed.
    pub(super) fn find() -> Option<Self> {
        let place = PLACES.iter().map(PathBuf::from).find(|p| p.is_file())?;
        Some(Self(place))
    }
    #[cfg(test)]
    pub(super) fn at(place: PathBuf) -> Self {
        Self(place)
    }
    /// The disks behind controllers that a scan names.
    pub(super) fn scan(&self, until: Instant) -> Result<Vec<Member>, String> {
        let found = self.run(&["--json", "--scan-open"], until)?;
        members(&found).ok_or_else(|| format!("{} --scan-open: no JSON came", self.0.display()))
    }
    /// The whole report on one disk, as JSON.
    pub(super) fn report(&self, member: &Member, until: Instant) -> Result<Vec<u8>, String> {
        let until = until.min(Instant::now() + REPORT_TIME);
        let arguments = ["--json", "-x", "-d", &member.kind, &member.device];
        self.run(&arguments, until)
    }
    /// Its exit status is not looked at: bits of it are findings, and it stands in the JSON.
    fn run(&self, arguments: &[&str], until: Instant) -> Result<Vec<u8>, String> {
        let name = || format!("{} {}", self.0.display(), arguments.join(" "));
        let mut child = Command::new(&self.0)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", name()))?;
        let Some(out) = child.stdout.take() else {
            end(child);
            return Err(format!("{}: it has no output", name()));
        };
        let (send, receive) = mpsc::channel();
        let reader = thread::Builder::new().name("smartctl".into());
        let spawned = reader.spawn(move || {
            let mut text = Vec::new();
            let read = out.take(REPORT_MAX + 1).read_to_end(&mut text);
            // Nobody listens any more when the time ended.
            let _ = send.send(read.map(|_| text));
        });
        drop(spawned);
        let rest = until.saturating_duration_since(Instant::now());
        let said = receive.recv_timeout(rest);
        end(child);
        match said {
            Ok(Ok(text)) if u64::try_from(text.len()).is_ok_and(|n| n <= REPORT_MAX) => Ok(text),
            Ok(Ok(_)) => Err(format!("{}: more than {REPORT_MAX} bytes", name())),
            Ok(Err(error)) => Err(format!("{}: {error}", name())),
            Err(_) => Err(format!("{}: no answer in time", name())),
        }
    }
}

/// Ends the program, if it has not ended, and takes its status, if it comes: a program that hangs in the kernel is left.
fn end(mut child: Child) {
    /// A killed program is gone at once, or it hangs in the kernel.
    const ENDING: Duration = Duration::from_millis(200);
    const LOOK_AGAIN: Duration = Duration::from_millis(5);
    let until = Instant::now() + ENDING;
    // It fails for a program that has ended: that is what is wanted.
    let _ = child.kill();
    while let Ok(None) = child.try_wait() {
        if Instant::now() >= until {
            return;
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// The devices of a scan whose type names a place behind a controller, for example `megaraid,3`.
fn members(scan: &[u8]) -> Option<Vec<Member>> {
    let scan: Value = serde_json::from_slice(scan).ok()?;
    let devices = match scan.get("devices") {
        Some(devices) => devices.as_array()?.as_slice(),
        None => &[],
    };
    let member = |device: &Value| {
        let text = |key: &str| device.get(key)?.as_str().map(str::to_owned);
        let (device, kind) = (text("name")?, text("type")?);
        // What a program says is handed to it again: nothing that begins like an option.
        let safe = device.starts_with("/dev/") && !kind.starts_with('-');
        (safe && kind.contains(',')).then_some(Member {
            device,
            kind,
            tried: false,
        })
    };
    Some(
        devices
            .iter()
            .take(DEVICES_MAX)
            .filter_map(member)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_names_the_disks_behind_controllers_only() {
        let scan = br#"{"devices": [
            {"name": "/dev/sda", "type": "scsi", "protocol": "SCSI"},
            {"name": "/dev/bus/0", "type": "megaraid,1", "protocol": "SCSI"},
            {"name": "/dev/bus/0", "type": "sat+megaraid,2"},
            {"name": "-oops", "type": "megaraid,3"}, {"name": 7}]}"#;
        let found = members(scan).unwrap();
        let words: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            ["/dev/bus/0 megaraid,1", "/dev/bus/0 sat+megaraid,2"]
        );
        assert_eq!(members(b"{}"), Some(Vec::new()));
        assert_eq!(members(b"smartctl 7.3"), None);
    }

    #[test]
    fn a_program_that_hangs_or_floods_is_ended() {
        let member = |kind: &str| Member {
            device: "/dev/bus/0".into(),
            kind: kind.into(),
            tried: false,
        };
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("smartctl");
        let text = "#!/bin/sh\ncase $4 in\nhang) exec sleep 60;;\nflood) exec cat /dev/zero;;\n*) echo '{}'; exit 4;;\nesac\n";
        std::fs::write(&script, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&script, mode).unwrap();
        let program = Smartctl::at(script);
        let soon = || Instant::now() + Duration::from_millis(300);
        let later = || Instant::now() + Duration::from_secs(60);
        let hangs = program.report(&member("hang"), soon()).unwrap_err();
        assert!(
            hangs.ends_with("-d hang /dev/bus/0: no answer in time"),
            "{hangs}"
        );
        let floods = program.report(&member("flood"), later()).unwrap_err();
        assert!(floods.ends_with("more than 4194304 bytes"), "{floods}");
        // A status other than 0 is a finding, not a fault.
        assert_eq!(program.report(&member("x"), later()).unwrap(), b"{}\n");
        let none = Smartctl::at("/nowhere/smartctl".into());
        let error = none.report(&member("x"), later()).unwrap_err();
        assert!(error.contains("No such file"), "{error}");
    }
}
