// SPDX-License-Identifier: Apache-2.0
//! A boot file by HTTP, against nginx with sendfile: each server on one core, the client on the other.
//!
//! The client takes bytes off its sockets without copying them (MSG_TRUNC), so that it is the servers that are measured.
//! What arrives is hashed once for each server, before anything is timed.

use super::figure::{Figure, Goal, ratios};
use super::ground::{Ground, PAIRS, text};
use super::wire::{SERVER, Server, Wire, ours};
use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::Pid;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// The file: larger than any buffer on the way, small enough for the page cache.
const LENGTH: u64 = 1 << 30;
const NAME: &str = "large.img";
/// How long nothing may arrive.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes taken at a time.
const TAKE: usize = 1 << 20;
/// Connections at a time.
const CONNECTIONS: [u64; 2] = [1, 4];
/// What one core should reach, in GB/s.
const GOAL: f64 = 1.2;
/// The most memory that may be resident, in MiB.
const MEMORY_MAX: f64 = 64.0;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Ours,
    Nginx,
}

/// Boot files by HTTP.
///
/// # Errors
/// What kept the files from being fetched.
pub fn http(ground: &Ground) -> Result<Vec<Figure>> {
    ground.say("1 GiB by HTTP, each server on one core");
    let wire = Wire::enter()?;
    let folder = ground.path("http");
    let boot = folder.join("boot");
    fs::create_dir_all(&boot)?;
    let expected = fill(&boot.join(NAME))?;
    let mut memory = 0.0_f64;
    let mut rates = [(); 2].map(|()| [Vec::new(), Vec::new()]);
    for _ in 0..PAIRS {
        for (side, who) in [Who::Ours, Who::Nginx].into_iter().enumerate() {
            let server = who.start(&folder, &boot, &wire)?;
            if rates[0][side].is_empty() {
                check(&expected).with_context(|| who.name().to_owned())?;
            }
            for (rates, connections) in rates.iter_mut().zip(CONNECTIONS) {
                rates[side].push(rate(connections)?);
            }
            if who == Who::Ours {
                memory = memory.max(mib(server.memory_peak()?));
            }
        }
    }
    let mut figures: Vec<Figure> = CONNECTIONS
        .into_iter()
        .zip(rates)
        .flat_map(|(connections, [ours, nginx])| figures(connections, &ours, &nginx))
        .collect();
    figures.push(
        Figure::new(
            "HTTP: memory of the server after it",
            "MiB",
            Who::Ours.name(),
            vec![memory],
        )
        .goal(Goal::AtMost(MEMORY_MAX)),
    );
    Ok(figures)
}

fn figures(connections: u64, ours: &[f64], nginx: &[f64]) -> [Figure; 2] {
    let name = format!("HTTP 1 GiB, {connections} connections");
    let alone = Figure::new(
        &format!("{name}, one core"),
        "GB/s",
        Who::Ours.name(),
        ours.to_vec(),
    )
    .goal(Goal::AtLeast(GOAL));
    let beside = Figure::new(&name, "GB/s", Who::Ours.name(), ours.to_vec()).against(
        Who::Nginx.name(),
        nginx.to_vec(),
        "ours / nginx",
        ratios(ours, nginx),
    );
    [alone, beside]
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "groundstate pxe-server",
            Self::Nginx => "nginx, 1 worker, sendfile",
        }
    }

    fn start(self, folder: &Path, boot: &Path, wire: &Wire) -> Result<Server> {
        let (program, more) = match self {
            Self::Ours => ours(boot, &folder.join("state"), "10.65.0.0-10.65.0.255")?,
            Self::Nginx => nginx(folder, boot)?,
        };
        let mut arguments = vec!["-c".to_owned(), "0".to_owned(), program];
        arguments.extend(more);
        let mut server = wire.start(folder, "taskset", &arguments)?;
        server.wait_until(|| Ok(TcpStream::connect((SERVER, 80)).is_ok()))?;
        Ok(server)
    }
}

