// SPDX-License-Identifier: Apache-2.0
//! A boot session: what the boot service saw of one machine between its first DISCOVER and its kernel, step by step.
//!
//! It keeps what happened and when; it judges nothing but why the session stopped, in words.

use crate::boot::{BootSighting, Firmware};
use crate::ids::{MacAddr, SystemUuid};
use crate::units::{Bytes, Millis};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// How something went over the wire.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// DHCPv4.
    Dhcp,
    /// proxyDHCP beside another DHCP server, on port 67 or 4011.
    ProxyDhcp,
    /// DHCPv6.
    Dhcp6,
    /// TFTP.
    Tftp,
    /// HTTP.
    Http,
}

impl Via {
    /// For people.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Dhcp => "DHCP",
            Self::ProxyDhcp => "proxyDHCP",
            Self::Dhcp6 => "DHCPv6",
            Self::Tftp => "TFTP",
            Self::Http => "HTTP",
        }
    }
    /// As it stands in JSON and in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dhcp => "dhcp",
            Self::ProxyDhcp => "proxy-dhcp",
            Self::Dhcp6 => "dhcp6",
            Self::Tftp => "tftp",
            Self::Http => "http",
        }
    }
}

/// One step of a boot.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum BootStep {
    /// The machine asked for servers: DHCPDISCOVER, Solicit, or a proxyDHCP request.
    Asked {
        /// Over what.
        via: Via,
        /// What asks, in words: `BIOS PXE`, `iPXE`, `UEFI HTTP Boot`, `an operating system`, `architecture 11`.
        client: String,
        /// Its firmware, where it is one that we know.
        firmware: Option<Firmware>,
    },
    /// It was offered an address or a boot file.
    Offered {
        /// Over what.
        via: Via,
        /// The address, where one was offered.
        address: Option<String>,
        /// The boot file or URL, where one was named.
        file: Option<String>,
    },
    /// It has the address: DHCPACK, Reply.
    Bound {
        /// Over what.
        via: Via,
        /// The address.
        address: String,
        /// The boot file or URL, where one was named.
        file: Option<String>,
    },
    /// It was told no: DHCPNAK, a status code.
    Denied {
        /// Over what.
        via: Via,
        /// Why.
        why: String,
    },
    /// It got no answer.
    Unanswered {
        /// Over what.
        via: Via,
        /// Why.
        why: String,
    },
    /// It asked for a boot file or script.
    FileAsked {
        /// Over what.
        via: Via,
        /// Its name.
        file: String,
    },
    /// A boot file or script went out whole.
    FileSent {
        /// Over what.
        via: Via,
        /// Its name.
        file: String,
        /// Its length.
        length: Bytes,
        /// How long it took.
        took: Millis,
        /// Datagrams or ranges that were sent again.
        #[serde(rename = "resent")]
        again: u32,
    },
    /// A boot file did not go out whole.
    FileEnded {
        /// Over what.
        via: Via,
        /// Its name.
        file: String,
        /// Why: `no such file`, `the client ended it: ...`, `the client stopped answering`.
        why: String,
    },
    /// It was told to boot its own disk.
    SentToLocalDisk {
        /// Over what.
        via: Via,
    },
}

/// A step and when it was seen.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedStep {
    /// When it was seen first, milliseconds since 1970.
    pub at: Millis,
    /// When it was seen last, milliseconds since 1970.
    #[serde(default)]
    pub last: Millis,
    /// How often it was seen again since, unchanged: retries.
    pub again: u32,
    /// The step.
    #[serde(flatten)]
    pub step: BootStep,
}

/// How a session stands.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SessionState {
    /// Something was heard lately.
    Running,
    /// The kernel and its initramfs, the unified kernel image, or the user's own program were fetched.
    Fetched,
    /// It was sent to its own disk.
    LocalDisk,
    /// It stopped, and this is why as far as it can be seen from here, and what to do next.
    Stopped {
        /// Why.
        why: String,
        /// What a person can do.
        next: String,
    },
}

/// What was seen of one boot of one machine.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootSession {
    /// The machine.
    pub mac: MacAddr,
    /// Its UUID, where it was sent.
    pub uuid: Option<SystemUuid>,
    /// Its firmware, where it is one that we know.
    pub firmware: Option<Firmware>,
    /// The address that it has, where it has one.
    pub address: Option<String>,
    /// The relay agent, where there is one.
    pub relay: Option<String>,
    /// The boot service that saw it, where that is not the one that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// When it began, milliseconds since 1970.
    pub began: Millis,
    /// When something was last heard, milliseconds since 1970.
    pub last: Millis,
    /// How it stands.
    pub state: SessionState,
    /// Its steps in order.
    pub steps: Vec<TimedStep>,
    /// Steps that were not kept because there were too many.
    pub left_out: u32,
}

impl SessionState {
    /// The state's word, as it stands in JSON and in tables.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Fetched => "fetched",
            Self::LocalDisk => "local-disk",
            Self::Stopped { .. } => "stopped",
        }
    }
}

