// SPDX-License-Identifier: Apache-2.0
//! What holds for every plan.

use super::*;
use crate::guard::guard_disk;
use groundstate_api::units::MIB;
use proptest::prelude::*;

fn any_disk() -> impl Strategy<Value = Disk> {
    let sizes = (1u64..6_000_000, 0u64..2048);
    (sizes, any::<[bool; 5]>(), 0u8..4).prop_map(|((mib, sectors), flags, transport)| {
        let transport = [
            Transport::Ata,
            Transport::Nvme,
            Transport::Virtio,
            Transport::Usb,
        ][usize::from(transport)];
        let mut disk = disk("", 0, transport);
        disk.logical_sector = if flags[0] { 512 } else { 4096 };
        disk.size = Bytes(mib * MIB + sectors * u64::from(disk.logical_sector));
        disk.removable = flags[1] && flags[2];
        disk.rotational = flags[3];
        disk
    })
}

fn any_disks() -> impl Strategy<Value = Vec<Disk>> {
    proptest::collection::vec(any_disk(), 1..8).prop_map(|mut disks| {
        for (index, disk) in disks.iter_mut().enumerate() {
            disk.serial = format!("S-{index}");
        }
        disks
    })
}

proptest! {
    #[test]
    fn every_plan_stands_on_its_disks(disks in any_disks(), vhd_mib in 1u64..64) {
        let mut case = Case::new(disks);
        case.policy.vhds[0].size = format!("{vhd_mib}MiB");
        let Ok(plan) = case.plan() else { return Ok(()) };
        prop_assert_eq!(canonical_bytes(&plan), canonical_bytes(&case.plan().unwrap()));
        prop_assert!(verify(&plan));
        prop_assert_eq!(plan.disks.len(), case.inventory.disks.len());
        prop_assert_eq!(plan.disks.iter().filter(|disk| disk.role == Role::Os).count(), 1);
        let mut reversed = case.clone();
        reversed.inventory.disks.reverse();
        prop_assert_eq!(&reversed.plan().unwrap(), &plan);
        for disk in &plan.disks {
            if let DiskAction::Wipe { table, .. } = &disk.action {
                prop_assert_eq!(check_table(disk, table), Ok(()));
                let last = table.partitions.last().unwrap();
                let end = last.start.0 + last.length.0;
                prop_assert!(disk.size.0 - end >= MIB && disk.size.0 - end < 2 * MIB);
            }
        }
        prop_assert_eq!(guard(&plan, &case.inventory.disks, Some(uuid())), Ok(()));
    }

    #[test]
    fn the_guard_refuses_every_single_change(which in 0usize..4, field in 0usize..6) {
        let case = Case::new(rack());
        let plan = case.plan().unwrap();
        let mut seen = case.inventory.disks.clone();
        let disk = &mut seen[which];
        match field {
            0 => disk.serial.push('x'),
            1 => disk.wwn = disk.wwn.as_ref().map_or(Some("naa.5".to_string()), |_| None),
            2 => disk.size.0 -= u64::from(disk.logical_sector),
            3 => disk.logical_sector = 4_608 - disk.logical_sector,
            4 => drop(seen.remove(which)),
            _ => seen.push(super::disk("NEW", 1, Transport::Nvme)),
        }
        prop_assert!(guard(&plan, &seen, Some(uuid())).is_err());
        if field < 5 {
            let serial = &case.inventory.disks[which].serial;
            let planned = plan.disks.iter().find(|disk| disk.serial == *serial).unwrap();
            prop_assert!(guard_disk(planned, &seen).is_err());
        }
    }

    #[test]
    fn a_changed_plan_has_another_id(at in 0usize..4_000, by in 1u8..=255) {
        let plan = Case::new(rack()).plan().unwrap();
        let mut bytes = serde_json::to_vec(&plan).unwrap();
        let at = at % bytes.len();
        bytes[at] = bytes[at].wrapping_add(by);
        if let Ok(changed) = serde_json::from_slice::<Plan>(&bytes) {
            prop_assert!(changed == plan || !verify(&changed));
        }
    }
}
