// SPDX-License-Identifier: Apache-2.0
//! A provisioner with ten thousand simulated nodes over real HTTPS, on the machine that simulates them too.
//!
//! One fleet after the other thing that is measured of it: it is taken in, it reports while a tenth of it is provisioned
//! again, some of it falls silent, the disk and the processors are busy with something else, and the provisioner starts again.

mod beside;
mod ground;
mod probe;

use super::figure::{Figure, Goal};
use super::ground::Ground;
use super::wire::Wire;
use crate::fleet::{Member, Pace, Population, Swarm, Tally};
use anyhow::{Result, ensure};
use beside::Noise;
use ground::Site;
use groundstate_api::view::{NodeList, Phase};
use probe::Probe;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Nodes, where `GROUNDSTATE_BENCH_NODES` does not say otherwise.
const NODES: u32 = 10_000;
/// One in so many is provisioned at once.
const PART: u32 = 10;
/// Hosts that fall silent.
const SILENT: u32 = 50;
/// How long the fleet reports while it is measured.
const STEADY: Duration = Duration::from_secs(5 * 60);
/// How long it is measured beside other work.
const BESIDE: Duration = Duration::from_secs(60);
/// How long a fleet may take to get somewhere.
const PATIENCE: Duration = Duration::from_secs(25 * 60);
/// Open files beside the nodes' connections.
const FILES_BESIDE: u64 = 256;
/// How often it is told how far the fleet is.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// A Ready host may be silent for so long (three heartbeats of an agent).
const SILENCE_MAX: f64 = 15.0;
/// How fast a simulated node is: a host reports every 10 s, an image takes half a minute.
const PACE: Pace = Pace {
    image: Duration::from_secs(30),
    step: Duration::from_millis(500),
    report: Duration::from_secs(1),
    heartbeat: Duration::from_secs(10),
    boot: Duration::from_secs(5),
};

fn nodes() -> u32 {
    let said = std::env::var("GROUNDSTATE_BENCH_NODES").ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(NODES)
}

fn stretch(usual: Duration) -> Duration {
    let said = std::env::var("GROUNDSTATE_BENCH_SECS").ok();
    let secs = said.and_then(|text| text.parse().ok());
    secs.map_or(usual, Duration::from_secs).min(usual)
}

/// The fleet.
///
/// # Errors
/// What kept it from being measured.
pub fn fleet(ground: &Ground) -> Result<Vec<Figure>> {
    let wire = Wire::enter()?;
    let of = Population { nodes: nodes() };
    enough_connections(of)?;
    ground.say(&format!("a site of {} nodes is made", of.nodes));
    let mut site = Site::make(ground, &wire, of)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut fleet = Fleet::begin(of, &site)?;
        let mut figures = fleet.take_in(ground, &site).await?;
        figures.extend(fleet.steady(ground, &site).await?);
        figures.extend(fleet.fall_silent(ground, &site).await?);
        figures.extend(fleet.beside_load(ground, &site).await?);
        figures.extend(fleet.cold_start(ground, &wire, &mut site).await?);
        Ok(figures)
    })
}

/// Every node may have a connection open at once: the limit of open files is raised as far as that takes.
fn enough_connections(of: Population) -> Result<()> {
    let wanted = u64::from(of.nodes) + FILES_BESIDE;
    let mut limit = getrlimit(Resource::Nofile);
    ensure!(
        limit.maximum.is_none_or(|most| most >= wanted),
        "{} nodes need {wanted} open files, and this machine allows {:?} (ulimit -Hn); GROUNDSTATE_BENCH_NODES makes the fleet smaller",
        of.nodes,
        limit.maximum
    );
    limit.current = limit.current.map(|now| now.max(wanted));
    Ok(setrlimit(Resource::Nofile, limit)?)
}

struct Fleet {
    of: Population,
    swarm: Swarm,
}

fn name(of: Population, what: &str) -> String {
    format!("fleet of {}: {what}", of.nodes)
}

fn one(of: Population, what: &str, unit: &str, value: f64) -> Figure {
    Figure::new(&name(of, what), unit, "groundstate", vec![value])
}

impl Fleet {
    fn begin(of: Population, site: &Site) -> Result<Self> {
        let street = Some(site.street()?);
        let swarm = Swarm::on_a_street(site.trust()?, site.address(), PACE, 7, street);
        Ok(Self { of, swarm })
    }

