// SPDX-License-Identifier: Apache-2.0
//! Laying out 24 disks at once against one: the real plan, carried out by the real executors on disks with a service time.
//!
//! From the guard to the VHDs, each step with its look at the disks, as a node does it. What only a node has stands here:
//! the list of the machine's disks. Needs root, FUSE and loop devices.

use super::ground::{Ground, PAIRS, run, text, timed};
use super::slow_disk::{BYTES_A_SECOND, EACH, Shelf};
use super::{Figure, Goal, Spread, ratios};
use anyhow::{Result, bail, ensure};
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::{
    Attachment, Disk, Health, Inventory, MemoryInfo, SystemInfo, Transport, Verdict,
};
use groundstate_api::plan::{DiskAction, EarlierDisks, HandOver, Plan, Role, Step};
use groundstate_api::site::{Node, Policy, VhdPolicy};
use groundstate_api::units::GIB;
use groundstate_api::{Bytes, Digest, MacAddr, Millis, SCHEMA, SystemUuid};
use maintenance_os::disk::{Bench, Look, carry_out, fill_contents, partition_device};
use mos_core::plan::{PlanRequest, plan};
use std::collections::BTreeMap;
use std::path::Path;

/// The shelf.
const DISKS: usize = 24;
/// Each disk of it.
const SIZE: u64 = 64 * GIB;
/// The disk of the operating system: planned and left alone here, for it gets no VHDs.
const OS_SIZE: u64 = 32 * GIB;
/// On each disk.
const VHDS: u16 = 4;
/// What is carried out. The guard's own step compares the plan with this machine's UUID, which is another.
const STEPS: [Step; 4] = [Step::Wipe, Step::Partition, Step::Volumes, Step::Vhds];

