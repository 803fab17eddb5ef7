// SPDX-License-Identifier: Apache-2.0
//! Figures of virtual disks against the tools that people would use instead, as ratios. It asserts nothing.
//!
//! `cargo run --release -p maintenance-os --example virtual_disk_bench -- FOLDER`: needs 17 GiB there for a while.

#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made has nothing to say"
)]

use groundstate_api::Bytes;
use maintenance_os::virtual_disk::{Contents, Create, DiskFile, Format, create};
use mos_core::random_access::{ReadAt as _, WriteAt as _};
use mos_core::vhd::Vhd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const PIECE: usize = 64 << 10;
const REQUESTS: u64 = 20_000;

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = Path::new(&folder);
    reservation(folder);
    many(folder);
    random(folder);
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "{program} {arguments:?}");
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn make(path: &Path, size: Bytes, contents: Contents, preallocate: bool) {
    let created = create(&Create {
        path: path.to_path_buf(),
        format: Format::Vhd,
        size: Some(size),
        contents,
        preallocate,
        force: true,
    })
    .unwrap();
    assert!(created.reserved.is_none() || created.allocated >= created.file_length);
}

/// 8 GiB reserved by us, by `fallocate`, and written by `dd`.
fn reservation(folder: &Path) {
    let (ours, theirs) = (folder.join("ours.vhd"), folder.join("theirs"));
    let name = theirs.to_str().unwrap();
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let _gone = std::fs::remove_file(&ours);
        let _gone = std::fs::remove_file(&theirs);
        run("sync", &[]);
        one.push(timed(|| make(&ours, Bytes::gib(8), Contents::Fixed, false)));
        // The same promise: the file is durable when the call returns.
        other.push(timed(|| {
            run("fallocate", &["-l", "8589935104", name]);
            std::fs::File::open(&theirs).unwrap().sync_all().unwrap();
        }));
    }
    let _gone = std::fs::remove_file(&ours);
    let (one, other) = (median(one), median(other));
    let _gone = std::fs::remove_file(&theirs);
    let zeros = timed(|| {
        let to = format!("of={name}");
        run(
            "dd",
            &["if=/dev/zero", &to, "bs=1M", "count=8192", "conv=fsync"],
        );
    });
    let _gone = std::fs::remove_file(&theirs);
    println!(
        "fixed VHD of 8 GiB, durable: {one:?}; bare fallocate and fsync: {other:?}; dd of zeros: {zeros:?}"
    );
    println!(
        "  ours / fallocate {:.2}; zeros / ours {:.0}",
        one.as_secs_f64() / other.as_secs_f64(),
        zeros.as_secs_f64() / one.as_secs_f64()
    );
}

/// 24 disks with 4 VHDs each: 24 folders of this one volume, 256 MiB each, one thread a disk.
fn many(folder: &Path) {
    let disks: Vec<_> = (0..24)
        .map(|disk| folder.join(format!("disk-{disk}")))
        .collect();
    for disk in &disks {
        std::fs::create_dir_all(disk).unwrap();
    }
    let took = timed(|| {
        std::thread::scope(|scope| {
            for disk in &disks {
                scope.spawn(move || {
                    for number in 0..4 {
                        let path = disk.join(format!("vm-{number}.vhd"));
                        make(&path, Bytes::mib(256), Contents::Fixed, false);
                    }
                });
            }
        });
    });
    for disk in &disks {
        std::fs::remove_dir_all(disk).unwrap();
    }
    println!("24 disks x 4 fixed VHDs, each durable: {took:?}");
}

/// A small generator; the same places for everybody.
fn places(count: u64, blocks: u64) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % blocks * PIECE as u64
    };
    std::iter::repeat_with(next)
        .take(usize::try_from(count).unwrap())
        .collect()
}

