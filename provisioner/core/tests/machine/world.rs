// SPDX-License-Identifier: Apache-2.0
//! One node with its journal, driven as the shell drives it: decide, number, fold.

pub(crate) use groundstate_api::action::Action;
pub(crate) use groundstate_api::action::{Act, ActionId, Outcome, PowerTo};
pub(crate) use groundstate_api::boot::{BootAnswer, BootQuestion, BootSighting, Firmware};
pub(crate) use groundstate_api::enrol::EnrolRequest;
pub(crate) use groundstate_api::event::{Event, Happened};
pub(crate) use groundstate_api::healing::{HealingPolicy, Measure, Trouble, TroubleKind};
pub(crate) use groundstate_api::host::{Heartbeat, HostInstruction, Register};
pub(crate) use groundstate_api::image::ImageRef;
pub(crate) use groundstate_api::inventory::{Finding, Gravity, Inventory, MemoryInfo, SystemInfo};
pub(crate) use groundstate_api::limits::{ENROLMENT_WINDOW_MAX, HEARTBEAT};
pub(crate) use groundstate_api::plan::{HandOver, Plan, Step};
pub(crate) use groundstate_api::run::{Instruction, Progress, StepState};
pub(crate) use groundstate_api::site;
pub(crate) use groundstate_api::view::Phase;
pub(crate) use groundstate_api::{
    Bytes, Digest, MacAddr, Millis, NodeId, PlanId, Reason, ReasonCode, RunId, SCHEMA,
};
pub(crate) use prov_core::{Fleet, Found, Input, LifeOrder, Own, Reply, Wish, settle, snapshot};

pub(crate) const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
pub(crate) const BOOT_A: &str = "11111111-1111-1111-1111-111111111111";
pub(crate) const BOOT_B: &str = "22222222-2222-2222-2222-222222222222";

/// The key of the hosts.
pub(crate) const HOST_KEY: &str = "host-key";

/// A fleet of one node with its journal.
pub(crate) struct World {
    pub(crate) site: site::Site,
    pub(crate) fleet: Fleet,
    pub(crate) now: Millis,
    pub(crate) journal: Vec<Event>,
    pub(crate) plans_asked: usize,
    /// What the shell was asked to carry out.
    pub(crate) carried: Vec<Action>,
}

pub(crate) fn site() -> site::Site {
    let at = |last| core::net::Ipv4Addr::new(10, 77, 0, last);
    let network = site::Network::new(at(1), 24, (at(100), at(200)));
    let policy = site::Policy {
        retries: 0,
        ..site::Policy::new("debian", HandOver::Kexec)
    };
    let uuid = "564d1234-5678-9abc-def0-123456789abc".parse().unwrap();
    site::Site {
        nodes: vec![site::Node::new(node(), MAC, uuid, "GS1")],
        ..site::Site::new("lab", network, policy)
    }
}

pub(crate) fn node() -> NodeId {
    "node-1".parse().unwrap()
}

pub(crate) fn run_id(number: u64) -> RunId {
    format!("run-{number}").parse().unwrap()
}

pub(crate) fn request(boot: &str) -> EnrolRequest {
    EnrolRequest {
        schema: SCHEMA,
        macs: vec![MAC],
        boot_mac: MAC,
        uuid: Some("564d1234-5678-9abc-def0-123456789abc".parse().unwrap()),
        serial: "GS1".into(),
        model: None,
        boot_id: boot.parse().unwrap(),
        uefi: true,
        csr_pem: String::new(),
        shell: None,
    }
}

pub(crate) fn inventory() -> Inventory {
    Inventory {
        schema: SCHEMA,
        boot_id: BOOT_A.parse().unwrap(),
        first_line_after: Millis(300),
        complete_after: Millis(2_000),
        system: SystemInfo {
            manufacturer: "m".into(),
            product: "p".into(),
            serial: "GS1".into(),
            uuid: None,
            firmware_version: "1".into(),
            firmware: None,
            uefi: true,
            cpus: 1,
            cpu_model: "c".into(),
        },
        memory: MemoryInfo {
            available: Bytes::gib(1),
            configured: Bytes::gib(1),
            dimms: vec![],
        },
        disks: vec![],
        nics: vec![],
        devices: Vec::new(),
        could_not_look: vec![],
    }
}

pub(crate) fn plan(run: &RunId) -> Plan {
    Plan {
        schema: SCHEMA,
        id: Digest::of(run.as_str().as_bytes()).hex().parse().unwrap(),
        run: run.clone(),
        node: node(),
        machine: "564d1234-5678-9abc-def0-123456789abc".parse().unwrap(),
        hand_over: HandOver::Kexec,
        uefi: true,
        boot_mac: MAC,
        image: ImageRef {
            name: "debian".into(),
            version: "1".into(),
            kind: groundstate_api::image::ImageKind::RootFsExt4,
            manifest: Digest::of(b"m"),
            size: Bytes::gib(1),
            sector_size: 512,
            whole: None,
        },
        disks: vec![],
        files: Vec::new(),
        rebuild: None,
        previous: None,
        notes: vec![],
    }
}

