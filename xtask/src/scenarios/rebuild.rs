// SPDX-License-Identifier: Apache-2.0
//! One data disk is made anew: the host restarts by itself, its identity and its other volumes stay, and other tools accept
//! what is on every disk.

use super::{RUN, changes_of_boot, on_a_stage, plan_of, plan_of_view, proof, ready, witness};
use crate::layout::Layout;
use anyhow::{Context as _, Result, ensure};
use groundstate_api::boot::Firmware;
use groundstate_api::plan::DiskAction;
use groundstate_api::view::Phase;
use groundstate_tests::stage::ended;

pub(super) fn one_disk(layout: &Layout) -> Result<()> {
    on_a_stage(layout, "rebuild", Firmware::UefiHttp, None, None, |stage| {
        let first_plan = plan_of(&ready(stage)?)?;
        let before = witness(stage)?;
        // The last disk: the one before it is kept by the site, and is not rebuilt.
        let disks = &stage.nodes[0].spec().disks;
        let serial = disks.last().context("a node has disks")?.serial.clone();
        let preview = stage
            .servers
            .operator()
            .preview_rebuild("node-1", &serial)?;
        ensure!(
            preview.contains("no image is written"),
            "the preview: {preview}"
        );
        stage.servers.operator().rebuild_disk("node-1", &serial)?;
        let is_over = |report: &groundstate_api::view::NodeReport| {
            ended(report) && plan_of(report).is_ok_and(|plan| plan.id != first_plan.id)
        };
        let second = stage.watch(RUN, is_over, |_, _| Ok(()))?.remove(0);
        ensure!(
            second.view.phase == Phase::Ready,
            "the rebuild ended {}: {:?}",
            second.view.phase.as_str(),
            second.view.reason
        );
        let plan = plan_of_view(second.plan.as_ref())?;
        for disk in &plan.disks {
            let wiped = matches!(disk.action, DiskAction::Wipe { .. });
            ensure!(
                wiped == (disk.serial == serial),
                "{}: {:?}",
                disk.serial,
                disk.action
            );
        }
        let after = witness(stage)?;
        ensure!(
            after.keys().eq(before.keys()),
            "volumes {before:?} -> {after:?}"
        );
        for (volume, (state, digest)) in &after {
            let (_, was) = before.get(volume).context("the same volumes")?;
            let is_new = state == "new" && digest != was;
            let is_kept = state == "kept" && digest == was;
            let right = if volume.ends_with(&serial) {
                is_new
            } else {
                is_kept
            };
            ensure!(right, "{volume}: {state}, {was} -> {digest}");
        }
        let host = second.host.context("a Ready node has a host")?;
        ensure!(host.plan == plan.id, "the host is of plan {}", host.plan);
        let changes = changes_of_boot(stage, &host.boot_id)?;
        let identity = ["machine-id", "ssh host keys", "host name"];
        ensure!(
            !changes
                .iter()
                .any(|change| identity.contains(&change.what.as_str())),
            "the host became another: {changes:?}"
        );
        stage.nodes[0].power_off();
        proof::other_tools_accept(stage, &plan)
    })
}
