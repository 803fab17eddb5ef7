// SPDX-License-Identifier: Apache-2.0
//! The OS anew beside a data volume that stays: power goes at any write, and neither the table nor a byte of the volume
//! is another at any moment.

use super::*;
use crate::disk::{partition, wipe};
use mos_core::plan::TYPE_DATA;

const UUID: &str = "aaabcd82-9a65-8456-abab-95010f9e5758";
const SIZE: u64 = 24 * MIB;
/// The volume, from its first MiB on.
const VOLUME: (u64, u64) = (14, 9);

fn table() -> TablePlan {
    let volume = PartitionContents::Ext4 {
        label: "gs-data-1".to_owned(),
        uuid: UUID.to_owned(),
        mount_point: "/data/S".to_owned(),
        vhds: Vec::new(),
    };
    // What fills boot and root partition is tried elsewhere.
    let boot = part("gs-esp", TYPE_ESP, 1, 3, PartitionContents::Root);
    let root = part("gs-root", TYPE_ROOT, 4, 10, PartitionContents::Root);
    TablePlan {
        disk_guid: DISK_GUID.to_owned(),
        partitions: vec![
            boot,
            root,
            part("gs-data", TYPE_DATA, VOLUME.0, VOLUME.1, volume),
        ],
    }
}

/// A disk as a host has left it: boot, root and a volume full of data.
fn used(name: &str, sector: u32) -> Image {
    let rig = Rig::new(name, Image::blank(SIZE), sector, Role::Os, table());
    rig.run(&|_| Ok(())).unwrap();
    let mut image = rig.disk.image();
    let noise = Numbers(9).bytes(10 << 20);
    image.write(&noise[..3 << 20], MIB);
    image.write(&noise, 4 * MIB);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("volume");
    File::create(&path)
        .unwrap()
        .set_len(VOLUME.1 * MIB)
        .unwrap();
    passes("mke2fs", &["-q", "-F", "-t", "ext4", "-U", UUID], &path);
    let mut volume = fs::read(&path).unwrap();
    // Past what mke2fs wrote, bytes of somebody's.
    let free = volume.len() - (2 << 20);
    volume[free..].copy_from_slice(&noise[..2 << 20]);
    image.write(&volume, VOLUME.0 * MIB);
    image
}

fn renewal(name: &str, sector: u32) -> (Rig, Image) {
    let image = used(&format!("{name}-used"), sector);
    let mut rig = Rig::new(name, image.clone(), sector, Role::Os, table());
    let mut disk = rig.plan.disks[0].clone();
    disk.action = DiskAction::Renew {
        goes: vec!["unknown data on partition 1".to_owned()],
        table: table(),
    };
    rig.plan = plan_of(disk);
    (rig, image)
}

/// The bytes from one MiB to another.
fn piece(image: &Image, from: u64, to: u64) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from((to - from) * MIB).unwrap()];
    image.read(&mut bytes, from * MIB);
    bytes
}

/// Everything but boot and root partition: the table at both ends, and the volume.
fn kept(image: &Image) -> [Vec<u8>; 2] {
    [piece(image, 0, 1), piece(image, VOLUME.0, SIZE / MIB)]
}

#[test]
fn power_goes_at_any_write_of_a_renewal_and_the_volume_is_as_it_was() {
    let mut all = States::default();
    for sector in [512, 4_096] {
        let (rig, image) = renewal(&format!("renew-{sector}"), sector);
        let as_it_was = kept(&image);
        let check = |rig: &Rig| assert!(kept(&rig.disk.image()) == as_it_was);
        let (states, last) = rig.cut(&|_| (), subsets(30), &|_| Ok(()), &check);
        all.add(states);
        assert!(kept(&last) == as_it_was);
        for (from, to) in [(1, 4), (4, 9), (12, 14)] {
            assert!(piece(&last, from, to).iter().all(|byte| *byte == 0));
        }
    }
    println!("renewal: {} states, {all:?}", all.all());
    assert!(all.all() >= 60, "{all:?}");
}

#[test]
fn a_volume_that_is_another_and_a_table_that_is_another_stay_untouched() {
    let (rig, image) = renewal("renew-other", 512);
    let planned = rig.plan.disks[0].clone();
    // Neither is carried out by the executors of a wipe.
    assert!(wipe(&rig.path, &planned, false).is_err() && partition(&rig.path, &planned).is_err());
    let mut other_volume = image.clone();
    // The UUID of an ext4 stands at byte 0x68 of its superblock.
    other_volume.write(&[0x55; 16], VOLUME.0 * MIB + 1_024 + 0x68);
    let mut gone = image.clone();
    gone.write(&[0; 4_096], VOLUME.0 * MIB);
    let mut other_table = table();
    other_table.partitions[2].guid = "0F0F0F0F-1111-4222-8333-444444444444".to_owned();
    let other = Rig::new(
        "renew-table",
        Image::blank(SIZE),
        512,
        Role::Os,
        other_table,
    );
    other.run(&|_| Ok(())).unwrap();
    for image in [other_volume, gone, other.disk.image()] {
        rig.disk.put(image.clone());
        let look = |_| vec![seen(&rig.path, rig.sector)];
        let bench = Bench {
            plan: &rig.plan,
            look: &look,
            image_begun: false,
        };
        let reason = guard_all(&bench, Some(rig.plan.machine)).unwrap_err();
        assert_eq!(reason.code, ReasonCode::DiskInUse, "{reason}");
        for step in [Step::Wipe, Step::Partition, Step::Volumes, Step::Vhds] {
            let reason = carry_out(step, &bench, &mut |_, _| ()).unwrap_err();
            assert_eq!(reason.code, ReasonCode::DiskInUse, "{step:?}: {reason}");
        }
        assert!(rig.disk.log().is_empty());
        assert!(rig.disk.image().differs(&image).is_empty());
    }
}
