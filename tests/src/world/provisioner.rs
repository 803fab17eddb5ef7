// SPDX-License-Identifier: Apache-2.0
//! The provisioner's cores behind a journal that is a list: what the real shell does, without its sockets.

use super::hardware::{self, Trouble};
use super::nothing_yet;
use groundstate_api::boot::{BootSighting, Firmware};
use groundstate_api::enrol::{EnrolReply, EnrolRequest};
use groundstate_api::event::{Event, Happened};
use groundstate_api::headline::headline;
use groundstate_api::host::Register;
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::Step;
use groundstate_api::run::{Instruction, Progress, StepState};
use groundstate_api::site::Site;
use groundstate_api::view::Phase;
use groundstate_api::{Bytes, Digest, Millis, NodeId, Part, Reason, ReasonCode, RunId, SCHEMA};
use mos_core::plan::PlanRequest;
use prov_core::{Fleet, Input, Reply, Wish};

/// The host's key.
const HOST_KEY: &str = "sha256:host";

pub(super) struct Provisioner {
    site: Site,
    image: ImageRef,
    trouble: Trouble,
    fleet: Fleet,
    node: NodeId,
    run: RunId,
    events: u64,
    lines: Vec<String>,
    gave_up: bool,
}

impl Provisioner {
    pub(super) fn new(site: Site, image: ImageRef, trouble: Trouble) -> Self {
        let node = site.nodes[0].name.clone();
        let fleet = Fleet::new(&site, Millis(0));
        Self {
            site,
            image,
            trouble,
            fleet,
            node,
            run: "run-1".parse().expect("a run id"),
            events: 0,
            lines: Vec::new(),
            gave_up: false,
        }
    }

    pub(super) fn order(&mut self, now: Millis) {
        self.decide(now, Input::Added);
        self.decide(
            now,
            Input::Ordered {
                run: self.run.clone(),
                hand_over: None,
                again: false,
                terms: groundstate_api::plan::OrderTerms::default(),
            },
        );
    }

    pub(super) fn lease(&mut self, now: Millis) {
        let sighting = BootSighting::Leased {
            address: "10.77.0.100".into(),
            firmware: Some(Firmware::UefiHttp),
        };
        self.decide(now, Input::Sighted(sighting));
    }

    pub(super) fn time_passes(&mut self, now: Millis) {
        self.decide(now, Input::Timeout);
    }

    pub(super) fn enrol(&mut self, now: Millis, key: &str, inventory: &Inventory) -> EnrolReply {
        let request = EnrolRequest {
            schema: SCHEMA,
            macs: vec![hardware::MAC],
            boot_mac: hardware::MAC,
            uuid: inventory.system.uuid,
            serial: inventory.system.serial.clone(),
            model: None,
            boot_id: inventory.boot_id.clone(),
            uefi: inventory.system.uefi,
            csr_pem: String::new(),
            shell: None,
        };
        match self.decide(
            now,
            Input::EnrolAsked {
                request: Box::new(request),
                key: key.to_owned(),
            },
        ) {
            Some(Reply::Enrolled {
                run,
                firmware,
                boot,
            }) => EnrolReply::Enrolled {
                node: self.node.clone(),
                run,
                certificate_pem: String::new(),
                firmware,
                boot,
            },
            Some(Reply::NotEnrolled { reason, retry }) => EnrolReply::Refused {
                reason,
                retry_ms: retry.0,
            },
            other => panic!("an enrolment is answered with an enrolment, not with {other:?}"),
        }
    }

    pub(super) fn inventory(&mut self, now: Millis, inventory: &Inventory) -> Instruction {
        let node = self.fleet.node(&self.node).expect("the node of the site");
        let findings = hw_core::judge_node(
            &node.site,
            node.last_good
                .as_ref()
                .map(prov_core::KeptInventory::get)
                .as_deref(),
            &node.earlier.get(),
            inventory,
        );
        let findings = prov_core::allowance::allow(node, &self.site.policy, inventory, findings);
        self.decide(
            now,
            Input::InventoryReceived {
                run: self.run.clone(),
                inventory: Box::new(inventory.clone()),
                findings,
            },
        );
        self.instruction()
    }

