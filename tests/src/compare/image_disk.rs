// SPDX-License-Identifier: Apache-2.0
//! What a deploy is measured with: an image of this machine's files in two versions, a disk, and servers on loopback.

use super::ground::{Ground, Places, run, text};
use super::image_serve::SERVE_IMAGES;
use anyhow::{Context as _, Result, bail, ensure};
use groundstate_api::Digest;
use groundstate_api::image::Manifest;
use groundstate_api::units::MIB;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Of so many bytes of a thousand there is data.
const FILLED: u64 = 630;
/// Of so many bytes of a thousand of the data the second version has others.
const CHANGED: u64 = 23;
/// The longest piece that is data without a hole.
const STRETCH: u64 = 48 * MIB;
/// A changed file, at most.
const FILE_MAX: u64 = 2 * MIB;
const PAGE: usize = 4096;
/// Where the data comes from.
const FROM: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/lib", "/usr/share"];
/// The image's bytes: this machine's files one behind the other, page by page never the same twice.
pub(super) struct Content {
    file: File,
    size: u64,
    sources: Vec<PathBuf>,
}

impl Content {
    pub(super) fn over(path: &Path, size: u64) -> Result<Self> {
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(path)?;
        file.set_len(size)?;
        let mut sources = Vec::new();
        for folder in FROM {
            let found = run(
                "find",
                &[
                    folder, "-xdev", "-type", "f", "-size", "+15k", "-size", "-64M",
                ],
            )?;
            sources.extend(found.lines().map(PathBuf::from));
        }
        sources.sort();
        ensure!(!sources.is_empty(), "no files to make an image of");
        Ok(Self {
            file,
            size,
            sources,
        })
    }

    pub(super) fn write_all(&mut self) -> Result<()> {
        let mut at = 0;
        let mut cycle = 0u64;
        let mut sources = 0..;
        while at < self.size {
            let data = (STRETCH * FILLED / 1_000).min(self.size - at) & !(PAGE as u64 - 1);
            let mut piece = Vec::new();
            while (piece.len() as u64) < data {
                let number: usize = sources.next().unwrap_or_default();
                cycle = (number / self.sources.len()) as u64;
                self.append(number, cycle, &mut piece)?;
            }
            piece.truncate(usize::try_from(data)?);
            self.file.write_all_at(&piece, at)?;
            at += STRETCH;
        }
        self.file
            .sync_all()
            .with_context(|| format!("{cycle} rounds over the files"))
    }

    /// A file from the start of a page on; each further round over the files stamps every page.
    fn append(&self, number: usize, cycle: u64, piece: &mut Vec<u8>) -> Result<()> {
        let path = self
            .sources
            .get(number % self.sources.len())
            .context("no file")?;
        let start = piece.len();
        // A file that has gone meanwhile is left out.
        if File::open(path)
            .and_then(|mut file| file.read_to_end(piece))
            .is_err()
        {
            piece.truncate(start);
        }
        piece.resize(piece.len().next_multiple_of(PAGE), 0);
        if cycle > 0 {
            for page in piece.get_mut(start..).unwrap_or_default().chunks_mut(PAGE) {
                let stamp = cycle.to_le_bytes();
                page.iter_mut()
                    .zip(stamp)
                    .for_each(|(to, from)| *to ^= from);
            }
        }
        Ok(())
    }

    /// Replaces files' worth of bytes by others, or by what stood there before. Tells how many there are.
    pub(super) fn change(&self, to_second: bool) -> Result<u64> {
        let goal = self.size * FILLED / 1_000 * CHANGED / 1_000;
        let stretches = self.size / STRETCH;
        let mut places = Places::new(77);
        let (mut changed, mut taken) = (0, std::collections::BTreeSet::new());
        while changed < goal {
            let length = (places.below(FILE_MAX / PAGE as u64) + 1) * PAGE as u64;
            let slot = places.below(stretches * (STRETCH * FILLED / 1_000 / FILE_MAX));
            if !taken.insert(slot) {
                continue;
            }
            let per = STRETCH * FILLED / 1_000 / FILE_MAX;
            let at = slot / per * STRETCH + slot % per * FILE_MAX;
            let mut bytes = vec![0; usize::try_from(length)?];
            self.file.read_exact_at(&mut bytes, at)?;
            // What is added is taken away again by the same.
            for (page, number) in bytes.chunks_mut(PAGE).zip(0u8..=250) {
                let by = number.wrapping_mul(31) | 1;
                let flip = |byte: &mut u8| *byte ^= by;
                page.iter_mut().step_by(97).for_each(flip);
            }
            self.file.write_all_at(&bytes, at)?;
            changed += length.min(251 * PAGE as u64);
        }
        self.file.sync_all()?;
        ensure!(to_second || changed > 0, "nothing was changed");
        Ok(changed)
    }
}