fn nginx(folder: &Path, boot: &Path) -> Result<(String, Vec<String>)> {
    let home = folder.join("nginx");
    fs::create_dir_all(&home)?;
    let (at, boot) = (text(&home)?, text(boot)?);
    let config = format!(
        "worker_processes 1;\nuser root;\ndaemon off;\npid {at}/pid;\nerror_log stderr;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; sendfile on; sendfile_max_chunk 2m; tcp_nopush on;\n\
         client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
         uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
         server {{ listen 80; root {boot}; }} }}\n"
    );
    let path = home.join("nginx.conf");
    fs::write(&path, config)?;
    let arguments = ["-p", at, "-c", text(&path)?].map(str::to_owned);
    Ok(("nginx".to_owned(), arguments.to_vec()))
}

/// Fills the file with what repeats only after 1 MiB and a bit, and gives its SHA-256.
fn fill(path: &Path) -> Result<[u8; 32]> {
    let pattern: Vec<u8> = (0u32..300_007).flat_map(u32::to_le_bytes).collect();
    let mut file = fs::File::create(path)?;
    let (mut hash, mut left) = (Sha256::new(), LENGTH);
    while left > 0 {
        let length = usize::try_from(left)?.min(pattern.len());
        let piece = pattern.get(..length).unwrap_or_default();
        file.write_all(piece)?;
        hash.update(piece);
        left -= u64::try_from(length)?;
    }
    Ok(hash.finalize().into())
}

fn ask() -> Result<TcpStream> {
    let mut stream = TcpStream::connect((SERVER, 80))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /{NAME} HTTP/1.1\r\nHost: {SERVER}\r\nConnection: close\r\n\r\n"
    )?;
    Ok(stream)
}

fn check(expected: &[u8; 32]) -> Result<()> {
    let mut stream = ask()?;
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; TAKE]);
    let mut hash = None;
    loop {
        let length = stream.read(&mut buffer)?;
        let piece = buffer.get(..length).unwrap_or_default();
        match &mut hash {
            _ if length == 0 => break,
            Some(hash) => Sha256::update(hash, piece),
            None => {
                bytes.extend_from_slice(piece);
                if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                    hash = Some(Sha256::new_with_prefix(bytes.split_off(end + 4)));
                }
            }
        }
    }
    let got: Option<[u8; 32]> = hash.map(|hash| hash.finalize().into());
    ensure!(got == Some(*expected), "the file arrived with another hash");
    Ok(())
}

/// GB/s over so many connections at once.
fn rate(connections: u64) -> Result<f64> {
    let began = Instant::now();
    let threads: Vec<_> = (0..connections).map(|_| thread::spawn(drain)).collect();
    let mut bytes = 0;
    for thread in threads {
        let taken = thread
            .join()
            .map_err(|_| anyhow::anyhow!("a client panicked"))??;
        ensure!(
            taken > LENGTH,
            "{taken} bytes arrived of {LENGTH} and a head"
        );
        bytes += taken;
    }
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    Ok(bytes as f64 / 1e9 / began.elapsed().as_secs_f64())
}

fn drain() -> Result<u64> {
    let mut others = CpuSet::new();
    (1..CpuSet::count().min(std::thread::available_parallelism()?.get()))
        .try_for_each(|cpu| others.set(cpu))?;
    // A machine with one core has no other: then both share it, as the figure's machine line says.
    let _ = sched_setaffinity(Pid::from_raw(0), &others);
    let stream = ask()?;
    let mut buffer = vec![0; TAKE];
    let mut bytes = 0;
    loop {
        match recv(stream.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)? {
            0 => return Ok(bytes),
            length => bytes += u64::try_from(length)?,
        }
    }
}

fn mib(bytes: u64) -> f64 {
    u32::try_from(bytes >> 20).map_or(f64::INFINITY, f64::from)
}
