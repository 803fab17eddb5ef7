// SPDX-License-Identifier: Apache-2.0
//! Chunks of an image by HTTP and HTTPS, against nginx with sendfile: each server on one core, the client on the other.
//! Then a hundred downloads that are broken off and resumed at once, and what memory they cost.
//!
//! Requests go out one behind the other on a few connections, as a node sends them. The client takes bytes off its sockets
//! without copying them (MSG_TRUNC), and does not decrypt them, so that it is the servers that are measured. What arrives
//! is compared byte for byte once for each server, before anything is timed.

use super::figure::{Figure, Goal, ratios};
use super::ground::{Ground, PAIRS, text};
use super::image_client::{Certificate, Client, Scheme};
use super::wire::{SERVER, Server, Wire};
use anyhow::{Context as _, Result, ensure};
use groundstate_api::image::{ImageFormat, ImageKind};
use image_repo::serve::{ServeOptions, run, tls};
use image_repo::{ImportRequest, RawFile, Repository, ServeConfig};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

/// The word of the process that serves, and nothing else.
pub const SERVE_IMAGES: &str = "serve-images";
/// The image: more chunks than fit any processor's cache, few enough for the page cache.
const LENGTH: usize = 384 << 20;
/// Bytes of a chunk that differ from chunk to chunk in how far zstd makes them smaller.
const CHUNK: usize = 256 << 10;
/// Connections at a time.
const CONNECTIONS: usize = 4;
/// What one core should reach, in GB/s.
const PLAIN_GOAL: f64 = 1.2;
/// What one core should reach of nginx's rate over TLS.
const TLS_GOAL: f64 = 0.8;
/// Downloads at once.
const DOWNLOADS: usize = 100;
/// Bytes of each.
const DOWNLOAD: usize = 24 << 20;
/// The most memory for them, in MiB: 64, and one for each.
const MEMORY_MAX: f64 = 164.0;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Ours,
    Nginx,
}

/// What is served: one folder for both servers.
struct Shelf {
    home: PathBuf,
    store: PathBuf,
    /// Digest and length of each chunk.
    chunks: Vec<(String, u64)>,
    blob: (String, Vec<u8>),
    certificate: Certificate,
}

/// Serving.
///
/// # Errors
/// What kept the chunks from being fetched.
pub fn image_serve(ground: &Ground) -> Result<Vec<Figure>> {
    ground.say("an image of 384 MiB is made and imported");
    let shelf = Shelf::fill(ground)?;
    let wire = Wire::enter()?;
    let mut figures = Vec::new();
    for scheme in [Scheme::Plain, Scheme::Tls] {
        ground.say(&format!("chunks by {}", scheme.name()));
        figures.extend(shelf.rates(&wire, scheme)?);
    }
    ground.say("100 downloads at once, broken off and resumed");
    figures.push(shelf.downloads(&wire)?);
    Ok(figures)
}

/// The process behind [`SERVE_IMAGES`]: `DIR ADDRESS [CERTIFICATE KEY]`.
///
/// # Errors
/// What keeps it from serving.
pub fn serve_images(mut words: impl Iterator<Item = String>) -> Result<()> {
    let repository = words.next().context("no folder")?;
    let address: SocketAddr = words.next().context("no address")?.parse()?;
    let tls = match (words.next(), words.next()) {
        (Some(certificate), Some(key)) => {
            Some(tls(Path::new(&certificate), Path::new(&key), None)?)
        }
        _ => None,
    };
    let options = ServeOptions {
        repository: Arc::new(Repository::open(Path::new(&repository))?),
        config: ServeConfig::default(),
        tls,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await?;
        run(listener, options, std::future::pending()).await;
        Ok(())
    })
}

