// SPDX-License-Identifier: Apache-2.0
//! The rack's network: a namespace of its own with a bridge, and one tap per node.
//!
//! It refuses to touch an interface of the machine's own namespace: everything is made after the calling thread has
//! left it. What was opened before stays usable: a TCP listener bound on 127.0.0.1 before [`Net::new`] still
//! belongs to the old namespace and is reachable from there. That is how the page of a rack reaches a person's
//! browser (the demo hands such a listener to `groundstate up` as LISTEN_FDS).

use super::parts::run;
use super::site::{ADDRESS, PREFIX};
use super::{Capture, Parts, RackError};
use nix::sched::{CloneFlags, setns, unshare};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, capabilities, configure_capability_in_ambient_set, set_capabilities,
};
use std::fs::{self, File};
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{io, process};

/// The bridge, with the provisioning address.
const BRIDGE: &str = "br0";
/// The device that makes taps.
const TUN: &str = "/dev/net/tun";
/// The calling thread's network namespace.
pub(super) const OWN_NAMESPACE: &str = "/proc/thread-self/ns/net";

/// What a rack's network consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetOptions {
    /// How many taps: one per node.
    pub taps: usize,
    /// Where to write a packet capture of the bridge, when one is wished.
    pub capture: Option<PathBuf>,
}

/// The rack's network. The thread that made it is in it, and so is every child process that this thread starts.
/// Dropping it ends the capture, and takes the thread back where the kernel allows that (as root).
#[derive(Debug)]
pub struct Net {
    handle: NetHandle,
    before: File,
    taps: Vec<String>,
    capture: Option<Capture>,
    /// It belongs to its thread: a namespace is a thread's, not a process's.
    thread: PhantomData<*const ()>,
}

/// The way into a rack's network for another thread.
#[derive(Debug)]
pub struct NetHandle(File);

impl Net {
    /// Takes the calling thread into a new network namespace, and makes loopback, bridge and taps there.
    ///
    /// # Errors
    /// One line that says what this machine lacks: `ip`, `/dev/net/tun`, the right to make a namespace.
    pub fn new(options: &NetOptions) -> Result<Self, RackError> {
        let ip = Parts::program("ip", "iproute2")?;
        if options.capture.is_some() {
            Parts::program("tcpdump", "tcpdump")?;
        }
        tun_opens()?;
        gain_network_rights()?;
        let before = File::open(OWN_NAMESPACE).map_err(RackError::file(OWN_NAMESPACE))?;
        unshare(CloneFlags::CLONE_NEWNET).map_err(no_namespace)?;
        let handle = NetHandle(File::open(OWN_NAMESPACE).map_err(RackError::file(OWN_NAMESPACE))?);
        let mut net = Self {
            handle,
            before,
            taps: Vec::new(),
            capture: None,
            thread: PhantomData,
        };
        // From here on a failure drops `net`, which takes the thread back.
        net.build(&ip, options.taps)?;
        if let Some(file) = &options.capture {
            net.capture = Some(Capture::start(BRIDGE, file)?);
        }
        Ok(net)
    }