/// 24 disks at once, against one of them.
///
/// # Errors
/// No root, no FUSE, no loop device; or a disk is not what the plan says.
pub fn shelf(ground: &Ground) -> Result<Vec<Figure>> {
    let (mut all, mut one, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=PAIRS {
        ground.say(&format!(
            "24 simulated disks and one, pair {round} of {PAIRS}"
        ));
        let whole = lay_out(ground, DISKS, round)?;
        let alone = lay_out(ground, 1, round)?;
        if round > 0 {
            all.push(whole.0);
            one.push(alone.0);
            requests.push(alone.1);
        }
    }
    let ratios = ratios(&all, &one);
    let requests = Spread::of(&requests).map_or(0.0, |spread| spread.median);
    let ours = "24 disks: wipe, partition, ext4, 4 VHDs";
    let figure = Figure::new("24 disks laid out, against one", "ms", ours, all)
        .against("one disk", one, "24 disks / 1 disk", ratios)
        .goal(Goal::AtMost(2.0))
        .note("each look at the disks as the maintenance OS does it, its own function called")
        .note(format!(
            "every request takes {} ms and its bytes at {} MB/s; one disk gets {requests} requests",
            EACH.as_millis(),
            BYTES_A_SECOND / 1_000_000
        ))
        .note("each run: every VHD read back from a mount of its volume, each volume passed by e2fsck -fn");
    Ok(vec![figure])
}

/// Milliseconds for so many disks, and requests of one disk.
fn lay_out(ground: &Ground, count: usize, round: usize) -> Result<(f64, f64)> {
    let at = ground.path(&format!("shelf-{count}-{round}"));
    let mut shelf = Shelf::new(&at, count, SIZE)?;
    let names = shelf.names().iter().zip(1u32..);
    let disks: Vec<Disk> = names
        .map(|(name, number)| seen(name, &format!("DATA-{number:02}"), SIZE))
        .collect();
    let plan = planned(&disks)?;
    for (number, disk) in plan.disks.iter().enumerate() {
        let DiskAction::Wipe { table, .. } = &disk.action else {
            bail!("disk {} is not laid out", disk.serial);
        };
        let [volume] = table.partitions.as_slice() else {
            bail!("disk {} has other partitions than its volume", disk.serial);
        };
        shelf.show_partition(number, volume.start.0, volume.length.0)?;
    }
    let looked = |wanted| looked_at(&disks, &wanted);
    let bench = Bench {
        plan: &plan,
        look: &looked,
        image_begun: false,
    };
    shelf.done();
    let (took, ()) = timed(|| {
        for step in STEPS {
            carry_out(step, &bench, &mut |_, _| ()).map_err(|reason| {
                anyhow::anyhow!("{}: {}", step.as_str(), reason.lines().join("; "))
            })?;
        }
        Ok(())
    })?;
    let requests = shelf.done().requests / count as u64;
    shelf.untimed();
    for (disk, planned) in disks.iter().zip(&plan.disks) {
        ensure!(disk.serial == planned.serial, "the plan has another order");
        is_laid_out(ground, &partition_device(&disk.kernel_name, 1))?;
    }
    drop(shelf);
    Ok((took, f64::from(u32::try_from(requests)?)))
}

/// The volume is clean, and its VHDs are there and zero.
fn is_laid_out(ground: &Ground, partition: &Path) -> Result<()> {
    run("e2fsck", &["-fn", text(partition)?])?;
    let at = ground.path("mounted");
    std::fs::create_dir_all(&at)?;
    run("mount", &["-o", "ro,noload", text(partition)?, text(&at)?])?;
    let checked = vhds(&at);
    run("umount", &[text(&at)?])?;
    checked
}

fn vhds(at: &Path) -> Result<()> {
    let mut count = 0;
    for entry in std::fs::read_dir(at)? {
        let path = entry?.path();
        if path.extension().is_none_or(|kind| kind != "vhd") {
            continue;
        }
        count += 1;
        run("qemu-img", &["info", "-f", "vpc", text(&path)?])?;
        let found = std::fs::metadata(&path)?;
        ensure!(
            std::os::unix::fs::MetadataExt::blocks(&found) * 512 >= found.len(),
            "{} is not there",
            path.display()
        );
    }
    ensure!(count == VHDS, "{count} VHDs instead of {VHDS}");
    Ok(())
}

/// A disk as the probes would report it, before its contents are looked at.
fn seen(name: &str, serial: &str, size: u64) -> Disk {
    let health = Health {
        verdict: Verdict::Ok,
        source: "none".to_owned(),
        evidence: Vec::new(),
        temperature_c: None,
        power_on_hours: None,
        findings: Vec::new(),
        figures: BTreeMap::new(),
    };
    Disk {
        kernel_name: name.to_owned(),
        slot: format!("bay-{serial}"),
        serial: serial.to_owned(),
        wwn: None,
        model: "simulated".to_owned(),
        revision: String::new(),
        size: Bytes(size),
        logical_sector: 512,
        physical_sector: 512,
        transport: Transport::Ata,
        rotational: true,
        removable: false,
        read_only: false,
        contents: Vec::new(),
        layout: None,
        health,
        attachment: Attachment::default(),
    }
}

/// The same with what they hold, as the maintenance OS looks at it: what cannot be read is refused by the guard.
fn looked_at(disks: &[Disk], wanted: &Look) -> Vec<Disk> {
    let mut disks = disks.to_vec();
    let _told_there = fill_contents(&mut disks, wanted);
    disks
}

/// What the planner makes of a machine with these disks and one for its operating system, of which only these are kept:
/// the operating system's disk gets no VHDs and would be one more than the shelf.
fn planned(disks: &[Disk]) -> Result<Plan> {
    let machine: SystemUuid = "11111111-2222-3333-4444-555555555555".parse()?;
    let mut os = seen("os", "OS", OS_SIZE);
    os.rotational = false;
    let mut every = disks.to_vec();
    every.push(os);
    let node = Node {
        os_disk: Some("OS".to_owned()),
        ..Node::new(
            "node-1".parse()?,
            MacAddr([2, 0, 0, 0, 0, 1]),
            machine,
            "M-1",
        )
    };
    let policy = Policy {
        vhds: vec![VhdPolicy {
            name: "vm".to_owned(),
            count: VHDS,
            fill: true,
            ..VhdPolicy::default()
        }],
        ..Policy::new("debian-host", HandOver::Kexec)
    };
    let image = ImageRef {
        name: "debian-host".to_owned(),
        version: "1".to_owned(),
        kind: groundstate_api::image::ImageKind::RootFsExt4,
        manifest: Digest::of(b""),
        size: Bytes::mib(100),
        sector_size: 512,
        whole: None,
    };
    let request = PlanRequest {
        run: &"r-1".parse()?,
        node: &node,
        policy: &policy,
        hand_over: HandOver::Kexec,
        inventory: &inventory(machine, every)?,
        earlier: &EarlierDisks::default(),
        image: &image,
        boot_mac: node.mac,
        seed: Digest::of(b"seed"),
        files: &[],
        confirm: &[],
        rebuild: None,
        host: None,
    };
    let mut plan =
        plan(&request).map_err(|reason| anyhow::anyhow!("{}", reason.lines().join("; ")))?;
    plan.disks.retain(|disk| disk.role == Role::Data);
    ensure!(
        plan.disks.len() == disks.len(),
        "{} disks are planned",
        plan.disks.len()
    );
    Ok(plan)
}

fn inventory(machine: SystemUuid, disks: Vec<Disk>) -> Result<Inventory> {
    Ok(Inventory {
        schema: SCHEMA,
        boot_id: machine.to_string().parse()?,
        first_line_after: Millis(1),
        complete_after: Millis(2),
        system: SystemInfo {
            manufacturer: String::new(),
            product: String::new(),
            serial: "M-1".to_owned(),
            uuid: Some(machine),
            firmware_version: String::new(),
            firmware: None,
            uefi: true,
            cpus: 1,
            cpu_model: String::new(),
        },
        memory: MemoryInfo {
            available: Bytes::gib(1),
            configured: Bytes::gib(1),
            dimms: Vec::new(),
        },
        disks,
        nics: Vec::new(),
        devices: Vec::new(),
        could_not_look: Vec::new(),
    })
}
