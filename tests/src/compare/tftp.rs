// SPDX-License-Identifier: Apache-2.0
//! TFTP: one client at each window, 500 at once, memory for each transfer, and a wire that loses datagrams; ours against
//! tftpd-hpa, atftpd, dnsmasq and the crate tftpd.
//!
//! Each server runs in a network namespace of its own, over veth with an MTU of 1,500, the clients are one thread at the
//! other end. Every byte that arrives is compared with the file's. Where speed is measured, the server has one processor
//! and the clients another, ours and the peers' alike: neither is slower for what the other side costs. And the clients
//! take what was handed over in one piece as it is, as a network card hands it on: cutting it would be the server's time.

mod batch;
mod client;
mod crowd;
mod floor;
mod servers;

pub use floor::{TFTP_FLOOR, tftp_floor};

use super::figure::{Figure, Goal, Spread};
use super::ground::Ground;
use super::wire::{CLIENT, SERVER, Wire};
use anyhow::{Context as _, Result, ensure};
use client::{Client, NAME, Order};
use crowd::{Crowd, alone};
use servers::Who;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The file for one client, in bytes, and how often each server sends it at each window.
const ONE: usize = 64 << 20;
const ROUNDS: usize = 3;
/// How long one client may take.
const ONE_LIMIT: Duration = Duration::from_secs(60);
/// Windows, and how many times the fastest peer's rate ours should be.
const WINDOWS: [(u16, Option<f64>); 4] =
    [(1, None), (4, Some(2.0)), (16, Some(3.0)), (64, Some(3.0))];
/// The crowd, and the file of each of them in bytes.
const CROWD: u64 = 500;
const EACH: usize = 8 << 20;
const CROWD_WINDOW: u16 = 4;
/// How long a crowd may take.
const CROWD_LIMIT: Duration = Duration::from_secs(60);
/// Transfers at a time whose memory is weighed, and how far each of them is then, in bytes.
const WEIGHED: u64 = 1_000;
const WEIGHED_AT: usize = 1 << 20;
/// On the wire that loses datagrams: clients, their file in bytes, and how long they may take.
const LOSSY: u64 = 200;
const LOSSY_EACH: usize = 1 << 20;
const LOSSY_LIMIT: Duration = Duration::from_secs(120);

/// A folder with the file, and what is ordered from it.
struct Shop {
    folder: PathBuf,
    order: Order,
}

impl Shop {
    fn open(ground: &Ground, length: usize, window: u16) -> Result<Self> {
        let folder = ground.path("tftp");
        fs::create_dir_all(folder.join("boot"))?;
        // It repeats only after 1.2 MB: a block in the wrong place is another block.
        let pattern: Vec<u8> = (0u32..300_007).flat_map(u32::to_le_bytes).collect();
        let file: Vec<u8> = pattern.into_iter().cycle().take(length).collect();
        fs::write(folder.join("boot").join(NAME), &file)?;
        let order = Order {
            server: (SERVER, 69).into(),
            own: CLIENT,
            window,
            file: Arc::new(file),
            lost_one_in: 0,
            apart: false,
        };
        Ok(Self { folder, order })
    }
}

/// One client.
///
/// # Errors
/// Ours does not start, or sends something else.
pub fn tftp_one(ground: &Ground) -> Result<Vec<Figure>> {
    let mut wire = Wire::enter()?;
    let mut shop = Shop::open(ground, ONE, 1)?;
    shop.order.apart = wire.apart()?;
    let mut figures = Vec::new();
    for (window, goal) in WINDOWS {
        let name = format!("TFTP, one client, windowsize {window}, 64 MiB");
        figures.extend(one(ground, &wire, &shop, (&name, window, goal))?);
    }
    // Whoever sleeps between two windows is woken faster where the client is.
    wire.together()?;
    shop.order.apart = false;
    let name = "TFTP, one client, windowsize 4, 64 MiB, processors shared";
    figures.extend(one(ground, &wire, &shop, (name, CROWD_WINDOW, None))?);
    Ok(figures)
}

