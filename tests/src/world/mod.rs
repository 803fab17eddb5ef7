// SPDX-License-Identifier: Apache-2.0
//! A simulated world: the product's own cores, a virtual clock, and a printer. No socket, no disk, no thread.
//!
//! The maintenance OS's machine, the judgement, the planner, the guard and the provisioner's node machine are the
//! product's; simulated are only the hardware's answers and the time that things take.

mod hardware;
mod provisioner;

pub use hardware::{Trouble, image, inventory, site, site as sim_site};

use groundstate_api::enrol::EnrolReply;
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::{Plan, Step};
use groundstate_api::run::Instruction;
use groundstate_api::site::Site;
use groundstate_api::view::Phase;
use groundstate_api::{Bytes, Millis, Reason, ReasonCode};
use mos_core::phases::{Action, Event, Phases};
use mos_core::screen::log_lines;
use provisioner::Provisioner;
use std::collections::VecDeque;

/// When the world begins, milliseconds since 1970: a whole second, so that transcripts are easy to read.
const BEGIN: Millis = Millis(1_793_000_000_000);
/// How long the firmware takes here after a power cut: less than the provisioner waits before it believes in one, so that the
/// wait is seen too.
const FIRMWARE: Millis = Millis::secs(22);
/// The most events that a run may take before the world calls it stuck.
const EVENTS_MAX: u32 = 5_000;

/// One node and its provisioner.
pub struct World {
    now: Millis,
    trouble: Trouble,
    inventory: Inventory,
    phases: Phases,
    provisioner: Provisioner,
    lines: Vec<String>,
    events: VecDeque<Event>,
    reports: u64,
    is_away: bool,
    /// How often it was powered on.
    boots: u32,
}

/// Runs one node through one ordered run, until it is Ready or Held, and gives the transcript.
#[must_use]
pub fn transcript(trouble: Trouble) -> String {
    let site = hardware::site();
    let mut world = World {
        now: BEGIN,
        trouble,
        inventory: hardware::inventory(trouble),
        phases: Phases::default(),
        provisioner: Provisioner::new(site, hardware::image(), trouble),
        lines: Vec::new(),
        events: VecDeque::from([Event::Started]),
        reports: 0,
        is_away: false,
        boots: 1,
    };
    world.provisioner.order(world.now);
    world.flush();
    world.live();
    world.lines.push(String::new());
    world.lines.join("\n")
}

