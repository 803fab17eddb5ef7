// SPDX-License-Identifier: Apache-2.0
//! A site of two racks whose nodes stand where a journal says, and the command.

use groundstate_api::event::{Event, Happened};
use groundstate_api::plan::{HandOver, OrderTerms, Step};
use groundstate_api::run::StepState;
use groundstate_api::site::{Node, Site};
use groundstate_api::site_parts::Rack;
use groundstate_api::view::Phase;
use groundstate_api::{Bytes, MacAddr, Millis, NodeId, Part, Reason, ReasonCode};
use provisioner::journal::{Journal as _, SqliteJournal};
use provisioner::peer::{Loopback, lab};
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// How long ago everything happened: it reads `5 min` for as long as a test takes.
const AGO: u64 = 310_000;

/// What the nodes of each rack are.
const PHASES: [Phase; 8] = [
    Phase::Ready,
    Phase::Held,
    Phase::Provisioning,
    Phase::Ready,
    Phase::Enrolled,
    Phase::Quarantined,
    Phase::Suspect,
    Phase::InRepair,
];

pub(crate) struct World {
    pub(crate) dir: TempDir,
    address: Option<SocketAddr>,
    serving: Option<Loopback>,
}

fn node(rack: u8, number: u8) -> NodeId {
    format!("r{rack}-{number:02}").parse().unwrap()
}

fn site() -> Site {
    let rack = |number: u8, place: &str| Rack {
        name: format!("r{number}"),
        fault_domain: None,
        units: 20,
        place: place.to_owned(),
        relay: None,
    };
    let fixture = |name: &str, rack: &str, unit| {
        serde_json::from_value(json!({"name": name, "rack": rack, "unit": unit})).unwrap()
    };
    let nodes = (1..=2_u8).flat_map(|rack| (1..=8_u8).map(move |number| site_node(rack, number)));
    Site {
        racks: vec![rack(1, "hall 1"), rack(2, "")],
        switches: vec![fixture("sw-1", "r1", 20)],
        pdus: vec![fixture("pdu-2", "r2", 1)],
        ..lab(nodes.collect())
    }
}

fn site_node(rack: u8, number: u8) -> Node {
    let uuid = format!("564d1234-5678-9abc-def0-1234567{rack}{number:04x}");
    let slot = json!({"rack": format!("r{rack}"), "unit": u16::from(number) * 2});
    Node {
        slot: serde_json::from_value(slot).unwrap(),
        ..Node::new(
            node(rack, number),
            MacAddr([0x52, 0x54, 0, 0, rack, number]),
            uuid.parse().unwrap(),
            &format!("GS{rack}-{number}"),
        )
    }
}

pub(crate) fn dimm_missing() -> Reason {
    Reason::new(
        ReasonCode::DimmMissing,
        "the DIMM in slot DIMM_B1 is missing",
        "power the machine off, reseat or replace the DIMM in slot DIMM_B1, and order the run again",
    )
    .about(Part::Dimm {
        slot: "DIMM_B1".into(),
        serial: Some("D-0002".into()),
        size: Some("16 GiB".into()),
    })
    .seen("SMBIOS says slot DIMM_B1 is empty")
}

/// How a node came to its phase.
fn history(node: &NodeId, phase: Phase) -> Vec<Happened> {
    let mut told = vec![Happened::NodeAdded];
    if phase == Phase::Enrolled {
        return told;
    }
    let run = format!("{node}-001-1").parse().unwrap();
    let moved = |from, to, reason| Happened::PhaseChanged { from, to, reason };
    told.push(Happened::RunOrdered {
        run,
        hand_over: HandOver::Kexec,
        window_closes: Millis(now() + 900_000),
        terms: OrderTerms::default(),
    });
    told.push(moved(Phase::Enrolled, Phase::Ordered, None));
    told.push(moved(Phase::Ordered, Phase::Checking, None));
    match phase {
        Phase::Held => told.push(moved(Phase::Checking, Phase::Held, Some(dimm_missing()))),
        Phase::Provisioning => {
            told.push(moved(Phase::Checking, Phase::Provisioning, None));
            told.push(Happened::StepMoved {
                run: format!("{node}-001-1").parse().unwrap(),
                number: 1,
                step: Step::Image,
                state: StepState::Running {
                    done: Bytes::gib(1),
                    total: Bytes::gib(4),
                },
                peak_memory: Bytes::mib(60),
            });
        }
        other => told.push(moved(Phase::Checking, other, None)),
    }
    told
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        let mut events = Vec::new();
        let at = Millis(now() - AGO);
        for rack in 1..=2_u8 {
            for number in 1..=8_u8 {
                let id = node(rack, number);
                let phase = PHASES[usize::from(number + rack) % PHASES.len()];
                for what in history(&id, phase) {
                    events.push(Event {
                        number: u64::try_from(events.len()).unwrap() + 1,
                        at,
                        node: Some(id.clone()),
                        what,
                    });
                }
            }
        }
        journal.append(&events).unwrap();
        drop(journal);
        let mut world = Self {
            dir,
            address: None,
            serving: None,
        };
        world.start();
        world
    }

    /// Serves. Nothing happens by itself: what is shown stays as the journal says.
    pub(crate) fn start(&mut self) {
        let port = self.address.map_or(0, |address| address.port());
        let serving = Loopback::serve_at(self.dir.path(), site(), port);
        self.address = Some(serving.address);
        self.serving = Some(serving);
    }

    /// Ends the server, as a restart does.
    pub(crate) fn stop(&mut self) {
        self.serving.take().unwrap().end();
    }

    pub(crate) fn server(&self) -> String {
        format!("https://{}", self.address.unwrap())
    }

    pub(crate) fn credential(&self) -> PathBuf {
        self.dir.path().join("pki/operator")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = groundstate(args);
        command
            .env("GROUNDSTATE_SERVER", self.server())
            .env("GROUNDSTATE_CREDENTIAL", self.credential())
            .env("XDG_CACHE_HOME", self.dir.path().join("cache"));
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs it, and looks at the exit status and for these words in what it said.
    pub(crate) fn check(&self, args: &[&str], status: i32, wants: &[&str]) -> String {
        check(&self.run(args), status, wants)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.serving.is_some() {
            self.stop();
        }
    }
}

pub(crate) fn groundstate(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
    command.args(args);
    for name in [
        "GROUNDSTATE_SERVER",
        "GROUNDSTATE_CREDENTIAL",
        "COLUMNS",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command
}

/// What was said on both outputs.
pub(crate) fn check(output: &Output, status: i32, wants: &[&str]) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(status), "{text}");
    for want in wants {
        assert!(text.contains(want), "{want:?} is not in {text}");
    }
    assert!(
        !text.contains('\u{1b}'),
        "no colour where no terminal is: {text}"
    );
    text
}
