// SPDX-License-Identifier: Apache-2.0
//! The provisioner that is measured: its image, its site file, its process.

use super::super::ground::{Ground, Places, run, text};
use super::super::wire::{CLIENT, FIRST, LAST, PREFIX, SERVER, Server, THEIR_END, Wire};
use super::probe::Operator;
use crate::fleet::{Line, Population, Trust};
use anyhow::{Context as _, Result};
use groundstate_api::site::Network;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PORT: u16 = 8443;
/// Bytes of the image: what the nodes do with it is simulated, but the provisioner reads all of it.
const IMAGE: &str = "32M";
/// Before the first node's address.
const STREET: Ipv4Addr = Ipv4Addr::new(10, 66, 0, 0);
/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// A provisioner that runs.
pub(super) struct Site {
    of: Population,
    server: Option<Server>,
    program: String,
    state: PathBuf,
    file: PathBuf,
    assets: PathBuf,
}

impl Site {
    /// Made and started.
    pub(super) fn make(ground: &Ground, wire: &Wire, of: Population) -> Result<Self> {
        let program = std::env::var("GROUNDSTATE").context("GROUNDSTATE names no program")?;
        let assets = std::env::var_os("GROUNDSTATE_BOOT_ASSETS").map(PathBuf::from);
        let beside = Path::new(&program)
            .ancestors()
            .nth(2)
            .map(|target| target.join("groundstate/boot"));
        let assets = assets
            .or(beside)
            .context("there is no folder of boot files")?;
        let state = ground.path("state");
        let file = ground.path("site.toml");
        fs::create_dir_all(&state)?;
        fs::write(&file, toml::to_string(&of.site(network()))?)?;
        let mut site = Self {
            of,
            server: None,
            program,
            state,
            file,
            assets,
        };
        site.import(ground)?;
        site.start(ground, wire)?;
        Ok(site)
    }

    fn import(&self, ground: &Ground) -> Result<()> {
        let root = ground.path("root.ext4");
        run("truncate", &["-s", IMAGE, text(&root)?])?;
        run("mkfs.ext4", &["-q", text(&root)?])?;
        let mut noise = Places::new(1);
        let small: Vec<u8> = (0..65_536)
            .map(|_| u8::try_from(noise.below(256)).unwrap_or_default())
            .collect();
        // The marks by which a UEFI program and an initial RAM file system are known.
        let (program, initrd) = (ground.path("program"), ground.path("initrd"));
        for (path, marks) in [
            (
                &program,
                &[
                    (0, &b"MZ"[..]),
                    (0x3c, b"\x80\0\0\0"),
                    (0x80, b"PE\0\0\x64\x86\0\0"),
                    (0x80 + 24 + 68, b"\x0a\0"),
                ][..],
            ),
            (&initrd, &[(0, &b"070701"[..])]),
        ] {
            let mut bytes = small.clone();
            for (at, mark) in marks {
                bytes[*at..at + mark.len()].copy_from_slice(mark);
            }
            fs::write(path, bytes)?;
        }
        let (state, program, initrd) = (text(&self.state)?, text(&program)?, text(&initrd)?);
        run(
            &self.program,
            &[
                "image",
                "import",
                "--state-dir",
                state,
                "--format",
                "raw",
                "--kind",
                "root-fs",
                "--name",
                "debian-host",
                "--version",
                "1",
                "--kernel",
                program,
                "--initrd",
                initrd,
                "--boot-loader",
                program,
                "--cmdline",
                "quiet",
                text(&root)?,
            ],
        )
        .map(drop)
    }

    fn start(&mut self, ground: &Ground, wire: &Wire) -> Result<Duration> {
        let began = Instant::now();
        let arguments = [
            "up",
            "--interface",
            THEIR_END,
            "--site",
            text(&self.file)?,
            "--state-dir",
            text(&self.state)?,
            "--boot-assets",
            text(&self.assets)?,
            "--page",
            "127.0.0.1:8080",
        ];
        let arguments = arguments.map(str::to_owned);
        let mut server = wire.start(ground.folder(), &self.program, &arguments)?;
        let laid = server.laid_in();
        Self::route_to_the_street(&server)?;
        let until = Instant::now() + PATIENCE;
        server.wait_until(|| {
            let there =
                std::net::TcpStream::connect_timeout(&self.address(), Duration::from_secs(1))
                    .is_ok();
            anyhow::ensure!(Instant::now() < until, "it does not start");
            Ok(there)
        })?;
        let took = began.elapsed().saturating_sub(laid);
        self.server = Some(server);
        Ok(took)
    }

    /// Killed without a word, and started again: how long until it answers for its nodes.
    pub(super) async fn start_again(&mut self, ground: &Ground, wire: &Wire) -> Result<Duration> {
        if let Some(server) = &self.server {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(server.pid())?);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
        }
        self.server = None;
        let took = self.start(ground, wire)?;
        let asked = Instant::now();
        let mut line = self.line()?;
        while !line.get(groundstate_api::paths::READYZ).await?.is_good() {
            anyhow::ensure!(asked.elapsed() < PATIENCE, "it is never ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(took + asked.elapsed())
    }

    fn server(&self) -> Result<&Server> {
        self.server.as_ref().context("it does not run")
    }

    pub(super) const fn nodes(&self) -> u32 {
        self.of.nodes
    }

    pub(super) fn address(&self) -> SocketAddr {
        let _ = self;
        SocketAddr::from((SERVER, PORT))
    }

    pub(super) fn trust(&self) -> Result<Trust> {
        let ca = fs::read_to_string(self.state.join("pki/operator/ca.crt"))?;
        Trust::new(self.address(), &ca)
    }

    /// The addresses after this one are the nodes'; the kernel answers for them at our end of the cable.
    pub(super) fn street(&self) -> Result<Ipv4Addr> {
        let of = format!("{STREET}/16");
        run("ip", &["route", "replace", "local", &of, "dev", "lo"])?;
        let _ = self;
        Ok(STREET)
    }

    /// The server reaches them through us, as through a router: its kernel keeps 1,024 neighbours only (`gc_thresh3`).
    fn route_to_the_street(server: &Server) -> Result<()> {
        let (pid, of) = (server.pid().to_string(), format!("{STREET}/16"));
        let through = CLIENT.to_string();
        let enter = [
            "-t", &pid, "-n", "ip", "route", "replace", &of, "via", &through,
        ];
        run("nsenter", &enter).map(drop)
    }

    /// A line with the operator's certificate.
    pub(super) fn line(&self) -> Result<Line> {
        let file = |name: &str| fs::read_to_string(self.state.join("pki/operator").join(name));
        let (certificate, key) = (file("operator.crt")?, file("operator.key")?);
        Line::new(&self.trust()?, Some((&certificate, &key)))
    }

    pub(super) fn operator(&self) -> Result<Operator> {
        Ok(Operator::new(self.line()?))
    }

    /// In MiB.
    pub(super) fn memory(&self) -> Result<f64> {
        Ok(super::count(self.server()?.memory_now()?) / f64::from(1u32 << 20))
    }

    pub(super) fn processor_time(&self) -> Result<f64> {
        self.server()?.processor_time()
    }

    pub(super) fn last_words(&self) -> String {
        self.server().map(Server::last_words).unwrap_or_default()
    }
}

fn network() -> Network {
    Network {
        https_port: PORT,
        ..Network::new(
            SERVER,
            PREFIX,
            (FIRST, LAST.min(Ipv4Addr::new(10, 65, 255, 255))),
        )
    }
}