/// The commands go in by a pipe; what qemu-io needs to start is taken off by a run without any.
fn qemu_io(path: &Path, verb: &str, places: &[u64]) -> Duration {
    use std::io::Write as _;
    let once = |commands: &str| {
        timed(|| {
            let mut child = Command::new("qemu-io")
                .args(["-f", "vpc", "-t", "writeback"])
                .arg(path)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(commands.as_bytes())
                .unwrap();
            assert!(child.wait().unwrap().success());
        })
    };
    let commands: String = places
        .iter()
        .map(|at| format!("{verb} -q {at} {PIECE}\n"))
        .collect();
    let all = once(&commands);
    all.saturating_sub(once(""))
}

/// Random reads and writes of 64 KiB in a dynamic VHD of 4 GiB, in the page cache.
fn random(folder: &Path) {
    let (ours, theirs) = (folder.join("dynamic.vhd"), folder.join("theirs.vhd"));
    let size = Bytes::gib(4);
    let all: Vec<u64> = places(REQUESTS, size.0 / PIECE as u64);
    let _gone = std::fs::remove_file(&theirs);
    make(&ours, size, Contents::Dynamic, false);
    make(&theirs, size, Contents::Dynamic, false);
    let open = |path: &Path| {
        let file = std::fs::File::options().read(true).write(true).open(path);
        Vhd::open(DiskFile::new(file.unwrap()).unwrap()).unwrap()
    };
    let mut bytes = vec![0x5a; PIECE];
    for round in ["first writes (allocating)", "overwrites"] {
        let one = timed(|| {
            let mut vhd = open(&ours);
            for at in &all {
                vhd.write_at(*at, &bytes).unwrap();
            }
            vhd.flush().unwrap();
        });
        let other = qemu_io(&theirs, "write -P 0x5a", &all);
        ratio(round, one, other);
        run("sync", &[]);
    }
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        one.push(timed(|| {
            let mut vhd = open(&ours);
            for at in &all {
                vhd.read_at(*at, &mut bytes).unwrap();
            }
        }));
        other.push(qemu_io(&theirs, "read", &all));
    }
    ratio("reads", median(one), median(other));
    bench(&ours, &theirs);
    for path in [&ours, &theirs] {
        let _gone = std::fs::remove_file(path);
    }
}

fn ratio(what: &str, one: Duration, other: Duration) {
    println!(
        "dynamic VHD, {REQUESTS} random {what} of 64 KiB: ours {one:?}, qemu-io {other:?}; ours is {:.2} x as fast",
        other.as_secs_f64() / one.as_secs_f64()
    );
}

/// `qemu-img bench` steps through the disk; so do we, in the same steps, one request at a time as it does with depth 1.
fn bench(ours: &Path, theirs: &Path) {
    const STEP: u64 = 13 << 16;
    // Both from memory: the device is the same for both, and no longer the matter.
    for path in [ours, theirs] {
        run("cat", &[path.to_str().unwrap()]);
    }
    let count = (REQUESTS * 2).to_string();
    for (depth, what) in [("1", "depth 1"), ("64", "depth 64")] {
        let name = theirs.to_str().unwrap();
        let bench = |count: &str| {
            timed(|| {
                let step = STEP.to_string();
                let arguments = [
                    "bench",
                    "-f",
                    "vpc",
                    "-c",
                    count,
                    "-d",
                    depth,
                    "-s",
                    "65536",
                    "-S",
                    &step,
                    "-t",
                    "writeback",
                    name,
                ];
                run("qemu-img", &arguments);
            })
        };
        let other = bench(&count).saturating_sub(bench("1"));
        let one = timed(|| {
            let file = DiskFile::open(ours, false).unwrap().unwrap();
            let mut vhd = Vhd::open(file).unwrap();
            let size = vhd.size().0;
            let mut bytes = vec![0; PIECE];
            let mut at = 0;
            for _ in 0..REQUESTS * 2 {
                vhd.read_at(at, &mut bytes).unwrap();
                at += STEP;
                if at + PIECE as u64 > size {
                    at -= at / (size - PIECE as u64) * (size - PIECE as u64);
                    at -= at % PIECE as u64;
                }
            }
        });
        println!(
            "dynamic VHD, stepped reads of 64 KiB: ours {one:?}, qemu-img bench {what} {other:?}; ours is {:.2} x as fast",
            other.as_secs_f64() / one.as_secs_f64()
        );
    }
}