/// The disk that is written.
pub(super) struct Disk {
    pub(super) path: PathBuf,
    pub(super) size: u64,
    is_loop: bool,
}

impl Disk {
    pub(super) fn make(ground: &Ground, size: u64) -> Result<Self> {
        let file = ground.path("disk");
        run("fallocate", &["-l", &size.to_string(), text(&file)?])?;
        run(
            "dd",
            &[
                "if=/dev/zero",
                &format!("of={}", text(&file)?),
                "bs=4M",
                "oflag=direct",
                "conv=notrunc",
                &format!("count={}", size / (4 * MIB)),
            ],
        )?;
        let attached = run("losetup", &["-f", "--show", "--direct-io=on", text(&file)?]);
        Ok(match attached {
            Ok(device) => Self {
                path: PathBuf::from(device.trim()),
                size,
                is_loop: true,
            },
            Err(error) => {
                ground.say(&format!("no loop device ({error:#}): a file is the disk"));
                Self {
                    path: file,
                    size,
                    is_loop: false,
                }
            }
        })
    }

    /// Makes every chunk another one.
    pub(super) fn spoil(&self, manifest: &Manifest) -> Result<()> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let mut noise = Places::new(5);
        for chunk in &manifest.chunks {
            let page: Vec<u8> = (0..PAGE / 8)
                .flat_map(|_| noise.below(u64::MAX).to_le_bytes())
                .collect();
            file.write_all_at(&page, chunk.offset.0)?;
        }
        file.sync_all()?;
        run("sh", &["-c", "sync"]).map(drop)
    }

    pub(super) fn check(&self, manifest: &Manifest, zeros: bool) -> Result<()> {
        let file = File::open(&self.path)?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        let mut bytes = vec![0; usize::try_from(manifest.chunk_size.0)?];
        let mut end = 0;
        for chunk in &manifest.chunks {
            if zeros && chunk.offset.0 > end {
                file.read_exact_at(&mut bytes[..PAGE], end)?;
                ensure!(
                    bytes[..PAGE].iter().all(|byte| *byte == 0),
                    "no zeros at byte {end}"
                );
            }
            let part = &mut bytes[..usize::try_from(chunk.length.0)?];
            file.read_exact_at(part, chunk.offset.0)?;
            ensure!(
                Digest::of(part) == chunk.digest,
                "other bytes at byte {}",
                chunk.offset.0
            );
            end = chunk.offset.0 + chunk.length.0;
        }
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_loop
            && let Ok(path) = text(&self.path)
        {
            // What cannot be detached is seen in the machine's list of loop devices.
            let _ = run("losetup", &["-d", path]);
        }
    }
}

/// A server on loopback; it ends with this.
pub(super) struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    pub(super) fn ours(store: &Path) -> Result<Self> {
        let address = free()?;
        let mut program = Command::new(std::env::current_exe()?);
        program
            .arg(SERVE_IMAGES)
            .arg(store)
            .arg(address.to_string());
        Self::start(program, address)
    }

    pub(super) fn nginx(ground: &Ground) -> Result<Self> {
        let address = free()?;
        let folder = text(ground.folder())?;
        let mut temporary = String::new();
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            temporary.push_str(&format!("{kind}_temp_path {folder}/nginx-{kind};\n"));
        }
        let config = format!(
            "daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; {temporary}\
             server {{ listen {address}; root {folder}; }} }}\n"
        );
        let path = ground.path("nginx.conf");
        File::create(&path)?.write_all(config.as_bytes())?;
        let mut program = Command::new("nginx");
        program.arg("-c").arg(&path).arg("-p").arg(ground.folder());
        Self::start(program, address)
    }

    fn start(mut program: Command, address: SocketAddr) -> Result<Self> {
        program.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = program.spawn().context("cannot start a server")?;
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                return Ok(Self { child, address });
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        child.kill()?;
        bail!("the server does not answer at {address}")
    }

    pub(super) fn base(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // SIGTERM, so that nginx ends its worker too; one that has ended already has ended.
        let id = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
