// SPDX-License-Identifier: Apache-2.0
//! Why a boot stopped, as far as it can be seen from here, and one next step for the person who stands before the machine.

use super::one::cut;
use super::stage::{Asker, FileKind, Stage};
use alloc::format;
use alloc::string::{String, ToString};
use groundstate_api::boot_session::{BootStep, Via};

/// Why a transfer ended that was none: firmware asks for the length first, and for the file in a transfer of its own.
pub const LENGTH_ALONE: &str = "it asked for the length alone";

/// What was found out since the machine last asked in another way.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Who asks.
    pub(super) client: String,
    /// Whether a file is on its way.
    pub(super) open: bool,
    asked: u32,
    offered: Option<Offered>,
    bound: Option<Option<String>>,
    no: Option<String>,
    last: Last,
}

/// What it was offered last.
#[derive(Clone, Debug)]
struct Offered {
    via: Via,
    address: String,
    file: Option<String>,
}

/// What was seen last of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Asked(Via, String),
    Sent(String),
    Ended(Via, String, String),
}

impl Found {
    /// Another client asks: what was true of the one before it is so no more.
    pub(super) fn asked(&mut self, client: &str) {
        if self.client != client {
            *self = Self {
                client: cut(client),
                ..Self::default()
            };
        }
        self.asked = self.asked.saturating_add(1);
        self.open = false;
    }

    /// Whether the client that asks came as far as a file.
    pub(super) fn has_file(&self) -> bool {
        self.last != Last::Nothing
    }

    pub(super) fn step(&mut self, step: &BootStep) {
        match step {
            BootStep::Asked { .. } | BootStep::SentToLocalDisk { .. } => {}
            BootStep::Offered { via, address, file } => {
                let address = address
                    .as_deref()
                    .map_or_else(|| "no address".to_string(), cut);
                self.offered = Some(Offered {
                    via: *via,
                    address,
                    file: file.as_deref().map(cut),
                });
                self.no = None;
            }
            BootStep::Bound { file, .. } => {
                self.bound = Some(file.as_deref().map(cut));
                self.no = None;
            }
            BootStep::Denied { why, .. } | BootStep::Unanswered { why, .. } => {
                self.no = Some(cut(why));
            }
            BootStep::FileAsked { via, file } => {
                self.open = true;
                self.last = Last::Asked(*via, cut(file));
            }
            BootStep::FileSent { file, .. } => {
                self.open = false;
                self.last = Last::Sent(cut(file));
            }
            BootStep::FileEnded { via, file, why } => {
                self.open = false;
                self.last = Last::Ended(*via, cut(file), cut(why));
            }
        }
    }
}

/// Why it stopped, and what to do next.
pub(super) fn judge(stage: Stage, found: &Found, foreign: Option<&str>) -> (String, String) {
    match &found.last {
        Last::Ended(via, file, why) if why == LENGTH_ALONE => (
            format!(
                "it asked for the length of {file} by {}, was told, and fetched nothing of it",
                via.says()
            ),
            "look at the machine's screen: firmware leaves a file that is too long for it or that it may not start"
                .to_string(),
        ),
        Last::Ended(via, file, why) => ended(*via, file, why),
        Last::Asked(via, file) => (
            format!(
                "it asked for {file} by {}, and the transfer never came to an end",
                via.says()
            ),
            "look at the machine's screen, then at its cable and the switch port's error counters"
                .to_string(),
        ),
        Last::Sent(file) => sent(stage, file),
        Last::Nothing => asking(found, foreign),
    }
}

