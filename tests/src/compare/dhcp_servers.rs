// SPDX-License-Identifier: Apache-2.0
//! The DHCP servers that are compared, each with the configuration that serves the bench's network best.

use super::ground::{Ground, text};
use super::wire::{self, CLIENT, FIRST, LAST, PREFIX, SERVER, Server, THEIR_END, Wire};
use anyhow::{Context as _, Result};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a lease lasts, in seconds: longer than the bench.
const LEASE_SECS: u32 = 7_200;
/// Addresses, more than any part leases.
const LEASES_MAX: u32 = 1_000_000;

/// A DHCP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Ours.
    Ours,
    /// Kea with memfile leases, with or without threads.
    Kea { threads: bool },
    /// dnsmasq.
    Dnsmasq,
}

impl Who {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "groundstate pxe-server",
            Self::Kea { threads: false } => "Kea, memfile",
            Self::Kea { threads: true } => "Kea, memfile, threads",
            Self::Dnsmasq => "dnsmasq",
        }
    }

    /// Starts it with no lease in it, and waits until it answers.
    pub(super) fn start(self, ground: &Ground, wire: &Wire) -> Result<Server> {
        let folder = ground.path("server");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        self.start_in(&folder, wire)
    }

    /// Starts it again with the leases that it had; milliseconds until it answers.
    pub(super) fn restart(self, ground: &Ground, wire: &Wire) -> Result<f64> {
        let began = Instant::now();
        let server = self.start_in(&ground.path("server"), wire)?;
        // Laying the cable is not the server's time.
        let took = began.elapsed().saturating_sub(server.laid_in());
        Ok(took.as_secs_f64() * 1_000.0)
    }

    /// Starts it with what is in `folder`.
    pub(super) fn start_in(self, folder: &Path, wire: &Wire) -> Result<Server> {
        let mut server = match self {
            Self::Ours => ours(folder, wire),
            Self::Kea { threads } => kea(folder, wire, threads),
            Self::Dnsmasq => dnsmasq(folder, wire),
        }?;
        server
            .wait_until(answers)
            .with_context(|| self.name().to_owned())?;
        Ok(server)
    }
}

/// Whether somebody answers a DISCOVER.
fn answers() -> Result<bool> {
    let socket = UdpSocket::bind((CLIENT, 67))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut ask = vec![0; 240];
    // The machine and the transaction that the generator numbers last.
    ask.splice(..8, [1, 1, 6, 1, 255, 255, 255, 255]);
    ask.splice(24..28, CLIENT.octets());
    ask.splice(28..34, [2, 0xd0, 255, 255, 255, 255]);
    ask.splice(236.., [99, 130, 83, 99, 53, 1, 1, 255]);
    socket.send_to(&ask, (SERVER, 67))?;
    let mut buffer = [0; 1_500];
    Ok(socket.recv_from(&mut buffer).is_ok())
}

fn ours(folder: &Path, wire: &Wire) -> Result<Server> {
    let (boot, state) = (folder.join("boot"), folder.join("state"));
    fs::create_dir_all(&boot)?;
    fs::write(boot.join("snponly.efi"), b"a boot file")?;
    let (program, arguments) = wire::ours(&boot, &state, &format!("{FIRST}-{LAST}"))?;
    wire.start(folder, &program, &arguments)
}

fn kea(folder: &Path, wire: &Wire, threads: bool) -> Result<Server> {
    let leases = folder.join("kea-leases4.csv");
    // Its thread pool's own choice of size and queue; no ping check, no clean-up of the lease file while it is measured.
    let multi = if threads {
        "\"multi-threading\": { \"enable-multi-threading\": true },"
    } else {
        "\"multi-threading\": { \"enable-multi-threading\": false },"
    };
    let subnet = format!("{}/{PREFIX}", network());
    let config = format!(
        r#"{{ "Dhcp4": {{
  "interfaces-config": {{ "interfaces": ["{THEIR_END}"], "dhcp-socket-type": "udp" }},
  "lease-database": {{ "type": "memfile", "persist": true, "name": "{}", "lfc-interval": 0 }},
  {multi}
  "valid-lifetime": {LEASE_SECS},
  "loggers": [ {{ "name": "kea-dhcp4", "severity": "WARN", "output_options": [ {{ "output": "stdout" }} ] }} ],
  "subnet4": [ {{ "subnet": "{subnet}", "pools": [ {{ "pool": "{FIRST} - {LAST}" }} ],
    "option-data": [ {{ "name": "routers", "data": "{SERVER}" }} ] }} ]
}} }}"#,
        text(&leases)?
    );
    let path = folder.join("kea.json");
    fs::write(&path, config)?;
    let state = text(folder)?.to_owned();
    wire.start_with(
        folder,
        "kea-dhcp4",
        &["-c".to_owned(), text(&path)?.to_owned()],
        &[
            ("KEA_PIDFILE_DIR", state.clone()),
            ("KEA_LOCKFILE_DIR", state),
        ],
    )
}

fn dnsmasq(folder: &Path, wire: &Wire) -> Result<Server> {
    let leases = folder.join("dnsmasq.leases");
    let arguments = [
        "--no-daemon".to_owned(),
        "--port=0".to_owned(),
        "--conf-file=/dev/null".to_owned(),
        "--user=root".to_owned(),
        "--quiet-dhcp".to_owned(),
        "--no-ping".to_owned(),
        format!("--interface={THEIR_END}"),
        "--bind-interfaces".to_owned(),
        "--dhcp-authoritative".to_owned(),
        format!("--dhcp-range={FIRST},{LAST},{LEASE_SECS}"),
        format!("--dhcp-lease-max={LEASES_MAX}"),
        format!("--dhcp-leasefile={}", text(&leases)?),
        "--pid-file=".to_owned(),
    ];
    wire.start(folder, "dnsmasq", &arguments)
}

fn network() -> std::net::Ipv4Addr {
    let mask = u32::MAX << (32 - u32::from(PREFIX));
    (u32::from(SERVER) & mask).into()
}