    /// Every node is ordered, boots, is looked at, provisioned and reports: a tenth of them at once.
    async fn take_in(&mut self, ground: &Ground, site: &Site) -> Result<Vec<Figure>> {
        ground.say("every node is taken in");
        let began = Instant::now();
        let at_once = (self.of.nodes / PART).max(1);
        let mut operator = site.operator()?;
        let mut probe = Probe::begin(site)?;
        let (mut ordered, mut planned_by, mut said) = (0, None, began);
        let mut members = self.of.members();
        loop {
            let ready = Tally::of(&self.swarm.tally().ready);
            if Tally::of(&self.swarm.tally().inventories) >= u64::from(self.of.nodes) {
                planned_by.get_or_insert_with(|| began.elapsed());
            }
            if ready >= u64::from(self.of.nodes) {
                break;
            }
            while u64::from(ordered) < ready + u64::from(at_once) {
                let Some(who) = members.next() else { break };
                operator.order(who, false).await?;
                self.swarm.power_on(who);
                ordered += 1;
            }
            if said.elapsed() > SAY_EVERY {
                said = Instant::now();
                how_far(ground, ordered, ready, self.swarm.tally());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "{ready} of {} nodes are Ready after 25 minutes: {:?}; the server: {}",
                self.of.nodes,
                self.swarm.tally().failures(),
                site.last_words()
            );
            sleep(Duration::from_millis(200)).await;
        }
        let all = began.elapsed();
        probe.end().await;
        self.sound()?;
        let inventories = planned_by.unwrap_or(all);
        Ok(vec![
            one(self.of, "every inventory taken after", "s", inventories.as_secs_f64())
                .goal(Goal::AtMost(600.0)),
            one(self.of, "every node Ready after", "s", all.as_secs_f64()).goal(Goal::AtMost(600.0)).note(
                format!("{at_once} at once, each with an image that takes 30 s; NICo needed about 15 hours to take in 13,500 simulated machines"),
            ),
            one(self.of, "p99 of an operator's calls meanwhile", "ms", self.swarm.tally().operator.quantile(0.99).max(probe.quantile(0.99))),
            one(self.of, "memory once all are Ready", "MiB", site.memory()?),
        ])
    }