/// It never came as far as a file.
fn asking(found: &Found, foreign: Option<&str>) -> (String, String) {
    let times = match found.asked {
        1 => "once".to_string(),
        2 => "twice".to_string(),
        n => format!("{n} times"),
    };
    let ipxe = Asker::of(&found.client) == Asker::Ipxe;
    match (&found.no, &found.bound, &found.offered) {
        (Some(why), ..) => refused(&times, why, foreign),
        (None, Some(None), _) if found.client.contains("architecture ") => (
            format!("there is no boot file for {}", found.client),
            "name a boot file for this architecture in the boot service's configuration, or switch its firmware to x86-64 \
             PXE"
            .to_string(),
        ),
        (None, Some(None), _) => (
            "it was given an address and nothing to boot".to_string(),
            "where that is not what the boot policy should say: `groundstate pxe-server --explain MAC`".to_string(),
        ),
        (None, Some(Some(file)), _) => {
            let (by, port) = wire(file);
            let who = if ipxe { "iPXE" } else { "it" };
            let other = foreign.map_or_else(
                || "a firewall, a wrong VLAN, or another DHCP server answered".to_string(),
                |server| format!("the DHCP server {server}, which is not ours, may have answered first"),
            );
            (
                format!("{who} was given {file} but never asked for it by {by}: {other}"),
                format!("let {port} through to this server, and look for other DHCP servers on this VLAN"),
            )
        }
        // proxyDHCP gives no address: that is the business of the server beside it.
        (
            None,
            None,
            Some(Offered {
                via: Via::ProxyDhcp,
                file: Some(file),
                ..
            }),
        ) => (
            format!(
                "it asked {times}, was offered {file} by proxyDHCP and never asked for it: the DHCP server of this network gave it no address, or our answer does not reach it"
            ),
            "see that the DHCP server of this network leases it an address; then the switch port's VLAN, spanning tree (set it to edge) and DHCP snooping"
                .to_string(),
        ),
        (None, None, Some(Offered { address, .. })) => {
            let other = foreign.map_or_else(
                || "our answer does not reach it, or another DHCP server's was taken".to_string(),
                |server| format!("the DHCP server {server}, which is not ours, was probably taken"),
            );
            (
                format!("it asked {times}, was offered {address} and never took it: {other}"),
                "check the switch port's VLAN, spanning tree (set it to edge) and DHCP snooping".to_string(),
            )
        }
        (None, None, None) => (
            format!("it asked {times} and got no answer"),
            "see the boot service's log, and `groundstate pxe-server --explain MAC`".to_string(),
        ),
    }
}

/// How a file is fetched that was named so.
fn wire(file: &str) -> (&'static str, &'static str) {
    if file.starts_with("http://") || file.starts_with("https://") {
        (
            "HTTP",
            "the TCP port of the boot files (80 where nothing else is said)",
        )
    } else {
        ("TFTP", "UDP port 69 and the UDP ports of its transfers")
    }
}

/// Words in a refusal, and what a person can do about it. The first row that fits counts.
const REFUSALS: [(&str, &str); 11] = [
    (
        "no boot file",
        "name a boot file for this architecture in the boot service's configuration",
    ),
    (
        "policy",
        "put the machine into the site file, or look why its node is refused: `groundstate node list`",
    ),
    (
        "leased",
        "enlarge the pool, or shorten the lease time, so that addresses come back",
    ),
    (
        "pool",
        "enlarge the pool, or shorten the lease time, so that addresses come back",
    ),
    (
        "relay",
        "add the relay's subnet to the boot service's configuration",
    ),
    (
        "subnet",
        "add this subnet to the boot service's configuration",
    ),
    (
        "chose",
        "find the other DHCP server on this VLAN and switch it off",
    ),
    (
        "durable",
        "look at the disk that holds the boot service's leases",
    ),
    ("holds", "let it ask anew: power-cycle it"),
    (
        "declined",
        "find who uses addresses of the pool without a lease, and keep the pool for leases alone",
    ),
    (
        "own disk",
        "where it should boot from the network: look what the boot policy says for its model",
    ),
];

/// Whether a machine got no answer because that sends it to its own disk.
pub(super) fn is_local_disk(why: &str) -> bool {
    why.contains("boot its own disk")
}

fn refused(times: &str, why: &str, foreign: Option<&str>) -> (String, String) {
    let row = REFUSALS.iter().find(|(word, _)| why.contains(word));
    let next = row.map_or(
        "`groundstate pxe-server --explain MAC` says what it would get, and why",
        |row| row.1,
    );
    let next = match foreign {
        Some(server) if why.contains("chose") => {
            format!("find the DHCP server {server} on this VLAN and switch it off")
        }
        Some(_) | None => next.to_string(),
    };
    (format!("it asked {times} and got no answer: {why}"), next)
}

