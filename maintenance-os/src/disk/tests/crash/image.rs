// SPDX-License-Identifier: Apache-2.0
//! The raw image: what reads back as complete is complete, and every cut ends at the same bytes.

use super::*;
use crate::image::stand_in::{Made, made};

const IMAGE: u64 = 2 * MIB + 24 * 1_024;

fn table() -> TablePlan {
    let mut table = os_table();
    table.partitions.remove(0);
    // A disk with one partition is recognised as ours by a data volume's name.
    table.partitions[0].name = "gs-data".to_owned();
    table.partitions[0].start = Bytes::mib(1);
    table.partitions[0].length = Bytes::mib(3);
    table
}

fn bytes_on(rig: &Rig) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(IMAGE).unwrap()];
    rig.disk.image().read(&mut bytes, MIB);
    bytes
}

#[test]
fn power_goes_at_any_write_of_the_image() {
    // Data, a hole, data: every third piece of 64 KiB is zeros.
    let mut bytes = Numbers(4).bytes(usize::try_from(IMAGE).unwrap());
    for piece in bytes.chunks_mut(64 << 10).skip(1).step_by(3) {
        piece.fill(0);
    }
    let made: Made = made(&bytes, 64 << 10);
    let write = |rig: &Rig| {
        made.write(&rig.partition(1))
            .map_err(|reason| reason.to_string())?;
        made.read_back(&rig.partition(1))
            .map_err(|reason| reason.to_string())?;
        assert!(bytes_on(rig) == bytes);
        Ok(())
    };
    let complete = std::cell::Cell::new(0);
    let check = |rig: &Rig| {
        let is_right = bytes_on(rig) == bytes;
        let reads_back = made.read_back(&rig.partition(1)).is_ok();
        assert_eq!(
            reads_back, is_right,
            "what reads back as the image is the image"
        );
        complete.set(complete.get() + u64::from(is_right));
    };
    let mut before = Image::blank(6 * MIB);
    before.write(&Numbers(5).bytes(6 << 20), 0);
    let mut all = States::default();
    for (name, image) in [("blank", Image::blank(6 * MIB)), ("noise", before)] {
        let rig = Rig::new(&format!("image-{name}"), image, 512, Role::Data, table());
        let (states, _) = rig.cut(
            &|rig| rig.run(&|_| Ok(())).unwrap(),
            // The image has three flushes: its head is cleared first and written last.
            subsets(220),
            &write,
            &check,
        );
        println!("{name}: {} states, {states:?}", states.all());
        all.add(states);
    }
    println!(
        "raw image: {} states, {all:?}, {} of them complete",
        all.all(),
        complete.get()
    );
    assert!(complete.get() > 0 && all.all() >= 1_000, "{all:?}");
}