    /// All report, and a tenth is provisioned again.
    #[expect(
        clippy::too_many_lines,
        reason = "one stretch of time and what is read off it"
    )]
    async fn steady(&mut self, ground: &Ground, site: &Site) -> Result<Vec<Figure>> {
        ground.say("all report, a tenth is provisioned again");
        let tally = self.swarm.tally();
        tally.clear_latencies();
        let (beats, before) = (Tally::of(&tally.beats), site.memory()?);
        let mut probe = Probe::begin(site)?;
        let mut operator = site.operator()?;
        let began = Instant::now();
        let processor = site.processor_time()?;
        let part = self.of.nodes / PART;
        let mut again: Vec<Member> = Vec::new();
        let long = stretch(STEADY);
        let mut after_first_minute = before;
        let mut round = 0;
        while began.elapsed() < long {
            // A tenth is under way at any time: as one is Ready again, the next one goes.
            let open = self.under_way(&mut operator).await?;
            for _ in open..part {
                let who = Member(
                    (u32::try_from(again.len()).unwrap_or_default() * 7 + round) % self.of.nodes,
                );
                if operator.order(who, true).await? {
                    again.push(who);
                } else {
                    round += 1;
                }
            }
            if began.elapsed() < long / 5 {
                after_first_minute = site.memory()?;
            }
            sleep(Duration::from_secs(2)).await;
        }
        probe.end().await;
        let secs = began.elapsed().as_secs_f64();
        let processor = site.processor_time()? - processor;
        let (after, tally) = (site.memory()?, self.swarm.tally());
        let beats = Tally::of(&tally.beats) - beats;
        self.sound()?;
        let worst = [&tally.run, &tally.host].map(|one| one.quantile(0.99));
        Ok(vec![
            one(self.of, "p99 of hosts' calls", "ms", worst[1]).goal(Goal::AtMost(100.0)),
            one(
                self.of,
                "p99 of the calls of nodes in their runs",
                "ms",
                worst[0],
            )
            .goal(Goal::AtMost(100.0)),
            one(
                self.of,
                "p99 of operators' calls",
                "ms",
                probe.quantile(0.99),
            )
            .goal(Goal::AtMost(100.0)),
            one(self.of, "heartbeats in a second", "", count(beats) / secs).note(format!(
                "{} nodes were provisioned again meanwhile",
                again.len()
            )),
            one(
                self.of,
                "processors of the provisioner",
                "",
                processor / secs,
            ),
            one(self.of, "memory", "MiB", after).goal(Goal::AtMost(512.0)),
            one(
                self.of,
                "memory after all that time / after its first fifth",
                "",
                after / after_first_minute,
            )
            .goal(Goal::AtMost(1.05)),
        ])
    }

    async fn under_way(&self, operator: &mut probe::Operator) -> Result<u32> {
        let list = operator.list().await?;
        Ok(among(&list, |phase| {
            !matches!(phase, Phase::Ready | Phase::Suspect | Phase::Held)
        }))
    }

    /// Some hosts stop to report: how late is it noticed?
    async fn fall_silent(&mut self, ground: &Ground, site: &Site) -> Result<Vec<Figure>> {
        ground.say("some fall silent");
        let mut operator = site.operator()?;
        self.all_ready(&mut operator).await?;
        let who: BTreeSet<Member> = (0..SILENT.min(self.of.nodes))
            .map(|n| Member(n * self.of.nodes / SILENT.max(1) % self.of.nodes))
            .collect();
        self.swarm.silence(who.clone());
        let began = Instant::now();
        let mut late: Vec<f64> = Vec::new();
        while late.len() < who.len() {
            ensure!(
                began.elapsed() < Duration::from_secs(120),
                "{} of {} silent hosts were noticed",
                late.len(),
                who.len()
            );
            sleep(Duration::from_secs(1)).await;
            let list = operator.list().await?;
            let suspects = list
                .nodes
                .iter()
                .filter(|node| node.phase == Phase::Suspect);
            late = suspects
                .filter_map(|node| Some(node.since.since(node.last_heard?).0))
                .map(|ms| count(ms) / 1e3 - SILENCE_MAX)
                .collect();
        }
        self.swarm.silence(BTreeSet::new());
        self.all_ready(&mut operator).await?;
        let latest = late.iter().copied().fold(0.0, f64::max);
        Ok(vec![
            one(self.of, "the latest of due transitions", "s late", latest)
                .goal(Goal::AtMost(2.0))
                .note(format!(
                    "{} hosts fell silent; all are Ready again",
                    who.len()
                )),
        ])
    }

    async fn all_ready(&self, operator: &mut probe::Operator) -> Result<()> {
        let began = Instant::now();
        loop {
            let list = operator.list().await?;
            let not = among(&list, |phase| phase != Phase::Ready);
            if not == 0 && list.nodes.len() == self.of.nodes as usize {
                return Ok(());
            }
            if began.elapsed() > Duration::from_secs(300) {
                let some = list
                    .nodes
                    .iter()
                    .filter(|node| node.phase != Phase::Ready)
                    .take(3);
                let some: Vec<String> = some
                    .map(|node| {
                        format!(
                            "{} {} {:?}",
                            node.node,
                            node.phase.as_str(),
                            node.reason.as_ref().map(|reason| &reason.what)
                        )
                    })
                    .collect();
                anyhow::bail!("{not} nodes are not Ready after 5 minutes: {some:?}");
            }
            sleep(Duration::from_secs(2)).await;
        }
    }

    /// The same while `dd`, `zstd` and a loop of fsync work beside it.
    async fn beside_load(&mut self, ground: &Ground, site: &Site) -> Result<Vec<Figure>> {
        ground.say("the disk and the processors have other work");
        let noise = Noise::begin(ground)?;
        let mut probe = Probe::begin(site)?;
        sleep(stretch(BESIDE)).await;
        probe.end().await;
        drop(noise);
        let mut operator = site.operator()?;
        self.all_ready(&mut operator).await?;
        self.sound()?;
        Ok(vec![
            one(
                self.of,
                "p99.9 of operators' calls beside dd, zstd -T2 and fsync",
                "ms",
                probe.quantile(0.999),
            )
            .goal(Goal::AtMost(250.0))
            .note(format!(
                "{} calls; every node Ready at the end",
                probe.counted()
            )),
        ])
    }

    /// It is killed and starts again with all nodes in its journal.
    async fn cold_start(
        &mut self,
        ground: &Ground,
        wire: &Wire,
        site: &mut Site,
    ) -> Result<Vec<Figure>> {
        ground.say("the provisioner is killed and starts again");
        let took = site.start_again(ground, wire).await?;
        let mut operator = site.operator()?;
        let list = operator.list().await?;
        ensure!(
            list.nodes.len() == usize::try_from(self.of.nodes)?,
            "nodes are missing after the start"
        );
        self.all_ready(&mut operator).await?;
        Ok(vec![
            one(
                self.of,
                "ready after a start with all in the journal",
                "s",
                took.as_secs_f64(),
            )
            .goal(Goal::AtMost(3.0)),
        ])
    }

    /// Nothing was refused that should not have been.
    fn sound(&self) -> Result<()> {
        let failures = self.swarm.tally().failures();
        ensure!(failures.is_empty(), "nodes were refused: {failures:?}");
        Ok(())
    }
}

fn among(list: &NodeList, is: impl Fn(Phase) -> bool) -> u32 {
    let count = list.nodes.iter().filter(|node| is(node.phase)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn count(of: u64) -> f64 {
    of as f64
}

fn how_far(ground: &Ground, ordered: u32, ready: u64, tally: &Tally) {
    ground.say(&format!(
        "ordered {ordered}, enrolled {}, inventories {}, planned {}, ready {ready}, put off {}, unanswered {}",
        Tally::of(&tally.enrolled),
        Tally::of(&tally.inventories),
        Tally::of(&tally.planned),
        Tally::of(&tally.put_off),
        Tally::of(&tally.unanswered),
    ));
}