/// It was sent a file whole, and then nothing was heard.
fn sent(stage: Stage, file: &str) -> (String, String) {
    match FileKind::of(file) {
        FileKind::FirstStage => (
            format!("it fetched {file}, then nothing: iPXE has no driver or no link, or Secure Boot refused to start it"),
            "look at its screen: \"access denied\" or \"security violation\" means Secure Boot (switch it off, or use UEFI HTTP \
             Boot); else try another network card, or let the switch port come up at once (edge port)"
                .to_string(),
        ),
        FileKind::Loader => (
            format!("it fetched {file}, then nothing more"),
            "look at its screen: the boot loader says which file it wants next; put that into the boot folder".to_string(),
        ),
        FileKind::Script => (
            "iPXE has its script and asked for no kernel".to_string(),
            "look at its screen: iPXE names an error and a link to its meaning".to_string(),
        ),
        FileKind::Initrd => (
            format!("it fetched {file} and no kernel"),
            "put the kernel before it in the boot recipe".to_string(),
        ),
        FileKind::LocalDisk | FileKind::Kernel | FileKind::Program => {
            let what = if stage >= Stage::Kernel { "the rest" } else { "anything more" };
            (
                format!("it fetched {file} and did not ask for {what}"),
                "look at the machine's screen".to_string(),
            )
        }
    }
}

/// A file did not go out whole.
fn ended(via: Via, file: &str, why: &str) -> (String, String) {
    let next = if why.contains("no such file") {
        format!("put {file} into the boot folder, or correct the name in the boot recipe")
    } else if why.contains("cannot be read") {
        format!("look at the file {file} and its disk on the boot service's machine")
    } else if why.contains("client ended") || why.contains("port is closed") {
        "look at the machine's screen; where it says that the file is too big, its firmware lacks memory for it".to_string()
    } else if why.contains("stopped answering") || why.contains("connection ended") {
        "check the cable, the link speed and the MTU on the way (a TFTP block size of 512 avoids fragments)".to_string()
    } else {
        "see the boot service's log".to_string()
    };
    (
        format!("it did not get {file} by {}: {why}", via.says()),
        next,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dhcp::Dropped;
    use core::net::Ipv4Addr;

    #[test]
    fn an_offer_of_proxy_dhcp_without_a_fetch_asks_for_the_server_that_gives_addresses() {
        let mut found = Found::default();
        found.asked("UEFI PXE");
        found.step(&BootStep::Offered {
            via: Via::ProxyDhcp,
            address: None,
            file: Some("snponly.efi".to_string()),
        });
        let (why, next) = judge(Stage::Asking, &found, None);
        assert!(
            why.contains("was offered snponly.efi by proxyDHCP and never asked for it"),
            "{why}"
        );
        assert!(next.contains("leases it an address"), "{next}");
        found.step(&BootStep::Offered {
            via: Via::Dhcp,
            address: Some("10.0.0.9".to_string()),
            file: None,
        });
        let (why, _) = judge(Stage::Asking, &found, None);
        assert!(
            why.contains("was offered 10.0.0.9 and never took it"),
            "{why}"
        );
    }

    #[test]
    fn each_refusal_of_the_dhcp_server_has_its_next_step() {
        let at = Ipv4Addr::LOCALHOST;
        for dropped in [
            Dropped::Refused,
            Dropped::LocalDisk,
            Dropped::PoolExhausted,
            Dropped::ForeignRelay(at),
            Dropped::NotServed(at),
            Dropped::OtherServer(at),
            Dropped::NoAddress,
            Dropped::Declines,
        ] {
            let why = dropped.to_string();
            let word = REFUSALS.iter().find(|(word, _)| why.contains(word));
            let wants = match dropped {
                Dropped::LocalDisk => {
                    assert!(is_local_disk(&why));
                    continue;
                }
                Dropped::Refused => "site file",
                Dropped::PoolExhausted => "enlarge the pool",
                Dropped::ForeignRelay(_) | Dropped::NotServed(_) => "subnet to the boot service",
                Dropped::OtherServer(_) => "other DHCP server",
                Dropped::NoAddress => "ask anew",
                Dropped::Declines => "without a lease",
            };
            assert!(
                word.is_some_and(|row| row.1.contains(wants)),
                "{why}: {word:?}"
            );
        }
    }
}
