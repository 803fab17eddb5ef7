// SPDX-License-Identifier: Apache-2.0
//! The service: who is told of a boot file.

use super::config::{ProxyConfig, ProxyConfigError};
use super::reply;
use super::request::{Port, ProxyRequest};
use crate::dhcp::{BootFile, Client, Message, Quiet, boot_file, no_file};
use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::net::SocketAddrV4;
use groundstate_api::boot::{BootAnswer, BootSighting};
use groundstate_api::boot_session::{BootStep, Via};
use groundstate_api::{MacAddr, Millis};

/// What happened.
#[derive(Clone, Debug)]
pub enum ProxyEvent {
    /// A client's message came, and the boot policy answered its question.
    Asked {
        /// The message.
        asked: Box<ProxyRequest>,
        /// What the machine shall boot.
        answer: BootAnswer,
    },
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyAction {
    /// Send a reply from the port that was asked.
    Send {
        /// Where to.
        to: SocketAddrV4,
        /// The bytes of the datagram.
        bytes: Vec<u8>,
    },
    /// Tell what was seen.
    Saw {
        /// Of which machine.
        mac: MacAddr,
        /// What.
        sighting: BootSighting,
    },
    /// Join a step to the machine's boot session.
    Step {
        /// The machine.
        mac: MacAddr,
        /// The step.
        step: BootStep,
    },
    /// The message got no answer.
    Dropped {
        /// Whose it was.
        mac: MacAddr,
        /// Why.
        why: ProxyDropped,
    },
}

/// Why a message got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyDropped {
    /// An operating system: the DHCP server's business.
    #[error("this is no network boot client, and addresses are the other server's business")]
    NotBooting,
    /// A message for the DHCP server.
    #[error("this message is for the DHCP server that gives the address")]
    ForDhcpServer,
    /// It asks another boot server.
    #[error("the client chose another boot server")]
    OtherServer,
    /// The boot policy refuses the machine.
    #[error("the boot policy refuses this machine")]
    Refused,
    /// The boot policy has nothing for the machine, or wants its firmware to go on by itself.
    #[error("there is nothing for this machine to boot")]
    Nothing,
    /// There is no file for its architecture.
    #[error("there is no boot file for processor architecture type {0}")]
    NoFileFor(u16),
}

/// A proxyDHCP service. It keeps no state of its clients.
#[derive(Clone, Debug)]
pub struct Proxy {
    config: ProxyConfig,
    quiet: Quiet,
}

impl Proxy {
    /// A service.
    ///
    /// # Errors
    /// An address that machines could not fetch boot files from.
    pub fn new(config: ProxyConfig) -> Result<Self, ProxyConfigError> {
        config.check()?;
        Ok(Self {
            config,
            quiet: Quiet::default(),
        })
    }

    /// Answers by another configuration from now on.
    ///
    /// # Errors
    /// An address that machines could not fetch boot files from; then everything stays as it was.
    pub fn reload(&mut self, config: ProxyConfig) -> Result<(), ProxyConfigError> {
        *self = Self::new(config)?;
        Ok(())
    }

    /// What it was told.
    #[must_use]
    pub const fn config(&self) -> &ProxyConfig {
        &self.config
    }

    /// Decides. `now` is milliseconds since 1970 and does not run backwards.
    pub fn handle(&mut self, now: Millis, event: ProxyEvent, out: &mut Vec<ProxyAction>) {
        match event {
            ProxyEvent::Asked { asked, answer } => {
                let mac = asked.request.mac;
                if let Err(why) = self.answer(now, &asked, &answer, out) {
                    match why {
                        ProxyDropped::NotBooting
                        | ProxyDropped::ForDhcpServer
                        | ProxyDropped::OtherServer => {}
                        ProxyDropped::Refused
                        | ProxyDropped::Nothing
                        | ProxyDropped::NoFileFor(_) => {
                            let (via, why) = (Via::ProxyDhcp, why.to_string());
                            let step = BootStep::Unanswered { via, why };
                            out.push(ProxyAction::Step { mac, step });
                        }
                    }
                    out.push(ProxyAction::Dropped { mac, why });
                }
            }
        }
    }