pub(crate) fn register(plan: &Plan, boot: &str) -> Input {
    register_with(plan, boot, HOST_KEY)
}

pub(crate) fn register_with(plan: &Plan, boot: &str, key: &str) -> Input {
    Input::HostRegistered {
        plan: plan.id.clone(),
        key: key.into(),
        register: Box::new(Register {
            schema: SCHEMA,
            node: node(),
            run: plan.run.clone(),
            plan: plan.id.clone(),
            boot_id: boot.parse().unwrap(),
            os: "Debian".into(),
            kernel: "6.1".into(),
            uptime_secs: 5,
            changes: vec![],
            disk_serials: vec![],
        }),
    }
}

pub(crate) fn beat(plan: &PlanId, boot: &str) -> Input {
    Input::HostBeat {
        plan: plan.clone(),
        key: HOST_KEY.into(),
        beat: Heartbeat {
            node: node(),
            plan: plan.clone(),
            boot_id: boot.parse().unwrap(),
            number: 1,
            uptime_secs: 9,
            epoch: 0,
            troubles: Vec::new(),
            ended: None,
            boots_next: false,
        },
    }
}

pub(crate) fn progress(run: &RunId, number: u64, step: Step, state: StepState) -> Input {
    Input::ProgressReceived(Progress {
        run: run.clone(),
        number,
        step,
        state,
        at: Millis(0),
        peak_memory: Bytes(1),
    })
}

pub(crate) fn enrol(boot: &str, key: &str) -> Input {
    Input::EnrolAsked {
        request: Box::new(request(boot)),
        key: key.into(),
    }
}