/// One client at one window: ours against the peers, and the floor.
fn one(
    ground: &Ground,
    wire: &Wire,
    shop: &Shop,
    (name, window, goal): (&str, u16, Option<f64>),
) -> Result<Vec<Figure>> {
    ground.say(name);
    let order = Order {
        window,
        ..shop.order.clone()
    };
    let rate = |who: Who| -> Result<f64> {
        let _server = who.start(&shop.folder, wire)?;
        Ok(megabytes(ONE) / alone(order.clone(), ONE_LIMIT)?)
    };
    let (mut ours, mut path) = (Vec::new(), Vec::new());
    let mut theirs = Who::PEERS.map(|who| (who, Vec::new(), None));
    for _ in 0..ROUNDS {
        ours.push(rate(Who::Ours)?);
        // Longer windows are the memory's: with every packet in it, the floor is none.
        if window <= CROWD_WINDOW {
            path.push(rate(Who::Floor)?);
        }
        for (who, rates, failed) in &mut theirs {
            match rate(*who) {
                Ok(one) => rates.push(one),
                Err(error) => *failed = Some(format!("{error:#}")),
            }
        }
    }
    let figure = judged(name, &ours, &theirs, goal, shop.order.where_it_runs());
    let floor = (!path.is_empty())
        .then(|| floor_of(&figure, path, "floor / fastest", super::figure::ratios))
        .flatten();
    Ok([Some(figure), floor].into_iter().flatten().collect())
}

/// What the kernel's path took by itself, against the same peer: the ratio that no server passes on this machine.
fn floor_of(figure: &Figure, path: Vec<f64>, ratio_of: &str, ratio: Ratio) -> Option<Figure> {
    let peer = figure.peer.as_ref()?;
    let ratios = ratio(&path, &peer.values);
    let name = format!("{}: the floor", figure.name);
    let floor = Figure::new(&name, &figure.unit, Who::Floor.name(), path);
    Some(
        floor
            .against(&peer.what, peer.values.clone(), ratio_of, ratios)
            .note("a sender with every packet in memory that decides nothing"),
    )
}

/// The ratios of two sides, pair by pair.
type Ratio = fn(&[f64], &[f64]) -> Vec<f64>;

/// Against the fastest peer of each round. A peer that could not be measured makes it short.
fn judged(
    name: &str,
    ours: &[f64],
    theirs: &[(Who, Vec<f64>, Option<String>); 4],
    goal: Option<f64>,
    place: &str,
) -> Figure {
    let missing = theirs
        .iter()
        .find_map(|(who, _, failed)| Some((who, failed.as_ref()?)));
    if let Some((who, why)) = missing {
        return Figure::missing(name, format!("{}: {why}", who.name()));
    }
    let fastest: Vec<f64> = (0..ours.len())
        .map(|round| {
            let of_round = theirs.iter().filter_map(|(_, rates, _)| rates.get(round));
            of_round.copied().fold(0.0, f64::max)
        })
        .collect();
    let ratios = super::figure::ratios(ours, &fastest);
    let mut figure = Figure::new(name, "MB/s", Who::Ours.name(), ours.to_vec()).against(
        "the fastest of four",
        fastest,
        "ours / fastest",
        ratios,
    );
    for (who, rates, _) in theirs {
        let median = Spread::of(rates).map_or(0.0, |spread| spread.median);
        figure = figure.note(format!("{}: {median:.0} MB/s", who.name()));
    }
    figure = figure
        .note("over veth, MTU 1500, blksize 1468; every byte compared".to_owned())
        .note(place.to_owned());
    match goal {
        Some(goal) => figure.goal(Goal::AtLeast(goal)),
        None => figure,
    }
}

