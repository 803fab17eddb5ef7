// SPDX-License-Identifier: Apache-2.0
//! Plays a script of steps: `SECONDS MACHINE WORD ...`, a line each.

use groundstate_api::boot::Firmware;
use groundstate_api::boot_session::{BootSession, BootStep, SessionState, Via};
use groundstate_api::{Bytes, MacAddr, Millis};
use pxe_core::session::{About, Action, Event, Limits, Sessions};
use std::fmt::Write as _;

pub(crate) const BEGAN: Millis = Millis(1_700_000_000_000);

pub(crate) struct Play {
    pub(crate) sessions: Sessions,
    pub(crate) told: String,
}

pub(crate) fn mac(n: u32) -> MacAddr {
    let [a, b, c, d] = n.to_be_bytes();
    MacAddr([2, 0, a, b, c, d])
}

impl Play {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            sessions: Sessions::new(limits),
            told: String::new(),
        }
    }

    pub(crate) fn event(&mut self, now: Millis, event: Event) {
        let mut out = Vec::new();
        self.sessions.handle(now, event, &mut out);
        for action in out {
            self.tell(now, &action);
        }
    }

    /// Lets time pass: each deadline on the way is met.
    pub(crate) fn until(&mut self, now: Millis) {
        while let Some(at) = self.sessions.deadline().filter(|at| *at <= now) {
            self.event(at, Event::Timeout);
        }
    }

    pub(crate) fn script(&mut self, script: &str) {
        for line in script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            let (at, rest) = line.split_once(' ').unwrap();
            let seconds: f64 = at.parse().unwrap();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let now = BEGAN.plus(Millis((seconds * 1_000.0).round() as u64));
            self.until(now);
            if rest == "wait" {
                continue;
            }
            if let Some(server) = rest.strip_prefix("foreign ") {
                let server = server.parse().unwrap();
                self.event(
                    now,
                    Event::Foreign {
                        server,
                        client: None,
                    },
                );
                continue;
            }
            let (machine, rest) = rest.split_once(' ').unwrap();
            let event = Event::Step {
                mac: mac(machine.parse().unwrap()),
                step: step(rest),
                about: About::default(),
            };
            self.event(now, event);
        }
    }

    fn tell(&mut self, now: Millis, action: &Action) {
        let at = since(now);
        match action {
            Action::Began(mac) => writeln!(self.told, "{at} {mac} begins").unwrap(),
            Action::Ended(session) => {
                writeln!(self.told, "{at} {} {}", session.mac, state(session)).unwrap();
            }
            Action::Foreign(foreign) => {
                writeln!(self.told, "{at} ALARM {}", foreign.server).unwrap();
            }
        }
    }

    /// Every session with its steps, oldest first.
    pub(crate) fn picture(&self) -> String {
        let mut text = String::new();
        for session in self.sessions.list(None).iter().rev() {
            let address = session.address.as_deref().unwrap_or("no address");
            writeln!(text, "{} {address}: {}", session.mac, state(session)).unwrap();
            for step in &session.steps {
                let again = match step.again {
                    0 => String::new(),
                    n => format!(" (and {n} more)"),
                };
                writeln!(text, "  {} {}{again}", since(step.at), step.step.says()).unwrap();
            }
        }
        text
    }
}

fn since(at: Millis) -> String {
    let ms = at.since(BEGAN).0;
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

fn state(session: &BootSession) -> String {
    match &session.state {
        SessionState::Stopped { why, next } => format!("stopped: {why}. Next: {next}"),
        SessionState::Running => "running".into(),
        SessionState::Fetched => "fetched".into(),
        SessionState::LocalDisk => "own disk".into(),
    }
}

fn via(word: &str) -> Via {
    match word {
        "dhcp" => Via::Dhcp,
        "proxy" => Via::ProxyDhcp,
        "dhcp6" => Via::Dhcp6,
        "tftp" => Via::Tftp,
        "http" => Via::Http,
        other => panic!("no such way: {other}"),
    }
}

fn step(text: &str) -> BootStep {
    let mut words = text.splitn(2, ' ');
    let word = words.next().unwrap();
    let rest = words.next().unwrap_or_default();
    let mut parts = rest.splitn(3, ' ').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    match word {
        "asks" => BootStep::Asked {
            via: Via::Dhcp,
            client: rest.into(),
            firmware: match rest {
                "BIOS PXE" => Some(Firmware::Bios),
                "UEFI PXE" => Some(Firmware::UefiPxe),
                "UEFI HTTP Boot" => Some(Firmware::UefiHttp),
                _ => None,
            },
        },
        "offer" => BootStep::Offered {
            via: Via::Dhcp,
            address: Some(next()),
            file: Some(next()).filter(|file| !file.is_empty()),
        },
        "bound" => BootStep::Bound {
            via: Via::Dhcp,
            address: next(),
            file: Some(next()).filter(|file| !file.is_empty()),
        },
        "denied" => BootStep::Denied {
            via: Via::Dhcp,
            why: rest.into(),
        },
        "unanswered" => BootStep::Unanswered {
            via: Via::Dhcp,
            why: rest.into(),
        },
        "get" => BootStep::FileAsked {
            via: via(&next()),
            file: next(),
        },
        "got" => BootStep::FileSent {
            via: via(&next()),
            file: next(),
            length: Bytes::mib(1),
            took: Millis(250),
            again: 0,
        },
        "lost" => BootStep::FileEnded {
            via: via(&next()),
            file: next(),
            why: next(),
        },
        "local" => BootStep::SentToLocalDisk { via: Via::Dhcp },
        other => panic!("no such step: {other}"),
    }
}
