// SPDX-License-Identifier: Apache-2.0
//! The rescue shell: dropbear, executed from the boot image, with a host key of this boot and the keys that the provisioner named.
//!
//! It is started in a rescue and never otherwise. There is no password, for nobody; root comes in by key only, and nothing is
//! forwarded. Closing it ends every process of this machine but PID 1, and takes off what was mounted from a disk.

use crate::pid1::log::Log;
use groundstate_api::enrol::RescueShell;
use groundstate_api::{Reason, ReasonCode};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const DROPBEAR: &str = "/usr/sbin/dropbear";
const DROPBEARKEY: &str = "/usr/bin/dropbearkey";
const BUSYBOX: &str = "/bin/busybox";
/// In memory: it is gone with this boot.
const HOST_KEY: &str = "/run/rescue-host-key";
const HOME: &str = "/root";
const KEYS: &str = "/root/.ssh/authorized_keys";
/// What a person sees who came in.
const GREETING: &str = "/etc/motd";
/// How long dropbear is watched: one that cannot listen ends at once.
const ENDS_AT_ONCE: Duration = Duration::from_millis(300);
/// Kinds of key that are let in: what dropbear reads and is not broken.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// The shell while it stands open.
#[derive(Debug)]
pub(super) struct Rescue {
    server: Child,
}

impl Rescue {
    /// Opens it for these keys.
    ///
    /// # Errors
    /// What could not be done.
    pub(super) fn open(
        keys: &[String],
        node: &str,
        address: &str,
        log: &Log,
    ) -> Result<(Self, RescueShell), Reason> {
        let allowed = admit(keys, Path::new(HOME)).map_err(|error| failed(KEYS, &error))?;
        log.line(&format!(
            "rescue: {allowed} of {} keys may come in",
            keys.len()
        ));
        home(node).map_err(|error| failed("the shell's surroundings", &error))?;
        let fingerprint = host_key().map_err(|error| failed(DROPBEARKEY, &error))?;
        let server = serve(log).map_err(|error| failed(DROPBEAR, &error))?;
        let shell = RescueShell {
            address: address.to_owned(),
            fingerprint,
        };
        Ok((Self { server }, shell))
    }

    /// Lets exactly these keys in from now on. Who is in stays in.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn admit(&self, keys: &[String]) -> Result<(), Reason> {
        let done = admit(keys, Path::new(HOME));
        done.map(drop).map_err(|error| failed(KEYS, &error))
    }

    /// Closes it.
    pub(super) fn close(mut self, log: &Log) {
        // An error means that it has ended.
        drop(self.server.kill());
        drop(self.server.wait());
        drop(fs::remove_file(KEYS));
        end_everything();
        for place in take_off() {
            log.line(&format!("rescue: {place} was mounted and is taken off"));
        }
        log.line("rescue: the shell is closed");
    }
}