impl BootStep {
    /// The step's word, as it stands in JSON.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Asked { .. } => "asked",
            Self::Offered { .. } => "offered",
            Self::Bound { .. } => "bound",
            Self::Denied { .. } => "denied",
            Self::Unanswered { .. } => "unanswered",
            Self::FileAsked { .. } => "file-asked",
            Self::FileSent { .. } => "file-sent",
            Self::FileEnded { .. } => "file-ended",
            Self::SentToLocalDisk { .. } => "sent-to-local-disk",
        }
    }

    /// Over what it went.
    #[must_use]
    pub const fn via(&self) -> Via {
        match self {
            Self::Asked { via, .. }
            | Self::Offered { via, .. }
            | Self::Bound { via, .. }
            | Self::Denied { via, .. }
            | Self::Unanswered { via, .. }
            | Self::FileAsked { via, .. }
            | Self::FileSent { via, .. }
            | Self::FileEnded { via, .. }
            | Self::SentToLocalDisk { via } => *via,
        }
    }

    /// The step in words.
    #[must_use]
    pub fn says(&self) -> String {
        let about = |file: &Option<String>| match file {
            Some(file) => format!(", boot file {file}"),
            None => String::new(),
        };
        match self {
            Self::Asked { via, client, .. } => format!("{client} asked by {}", via.says()),
            Self::Offered { address, file, .. } => match address {
                Some(address) => format!("was offered {address}{}", about(file)),
                None => format!("was offered no address{}", about(file)),
            },
            Self::Bound { address, file, .. } => format!("has {address}{}", about(file)),
            Self::Denied { via, why } => format!("was told no by {}: {why}", via.says()),
            Self::Unanswered { via, why } => format!("got no answer by {}: {why}", via.says()),
            Self::FileAsked { via, file } => format!("asked for {file} by {}", via.says()),
            Self::FileSent {
                via,
                file,
                length,
                took,
                again,
            } => {
                let again = match again {
                    0 => String::new(),
                    again => format!(", {again} sent again"),
                };
                format!("got {file} by {}: {length} in {took}{again}", via.says())
            }
            Self::FileEnded { via, file, why } => {
                format!("did not get {file} by {}: {why}", via.says())
            }
            Self::SentToLocalDisk { via } => format!("was sent to its own disk by {}", via.says()),
        }
    }
}

/// A DHCP server on the provisioning network that is not ours.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignServer {
    /// Its address, as it names itself (option 54), else where its packet came from.
    pub server: String,
    /// When it was heard first, milliseconds since 1970.
    pub first: Millis,
    /// When it was heard last, milliseconds since 1970.
    pub last: Millis,
    /// How many of its packets were heard.
    pub packets: u64,
    /// The machine that it answered last, where that is known.
    pub client: Option<MacAddr>,
}

/// Every session that is remembered, newest first.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootSessions {
    /// The sessions.
    pub sessions: Vec<BootSession>,
    /// DHCP servers that are not ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignServer>,
    /// Sessions that were forgotten because there were too many.
    #[serde(default)]
    pub forgotten: u64,
}

/// What a boot service on another machine tells the provisioner.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootReport {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// What the service calls itself: the host name of its machine.
    pub service: String,
    /// What it saw since its last report, oldest first; at most [`SIGHTINGS_PER_REPORT_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sightings: Vec<SightingOf>,
    /// The sessions that changed since; at most [`SESSIONS_PER_REPORT_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<BootSession>,
    /// The foreign DHCP servers that it knows of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignServer>,
}

/// A sighting and whose it is.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SightingOf {
    /// The machine.
    pub mac: MacAddr,
    /// What was seen.
    pub sighting: BootSighting,
}

/// The most sightings in one report: with reasons in them, about 250 KiB.
pub const SIGHTINGS_PER_REPORT_MAX: usize = 500;
/// The most sessions in one report: with every step that is kept, about 1 MiB.
pub const SESSIONS_PER_REPORT_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_reads_as_it_was_written() {
        let (via, file, why) = (Via::Tftp, String::from("f"), String::from("w"));
        let address = String::from("10.0.0.5");
        for step in [
            BootStep::Asked {
                via,
                client: "iPXE".into(),
                firmware: Some(Firmware::Bios),
            },
            BootStep::Offered {
                via,
                address: Some(address.clone()),
                file: None,
            },
            BootStep::Bound {
                via,
                address,
                file: Some(file.clone()),
            },
            BootStep::Denied {
                via,
                why: why.clone(),
            },
            BootStep::Unanswered {
                via,
                why: why.clone(),
            },
            BootStep::FileAsked {
                via,
                file: file.clone(),
            },
            BootStep::FileSent {
                via,
                file: file.clone(),
                length: Bytes(5),
                took: Millis(6),
                again: 7,
            },
            BootStep::FileEnded { via, file, why },
            BootStep::SentToLocalDisk { via },
        ] {
            let timed = TimedStep {
                at: Millis(1),
                last: Millis(2),
                again: 3,
                step,
            };
            let text = serde_json::to_string(&timed).unwrap();
            let word = alloc::format!("\"step\":\"{}\"", timed.step.as_str());
            assert!(text.contains(&word), "{text}");
            assert_eq!(
                serde_json::from_str::<TimedStep>(&text).unwrap(),
                timed,
                "{text}"
            );
        }
    }
}
