// SPDX-License-Identifier: Apache-2.0
//! Two disks of a GiB full of canaries are erased, NVMe by Format NVM and SATA by overwriting: their images hold no canary
//! afterwards, every other disk is unchanged, and both certificates verify.

use super::{RUN, on_a_stage};
use crate::layout::Layout;
use anyhow::{Context as _, Result, ensure};
use groundstate_api::boot::Firmware;
use groundstate_api::view::{NodeReport, Phase};
use groundstate_tests::rack::PowerOn;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

/// What each canary begins with; the sector's number follows, so that no two are alike.
const CANARY: &[u8; 16] = b"groundstate bird";
/// One canary to a sector.
const SECTOR: usize = 512;
/// How much of an image is written and read at once.
const PIECE: usize = 1 << 20;

pub(super) fn canaries(layout: &Layout) -> Result<()> {
    on_a_stage(layout, "erase", Firmware::UefiHttp, None, None, |stage| {
        let node = stage.nodes.first().context("one node")?;
        // The first is large, and the site keeps the second.
        let mut serials = Vec::new();
        for disk in node.disks().iter().skip(2) {
            fill(disk.path())?;
            ensure!(birds(disk.path())? > 0, "no canary was written");
            serials.push(disk.serial().to_owned());
        }
        let before = node.fingerprints()?;
        let operator = stage.servers.operator();
        let mut order = vec!["node", "erase", "node-1", "--yes"];
        for serial in &serials {
            order.extend(["--confirm", serial]);
        }
        operator.run(&order)?;
        stage.nodes[0].power_on(&PowerOn::FIRMWARE)?;
        let is_over = |report: &NodeReport| {
            let erases = report.plan.as_ref().is_some_and(|plan| plan.erases());
            report.view.phase == Phase::Held || erases && report.view.phase == Phase::Enrolled
        };
        let report = stage.watch(RUN, is_over, |_, _| Ok(()))?.remove(0);
        ensure!(
            report.view.phase == Phase::Enrolled,
            "the erase ended {}: {:?}",
            report.view.phase.as_str(),
            report.view.reason
        );
        let text = stage
            .servers
            .operator()
            .run(&["node", "certificates", "node-1", "--verify"])?;
        stage.nodes[0].power_off();
        for disk in stage.nodes[0].disks() {
            let found = birds(disk.path())?;
            let erased = serials.iter().any(|serial| serial == disk.serial());
            ensure!(
                !erased || found == 0,
                "{}: {found} canaries are left",
                disk.serial()
            );
        }
        for (old, new) in before.iter().zip(stage.nodes[0].fingerprints()?) {
            let same = old.content == new.content;
            ensure!(
                same != serials.contains(&old.serial),
                "{}: {}",
                old.serial,
                if same { "unchanged" } else { "changed" }
            );
        }
        for serial in &serials {
            let line = format!("{serial}  ERASED");
            ensure!(text.contains(&line), "no certificate of {serial}: {text}");
        }
        ensure!(
            text.contains("nvme-format-user-data") && text.contains("ERASED by overwrite"),
            "both ways should have been taken: {text}"
        );
        let good = text.matches("signature good").count();
        ensure!(good == serials.len(), "{good} signatures verify: {text}");
        Ok(())
    })
}

/// Writes a canary to every sector of an image; its length stays.
fn fill(image: &Path) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .open(image)
        .with_context(|| format!("opening {}", image.display()))?;
    let size = file.seek(std::io::SeekFrom::End(0))?;
    file.rewind()?;
    let (mut at, mut sector) = (0, 0u64);
    while at < size {
        let mut piece = Vec::with_capacity(PIECE);
        while piece.len() < PIECE && at + (piece.len() as u64) < size {
            let from = piece.len();
            piece.extend_from_slice(CANARY);
            piece.extend_from_slice(&sector.to_le_bytes());
            piece.resize(from + SECTOR, 0x5a);
            sector += 1;
        }
        file.write_all(&piece)?;
        at += piece.len() as u64;
    }
    Ok(file.sync_all()?)
}

/// How many sectors of an image begin with a canary, wherever in it.
fn birds(image: &Path) -> Result<u64> {
    let mut file = File::open(image).with_context(|| format!("opening {}", image.display()))?;
    let (mut piece, mut found) = (vec![0u8; PIECE], 0u64);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(found);
        }
        let windows = piece.get(..read).unwrap_or_default().chunks(SECTOR);
        found += windows
            .map(|sector| u64::from(sector.starts_with(CANARY)))
            .sum::<u64>();
    }
}