/// 500 clients at once, from one address.
///
/// # Errors
/// Ours does not start, or sends something else.
#[expect(
    clippy::too_many_lines,
    reason = "one stretch of time and what is read off it"
)]
pub fn tftp_500(ground: &Ground) -> Result<Vec<Figure>> {
    let mut wire = Wire::enter()?;
    let mut shop = Shop::open(ground, EACH, CROWD_WINDOW)?;
    shop.order.apart = wire.apart()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut spread, mut failed, mut again) = (Vec::new(), Vec::new(), 0);
    let mut path = Vec::new();
    let mut work = [const { (Vec::new(), Vec::new()) }; 3];
    for round in 1..=ROUNDS {
        ground.say(&format!("TFTP: 500 clients, round {round} of {ROUNDS}"));
        let served = crowd(Who::Ours, &shop, &wire, CROWD_LIMIT)?;
        let finished = &served.finished;
        ours.push(rank(finished, 1.0));
        spread.push(rank(finished, 0.99) / rank(finished, 0.5));
        failed.push(missing(CROWD, finished.len()));
        again += served.again;
        let peer = crowd(Who::Crate, &shop, &wire, CROWD_LIMIT)?;
        theirs.push(whole(&peer.finished));
        let floor = crowd(Who::Floor, &shop, &wire, CROWD_LIMIT)?;
        path.push(whole(&floor.finished));
        for ((server, idle), of) in work.iter_mut().zip([&served, &peer, &floor]) {
            server.push(of.worked);
            idle.push(of.clients_idle);
        }
    }
    // The others are slower by far: they have the time that the fastest took, and half as much again.
    let fastest = theirs.iter().copied().fold(f64::INFINITY, f64::min);
    let limit = Duration::try_from_secs_f64(fastest * 1.5)
        .unwrap_or(CROWD_LIMIT)
        .min(CROWD_LIMIT);
    let name = "TFTP, 500 clients x 8 MiB, windowsize 4";
    let mut notes = Vec::new();
    for who in [Who::Hpa, Who::Atftpd, Who::Dnsmasq] {
        ground.say(&format!("TFTP: 500 clients, {}", who.name()));
        let server = who.start(&shop.folder, &wire);
        if let Err(error) = server {
            return Ok(vec![Figure::missing(name, format!("{error:#}"))]);
        }
        let said = match fetch_all(&shop, limit) {
            Ok((finished, ..)) => {
                let took = whole(&finished);
                theirs.iter_mut().for_each(|one| *one = one.min(took));
                format!(
                    "{} of {CROWD} done within {:.0} s",
                    finished.len(),
                    limit.as_secs_f64()
                )
            }
            Err(error) => format!("it broke off: {error:#}"),
        };
        notes.push(format!("{}: {said}", who.name()));
    }
    let ratios = super::figure::ratios(&theirs, &ours);
    let work = work.map(|(server, idle)| (rank(&server, 0.5), rank(&idle, 0.5)));
    let mut time = Figure::new(name, "s", Who::Ours.name(), ours)
        .against(
            "the fastest (crate tftpd)",
            theirs,
            "fastest / ours",
            ratios,
        )
        .goal(Goal::AtLeast(3.0))
        .note(format!(
            "clients of ours said the same again {again} times in all"
        ))
        .note(shop.order.where_it_runs().to_owned());
    for note in notes {
        time = time.note(note);
    }
    for (who, (server, idle)) in [Who::Ours, Who::Crate, Who::Floor].into_iter().zip(work) {
        time = time.note(format!(
            "{}: processor time {server:.2} s; all clients waited for {idle:.2} s",
            who.name()
        ));
    }
    let inverse = |path: &[f64], peer: &[f64]| super::figure::ratios(peer, path);
    let floor = floor_of(&time, path, "fastest / floor", inverse);
    let ours = Who::Ours.name();
    let mut figures = vec![
        time,
        Figure::new("TFTP, 500 clients: not finished", "clients", ours, failed)
            .goal(Goal::AtMost(0.0)),
        Figure::new("TFTP, 500 clients: p99/p50 of finishing", "", ours, spread)
            .goal(Goal::AtMost(1.3)),
    ];
    figures.extend(floor);
    wire.together()?;
    shop.order.apart = false;
    figures.push(crowd_shared(ground, &shop, &wire)?);
    Ok(figures)
}

/// The crowd once more, where the server may use every processor that its clients leave: what a thread for each transfer
/// is made for.
fn crowd_shared(ground: &Ground, shop: &Shop, wire: &Wire) -> Result<Figure> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        ground.say(&format!("TFTP: 500 clients, shared, round {round}"));
        ours.push(whole(&crowd(Who::Ours, shop, wire, CROWD_LIMIT)?.finished));
        theirs.push(whole(&crowd(Who::Crate, shop, wire, CROWD_LIMIT)?.finished));
    }
    let ratios = super::figure::ratios(&theirs, &ours);
    let name = "TFTP, 500 clients x 8 MiB, windowsize 4, processors shared";
    let figure = Figure::new(name, "s", Who::Ours.name(), ours);
    Ok(figure
        .against("crate tftpd", theirs, "crate tftpd / ours", ratios)
        .note(shop.order.where_it_runs()))
}

/// How a crowd was served.
struct Served {
    finished: Vec<f64>,
    again: u32,
    /// Seconds of processor time.
    worked: f64,
    /// Seconds in which no client had anything to do: where there are few, the clients are what is measured.
    clients_idle: f64,
}

fn crowd(who: Who, shop: &Shop, wire: &Wire, limit: Duration) -> Result<Served> {
    let server = who.start(&shop.folder, wire)?;
    let before = server.processor_time()?;
    let (finished, again, idle) = fetch_all(shop, limit).with_context(|| who.name().to_owned())?;
    Ok(Served {
        finished,
        again,
        worked: server.processor_time()? - before,
        clients_idle: idle.as_secs_f64(),
    })
}