    fn answer(
        &mut self,
        now: Millis,
        asked: &ProxyRequest,
        answer: &BootAnswer,
        out: &mut Vec<ProxyAction>,
    ) -> Result<(), ProxyDropped> {
        let request = &asked.request;
        self.is_for_us(asked)?;
        let (mac, via) = (request.mac, Via::ProxyDhcp);
        let step = BootStep::Asked {
            via,
            client: request.client.words().into_owned(),
            firmware: request.client.firmware(),
        };
        out.push(ProxyAction::Step { mac, step });
        let boot = boot_file(answer, request.client, &self.config.boot);
        self.sighting(now, asked, answer, &boot, out);
        let Some((to, bytes)) = reply::build(&self.config, asked, &boot) else {
            return Err(match (boot, answer) {
                (BootFile::NoFileFor { architecture }, _) => ProxyDropped::NoFileFor(architecture),
                (_, BootAnswer::Refuse { .. }) => ProxyDropped::Refused,
                (
                    _,
                    BootAnswer::MaintenanceOs
                    | BootAnswer::LocalDisk { .. }
                    | BootAnswer::Recipe { .. }
                    | BootAnswer::Nothing,
                ) => ProxyDropped::Nothing,
            });
        };
        out.push(ProxyAction::Send { to, bytes });
        let own = Some(request.ciaddr).filter(|address| !address.is_unspecified());
        let step = BootStep::Offered {
            via,
            address: own.map(|address| address.to_string()),
            file: boot.named(mac, self.config.http),
        };
        out.push(ProxyAction::Step { mac, step });
        Ok(())
    }

    fn is_for_us(&self, asked: &ProxyRequest) -> Result<(), ProxyDropped> {
        let request = &asked.request;
        if request.client == Client::Plain {
            return Err(ProxyDropped::NotBooting);
        }
        match (asked.port, request.message) {
            (_, Message::Release | Message::Decline) => Err(ProxyDropped::ForDhcpServer),
            // A search for boot servers goes to everybody on port 67; every other request there is the one for an address.
            (Port::Dhcp, Message::Request) if asked.item.is_none() => {
                Err(ProxyDropped::ForDhcpServer)
            }
            (Port::BootServer, Message::Request | Message::Inform)
            | (Port::Dhcp, Message::Request) => match request.server_id {
                // Firmware that repeats its DHCP server's name here asks us all the same: it sent this to our address.
                Some(server) if server != self.config.address && asked.port == Port::Dhcp => {
                    Err(ProxyDropped::OtherServer)
                }
                Some(_) | None => Ok(()),
            },
            (_, Message::Discover) | (Port::Dhcp, Message::Inform) => Ok(()),
        }
    }

    fn sighting(
        &mut self,
        now: Millis,
        asked: &ProxyRequest,
        answer: &BootAnswer,
        boot: &BootFile,
        out: &mut Vec<ProxyAction>,
    ) {
        let mac = asked.request.mac;
        let sighting = match (answer, boot) {
            (BootAnswer::Refuse { reason }, _) => BootSighting::Refused {
                reason: reason.clone(),
            },
            (_, BootFile::NoFileFor { architecture }) => {
                no_file(&self.config.boot, mac, "DHCP option 93", *architecture)
            }
            (BootAnswer::LocalDisk { .. }, _) => BootSighting::SentToLocalDisk,
            (BootAnswer::MaintenanceOs | BootAnswer::Recipe { .. } | BootAnswer::Nothing, _) => {
                return;
            }
        };
        if self.quiet.may_tell(now, mac) {
            out.push(ProxyAction::Saw { mac, sighting });
        }
    }
}
