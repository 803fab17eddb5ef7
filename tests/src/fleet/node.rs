// SPDX-License-Identifier: Apache-2.0
//! One node's life: maintenance OS, host, and back into the maintenance OS when it is told so.

use super::call::{Answer, Line, key_and_request};
use super::population::Member;
use super::swarm::Shared;
use super::tally::{Latencies, Tally};
use anyhow::{Context as _, Result, bail};
use groundstate_api::enrol::EnrolReply;
use groundstate_api::host::{Heartbeat, HostActed, HostInstruction, Register};
use groundstate_api::plan::{Plan, Step};
use groundstate_api::run::{
    HostCredential, HostCredentialRequest, Instruction, InventoryReport, Progress, StepState,
};
use groundstate_api::{BootId, Bytes, Millis, NodeId, RunId, SCHEMA, paths};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a node waits after a call without an answer, at first and at most: between what the maintenance OS does (2 s each time)
/// and what a host does (up to 15 s).
const AGAIN_FIRST: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(10);
/// And at most where there is another provisioner to go to, as both do.
const AGAIN_MAX_AMONG: Duration = Duration::from_secs(2);
/// How long it waits between two asks for its instruction.
const POLL: Duration = Duration::from_secs(2);
/// What a simulated image has, in bytes, for its progress.
const IMAGE: u64 = 4 << 30;

/// How fast simulated nodes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long the image takes.
    pub image: Duration,
    /// How long each other step takes.
    pub step: Duration,
    /// How often a running step is reported.
    pub report: Duration,
    /// How often a host reports.
    pub heartbeat: Duration,
    /// How long a machine takes from power-on to its enrolment, and a host from its start to its registration.
    pub boot: Duration,
}

/// What the provisioner has acknowledged to a node: it may never be lost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Acknowledged {
    /// The node enrolled for this run.
    Enrolled(NodeId, RunId),
    /// A step of this run is done.
    Done(NodeId, RunId, Step),
    /// The host of this run registered.
    Registered(NodeId, RunId),
}

/// A node that is switched on.
pub(super) struct Node {
    pub(super) who: Member,
    pub(super) shared: Arc<Shared>,
    /// How many boots it had, hosts' and maintenance OS's.
    pub(super) boots: u32,
    pub(super) host: Option<Host>,
}

/// The host on its disks.
pub(super) struct Host {
    plan: Box<Plan>,
    certificate: String,
    key: String,
}

/// How a stretch of its life ended.
enum Next {
    Machine,
    Host,
}

impl Node {
    /// Until the swarm stops.
    pub(super) async fn live(mut self) {
        let mut next = Next::Machine;
        loop {
            tokio::time::sleep(self.shared.jitter(self.shared.pace.boot)).await;
            self.boots += 1;
            let stretch = match next {
                Next::Machine => self.machine().await,
                Next::Host => self.report().await,
            };
            next = match stretch {
                Ok(next) => next,
                Err(error) => {
                    self.shared.tally.failed(format!("{error:#}"));
                    tokio::time::sleep(AGAIN_MAX).await;
                    Next::Machine
                }
            };
        }
    }

    fn boot(&self) -> BootId {
        self.who.boot(self.boots)
    }

    /// The maintenance OS: until its host is started.
    async fn machine(&mut self) -> Result<Next> {
        let (key, request) = key_and_request()?;
        let mut anyone = Line::new(&self.shared.trust_of(self.who), None)?;
        let (run, certificate) = loop {
            let asked = self.who.enrols(&self.boot(), request.clone());
            let answer = self.ask(&mut anyone, paths::ENROL, &asked).await;
            match answer.read::<EnrolReply>()? {
                EnrolReply::Enrolled {
                    run,
                    certificate_pem,
                    ..
                } => break (run, certificate_pem),
                EnrolReply::BootLocal { .. } if self.host.is_some() => return Ok(Next::Host),
                EnrolReply::BootLocal { .. } | EnrolReply::Rescue { .. } => {
                    tokio::time::sleep(AGAIN_MAX).await;
                }
                EnrolReply::Refused { retry_ms, .. } => {
                    anyone.hang_up();
                    let wait = Duration::from_millis(retry_ms);
                    tokio::time::sleep(self.shared.jitter(wait)).await;
                }
            }
        };
        drop(anyone);
        Tally::add(&self.shared.tally.enrolled);
        self.shared
            .acknowledge(Acknowledged::Enrolled(self.who.name(), run.clone()));
        let mut line = Line::new(&self.shared.trust_of(self.who), Some((&certificate, &key)))?;
        self.carry_out(&mut line, &run).await
    }