/// When each client of the crowd finished, how often one said the same again, and how long all of them waited.
fn fetch_all(shop: &Shop, limit: Duration) -> Result<(Vec<f64>, u32, Duration)> {
    let mut crowd = Crowd::begin(&shop.order, CROWD)?;
    crowd.run(limit, |_| false)?;
    Ok((crowd.finished(), crowd.again(), crowd.idle()))
}

/// Memory for each transfer.
///
/// # Errors
/// The server does not start, or the transfers do not get so far.
pub fn tftp_memory(ground: &Ground) -> Result<Vec<Figure>> {
    let wire = Wire::enter()?;
    let shop = Shop::open(ground, EACH, CROWD_WINDOW)?;
    let mut each = Vec::new();
    for who in [Who::Ours, Who::Crate] {
        ground.say(&format!("TFTP: memory of 1,000 transfers, {}", who.name()));
        let server = who.start(&shop.folder, &wire)?;
        // What the first transfer makes it keep counts for none of them.
        alone(shop.order.clone(), ONE_LIMIT)?;
        let before = server.memory_now()?;
        let mut crowd = Crowd::begin(&shop.order, WEIGHED)?;
        let enough = |client: &Client| client.got() >= WEIGHED_AT;
        let began = Instant::now();
        crowd.run(CROWD_LIMIT, enough)?;
        ensure!(began.elapsed() < CROWD_LIMIT, "{}: too slow", who.name());
        let grown = server.memory_now()?.saturating_sub(before);
        each.push(kib(grown) / kib(WEIGHED * 1_024));
    }
    let [ours, theirs] = each.as_slice() else {
        return Ok(Vec::new());
    };
    Ok(vec![
        Figure::new(
            "TFTP: memory for each of 1,000 transfers",
            "KiB",
            Who::Ours.name(),
            vec![*ours],
        )
        .note(format!("crate tftpd, a thread for each: {theirs:.1} KiB"))
        .note("resident memory, every transfer 1 MiB into its file".to_owned())
        .goal(Goal::AtMost(32.0)),
    ])
}

/// A wire that loses every twentieth datagram in each direction.
///
/// # Errors
/// The server does not start, or sends something else.
pub fn tftp_loss(ground: &Ground) -> Result<Vec<Figure>> {
    let wire = Wire::enter()?;
    let mut figures = Vec::new();
    for window in [1, 4, 16] {
        ground.say(&format!("TFTP: 5 % loss both ways, windowsize {window}"));
        let shop = Shop::open(ground, LOSSY_EACH, window)?;
        let order = Order {
            lost_one_in: 20,
            ..shop.order.clone()
        };
        let _server = Who::Ours.start(&shop.folder, &wire)?;
        let mut crowd = Crowd::begin(&order, LOSSY)?;
        crowd.run(LOSSY_LIMIT, |_| false)?;
        let finished = crowd.finished();
        let name = format!("TFTP, 5 % loss both ways, windowsize {window}: 200 x 1 MiB finished");
        let done = u32::try_from(finished.len()).map_or(0.0, f64::from);
        figures.push(
            Figure::new(&name, "clients", Who::Ours.name(), vec![done])
                .note(format!("the last one after {:.1} s", rank(&finished, 1.0)))
                .goal(Goal::AtLeast(200.0)),
        );
    }
    Ok(figures)
}

/// When the last of a whole crowd finished.
fn whole(finished: &[f64]) -> f64 {
    if missing(CROWD, finished.len()) > 0.0 {
        f64::INFINITY
    } else {
        rank(finished, 1.0)
    }
}

fn missing(of: u64, finished: usize) -> f64 {
    let missing = usize::try_from(of).unwrap_or(usize::MAX) - finished;
    u32::try_from(missing).map_or(f64::INFINITY, f64::from)
}

/// The value below which so many of them lie.
pub(super) fn rank(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank"
    )]
    let at = ((sorted.len() as f64 * share).ceil() as usize).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(f64::INFINITY)
}

fn megabytes(bytes: usize) -> f64 {
    u32::try_from(bytes).map_or(f64::INFINITY, f64::from) / 1e6
}

fn kib(bytes: u64) -> f64 {
    u32::try_from(bytes >> 10).map_or(f64::INFINITY, f64::from)
}
