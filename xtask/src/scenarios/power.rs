// SPDX-License-Identifier: Apache-2.0
//! A machine whose BMC forgets the boot override is switched on by the provisioner all the same and comes to its run; LED, inventory
//! and console are had over the API; and another boots from the ISO in its BMC's virtual drive.

use super::{HOST_BOOT, RUN, stage_plan};
use crate::layout::Layout;
use anyhow::{Context as _, Result, ensure};
use groundstate_api::action::{Act, Outcome};
use groundstate_api::boot::{BootSighting, Firmware};
use groundstate_api::event::Happened;
use groundstate_api::view::{NodeReport, Phase};
use groundstate_tests::rack::{BmcFault, NodeSpec};
use groundstate_tests::stage::{Stage, StagePlan};
use std::time::{Duration, Instant};

/// How long the provisioner may take until it has switched a machine on through a healthy BMC.
const SWITCHED: Duration = Duration::from_secs(180);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(200);

pub(super) fn by_bmc(layout: &Layout) -> Result<()> {
    let plan = with_bmcs(layout, "power")?;
    super::on(plan, Stage::set, |stage| {
        bmc(stage)?.set_fault(Some(BmcFault::Reverts));
        stage.servers.operator().provision("node-1")?;
        is_switched(stage, true)?;
        let in_its_run = |report: &NodeReport| {
            matches!(
                report.view.phase,
                Phase::Checking | Phase::Planned | Phase::Provisioning | Phase::Ready
            )
        };
        stage.watch(RUN, in_its_run, |_, _| Ok(()))?;
        let ends = outcomes(stage)?;
        let by = |wanted: fn(&Act) -> bool| {
            let found = ends.iter().find(|(act, _)| wanted(act));
            found.map(|(_, outcome)| outcome.clone())
        };
        let next = by(|act| matches!(act, Act::BootNext { .. }));
        ensure!(
            matches!(&next, Some(Outcome::Done { by, .. }) if by == "boot-service"),
            "the BMC forgets the override, so the boot service should have been left: {next:?}"
        );
        let power = by(|act| matches!(act, Act::Power { .. }));
        ensure!(
            matches!(&power, Some(Outcome::Done { by, .. }) if by == "redfish"),
            "the BMC should have switched it on: {power:?}"
        );
        bmc(stage)?.set_fault(None);
        people_see(stage)?;
        let operator = stage.servers.operator();
        operator.run(&["node", "power", "node-1", "force-off", "--yes"])?;
        is_switched(stage, false)?;
        let open = bmc(stage)?.sessions();
        ensure!(open == 0, "{open} sessions of the BMC were left open");
        Ok(())
    })
}

/// What the commands show of a machine that runs.
fn people_see(stage: &Stage) -> Result<()> {
    let operator = stage.servers.operator();
    operator.run(&["node", "identify", "node-1", "on"])?;
    ensure!(bmc(stage)?.led(), "the LED is not lit");
    operator.run(&["node", "identify", "node-1", "off"])?;
    ensure!(!bmc(stage)?.led(), "the LED is still lit");
    let shown = operator.run(&["node", "bmc", "node-1"])?;
    for wanted in ["Virtual Server", "GS-RACK-0001", "on", "sha256:"] {
        ensure!(shown.contains(wanted), "no {wanted} in {shown}");
    }
    let console = operator.run(&["node", "console", "node-1"])?;
    ensure!(
        console.contains("Groundstate maintenance OS"),
        "the console should show the maintenance OS: {console}"
    );
    Ok(())
}

pub(super) fn virtual_drive(layout: &Layout) -> Result<()> {
    let plan = with_bmcs(layout, "virtual-drive")?;
    super::on(plan, Stage::set, |stage| {
        let before = stage.nodes[0].fingerprints()?;
        let operator = stage.servers.operator();
        let iso = stage.folder.join("boot.iso");
        let (state, file) = (stage.folder.join("state"), iso.display().to_string());
        let state = state.display().to_string();
        operator.run(&["boot-image", "--output", &file, "--state-dir", &state])?;
        let said = operator.run(&["node", "boot-next", "node-1", "virtual-media"])?;
        ensure!(said.contains("done by redfish"), "{said}");
        let fetched = stage.nodes[0].folder().join("virtual-media.iso");
        ensure!(
            std::fs::read(&fetched)? == std::fs::read(&iso)?,
            "the BMC fetched another ISO than boot-image writes"
        );
        operator.run(&["node", "power", "node-1", "on"])?;
        is_switched(stage, true)?;
        stage.nodes[0].wait_for_line("Groundstate maintenance OS", HOST_BOOT)?;
        stage.nodes[0].wait_for_line("calling the provisioner", HOST_BOOT)?;
        stage.nodes[0].wait_for_line("waiting: ", HOST_BOOT)?;
        for event in stage.servers.operator().events(0)? {
            if let Happened::BootSeen {
                sighting: BootSighting::FileSent { file, .. },
            } = &event.what
            {
                anyhow::bail!("it fetched {file} over the network");
            }
        }
        let operator = stage.servers.operator();
        operator.run(&["node", "power", "node-1", "force-off", "--yes"])?;
        is_switched(stage, false)?;
        let (same, disks) =
            groundstate_tests::rack::unchanged(&before, &stage.nodes[0].fingerprints()?);
        ensure!(same == disks, "{} disks were changed", disks - same);
        Ok(())
    })
}

/// One UEFI machine with a BMC.
pub(super) fn with_bmcs(layout: &Layout, name: &str) -> Result<StagePlan> {
    let mut plan = stage_plan(layout, name, Firmware::UefiHttp, None, None)?;
    plan.bmcs = true;
    Ok(plan)
}

/// The healthy node of the stage.
pub(super) fn healthy(index: u8) -> NodeSpec {
    NodeSpec::demo(index, Firmware::UefiHttp)
}

fn bmc(stage: &Stage) -> Result<&groundstate_tests::rack::VirtualBmc> {
    stage.bmcs.first().context("the node has no BMC")
}

/// Waits until the machine is on or off.
pub(super) fn is_switched(stage: &Stage, on: bool) -> Result<()> {
    let until = Instant::now() + SWITCHED;
    while stage.nodes[0].is_on() != on {
        ensure!(
            Instant::now() < until,
            "the machine should be {} by now; its BMC was asked: {:?}",
            if on { "on" } else { "off" },
            bmc(stage)?.asked()
        );
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// The actions that have ended, oldest first.
fn outcomes(stage: &Stage) -> Result<Vec<(Act, Outcome)>> {
    let events = stage.servers.operator().events(0)?;
    let mut acts = Vec::new();
    let mut ends = Vec::new();
    for event in events {
        match event.what {
            Happened::ActionBegun { action } => acts.push((action.id, action.act)),
            Happened::ActionEnded { id, outcome } => {
                let act = acts.iter().find(|(known, _)| *known == id);
                ends.extend(act.map(|(_, act)| (act.clone(), outcome)));
            }
            _ => {}
        }
    }
    Ok(ends)
}
