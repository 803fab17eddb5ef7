// SPDX-License-Identifier: Apache-2.0
//! A machine with one disk is provisioned twice: the OS is made anew, the data volume beside it stays, and other tools
//! accept what is on the disk.

use super::{RUN, on, plan_of, proof, ready, stage_plan, witness};
use crate::layout::Layout;
use anyhow::{Context as _, Result, ensure};
use groundstate_api::boot::Firmware;
use groundstate_api::plan::{DiskAction, Plan, TablePlan};
use groundstate_api::view::{NodeReport, Phase};
use groundstate_tests::rack::NodeSpec;
use groundstate_tests::stage::{Stage, ended};

pub(super) fn stays(layout: &Layout) -> Result<()> {
    let plan = stage_plan(layout, "beside-os", Firmware::UefiHttp, None, None)?;
    let set = |plan| {
        let spec = |index| NodeSpec::shelf(index, Firmware::UefiHttp, 1);
        Stage::set_with(plan, spec, |site| {
            for node in &mut site.nodes {
                node.keep = node.os_disk.clone().into_iter().collect();
            }
        })
    };
    on(plan, set, |stage| {
        let first = plan_of(&ready(stage)?)?;
        let before = witness(stage)?;
        stage.servers.operator().reprovision("node-1")?;
        let is_over = |report: &NodeReport| {
            ended(report) && plan_of(report).is_ok_and(|plan| plan.id != first.id)
        };
        let second = stage.watch(RUN, is_over, |_, _| Ok(()))?.remove(0);
        ensure!(
            second.view.phase == Phase::Ready,
            "the second run ended {}: {:?}",
            second.view.phase.as_str(),
            second.view.reason
        );
        let plan = plan_of(&second)?;
        let (was, is) = (table(&first)?, table(&plan)?);
        let renewed = matches!(plan.disks[0].action, DiskAction::Renew { .. });
        ensure!(
            renewed && was.disk_guid == is.disk_guid,
            "the second plan: {:?}",
            plan.disks[0].action
        );
        let after = witness(stage)?;
        ensure!(
            after.keys().eq(before.keys()),
            "volumes {before:?} -> {after:?}"
        );
        for (volume, (state, digest)) in &after {
            let (_, was) = before.get(volume).context("the same volumes")?;
            ensure!(
                state == "kept" && digest == was,
                "{volume}: {state}, {was} -> {digest}"
            );
        }
        let host = second.host.context("a Ready node has a host")?;
        ensure!(host.plan == plan.id, "the host is of plan {}", host.plan);
        stage.nodes[0].power_off();
        proof::other_tools_accept(stage, &plan)
    })
}

fn table(plan: &Plan) -> Result<&TablePlan> {
    let disk = plan.disks.first().context("a plan has disks")?;
    match &disk.action {
        DiskAction::Wipe { table, .. } | DiskAction::Renew { table, .. } => Ok(table),
        other => anyhow::bail!("the only disk: {other:?}"),
    }
}