    fn build(&mut self, ip: &Path, taps: usize) -> Result<(), RackError> {
        // The nodes' IPv6 packets are enough in a capture; the rack's own would be noise.
        for which in ["all", "default"] {
            let file = format!("/proc/sys/net/ipv6/conf/{which}/disable_ipv6");
            // A kernel without IPv6 has no such file, and is what is wished.
            match fs::write(&file, "1") {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(RackError::file(file)(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let ip = |words: &str| run(Command::new(ip).args(words.split(' '))).map(drop);
        ip("link set lo up")?;
        ip(&format!(
            "link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
        ))?;
        ip(&format!("addr add {ADDRESS}/{PREFIX} dev {BRIDGE}"))?;
        for index in 0..taps {
            let tap = format!("tap{index}");
            ip(&format!("tuntap add dev {tap} mode tap"))?;
            ip(&format!("link set {tap} master {BRIDGE} up"))?;
            self.taps.push(tap);
        }
        ip(&format!("link set {BRIDGE} up"))
    }

    /// The name of tap `index`, from 0.
    ///
    /// # Errors
    /// [`RackError::NoSuchTap`].
    pub fn tap(&self, index: usize) -> Result<&str, RackError> {
        let missing = RackError::NoSuchTap {
            taps: self.taps.len(),
            wanted: index,
        };
        self.taps.get(index).map(String::as_str).ok_or(missing)
    }

    /// Pulls a node's cable out of the switch, or plugs it in again.
    ///
    /// # Errors
    /// There is no such node, or `ip` fails.
    pub fn plug(&self, index: usize, is_in: bool) -> Result<(), RackError> {
        let tap = self.tap(index)?;
        let state = if is_in { "up" } else { "down" };
        let mut ip = Command::new(Parts::program("ip", "iproute2")?);
        run(ip.args(["link", "set", tap, state])).map(drop)
    }

    /// The interface that the servers listen on.
    #[must_use]
    pub fn bridge(&self) -> &'static str {
        BRIDGE
    }

    /// The packet capture's file.
    #[must_use]
    pub fn capture(&self) -> Option<&Path> {
        self.capture.as_ref().map(Capture::file)
    }

    /// Ends the packet capture, so that its file is whole, and gives the file.
    ///
    /// # Errors
    /// When tcpdump does not end.
    pub fn end_capture(&mut self) -> Result<Option<PathBuf>, RackError> {
        self.capture.take().map(Capture::end).transpose()
    }

    /// The way in for another thread.
    ///
    /// # Errors
    /// When this process has no file descriptor left.
    pub fn handle(&self) -> Result<NetHandle, RackError> {
        let file = self.handle.0.try_clone();
        file.map(NetHandle).map_err(RackError::file(OWN_NAMESPACE))
    }

    /// How a person enters the namespace from another terminal while this process runs.
    #[must_use]
    pub fn way_in(&self) -> String {
        let thread = rustix::thread::gettid().as_raw_nonzero();
        let spaces = format!("/proc/{}/task/{thread}/ns", process::id());
        let user = if rustix::process::geteuid().is_root() {
            String::new()
        } else {
            format!(" --user={spaces}/user --preserve-credentials")
        };
        format!("nsenter{user} --net={spaces}/net")
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        drop(self.capture.take());
        // Without root the kernel refuses the way back; the thread then stays where it is, which harms nobody.
        let _ = setns(self.before.as_fd(), CloneFlags::CLONE_NEWNET);
    }
}

impl NetHandle {
    /// Takes the calling thread into the rack's network, for as long as it lives.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enter(&self) -> Result<(), RackError> {
        setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET).map_err(no_namespace)
    }
}

/// Gives this process the rights over networks of its own, when it has not got them: it enters a new user namespace
/// under its own user id, and hands the rights down to the programs it starts. Possible only while the process has
/// one thread: a `main` calls it first; [`Net::new`] calls it too.
///
/// The user stays who it is, and does not become root there: tcpdump, started as root, insists on becoming another
/// user, which such a namespace has not got.
///
/// # Errors
/// [`RackError::NoNamespace`] where user namespaces are not allowed, or the process has several threads.
pub fn gain_network_rights() -> Result<(), RackError> {
    let refused = |errno: Errno| RackError::NoNamespace {
        cause: errno.into(),
    };
    if capabilities(None)
        .map_err(refused)?
        .effective
        .contains(RIGHTS)
    {
        return Ok(());
    }
    let (user, group) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    unshare(CloneFlags::CLONE_NEWUSER).map_err(no_namespace)?;
    let write = |file: &str, text: String| fs::write(file, text).map_err(RackError::file(file));
    write("/proc/self/setgroups", "deny".to_owned())?;
    write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    let mut sets = capabilities(None).map_err(refused)?;
    sets.inheritable |= RIGHTS;
    set_capabilities(None, sets).map_err(refused)?;
    RIGHTS
        .iter()
        .try_for_each(|right| configure_capability_in_ambient_set(right, true).map_err(refused))
}

/// What it takes to make a network, to capture on it, and to serve on its low ports.
const RIGHTS: CapabilitySet = CapabilitySet::SYS_ADMIN
    .union(CapabilitySet::NET_ADMIN)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::NET_BIND_SERVICE);

fn tun_opens() -> Result<(), RackError> {
    let open = File::options().read(true).write(true).open(TUN);
    open.map(drop).map_err(|cause| RackError::NoTun { cause })
}

fn no_namespace(errno: nix::Error) -> RackError {
    RackError::NoNamespace {
        cause: errno.into(),
    }
}
