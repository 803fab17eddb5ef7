// SPDX-License-Identifier: Apache-2.0
//! A raw disk made a dynamic VHD, by us and by `qemu-img convert`.

use super::ground::{Ground, PAIRS, Places, run, text, timed};
use super::{Figure, ratios};
use anyhow::{Result, ensure};
use groundstate_api::units::{GIB, MIB};
use maintenance_os::virtual_disk::{Conversion, Format, Parents, Target, convert};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The disk; half of its MiBs hold something.
const SIZE: u64 = 2 * GIB;

/// Raw to dynamic, in the page cache, durable at the end on both sides.
///
/// # Errors
/// A tool is missing or failed, or the disks differ afterwards.
pub fn convert_raw(ground: &Ground) -> Result<Vec<Figure>> {
    let raw = ground.path("raw");
    let (ours, theirs) = (ground.path("ours.vhd"), ground.path("theirs.vhd"));
    make_raw(&raw)?;
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for round in 0..=PAIRS {
        ground.say(&format!("raw to dynamic VHD, pair {round} of {PAIRS}"));
        let (mut took, mut peer) = (0.0, 0.0);
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                ground.settle(&[&ours])?;
                took = timed(|| by_us(&raw, &ours))?.0;
            } else {
                ground.settle(&[&theirs])?;
                let options = ["-o", "subformat=dynamic,force_size=on"];
                let mut arguments = vec![
                    "convert",
                    "-q",
                    "-f",
                    "raw",
                    "-O",
                    "vpc",
                    "-t",
                    "writeback",
                    "-m",
                    "16",
                    "-W",
                ];
                arguments.extend(options);
                arguments.extend([text(&raw)?, text(&theirs)?]);
                peer = timed(|| run("qemu-img", &arguments))?.0;
            }
        }
        for made in [&ours, &theirs] {
            run(
                "qemu-img",
                &[
                    "compare",
                    "-q",
                    "-f",
                    "raw",
                    "-F",
                    "vpc",
                    text(&raw)?,
                    text(made)?,
                ],
            )?;
        }
        if round > 0 {
            one.push(took);
            other.push(peer);
        }
    }
    ground.settle(&[&raw, &ours, &theirs])?;
    let ratios = ratios(&other, &one);
    Ok(vec![
        Figure::new(
            "raw 2 GiB to dynamic VHD",
            "ms",
            "our convert, durable",
            one,
        )
        .against(
            "qemu-img convert -t writeback -m 16 -W",
            other,
            "peer / ours",
            ratios,
        )
        .note("each run: compared with the raw disk by qemu-img"),
    ])
}

fn by_us(raw: &Path, to: &Path) -> Result<()> {
    let made = convert(
        &Conversion {
            input: raw.to_path_buf(),
            from: Some(Format::Raw),
            parents: Parents::default(),
            output: to.to_path_buf(),
            to: Target::Dynamic,
            format: Format::Vhd,
            force: false,
        },
        &mut |_, _| (),
    )?;
    ensure!(made.size == SIZE, "{} bytes", made.size);
    Ok(())
}

/// Every other MiB is full of bytes that look random; the rest was never written.
fn make_raw(path: &Path) -> Result<()> {
    let file = File::create(path)?;
    file.set_len(SIZE)?;
    let mut places = Places::new(1);
    let mut bytes = vec![0; usize::try_from(MIB)?];
    for at in (0..SIZE).step_by(usize::try_from(2 * MIB)?) {
        for word in bytes.chunks_mut(8) {
            word.copy_from_slice(&places.below(u64::MAX).to_le_bytes());
        }
        file.write_all_at(&bytes, at)?;
    }
    Ok(file.sync_all()?)
}