    async fn carry_out(&mut self, line: &mut Line, run: &RunId) -> Result<Next> {
        let report = InventoryReport {
            run: run.clone(),
            inventory: self.who.inventory(&self.boot()),
        };
        let mut instruction = {
            let answer = self.ask(line, paths::RUN_INVENTORY, &report).await;
            answer.read::<Instruction>()?
        };
        Tally::add(&self.shared.tally.inventories);
        let plan = loop {
            instruction = match instruction {
                Instruction::CarryOut { plan, .. } => break plan,
                Instruction::EnrolAgain => return Ok(Next::Machine),
                Instruction::SendInventory => {
                    let answer = self.ask(line, paths::RUN_INVENTORY, &report).await;
                    answer.read()?
                }
                _ => {
                    // An idle node's connection may close.
                    line.hang_up();
                    tokio::time::sleep(self.shared.jitter(POLL)).await;
                    self.look(line).await.read()?
                }
            };
        };
        Tally::add(&self.shared.tally.planned);
        let mut reports = 0;
        for step in Step::ALL {
            self.step(line, run, step, &mut reports).await?;
            if step == Step::ReadBack {
                self.get_credential(line, run, &plan).await?;
            }
        }
        Ok(Next::Host)
    }

    async fn step(
        &self,
        line: &mut Line,
        run: &RunId,
        step: Step,
        reports: &mut u64,
    ) -> Result<()> {
        let pace = self.shared.pace;
        let takes = if step == Step::Image {
            pace.image
        } else {
            pace.step
        };
        self.say(line, run, step, StepState::Started, reports)
            .await?;
        let began = Instant::now();
        while began.elapsed() + pace.report < takes {
            tokio::time::sleep(self.shared.jitter(pace.report)).await;
            let part = began.elapsed().as_secs_f64() / takes.as_secs_f64();
            let state = StepState::Running {
                done: Bytes(portion(IMAGE, part)),
                total: Bytes(IMAGE),
            };
            self.say(line, run, step, state, reports).await?;
        }
        tokio::time::sleep(takes.saturating_sub(began.elapsed())).await;
        let done = StepState::Done {
            facts: vec![format!("{} as planned", step.as_str())],
        };
        self.say(line, run, step, done, reports).await?;
        let name = self.who.name();
        self.shared
            .acknowledge(Acknowledged::Done(name, run.clone(), step));
        Ok(())
    }

    async fn say(
        &self,
        line: &mut Line,
        run: &RunId,
        step: Step,
        state: StepState,
        reports: &mut u64,
    ) -> Result<()> {
        *reports += 1;
        let progress = Progress {
            run: run.clone(),
            number: *reports,
            step,
            state,
            at: Millis(1_000),
            peak_memory: Bytes::mib(40),
        };
        let answer = self.ask(line, paths::RUN_PROGRESS, &progress).await;
        match answer.read::<Instruction>()? {
            Instruction::Hold { reason } => bail!("held in {}: {}", step.as_str(), reason.what),
            _ => Ok(()),
        }
    }

    async fn get_credential(&mut self, line: &mut Line, run: &RunId, plan: &Plan) -> Result<()> {
        let (key, csr_pem) = key_and_request()?;
        let asks = HostCredentialRequest {
            run: run.clone(),
            csr_pem,
        };
        let answer = self.ask(line, paths::RUN_HOST_CREDENTIAL, &asks).await;
        let given: HostCredential = answer.read()?;
        self.host = Some(Host {
            plan: Box::new(plan.clone()),
            certificate: given.certificate_pem,
            key,
        });
        Ok(())
    }