pub(crate) fn ordered(number: u64, again: bool) -> Input {
    Input::Ordered {
        run: run_id(number),
        hand_over: None,
        again,
        terms: groundstate_api::plan::OrderTerms::default(),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(site())
    }

    /// A world with another site.
    pub(crate) fn of(site: site::Site) -> Self {
        let mut world = Self {
            fleet: Fleet::new(&site, Millis(1_000)),
            site,
            now: Millis(1_000),
            journal: vec![],
            plans_asked: 0,
            carried: Vec::new(),
        };
        world.put(Input::Added);
        world
    }

    /// What the fleet does by itself, until nothing is left to do now.
    pub(crate) fn own(&mut self) {
        for _ in 0..8 {
            let own = self.fleet.own(self.now);
            if own.is_empty() {
                return;
            }
            for one in own {
                match one {
                    Own::Node(_, input) => {
                        self.put(input);
                    }
                    Own::Site(what) => {
                        let number = self.journal.len() as u64 + 1;
                        let event = Event {
                            number,
                            at: self.now,
                            node: None,
                            what,
                        };
                        self.fleet.apply(&event);
                        self.journal.push(event);
                    }
                }
            }
        }
        panic!(
            "the fleet does not come to rest: {:?}",
            self.fleet.own(self.now)
        );
    }

    pub(crate) fn put(&mut self, input: Input) -> Option<Reply> {
        let mut wishes = Vec::new();
        self.fleet.decide(self.now, &node(), input, &mut wishes);
        let first = self.journal.len() as u64 + 1;
        let settled = settle(first, self.now, Some(&node()), wishes);
        for event in settled.events {
            self.fleet.apply(&event);
            self.journal.push(event);
        }
        for note in settled.notes {
            self.fleet.node_mut(&node()).unwrap().note(self.now, note);
        }
        self.plans_asked += settled.plans.len();
        self.carried.extend(settled.carry);
        settled.reply
    }

    /// Until the maintenance OS is enrolled.
    pub(crate) fn checking() -> Self {
        let mut world = Self::new();
        world.put(ordered(1, false));
        world.put(enrol(BOOT_A, "key-1"));
        assert_eq!(world.phase(), Phase::Checking);
        world
    }

    pub(crate) fn take_inventory(&mut self) {
        self.put(Input::InventoryReceived {
            run: run_id(1),
            inventory: Box::new(inventory()),
            findings: vec![],
        });
    }

    /// The node's reason.
    pub(crate) fn reason(&self) -> &Reason {
        self.node().reason.as_ref().unwrap()
    }

    /// The code of a refused enrolment.
    pub(crate) fn refused(&mut self, input: Input) -> ReasonCode {
        match self.put(input) {
            Some(Reply::NotEnrolled { reason, .. }) => reason.code,
            reply => panic!("{reply:?}"),
        }
    }

    pub(crate) fn node(&self) -> &prov_core::Node {
        self.fleet.node(&node()).unwrap()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.node().phase
    }

    pub(crate) fn code(&self) -> Option<ReasonCode> {
        self.node().reason.as_ref().map(|r| r.code)
    }

    pub(crate) fn later(&mut self, by: Millis) {
        self.now = self.now.plus(by);
        self.put(Input::Timeout);
    }

    pub(crate) fn boot(&self, firmware: Firmware) -> BootAnswer {
        self.fleet.boot(&BootQuestion {
            firmware: Some(firmware),
            ..BootQuestion::about(MAC)
        })
    }

    /// Until the plan is given out.
    pub(crate) fn deploying(number: u64) -> (Self, Plan) {
        let mut world = Self::new();
        let plan = world.deploy(number, false);
        (world, plan)
    }

    pub(crate) fn deploy(&mut self, number: u64, again: bool) -> Plan {
        let run = run_id(number);
        assert_eq!(self.put(ordered(number, again)), Some(Reply::Accepted));
        let key = format!("key-{number}");
        assert!(matches!(
            self.put(enrol(BOOT_A, &key)),
            Some(Reply::Enrolled { .. })
        ));
        assert_eq!(self.node().instruction(&run), Instruction::SendInventory);
        self.put(Input::InventoryReceived {
            run: run.clone(),
            inventory: Box::new(inventory()),
            findings: vec![],
        });
        assert!(matches!(
            self.node().instruction(&run),
            Instruction::Wait { .. }
        ));
        let plan = plan(&run);
        self.put(Input::PlanMade {
            run: run.clone(),
            plan: Ok(Box::new(plan.clone())),
        });
        assert_eq!(
            self.node().instruction(&run),
            Instruction::CarryOut {
                plan: Box::new(plan.clone()),
                image_begun: false,
            }
        );
        plan
    }

    /// The maintenance OS asks for its host's certificate.
    pub(crate) fn credential(&mut self, run: &RunId) {
        let asks = Input::CredentialAsked {
            run: run.clone(),
            key: HOST_KEY.into(),
        };
        let reply = self.put(asks);
        assert!(matches!(reply, Some(Reply::Credential(_))), "{reply:?}");
    }

    pub(crate) fn hand_over(&mut self, plan: &Plan) {
        self.credential(&plan.run);
        for (number, step) in (1..).step_by(2).zip(Step::ALL) {
            self.put(progress(&plan.run, number, step, StepState::Started));
            self.put(progress(
                &plan.run,
                number + 1,
                step,
                StepState::Done {
                    facts: vec!["done".into()],
                },
            ));
        }
        assert_eq!(self.phase(), Phase::HandedOver);
    }

    pub(crate) fn ready() -> (Self, Plan) {
        Self::ready_of(site())
    }

    /// The same with another site.
    pub(crate) fn ready_of(site: site::Site) -> (Self, Plan) {
        let mut world = Self::of(site);
        let plan = world.deploy(1, false);
        world.hand_over(&plan);
        world.put(register(&plan, BOOT_B));
        assert_eq!(world.phase(), Phase::Ready);
        (world, plan)
    }

    /// An order about the node's life.
    pub(crate) fn life(&mut self, order: LifeOrder) -> Option<Reply> {
        let (by, why) = ("operator:ana".into(), String::new());
        self.put(Input::Life { order, by, why })
    }

    /// A heartbeat with these troubles.
    pub(crate) fn beat_with(
        &mut self,
        plan: &PlanId,
        change: impl FnOnce(&mut Heartbeat),
    ) -> Option<Reply> {
        let Input::HostBeat {
            plan,
            key,
            mut beat,
        } = beat(plan, BOOT_B)
        else {
            unreachable!()
        };
        change(&mut beat);
        self.put(Input::HostBeat { plan, key, beat })
    }

    /// The state is the fold of the journal, and of nothing else.
    pub(crate) fn check_replay(&self) {
        let began = Millis(1_000);
        let fold = |mut fleet: Fleet, events: &[Event]| {
            events.iter().for_each(|event| fleet.apply(event));
            fleet
        };
        let all = fold(Fleet::new(&self.site, began), &self.journal);
        // From a snapshot after any event it is the same.
        let length = self.journal.len();
        for cut in [0, length / 3, length / 2, length] {
            let (before, after) = self.journal.split_at(cut);
            let before = fold(Fleet::new(&self.site, began), before);
            let restored = again(&before, &self.site, began);
            assert!(fold(restored, after) == all, "cut at {cut} of {length}");
        }
        // What is only remembered while we run is in no snapshot.
        let restored = again(&self.fleet, &self.site, began);
        assert!(restored == all, "taken while it ran");
        let mut replayed = all.node(&node()).unwrap().clone();
        replayed.live = self.node().live.clone();
        assert_eq!(&replayed, self.node());
    }
}

/// Through a snapshot's bytes.
pub(crate) fn again(fleet: &Fleet, site: &site::Site, began: Millis) -> Fleet {
    let taken = fleet.take();
    let chunks = taken.chunks().map(|bytes| snapshot::open(&bytes.unwrap()));
    let chunks = chunks.collect::<Result<Vec<_>, _>>().unwrap();
    Fleet::restored(site, began, &taken.rest().unwrap(), chunks).unwrap()
}
