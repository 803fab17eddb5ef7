// SPDX-License-Identifier: Apache-2.0
//! The ESP: formatted by the executor and filled in the order of the hand-over.

use super::fat::{file, mounted};
use super::*;
use crate::handover::{EspFiles, fill_stand_in, memory_file};
use mos_core::loader_entry::{ENTRY_PATH, LoaderEntry};
use std::io::Write as _;

const DISK: u64 = 40 * MIB;
const PLAN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn table() -> TablePlan {
    let mut table = os_table();
    table.partitions[0].length = Bytes::mib(36);
    table.partitions[1].start = Bytes::mib(37);
    table.partitions[1].length = Bytes::mib(1);
    table
}

fn blob(seed: u64, length: usize) -> (File, Vec<u8>) {
    let bytes = Numbers(seed).bytes(length);
    let mut file = memory_file("blob").unwrap();
    file.write_all(&bytes).unwrap();
    (file, bytes)
}

#[test]
fn power_goes_at_any_write_of_the_esp() {
    let (boot_loader, _) = blob(1, 9_000);
    let (kernel, kernel_bytes) = blob(2, 30_000);
    let (initrd, initrd_bytes) = blob(3, 41_000);
    let id: PlanId = PLAN.parse().unwrap();
    let files = EspFiles {
        boot_loader: &boot_loader,
        kernel: &kernel,
        initrd: &initrd,
        cmdline: "console=ttyS0",
        root_guid: DISK_GUID,
        plan: &id,
    };
    let make = |rig: &Rig| {
        let look = |_| vec![seen(&rig.path, rig.sector)];
        let bench = Bench {
            plan: &rig.plan,
            look: &look,
            image_begun: false,
        };
        let made = carry_out(Step::Volumes, &bench, &mut |_, _| ());
        made.map_err(|reason| reason.to_string())?;
        mounted(&rig.partition(1), &|tree| fill_stand_in(tree, &files))
            .map_err(|error| error.to_string())
    };
    // An entry that can be read names a kernel and an initrd that are whole: the next boot may start from it.
    let check = |rig: &Rig| {
        let esp = rig.partition(1);
        let Some(text) = file(&esp, ENTRY_PATH) else {
            return;
        };
        let entry = LoaderEntry::parse(&text).expect("an entry is whole or not there");
        assert!(file(&esp, &entry.linux).unwrap() == kernel_bytes);
        assert!(file(&esp, &entry.initrd[0]).unwrap() == initrd_bytes);
    };
    let dir = tempfile::tempdir().unwrap();
    let mut all = States::default();
    for (name, image) in [("blank", Image::blank(DISK)), ("noise", noise())] {
        let rig = Rig::new(&format!("esp-{name}"), image, 512, Role::Os, table());
        let (states, last) = rig.cut(&tables_written, subsets(24), &make, &check);
        println!("{name}: {} states, {states:?}", states.all());
        all.add(states);
        let path = dir.path().join(name);
        last.save(&path, 0, DISK);
        let text = passes("sgdisk", &["-v"], &path);
        assert!(text.contains("No problems found"), "{name}: {text}");
        let esp = &rig.table().partitions[0];
        last.save(&path, esp.start.0, esp.length.0);
        passes("fsck.fat", &["-n"], &path);
        assert!(file(&rig.partition(1), ENTRY_PATH).is_some());
    }
    println!("ESP: {} states, {all:?}", all.all());
    assert!(all.all() >= 2_200, "{all:?}");
}

/// The cuts before this are those of wipe and table.
fn tables_written(rig: &Rig) {
    rig.run(&|_| Ok(())).unwrap();
}

fn noise() -> Image {
    let mut image = Image::blank(DISK);
    image.write(&Numbers(9).bytes(12 << 20), 0);
    image
}
