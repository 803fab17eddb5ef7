// SPDX-License-Identifier: Apache-2.0
//! A stage: the servers of `groundstate up` and the nodes of a virtual rack, in one network of their own.
//!
//! The demo and the scenarios stand on it. It speaks to the servers only as an operator would, with the `groundstate`
//! command, and it puts faults only into virtual hardware, stored files and processes, never into the product.

mod fault;
mod operator;
mod outcome;
mod servers;

pub use fault::StageFault;
pub use operator::Operator;
pub use outcome::{Outcome, result_line};
pub use servers::{Servers, ServersPlan};

use crate::rack::{
    DiskFingerprint, Net, NetOptions, Node, NodeSpec, PowerOn, RackError, RackJournal, SerialLog,
    VirtualBmc, site, unchanged,
};
use anyhow::{Context as _, Result, bail};
use groundstate_api::boot::Firmware;
use groundstate_api::plan::HandOver;
use groundstate_api::site::Site;
use groundstate_api::site_parts::{BmcProtocol, BmcSite};
use groundstate_api::view::{NodeReport, Phase};
use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the nodes' reports are read.
pub const LOOK_EVERY: Duration = Duration::from_millis(400);

/// How long running servers may fail to answer an operator.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// What Linux says on the console where a virtual processor's timer has stopped. It was seen after a kexec, on a machine with
/// much else to do; nothing goes on in that virtual machine then, and it says nothing about what is tested.
const TIMER_STOPPED: &str = "Possible timer handling issue";

/// What to put on the stage.
#[derive(Debug)]
pub struct StagePlan {
    /// The `groundstate` program.
    pub groundstate: PathBuf,
    /// The parts of the boot image.
    pub boot_assets: PathBuf,
    /// A state directory's image store that holds the host image; it is copied.
    pub image_store: PathBuf,
    /// A folder for everything that this stage writes; what an earlier stage left there is removed.
    pub folder: PathBuf,
    /// How the nodes boot.
    pub firmware: Firmware,
    /// How they hand over; `None` leaves it to the site's policy (kexec).
    pub hand_over: Option<HandOver>,
    /// How many nodes.
    pub nodes: u8,
    /// What is broken.
    pub fault: Option<StageFault>,
    /// Serial numbers of data disks that are kept, by index among a node's data disks (0 is the first).
    pub keep_data_disk: Option<usize>,
    /// Whether each node has a BMC, which the site names and by which the servers power it on.
    pub bmcs: bool,
    /// Where the servers keep their journal.
    pub journal: RackJournal,
    /// The `moto_server` program: the servers take their images out of a bucket that it serves, by a signed channel.
    pub bucket: Option<PathBuf>,
    /// Where people may look at the page; opened before the stage's network is made.
    pub page: Option<TcpListener>,
}

/// A running stage.
#[derive(Debug)]
pub struct Stage {
    /// The nodes' BMCs, in order; none where the plan wishes none.
    pub bmcs: Vec<VirtualBmc>,
    /// The nodes, in order.
    pub nodes: Vec<Node>,
    /// The servers.
    pub servers: Servers,
    /// What is broken.
    pub fault: Option<StageFault>,
    /// The folder of everything.
    pub folder: PathBuf,
    /// The part that the fault broke, as [`crate::rack::Fault::apply`] names it.
    pub broken_part: Option<String>,
    before: Vec<Vec<DiskFingerprint>>,
    net: Net,
}

impl Stage {
    /// Makes network, disks, site and servers; the nodes are those of the demo, built and powered off.
    ///
    /// # Errors
    /// What is missing or did not start, in one line.
    pub fn set(plan: StagePlan) -> Result<Self> {
        let firmware = plan.firmware;
        Self::set_with(plan, |index| NodeSpec::demo(index, firmware), |_| ())
    }