impl Shelf {
    fn fill(ground: &Ground) -> Result<Self> {
        let home = ground.path("image-serve");
        let store = home.join("images");
        fs::create_dir_all(&home)?;
        let raw = home.join("disk.raw");
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
        let mut content = RawFile::open(&raw)?;
        repository.import(&request, &mut content, &mut |_, _| {})?;
        let newest = repository.newest("bench")?.context("no image")?;
        let manifest = repository.manifest(&newest.manifest)?;
        let chunks = manifest
            .chunks
            .iter()
            .map(|chunk| (chunk.digest.hex(), chunk.stored_length.0))
            .collect();
        fs::remove_file(&raw)?;
        let blob = noise(99, DOWNLOAD);
        let name: String = Sha256::digest(&blob)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let folder = store.join("blobs").join(name.get(..2).unwrap_or_default());
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(&name), &blob)?;
        let certificate = Certificate::make(&home, &SERVER.to_string())?;
        Ok(Self {
            home,
            store,
            chunks,
            blob: (name, blob),
            certificate,
        })
    }

    fn bytes(&self) -> u64 {
        self.chunks.iter().map(|(_, length)| length).sum()
    }

    fn rates(&self, wire: &Wire, scheme: Scheme) -> Result<Vec<Figure>> {
        let mut rates = [Vec::new(), Vec::new()];
        let mut costs = [Vec::new(), Vec::new()];
        for _ in 0..PAIRS {
            for (side, who) in [Who::Ours, Who::Nginx].into_iter().enumerate() {
                let server = self.start(wire, who, scheme)?;
                let client = Client::new(scheme, &self.certificate)?;
                if rates[side].is_empty() {
                    self.check(who, &client).with_context(|| who.name(scheme))?;
                }
                // Once more so that memory and connections' windows are warm on both sides.
                self.take_all(who, &client)?;
                let before = server.processor_time()?;
                rates[side].push(self.take_all(who, &client)?);
                let spent = server.processor_time()? - before;
                #[allow(clippy::cast_precision_loss, reason = "a rate")]
                costs[side].push(spent * 1e6 / self.chunks.len() as f64);
            }
        }
        let [ours, nginx] = rates;
        let name = format!("chunks by {}", scheme.name());
        let beside = Figure::new(&name, "GB/s", &Who::Ours.name(scheme), ours.clone()).against(
            &Who::Nginx.name(scheme),
            nginx.clone(),
            "ours / nginx",
            ratios(&ours, &nginx),
        );
        let mut figures = Vec::new();
        if scheme == Scheme::Plain {
            let alone = format!("{name}, one core");
            figures.push(
                Figure::new(&alone, "GB/s", &Who::Ours.name(scheme), ours)
                    .goal(Goal::AtLeast(PLAIN_GOAL)),
            );
            figures.push(beside);
        } else {
            figures.push(beside.goal(Goal::AtLeast(TLS_GOAL)));
        }
        let [ours, nginx] = costs;
        let name = format!("processor time for a chunk by {}", scheme.name());
        let cost = Figure::new(&name, "us", &Who::Ours.name(scheme), ours.clone()).against(
            &Who::Nginx.name(scheme),
            nginx.clone(),
            "ours / nginx",
            ratios(&ours, &nginx),
        );
        let mean = self.bytes() / 1024 / self.chunks.len().max(1) as u64;
        figures.push(cost.note(format!("a chunk has {mean} KiB in the mean")));
        Ok(figures)
    }

    /// Fetches every chunk and compares it with the file.
    fn check(&self, who: Who, client: &Client) -> Result<()> {
        for piece in self.chunks.chunks(64) {
            let paths: Vec<String> = piece.iter().map(|(name, _)| who.path(name)).collect();
            let bodies = client.fetch(&paths)?;
            for ((name, _), body) in piece.iter().zip(bodies) {
                let file = self
                    .store
                    .join("chunks")
                    .join(name.get(..2).unwrap_or_default());
                ensure!(
                    fs::read(file.join(name))? == body,
                    "the chunk {name} arrived with other bytes"
                );
            }
        }
        Ok(())
    }

    /// All chunks over a few connections; GB/s of their bytes.
    fn take_all(&self, who: Who, client: &Client) -> Result<f64> {
        let began = Instant::now();
        let share = self.chunks.len().div_ceil(CONNECTIONS);
        let threads: Vec<_> = self
            .chunks
            .chunks(share)
            .map(|chunks| {
                let paths: Vec<String> = chunks.iter().map(|(name, _)| who.path(name)).collect();
                let least: u64 = chunks.iter().map(|(_, length)| length).sum();
                let client = client.clone();
                thread::spawn(move || -> Result<()> {
                    let taken = client.drain(&paths)?;
                    ensure!(taken > least, "{taken} bytes arrived of {least} and heads");
                    Ok(())
                })
            })
            .collect();
        for thread in threads {
            let joined = thread.join();
            joined.map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        #[allow(clippy::cast_precision_loss, reason = "a rate")]
        Ok(self.bytes() as f64 / 1e9 / began.elapsed().as_secs_f64())
    }

    /// A hundred downloads are broken off in the middle and resumed, all at once; the server's peak of memory.
    fn downloads(&self, wire: &Wire) -> Result<Figure> {
        let server = self.start(wire, Who::Ours, Scheme::Plain)?;
        let client = Client::new(Scheme::Plain, &self.certificate)?;
        let path = format!("/v1/blobs/{}", self.blob.0);
        let etag = format!("\"sha256:{}\"", self.blob.0);
        let together = Arc::new(Barrier::new(DOWNLOADS));
        let threads: Vec<_> = (0..DOWNLOADS)
            .map(|number| {
                let (client, path, etag) = (client.clone(), path.clone(), etag.clone());
                let together = Arc::clone(&together);
                thread::spawn(move || {
                    together.wait();
                    let mut hash = Sha256::new();
                    let kept = (number + 1) * (DOWNLOAD / (DOWNLOADS + 2));
                    client.broken_off(&path, kept, &mut hash)?;
                    together.wait();
                    client.resumed(&path, &etag, kept, &mut hash)?;
                    Ok::<_, anyhow::Error>(hash.finalize())
                })
            })
            .collect();
        let expected = Sha256::digest(&self.blob.1);
        for thread in threads {
            let joined = thread.join();
            let got = joined.map_err(|_| anyhow::anyhow!("a client panicked"))??;
            ensure!(got == expected, "a resumed download has another hash");
        }
        let memory = f64::from(u32::try_from(server.memory_peak()? >> 20)?);
        let name = "100 downloads resumed at once: memory of the server";
        Ok(
            Figure::new(name, "MiB", &Who::Ours.name(Scheme::Plain), vec![memory])
                .goal(Goal::AtMost(MEMORY_MAX))
                .note("each was broken off at another place, and every hash is right"),
        )
    }

    fn start(&self, wire: &Wire, who: Who, scheme: Scheme) -> Result<Server> {
        let (program, more) = match who {
            Who::Ours => self.ours(scheme)?,
            Who::Nginx => self.nginx(scheme)?,
        };
        let mut arguments = vec!["-c".to_owned(), "0".to_owned(), program];
        arguments.extend(more);
        let mut server = wire.start(&self.home, "taskset", &arguments)?;
        server.wait_until(|| Ok(TcpStream::connect((SERVER, scheme.port())).is_ok()))?;
        Ok(server)
    }

    fn ours(&self, scheme: Scheme) -> Result<(String, Vec<String>)> {
        let program = std::env::current_exe()?;
        let address = format!("{SERVER}:{}", scheme.port());
        let mut words = vec![
            SERVE_IMAGES.to_owned(),
            text(&self.store)?.to_owned(),
            address,
        ];
        if scheme == Scheme::Tls {
            words.push(text(&self.certificate.path)?.to_owned());
            words.push(text(&self.certificate.key)?.to_owned());
        }
        Ok((text(&program)?.to_owned(), words))
    }

    fn nginx(&self, scheme: Scheme) -> Result<(String, Vec<String>)> {
        let home = self.home.join("nginx");
        fs::create_dir_all(&home)?;
        let (at, store) = (text(&home)?, text(&self.store)?);
        let listen = match scheme {
            Scheme::Plain => "listen 80;".to_owned(),
            Scheme::Tls => format!(
                "listen 443 ssl; ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3; ssl_buffer_size 16k;",
                text(&self.certificate.path)?,
                text(&self.certificate.key)?
            ),
        };
        let config = format!(
            "worker_processes 1;\nmaster_process off;\ndaemon off;\npid {at}/pid;\nerror_log stderr;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; sendfile on; sendfile_max_chunk 2m; tcp_nopush on;\n\
             keepalive_requests 100000; open_file_cache max=10000;\n\
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
             uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n\
             server {{ {listen} root {store}; }} }}\n"
        );
        let path = home.join("nginx.conf");
        fs::write(&path, config)?;
        let arguments = ["-p", at, "-c", text(&path)?].map(str::to_owned);
        Ok(("nginx".to_owned(), arguments.to_vec()))
    }
}

impl Who {
    fn name(self, scheme: Scheme) -> String {
        match (self, scheme) {
            (Self::Ours, _) => "groundstate image serve".to_owned(),
            (Self::Nginx, Scheme::Plain) => "nginx, 1 worker, sendfile".to_owned(),
            (Self::Nginx, Scheme::Tls) => "nginx, 1 worker, OpenSSL, same cipher".to_owned(),
        }
    }

    fn path(self, chunk: &str) -> String {
        match self {
            Self::Ours => format!("/v1/chunks/{chunk}"),
            Self::Nginx => format!("/chunks/{}/{chunk}", chunk.get(..2).unwrap_or_default()),
        }
    }
}

/// An image whose chunks shrink to between a fifth and all of their size.
fn write_image(path: &Path) -> Result<()> {
    let mut file = fs::File::create(path)?;
    for number in 0..LENGTH / CHUNK {
        let dense = CHUNK / 5 + (number * 7_919) % (CHUNK * 4 / 5);
        let mut chunk = noise(number as u64, dense);
        chunk.resize(CHUNK, b'.');
        file.write_all(&chunk)?;
    }
    Ok(())
}

/// Bytes that zstd cannot make smaller; the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x0010_0000_01b3);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
