// SPDX-License-Identifier: Apache-2.0
//! An image for 32 receivers behind one bridge, each in a network namespace of its own, against udpcast to four.
//!
//! Every receiver is the node's own pipeline: it verifies every chunk and serves what it has; one in eight also writes, to a
//! file in memory that is compared with the image byte for byte.
//! What the repository sends is counted on its cable, heads, acknowledgements and all.

mod floor;
mod plan;
mod receive;
mod station;

pub use receive::receive_image;

use super::figure::{Figure, Goal, ratios};
use super::ground::{Ground, Places, run, text};
use super::image_serve::SERVE_IMAGES;
use super::wire::Wire;
use anyhow::{Context as _, Result, ensure};
use groundstate_api::fan_out::peer_name;
use groundstate_api::image::{ImageFormat, ImageKind, Manifest};
use image_repo::{ImportRequest, RawFile, Repository};
use nix::sys::resource::UsageWho;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use receive::{Order, Received};
use station::{HOME, Station, address, lay_bridge};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// The word of the process that receives, and nothing else.
pub const RECEIVE_IMAGE: &str = "receive-image";
/// One receiver in so many writes; processors and memory are shared by all of them here, and are not on a rack.
const WRITES: u8 = 8;
/// The image.
const LENGTH: u64 = 160 << 20;
const RECEIVERS: u8 = 32;
const UDPCAST: u8 = 4;
/// Where the repository is on the bridge.
const SERVER: u8 = 100;
/// The receiver that dies or is slow.
const BAD: u8 = 5;
/// Rounds of all cases.
const ROUNDS: usize = 3;
/// The longest that one case may take.
const PATIENCE: Duration = Duration::from_secs(240);

#[derive(Clone, Copy, PartialEq)]
enum Case {
    Healthy,
    /// One is stopped after so long: its connections stay, and nothing comes.
    Dead(Duration),
    Slow,
}

/// Whether this receiver writes; the one that dies or is slow does not.
const fn writes(number: u8) -> bool {
    number.is_multiple_of(WRITES)
}

/// How a case went: when each receiver had it, in seconds, and what the repository sent, in images.
struct Went {
    took: Vec<f64>,
    egress: f64,
}

/// Fan-out.
///
/// # Errors
/// What kept the image from everybody.
pub fn image_fan_out(ground: &Ground) -> Result<Vec<Figure>> {
    ground.say("an image of 160 MiB is made and imported");
    let bench = Bench::make(ground)?;
    let _own = Wire::enter()?;
    lay_bridge()?;
    let [mut egress, mut even, mut ours, mut theirs] = [(); 4].map(|()| Vec::new());
    let (mut dead, mut slow, mut cost, mut floor) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ground.say("32 receivers");
        let before = floor::seconds(UsageWho::RUSAGE_CHILDREN)?;
        let healthy = bench.fan_out(Case::Healthy)?;
        cost.push((floor::seconds(UsageWho::RUSAGE_CHILDREN)? - before) / f64::from(RECEIVERS));
        floor.push(floor::proving(&bench.store, &bench.image)?);
        let middle = healthy.quantile(0.5);
        egress.push(healthy.egress);
        even.push(healthy.quantile(0.99) / middle);
        ours.push(bench.rate(RECEIVERS, healthy.quantile(1.0)));
        ground.say("udpcast to 4 receivers");
        theirs.push(bench.rate(UDPCAST, bench.udpcast()?));
        ground.say("32 receivers, one of which dies");
        let third = Duration::from_secs_f64(middle / 3.0);
        dead.push(bench.fan_out(Case::Dead(third))?.quantile(0.5) / middle);
        ground.say("32 receivers, one of which is slow");
        slow.push(bench.fan_out(Case::Slow)?.quantile(0.5) / middle);
    }
    let who = "groundstate, 32 receivers";
    let figure = |name: &str, unit: &str, values| Figure::new(name, unit, who, values);
    Ok(vec![
        figure("fan-out: the repository sends", "images", egress).goal(Goal::AtMost(1.5)),
        figure("fan-out: p99 / p50 of the finishing times", "", even).goal(Goal::AtMost(1.3)),
        figure("fan-out: all receivers together", "MB/s", ours.clone())
            .against("udpcast, 4 receivers", theirs.clone(), "ours / udpcast", ratios(&ours, &theirs))
            .goal(Goal::AtLeast(3.0))
            .note("every receiver verifies every chunk and one in eight writes it to memory; udpcast's verify and write nothing"),
        figure("fan-out: processor time for each receiver, servers and all", "s", cost.clone())
            .against("proving alone, from memory to nowhere", floor.clone(), "ours / proving alone", ratios(&cost, &floor))
            .note("the floor of all receivers together is the processors there are by the time of proving alone"),
        figure("fan-out: the median with one dead peer, against none", "", dead).goal(Goal::AtMost(1.05)),
        figure("fan-out: the median with one slow peer, against none", "", slow).goal(Goal::AtMost(1.05)),
    ])
}