    pub(super) fn progress(
        &mut self,
        now: Millis,
        number: u64,
        step: Step,
        state: StepState,
    ) -> Instruction {
        let begins_first_boot = step == Step::FirstBoot && state == StepState::Started;
        let progress = Progress {
            run: self.run.clone(),
            number,
            step,
            state,
            at: now,
            peak_memory: Bytes::mib(40),
        };
        self.decide(now, Input::ProgressReceived(progress));
        if begins_first_boot {
            // The node asks for its host's certificate while the first-boot data is placed.
            let key = HOST_KEY.into();
            let run = self.run.clone();
            self.decide(now, Input::CredentialAsked { run, key });
        }
        self.instruction()
    }

    pub(super) fn host_calls(&mut self, now: Millis) {
        let node = self.fleet.node(&self.node).expect("the node of the site");
        let plan = node
            .run
            .as_ref()
            .and_then(|run| run.plan.as_ref())
            .expect("a plan was carried out")
            .id
            .clone();
        let register = Register {
            schema: SCHEMA,
            node: self.node.clone(),
            run: self.run.clone(),
            plan: plan.clone(),
            boot_id: "5e0f2c9a-0a2b-4a9f-8d0c-6b1c7f1e2a02"
                .parse()
                .expect("a boot id"),
            os: "Debian GNU/Linux 12 (bookworm)".into(),
            kernel: "6.1.0-amd64".into(),
            uptime_secs: 11,
            changes: Vec::new(),
            disk_serials: Vec::new(),
        };
        self.decide(
            now,
            Input::HostRegistered {
                plan,
                key: HOST_KEY.into(),
                register: Box::new(register),
            },
        );
    }

    pub(super) fn instruction(&self) -> Instruction {
        self.fleet
            .node(&self.node)
            .map_or_else(nothing_yet, |node| node.instruction(&self.run))
    }

    pub(super) fn phase(&self) -> Phase {
        if self.gave_up {
            Phase::Held
        } else {
            self.fleet
                .node(&self.node)
                .map_or(Phase::Enrolled, |node| node.phase)
        }
    }

    pub(super) fn give_up(&mut self) {
        self.gave_up = true;
    }

    pub(super) fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    fn decide(&mut self, now: Millis, input: Input) -> Option<Reply> {
        let mut wishes = Vec::new();
        self.fleet
            .decide(now, &self.node.clone(), input, &mut wishes);
        let mut reply = None;
        for wish in wishes {
            match wish {
                Wish::Append(what) => self.append(now, what),
                Wish::Note(note) => {
                    if let Some(node) = self.fleet.node_mut(&self.node) {
                        node.note(now, note);
                    }
                }
                Wish::MakePlan(run) => {
                    let plan = self.plan(&run).map(Box::new);
                    self.decide(now, Input::PlanMade { run, plan });
                }
                // The machines of this world have no BMC.
                Wish::Carry(_) => {}
                Wish::Reply(said) => reply = Some(said),
            }
        }
        reply
    }

    fn append(&mut self, now: Millis, what: Happened) {
        self.events += 1;
        self.lines.push(headline(&what));
        self.fleet.apply(&Event {
            number: self.events,
            at: now,
            node: Some(self.node.clone()),
            what,
        });
    }

    fn plan(&self, run: &RunId) -> Result<groundstate_api::plan::Plan, Reason> {
        if self.trouble == Trouble::BadChunk {
            return Err(Reason::new(
                ReasonCode::ChunkCorrupt,
                "a stored chunk of the image is not what its manifest says",
                "import the image again",
            )
            .about(Part::Image {
                image: "debian-host 12.11".into(),
                digest: Some(Digest::of(b"chunk").to_string()),
            }));
        }
        let node = self.fleet.node(&self.node).expect("the node of the site");
        let current = node.run.as_ref().expect("a plan is for a run");
        mos_core::plan::plan(&PlanRequest {
            run,
            node: &node.site,
            policy: &self.site.policy,
            hand_over: current.hand_over,
            inventory: &current
                .inventory
                .as_ref()
                .expect("a plan follows an inventory")
                .get(),
            earlier: &node.earlier.get(),
            image: &self.image,
            boot_mac: hardware::MAC,
            seed: Digest::of(b"seed"),
            files: &[],
            confirm: &current.terms.confirm_wipe,
            rebuild: None,
            host: None,
        })
    }
}