    /// The same with other nodes: `spec` describes the healthy node of an index (from 1), and `change` says what else an
    /// operator has written into the site file.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn set_with(
        plan: StagePlan,
        spec: impl Fn(u8) -> NodeSpec,
        change: impl FnOnce(&mut Site),
    ) -> Result<Self> {
        if plan.folder.exists() {
            fs::remove_dir_all(&plan.folder)
                .with_context(|| format!("removing {}", plan.folder.display()))?;
        }
        fs::create_dir_all(&plan.folder)
            .with_context(|| format!("making {}", plan.folder.display()))?;
        let healthy: Vec<NodeSpec> = (1..=plan.nodes).map(spec).collect();
        let mut site = site_of(&healthy, &plan);
        change(&mut site);
        let mut specs = healthy;
        let broken_part = match (plan.fault, specs.first_mut()) {
            (Some(StageFault::Hardware(fault)), Some(first)) => Some(fault.apply(first)?),
            _ => None,
        };
        let net = Net::new(&NetOptions {
            taps: usize::from(plan.nodes),
            capture: Some(plan.folder.join("network.pcap")),
        })?;
        let nodes = build_nodes(&specs, &net, &plan)?;
        let before = nodes
            .iter()
            .map(Node::fingerprints)
            .collect::<Result<Vec<_>, RackError>>()?;
        let bmcs = if plan.bmcs {
            give_bmcs(&nodes, &mut site, &plan.folder)?
        } else {
            Vec::new()
        };
        let servers_plan = ServersPlan {
            groundstate: plan.groundstate,
            boot_assets: plan.boot_assets,
            image_store: plan.image_store,
            folder: plan.folder.clone(),
            interface: net.bridge().to_owned(),
            journal: plan.journal,
            page: plan.page,
            bucket: plan.bucket,
        };
        let mut servers = Servers::prepare(servers_plan, &site)?;
        if plan.fault == Some(StageFault::BadChunk) {
            servers.flip_a_bit_in_a_chunk()?;
        }
        servers.start()?;
        Ok(Self {
            bmcs,
            nodes,
            servers,
            fault: plan.fault,
            folder: plan.folder,
            broken_part,
            before,
            net,
        })
    }

    /// Orders a run for every node and has them powered on: by the servers through the nodes' BMCs, or by hand where they have
    /// none.
    ///
    /// # Errors
    /// When an order is refused or QEMU does not start.
    pub fn begin(&mut self) -> Result<()> {
        let operator = self.servers.operator();
        for node in &mut self.nodes {
            operator.provision(node.spec().name.as_str())?;
            if self.bmcs.is_empty() {
                node.power_on(&PowerOn::FIRMWARE)?;
            }
        }
        Ok(())
    }

    /// The nodes' reports, in order; while the servers are away, the error says so.
    ///
    /// # Errors
    /// When the servers do not answer.
    pub fn reports(&self) -> Result<Vec<NodeReport>> {
        let operator = self.servers.operator();
        self.nodes
            .iter()
            .map(|node| operator.report(node.spec().name.as_str()))
            .collect()
    }

    /// Looks until every node is `done`, calling `seen` with each new set of reports.
    ///
    /// # Errors
    /// When `limit` is over, or the servers ended by themselves.
    pub fn watch(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&NodeReport) -> bool,
        mut seen: impl FnMut(&mut Self, &[NodeReport]) -> Result<()>,
    ) -> Result<Vec<NodeReport>> {
        let until = Instant::now() + limit;
        let mut heard = Instant::now();
        let mut consoles: Vec<_> = self.nodes.iter().map(Node::serial_log).collect();
        consoles.iter_mut().for_each(SerialLog::skip_to_end);
        loop {
            self.servers.check()?;
            for console in &mut consoles {
                emulates(console)?;
            }
            match self.reports() {
                Ok(reports) => {
                    heard = Instant::now();
                    seen(self, &reports)?;
                    if reports.iter().all(&mut done) {
                        return Ok(reports);
                    }
                }
                // A moment of silence is a server that starts; a longer one is an error of its own.
                Err(error) if heard.elapsed() >= SILENCE_MAX => return Err(error),
                Err(_) => {}
            }
            if Instant::now() >= until {
                let phases: Vec<_> = self
                    .reports()?
                    .iter()
                    .map(|r| format!("{} {}", r.view.node, r.view.phase.as_str()))
                    .collect();
                bail!(
                    "after {} s: {}; the servers' log is {}",
                    limit.as_secs(),
                    phases.join(", "),
                    self.servers.log().display()
                );
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// How each node ended, with its disks compared to what they held before it was powered on.
    ///
    /// # Errors
    /// When a disk cannot be read.
    pub fn outcomes(&self, reports: &[NodeReport]) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        for ((node, before), report) in self.nodes.iter().zip(&self.before).zip(reports) {
            let (unchanged, disks) = unchanged(before, &node.fingerprints()?);
            outcomes.push(Outcome {
                report: report.clone(),
                unchanged,
                disks,
            });
        }
        Ok(outcomes)
    }

    /// What the disks held before the first power-on.
    #[must_use]
    pub fn before(&self) -> &[Vec<DiskFingerprint>] {
        &self.before
    }

    /// The stage's network.
    #[must_use]
    pub fn net(&self) -> &Net {
        &self.net
    }
}

/// Fails where the console says that the emulator has let the machine down: it is not waited for.
fn emulates(console: &mut SerialLog) -> Result<()> {
    while let Some(line) = console.next_line()? {
        if line.contains(TIMER_STOPPED) {
            bail!(
                "the emulator has stopped a processor's timer, and the machine stands still: {} says {:?}",
                console.path().display(),
                line.trim()
            );
        }
    }
    Ok(())
}

/// Whether a node has reached an end: Ready or Held.
#[must_use]
pub fn ended(report: &NodeReport) -> bool {
    matches!(report.view.phase, Phase::Ready | Phase::Held)
}

fn build_nodes(specs: &[NodeSpec], net: &Net, plan: &StagePlan) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        let folder = plan.folder.join(spec.name.as_str());
        nodes.push(Node::build(spec, &folder, Some(net.tap(index)?))?);
    }
    Ok(nodes)
}