struct Bench {
    folder: PathBuf,
    /// In memory: 32 disks.
    disks: tempfile::TempDir,
    raw: PathBuf,
    store: PathBuf,
    manifest: PathBuf,
    image: Manifest,
    stored: u64,
    issuer: Issuer<'static, KeyPair>,
    ca_pem: String,
}

impl Bench {
    fn make(ground: &Ground) -> Result<Self> {
        let folder = ground.path("fan-out");
        fs::create_dir_all(&folder)?;
        let (raw, store) = (folder.join("disk.raw"), folder.join("images"));
        write_image(&raw)?;
        let repository = Repository::open(&store)?;
        let request = ImportRequest {
            name: "bench",
            version: "1",
            kind: ImageKind::WholeDisk,
            format: ImageFormat::Raw,
            sector_size: 512,
            chunk_size: None,
            boot: None,
        };
        repository.import(&request, &mut RawFile::open(&raw)?, &mut |_, _| {})?;
        let newest = repository.newest("bench")?.context("no image")?;
        let image: Manifest = repository.manifest(&newest.manifest)?;
        let manifest = folder.join("manifest.json");
        fs::write(&manifest, image_core::manifest::canonical(&image))?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = params.self_signed(&key)?.pem();
        Ok(Self {
            folder,
            disks: tempfile::Builder::new()
                .prefix("bench-")
                .tempdir_in("/dev/shm")?,
            raw,
            store,
            manifest,
            stored: image.chunks.iter().map(|chunk| chunk.stored_length.0).sum(),
            image,
            issuer: Issuer::new(params, key),
            ca_pem,
        })
    }

    /// MB/s of so many receivers together.
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    fn rate(&self, receivers: u8, seconds: f64) -> f64 {
        f64::from(receivers) * LENGTH as f64 / 1e6 / seconds
    }