    /// The host's agent: until it is told to restart into the network.
    async fn report(&mut self) -> Result<Next> {
        let host = self.host.as_ref().context("no host is on the disks")?;
        let credential = (host.certificate.as_str(), host.key.as_str());
        let mut line = Line::new(&self.shared.trust_of(self.who), Some(credential))?;
        let (node, boot_id) = (self.who.name(), self.boot());
        let register = Register {
            schema: SCHEMA,
            node: node.clone(),
            run: host.plan.run.clone(),
            plan: host.plan.id.clone(),
            boot_id: boot_id.clone(),
            os: "Debian GNU/Linux 12".to_owned(),
            kernel: "6.1.0".to_owned(),
            uptime_secs: 9,
            changes: Vec::new(),
            disk_serials: Vec::new(),
        };
        let answer = self
            .ask_as_host(&mut line, paths::HOST_REGISTER, &register)
            .await;
        let mut told: HostInstruction = answer.read()?;
        Tally::add(&self.shared.tally.ready);
        self.shared.acknowledge(Acknowledged::Registered(
            node.clone(),
            host.plan.run.clone(),
        ));
        let (began, mut number, mut ended) = (Instant::now(), 0, None);
        let every = self.shared.pace.heartbeat;
        // They do not report all at once.
        let mut next = began + self.shared.share(every);
        loop {
            match told {
                HostInstruction::RebootToNetwork => return Ok(Next::Machine),
                HostInstruction::CarryOn => {}
                HostInstruction::Act { action, .. } => {
                    ended = Some(HostActed {
                        action,
                        facts: vec!["simulated".to_owned()],
                        done: true,
                    });
                }
            }
            line.hang_up();
            tokio::time::sleep_until(next.into()).await;
            next = Instant::now().max(next) + every;
            self.shared.silence(self.who).await;
            number += 1;
            let beat = Heartbeat {
                node: node.clone(),
                plan: host.plan.id.clone(),
                boot_id: boot_id.clone(),
                number,
                uptime_secs: began.elapsed().as_secs(),
                epoch: 0,
                troubles: Vec::new(),
                ended: ended.take(),
                boots_next: false,
            };
            let answer = self
                .ask_as_host(&mut line, paths::HOST_HEARTBEAT, &beat)
                .await;
            told = answer.read()?;
            Tally::add(&self.shared.tally.beats);
        }
    }

    async fn look(&self, line: &mut Line) -> Answer {
        let mut wait = AGAIN_FIRST;
        loop {
            let began = Instant::now();
            let answer = line.get(paths::RUN_INSTRUCTION).await;
            if let Some(answer) = self
                .heard(line, began, &self.shared.tally.run, answer, &mut wait)
                .await
            {
                return answer;
            }
        }
    }

    async fn ask(&self, line: &mut Line, path: &str, body: &(impl Serialize + Sync)) -> Answer {
        self.insist(line, path, body, &self.shared.tally.run).await
    }

    async fn ask_as_host(
        &self,
        line: &mut Line,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Answer {
        self.insist(line, path, body, &self.shared.tally.host).await
    }

    /// Until there is an answer that is no "come again": a node does not give up.
    async fn insist(
        &self,
        line: &mut Line,
        path: &str,
        body: &(impl Serialize + Sync),
        takes: &Latencies,
    ) -> Answer {
        let mut wait = AGAIN_FIRST;
        loop {
            let began = Instant::now();
            let answer = line.post(path, body).await;
            if let Some(answer) = self.heard(line, began, takes, answer, &mut wait).await {
                return answer;
            }
        }
    }

    async fn heard(
        &self,
        line: &mut Line,
        began: Instant,
        takes: &Latencies,
        answer: Result<Answer>,
        wait: &mut Duration,
    ) -> Option<Answer> {
        match answer {
            Ok(answer) if matches!(answer.status, 429 | 500 | 502 | 503 | 504) => {
                Tally::add(&self.shared.tally.put_off);
                let asked = answer.retry_after.map_or(*wait, Duration::from_secs);
                tokio::time::sleep(self.shared.jitter(asked)).await;
            }
            Ok(answer) => {
                takes.count(began.elapsed());
                return Some(answer);
            }
            Err(_) => {
                Tally::add(&self.shared.tally.unanswered);
                tokio::time::sleep(self.shared.jitter(*wait)).await;
                // It may be another provisioner that leads now; among several the line went on by itself.
                if !self.shared.trust().has_others() {
                    line.turn_to(self.shared.to());
                }
            }
        }
        let most = if self.shared.trust().has_others() {
            AGAIN_MAX_AMONG
        } else {
            AGAIN_MAX
        };
        *wait = (*wait * 2).min(most);
        None
    }
}

/// That part of a number.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a picture of progress, between 0 and the whole"
)]
fn portion(of: u64, part: f64) -> u64 {
    (of as f64 * part.clamp(0.0, 1.0)) as u64
}