impl World {
    fn live(&mut self) {
        for _ in 0..EVENTS_MAX {
            let event = self.events.pop_front().unwrap_or(Event::Timeout);
            if event == Event::Timeout {
                let Some(wake) = self.phases.deadline() else {
                    return;
                };
                self.now = self.now.max(wake);
            }
            let mut wishes = Vec::new();
            self.phases.handle(self.now, event, &mut wishes);
            for wish in wishes {
                self.act(wish);
                self.flush();
            }
            if self.events.is_empty()
                && matches!(self.provisioner.phase(), Phase::Ready | Phase::Held)
            {
                return;
            }
        }
        self.say("world", "the run is stuck");
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Show(scene) => {
                for line in log_lines(&scene) {
                    self.say("node", &line);
                }
            }
            Action::GetLease => {
                self.pass(3_400);
                self.provisioner.lease(self.now);
                self.events.push_back(Event::LeaseGot {
                    interface: "eth0".into(),
                    address: "10.77.0.100".into(),
                });
            }
            Action::Enrol => self.enrol(),
            Action::Inspect => {
                self.pass(1_600);
                self.events.push_back(Event::Inspected);
            }
            Action::SendInventory => {
                let instruction = self.provisioner.inventory(self.now, &self.inventory);
                self.events.push_back(Event::Instructed(instruction));
            }
            Action::Ask => {
                let instruction = self.provisioner.instruction();
                self.events.push_back(Event::Instructed(instruction));
            }
            Action::CarryOut { plan, step } => self.carry_out(&plan, step),
            Action::Report { step, state } => {
                self.reports += 1;
                let instruction = self
                    .provisioner
                    .progress(self.now, self.reports, step, state);
                self.events.push_back(Event::Instructed(instruction));
                self.events.push_back(Event::ReportsDelivered {
                    through: self.reports,
                });
            }
            Action::StartHost { .. } => {
                self.pass(12_000);
                self.provisioner.host_calls(self.now);
            }
            Action::StartLocalHost(_) => self.say("node", "the host on the disk is started"),
            Action::OpenShell { keys } => {
                self.say(
                    "node",
                    &format!("a shell is opened for {} keys", keys.len()),
                );
            }
            Action::CloseShell => self.say("node", "the shell is closed"),
        }
    }

    fn enrol(&mut self) {
        self.pass(300);
        if self.trouble == Trouble::WindowExpired {
            self.pass(groundstate_api::limits::ENROLMENT_WINDOW_MAX.0);
            self.provisioner.time_passes(self.now);
        }
        let key = match (self.trouble, self.boots) {
            (Trouble::SecondKey, _) => ["sha256:first", "sha256:second"].as_slice(),
            (_, 1) => ["sha256:first"].as_slice(),
            (_, _) => ["sha256:of-the-second-boot"].as_slice(),
        };
        let mut answer = None;
        for each in key {
            answer = Some(self.provisioner.enrol(self.now, each, &self.inventory));
        }
        if let Some(reply) = answer {
            if let EnrolReply::Refused { reason, .. } = &reply {
                let first = reason.lines().into_iter().next().unwrap_or_default();
                self.say("provisioner", &format!("refuses the enrolment: {first}"));
                if self.trouble != Trouble::PowerCutInLayout {
                    // This machine asks for ever; the transcript ends with its first refusal.
                    self.events.clear();
                    self.provisioner.give_up();
                }
            }
            self.events.push_back(Event::EnrolAnswered(reply));
        }
    }

    fn carry_out(&mut self, plan: &Plan, step: Step) {
        self.pass(hardware::takes(step));
        if (step, self.trouble, self.boots) == (Step::Volumes, Trouble::PowerCutInLayout, 1) {
            self.cut_power(plan);
            return;
        }
        let event = match (step, self.trouble) {
            (Step::Guard, _) => self.guard(plan),
            (Step::Image, Trouble::ProvisionerAway) if !self.is_away => {
                self.is_away = true;
                let half = Bytes(plan.image.size.0 / 2);
                self.events.push_back(Event::StepMoved {
                    done: half,
                    total: plan.image.size,
                });
                let reason = Reason::new(
                    ReasonCode::ProvisionerUnreachable,
                    "the provisioner does not answer",
                    "check that `groundstate up` runs",
                )
                .then("it asks again every few seconds");
                self.events.push_back(Event::StepWaiting { reason });
                self.pass(20_000);
                Event::StepDone {
                    facts: vec!["went on where it had stopped".into()],
                }
            }
            (Step::Image, Trouble::DiskBreaks) => {
                let os = plan
                    .disks
                    .iter()
                    .find(|disk| disk.role == groundstate_api::plan::Role::Os);
                let part = os.map(|disk| groundstate_api::Part::Disk {
                    slot: disk.slot.clone(),
                    serial: disk.serial.clone(),
                    size: Some(disk.size.to_string()),
                    model: Some(disk.model.clone()),
                });
                let mut reason = Reason::new(
                    ReasonCode::DiskError,
                    "the disk did not take the image: I/O error",
                    "replace this disk, then order the run again",
                );
                reason.part = part;
                Event::StepFailed { reason }
            }
            _ => Event::StepDone { facts: Vec::new() },
        };
        self.events.push_back(event);
    }

    /// Power goes, and comes back: of the boot before nothing is left but what the disks hold.
    fn cut_power(&mut self, plan: &Plan) {
        self.say("world", "the power goes while the volumes are being made");
        self.pass(FIRMWARE.0);
        self.say(
            "world",
            "the power is back, and the machine boots from the network",
        );
        self.boots += 1;
        self.phases = Phases::default();
        self.reports = 0;
        self.inventory = hardware::after_a_cut(self.inventory.clone(), plan);
        self.events = VecDeque::from([Event::Started]);
    }

    fn guard(&self, plan: &Plan) -> Event {
        match mos_core::guard::guard(plan, &self.inventory.disks, self.inventory.system.uuid) {
            Ok(()) => Event::StepDone {
                facts: vec![format!("{} disks are the planned ones", plan.disks.len())],
            },
            Err(reason) => Event::StepFailed { reason },
        }
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now.plus(Millis(millis));
    }

    fn flush(&mut self) {
        for line in self.provisioner.said() {
            self.say("provisioner", &line);
        }
    }

    fn say(&mut self, who: &str, what: &str) {
        let since = self.now.since(BEGIN);
        self.lines.push(
            format!(
                "{:4}.{:03}  {who:12} {what}",
                since.0 / 1_000,
                since.0 % 1_000
            )
            .trim_end()
            .to_owned(),
        );
    }
}

/// What the provisioner answers where it has nothing to say yet.
fn nothing_yet() -> Instruction {
    Instruction::SendInventory
}

/// Everything that a world is made of, for tests that build their own.
#[must_use]
pub fn parts(trouble: Trouble) -> (Site, Inventory, ImageRef) {
    (
        hardware::site(),
        hardware::inventory(trouble),
        hardware::image(),
    )
}