    fn order(&self, number: u8, plan: std::net::SocketAddr) -> Result<PathBuf> {
        let node = format!("n{number}")
            .parse()
            .map_err(|_| anyhow::anyhow!("no node"))?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::DnsName(peer_name(&node).try_into()?)];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let order = Order {
            node,
            manifest: self.manifest.clone(),
            repository: format!("http://{}:80", address(SERVER)),
            plan,
            target: writes(number).then(|| self.disks.path().join(format!("disk-{number}"))),
            ca_pem: self.ca_pem.clone(),
            certificate_pem: params.signed_by(&key, &self.issuer)?.pem(),
            key_pem: key.serialize_pem(),
        };
        let path = self.folder.join(format!("order-{number}.json"));
        fs::write(&path, serde_json::to_string(&order)?)?;
        Ok(path)
    }

    fn fan_out(&self, case: Case) -> Result<Went> {
        let ours = std::env::current_exe()?;
        let ours = text(&ours)?;
        let at = format!("{}:80", address(SERVER));
        let words = [ours, SERVE_IMAGES, text(&self.store)?, &at];
        let machines: Vec<u8> = (1..=RECEIVERS).chain([SERVER]).collect();
        let log = self.folder.join("server.log");
        let (server, _said) = Station::start(SERVER, &machines, &log, &words)?;
        let until = Instant::now() + PATIENCE;
        while TcpStream::connect((address(SERVER), 80)).is_err() {
            ensure!(Instant::now() < until, "the repository does not come up");
            thread::sleep(Duration::from_millis(20));
        }
        let plan = plan::start(HOME)?;
        let (tell, told) = channel();
        let mut stations = Vec::new();
        for number in 1..=RECEIVERS {
            let order = self.order(number, plan)?;
            let log = self.folder.join(format!("receiver-{number}.log"));
            let words = [ours, RECEIVE_IMAGE, text(&order)?];
            let (station, output) = Station::start(number, &machines, &log, &words)?;
            if case == Case::Slow && number == BAD {
                station.slow_down("20mbit")?;
            }
            stations.push(station);
            let tell = tell.clone();
            thread::spawn(move || {
                let mut line = String::new();
                let read = BufReader::new(output).read_line(&mut line);
                let received = read
                    .ok()
                    .and_then(|_| serde_json::from_str::<Received>(&line).ok());
                // Nobody listens any more where the case is over.
                let _ = tell.send((number, Instant::now(), received.is_some()));
            });
        }
        let sent = server.sent()?;
        let began = Instant::now();
        for station in &mut stations {
            station.say("begin")?;
        }
        if let Case::Dead(after) = case {
            thread::sleep(after);
            if let Some(bad) = stations.get(usize::from(BAD - 1)) {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(bad.pid())?);
                nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP)?;
            }
        }
        let mut took = Vec::new();
        let all = usize::from(RECEIVERS) - usize::from(case != Case::Healthy);
        while took.len() < all {
            let left = (began + PATIENCE).saturating_duration_since(Instant::now());
            let (number, at, arrived) = told.recv_timeout(left).context("it takes too long")?;
            ensure!(arrived, "receiver {number}: {}", self.last_words(number));
            if case == Case::Healthy || number != BAD {
                took.push(at.saturating_duration_since(began).as_secs_f64());
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "a ratio")]
        let egress = (server.sent()? - sent) as f64 / self.stored as f64;
        for number in (1..=RECEIVERS).filter(|number| writes(*number)) {
            self.check(number)?;
        }
        took.sort_by(f64::total_cmp);
        Ok(Went { took, egress })
    }

    /// What arrived is the image, byte for byte.
    fn check(&self, number: u8) -> Result<()> {
        let disk = self.disks.path().join(format!("disk-{number}"));
        run("cmp", &[text(&disk)?, text(&self.raw)?]).map(drop)
    }

    fn last_words(&self, number: u8) -> String {
        let log = self.folder.join(format!("receiver-{number}.log"));
        fs::read_to_string(log)
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    /// Seconds that udpcast needs for its receivers.
    fn udpcast(&self) -> Result<f64> {
        let common = ["--nokbd", "--interface", "eth0"];
        let log = |name: &str| self.folder.join(name);
        let mut all = Vec::new();
        for number in 1..=UDPCAST {
            let words = [&["udp-receiver", "--file", "/dev/null"], &common[..]].concat();
            let name = format!("udpcast-{number}.log");
            all.push(Station::start(number, &[], &log(&name), &words)?.0);
        }
        // They call until a sender answers; then the clock begins with the sender.
        thread::sleep(Duration::from_secs(1));
        let words = [
            &[
                "udp-sender",
                "--file",
                text(&self.raw)?,
                "--min-receivers",
                "4",
                "--full-duplex",
            ],
            &common[..],
        ];
        let began = Instant::now();
        let log = log("udpcast.log");
        all.push(Station::start(SERVER, &[], &log, &words.concat())?.0);
        for station in &mut all {
            station.wait()?;
        }
        Ok(began.elapsed().as_secs_f64())
    }
}

impl Went {
    fn quantile(&self, part: f64) -> f64 {
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place among a few dozen"
        )]
        let at = (self.took.len() as f64 * part).ceil() as usize;
        self.took
            .get(at.max(1) - 1)
            .copied()
            .unwrap_or(f64::INFINITY)
    }
}

/// An image that zstd makes about a third of: words of a small list, and some that are like nothing else.
fn write_image(path: &Path) -> Result<()> {
    let mut file = std::io::BufWriter::new(fs::File::create(path)?);
    let mut places = Places::new(11);
    let mut left = LENGTH;
    while left > 0 {
        let word = if places.below(4) == 0 {
            places.below(u64::MAX)
        } else {
            places.below(500) * 0x0101_0000_0107
        };
        file.write_all(&word.to_le_bytes())?;
        left -= 8;
    }
    Ok(file.flush()?)
}
