// SPDX-License-Identifier: Apache-2.0
//! A boot storm: 1,000 simulated machines within 10 s, each with DHCP, its first stage by TFTP and, for one in ten, the
//! boot image by HTTP; and 200 machines on a wire that loses every twentieth datagram in each direction.
//!
//! The machines behave as firmware does: they wait 4 s before they ask again, and longer after that. Every byte that
//! arrives is hashed.

use super::figure::{Figure, Goal};
use super::ground::Ground;
use super::machine::{Hub, Loss, Machine, Seen};
use super::tftp::rank;
use super::wire::{OUR_END, PREFIX, SERVER, Server, Wire, ours};
use anyhow::{Context as _, Result, ensure};
use groundstate_api::Digest;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// The pool: a quarter more than there are machines. The kernel answers for each of its addresses.
const POOL: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(10, 64, 4, 0), Ipv4Addr::new(10, 64, 8, 255));
/// Machines, and over how long they are switched on.
const MACHINES: u32 = 1_000;
const OVER: Duration = Duration::from_secs(10);
/// One in so many fetches the boot image, too.
const IMAGE_EACH: u32 = 10;
/// Machines on the wire that loses datagrams: one in so many.
const LOSSY_MACHINES: u32 = 200;
const LOST_ONE_IN: u32 = 20;
/// The first stage, and the boot image, in bytes.
const FIRST_STAGE: usize = 1 << 20;
const IMAGE: usize = 20 << 20;
/// What a machine's thread needs.
const STACK: usize = 192 << 10;

/// 1,000 machines.
///
/// # Errors
/// What kept the storm from being made.
pub fn storm(ground: &Ground) -> Result<Vec<Figure>> {
    ground.say("1,000 machines are switched on within 10 s");
    let (seen, memory) = blow(ground, MACHINES, OVER, IMAGE_EACH, Loss::none())?;
    let name = |what: &str| format!("boot storm of {MACHINES} machines: {what}");
    let took: Vec<f64> = seen
        .iter()
        .map(|one| one.first_stage.as_secs_f64() * 1e3)
        .collect();
    Ok(vec![
        whole(&name("finished with every hash right"), &seen, MACHINES),
        Figure::new(
            &name("most retries of one"),
            "retries",
            "groundstate",
            vec![most_retries(&seen)],
        )
        .goal(Goal::AtMost(1.0)),
        Figure::new(
            &name("p95 until the first stage is there"),
            "ms",
            "groundstate",
            vec![rank(&took, 0.95)],
        )
        .goal(Goal::AtMost(30_000.0)),
        Figure::new(
            &name("memory of the server"),
            "MiB",
            "groundstate",
            vec![memory],
        ),
    ])
}

/// 200 machines on a wire that loses 5 % in each direction.
///
/// # Errors
/// What kept the storm from being made.
pub fn storm_with_loss(ground: &Ground) -> Result<Vec<Figure>> {
    ground.say("200 machines on a wire that loses every twentieth datagram");
    let loss = Loss::one_in(LOST_ONE_IN);
    let (seen, _) = blow(ground, LOSSY_MACHINES, OVER, LOSSY_MACHINES + 1, loss)?;
    let name = format!(
        "{LOSSY_MACHINES} machines with 5 % loss both ways: finished with every hash right"
    );
    Ok(vec![whole(&name, &seen, LOSSY_MACHINES)])
}

fn whole(name: &str, seen: &[Seen], of: u32) -> Figure {
    let well = seen.iter().filter(|one| one.failed.is_none()).count();
    let mut figure = Figure::new(name, "machines", "groundstate", vec![count(well)]);
    for (number, why) in seen
        .iter()
        .enumerate()
        .filter_map(|(n, one)| Some((n, one.failed.as_ref()?)))
        .take(3)
    {
        figure = figure.note(format!("machine {number}: {why}"));
    }
    figure.goal(Goal::AtLeast(f64::from(of)))
}

fn blow(
    ground: &Ground,
    machines: u32,
    over: Duration,
    image_each: u32,
    loss: Loss,
) -> Result<(Vec<Seen>, f64)> {
    let wire = Wire::enter()?;
    let (stage, image) = (noise(FIRST_STAGE, 1), noise(IMAGE, 2));
    let server = serve(ground, &wire, &stage, &image)?;
    answer_for_the_pool()?;
    let hub = Hub::open(OUR_END)?;
    let digests = Arc::new([Digest::of(&stage), Digest::of(&image)]);
    let began = Instant::now();
    let threads: Vec<_> = (0..machines)
        .map(|number| {
            let machine = Machine {
                number,
                server: SERVER,
                hub: hub.clone(),
                loss: loss.of(number),
                first_stage: ("first.efi", digests[0]),
                image: (number % image_each == 0).then_some(("boot.img", digests[1])),
            };
            let at = began + over * number / machines;
            thread::Builder::new().stack_size(STACK).spawn(move || {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                machine.boot()
            })
        })
        .collect::<Result<_, _>>()?;
    let seen: Vec<Seen> = threads
        .into_iter()
        .map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Seen::broken("its thread panicked"))
        })
        .collect();
    hub.close();
    let memory = count(usize::try_from(server.memory_peak()? >> 20)?);
    Ok((seen, memory))
}

fn serve(ground: &Ground, wire: &Wire, stage: &[u8], image: &[u8]) -> Result<Server> {
    let folder = ground.path("storm");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let (boot, state) = (folder.join("boot"), folder.join("state"));
    fs::create_dir_all(&boot)?;
    fs::write(boot.join("first.efi"), stage)?;
    fs::write(boot.join("boot.img"), image)?;
    let (program, arguments) = ours(&boot, &state, &format!("{}-{}", POOL.0, POOL.1))?;
    let mut server = wire.start(&folder, &program, &arguments)?;
    server.wait_until(|| Ok(TcpStream::connect((SERVER, 80)).is_ok()))?;
    Ok(server)
}

/// Each machine's address is one of this end's: sockets can be bound to it, and ARP is answered.
fn answer_for_the_pool() -> Result<()> {
    let mut ip = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot start ip")?;
    let mut words = String::new();
    for address in u32::from(POOL.0)..=u32::from(POOL.1) {
        let address = Ipv4Addr::from(address);
        words.push_str(&format!("addr add {address}/{PREFIX} dev {OUR_END}\n"));
    }
    ip.stdin
        .take()
        .context("it has no input")?
        .write_all(words.as_bytes())?;
    ensure!(ip.wait()?.success(), "ip took not every address");
    Ok(())
}

/// Bytes that do not compress and are the same at every run.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).to_le_bytes()
    };
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 4);
    while bytes.len() < length {
        let [a, b, c, ..] = next();
        bytes.extend([a, b, c]);
    }
    bytes.truncate(length);
    bytes
}

fn most_retries(seen: &[Seen]) -> f64 {
    seen.iter()
        .map(|one| f64::from(one.retries))
        .fold(0.0, f64::max)
}

fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}