/// A BMC for each node, named in the site, with its credential where the servers look for it.
fn give_bmcs(nodes: &[Node], site: &mut Site, folder: &Path) -> Result<Vec<VirtualBmc>> {
    let credentials = folder.join("state/credentials");
    fs::create_dir_all(&credentials)
        .with_context(|| format!("making {}", credentials.display()))?;
    let mut bmcs = Vec::new();
    for (node, known) in nodes.iter().zip(&mut site.nodes) {
        let bmc = VirtualBmc::start(node, IpAddr::V4(site.network.address))?;
        let name = format!("bmc-{}", known.name);
        let file = credentials.join(&name);
        let mut open = fs::OpenOptions::new();
        let mut secret = open
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&file)
            .with_context(|| format!("making {}", file.display()))?;
        writeln!(secret, "{}", bmc.credential())?;
        known.bmc = Some(BmcSite {
            address: bmc.address().to_string(),
            protocol: Some(BmcProtocol::Redfish),
            credential: name,
            certificate: Some(bmc.certificate().to_owned()),
            system: None,
        });
        bmcs.push(bmc);
    }
    Ok(bmcs)
}

fn site_of(healthy: &[NodeSpec], plan: &StagePlan) -> Site {
    let mut site = site(healthy);
    if let Some(hand_over) = plan.hand_over {
        site.policy.hand_over = hand_over;
    }
    for (node, spec) in site.nodes.iter_mut().zip(healthy) {
        node.keep = plan
            .keep_data_disk
            .and_then(|index| spec.disks.get(index + 1))
            .map(|disk| disk.serial.clone())
            .into_iter()
            .collect();
    }
    site
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_whose_timer_stopped_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serial.log");
        let mut console = SerialLog::new(&path);
        fs::write(&path, "[    1.0] rcu: \tall is well\n").unwrap();
        emulates(&mut console).unwrap();
        let said = "[    1.0] rcu: \tall is well\n[   25.7] rcu: \tPossible timer handling issue on cpu=1 timer-softirq=18\n";
        fs::write(&path, said).unwrap();
        let error = emulates(&mut console).unwrap_err().to_string();
        assert!(error.contains("on cpu=1"), "{error}");
    }
}