/// Writes the keys, each as kind and key alone: options, which could run commands, and remarks are left out. Says how many.
fn admit(keys: &[String], home: &Path) -> io::Result<usize> {
    let mut text = String::new();
    let mut count = 0;
    for key in keys {
        let mut words = key.split_whitespace();
        let (Some(kind), Some(blob)) = (words.next(), words.next()) else {
            continue;
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        if KINDS.contains(&kind) && blob.chars().all(plain) {
            text.push_str(&format!("{kind} {blob}\n"));
            count += 1;
        }
    }
    let folder = home.join(".ssh");
    fs::create_dir_all(&folder)?;
    // dropbear believes no file that others could have written.
    fs::set_permissions(home, Permissions::from_mode(0o700))?;
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    let new = folder.join("authorized_keys.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(text.as_bytes())?;
    fs::rename(new, folder.join("authorized_keys"))?;
    Ok(count)
}

/// What a login needs: a user, a shell, terminals, and the small programs.
fn home(node: &str) -> io::Result<()> {
    fs::write("/etc/passwd", "root:*:0:0:root:/root:/bin/sh\n")?;
    fs::write("/etc/group", "root:x:0:\n")?;
    fs::write("/etc/shells", "/bin/sh\n")?;
    fs::write(
        GREETING,
        format!(
            "Rescue of {node}. Nothing is mounted; the disks are as they were.\nIt ends with `groundstate node release {node}`.\n"
        ),
    )?;
    let applets = Command::new(BUSYBOX).arg("--list").output()?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines() {
        let place = Path::new("/bin").join(applet);
        let elsewhere = ["/sbin", "/usr/sbin", "/usr/bin"];
        let better = elsewhere.iter().any(|f| Path::new(f).join(applet).exists());
        if !better && fs::symlink_metadata(&place).is_err() {
            symlink("busybox", place)?;
        }
    }
    fs::create_dir_all("/dev/pts")?;
    if !Path::new("/dev/pts/ptmx").exists() {
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        let options = c"ptmxmode=0666,mode=0620";
        mount("devpts", "/dev/pts", "devpts", flags, Some(options))?;
    }
    Ok(())
}

/// Makes the host key of this boot, once, and gives its fingerprint.
fn host_key() -> io::Result<String> {
    let mut command = Command::new(DROPBEARKEY);
    if Path::new(HOST_KEY).exists() {
        command.args(["-y", "-f", HOST_KEY]);
    } else {
        command.args(["-t", "ed25519", "-f", HOST_KEY]);
    }
    let said = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    fingerprint(&text).ok_or_else(|| {
        let words = String::from_utf8_lossy(&said.stderr);
        io::Error::other(format!("no fingerprint: {}", words.trim()))
    })
}

fn fingerprint(text: &str) -> Option<String> {
    let line = text.lines().find_map(|l| l.strip_prefix("Fingerprint: "))?;
    Some(line.trim().to_owned()).filter(|print| print.starts_with("SHA256:"))
}

fn serve(log: &Log) -> io::Result<Child> {
    let mut server = Command::new(DROPBEAR)
        // In the foreground, with its words on stderr; no passwords, no forwarding.
        .args([
            "-F", "-E", "-s", "-g", "-j", "-k", "-r", HOST_KEY, "-p", "22",
        ])
        .args(["-P", "/run/dropbear.pid"])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(words) = server.stderr.take() {
        let log = log.clone();
        thread::spawn(move || {
            for line in BufReader::new(words).lines().map_while(Result::ok) {
                log.line(&format!("rescue: {line}"));
            }
        });
    }
    thread::sleep(ENDS_AT_ONCE);
    match server.try_wait()? {
        None => Ok(server),
        Some(status) => Err(io::Error::other(format!("it ended at once: {status}"))),
    }
}

/// Every process but this one; kernel threads have no command line and are left alone.
fn end_everything() {
    let own = rustix::process::getpid();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let number = process.file_name().to_str().and_then(|n| n.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw).filter(|pid| *pid != own) else {
            continue;
        };
        let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
        if !command.is_empty() {
            // One that has ended meanwhile needs no signal.
            let _ended = kill_process(pid, Signal::KILL);
        }
    }
}

/// Takes off what is mounted from a disk, the newest first; says where.
fn take_off() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut places = Vec::new();
    for line in mounts.lines().rev() {
        let mut words = line.split(' ');
        if let (Some(device), Some(place)) = (words.next(), words.next())
            && device.starts_with("/dev/")
        {
            // What stays busy is refused by the next plan's guard, with its name.
            let _busy = unmount(place, UnmountFlags::DETACH);
            places.push(place.to_owned());
        }
    }
    places
}

fn failed(what: &str, error: &io::Error) -> Reason {
    Reason::new(
        ReasonCode::Internal,
        format!("the rescue shell cannot be opened: {what}: {error}"),
        "make the boot image again and restart the machine; its console still shows what it does",
    )
    .then("it is tried again every few seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_without_options_and_remarks_and_only_known_kinds() {
        let home = tempfile::tempdir().unwrap();
        let keys = [
            "ssh-ed25519 AAAAC3Nza+/= ana@example",
            "command=\"reboot\" ssh-ed25519 AAAA",
            "ssh-dss AAAA",
            "ssh-rsa AAAA\nssh-rsa BBBB",
            "ssh-rsa AA$(reboot)",
            "ssh-ed25519",
        ]
        .map(str::to_owned);
        assert_eq!(admit(&keys, home.path()).unwrap(), 2);
        let file = home.path().join(".ssh/authorized_keys");
        assert_eq!(
            fs::read_to_string(&file).unwrap(),
            "ssh-ed25519 AAAAC3Nza+/=\nssh-rsa AAAA\n"
        );
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(admit(&[], home.path()).unwrap(), 0);
        assert_eq!(fs::read_to_string(&file).unwrap(), "");
    }

    #[test]
    fn the_fingerprint_is_the_one_that_ssh_shows() {
        let said = "Public key portion is:\nssh-ed25519 AAAA root@vm\nFingerprint: SHA256:e1Bgl\n";
        assert_eq!(fingerprint(said).as_deref(), Some("SHA256:e1Bgl"));
        assert_eq!(fingerprint("Fingerprint: sha1!! 00:11\n"), None);
    }
}
