// SPDX-License-Identifier: Apache-2.0
//! Tells a supervisor (systemd, `Type=notify`) how the service stands. Without one, nothing is sent.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

/// The supervisor's socket, and how often it wants to hear that we live.
#[derive(Clone, Debug, Default)]
pub(super) struct Supervisor {
    to: Option<Arc<(UnixDatagram, SocketAddr)>>,
    every: Option<Duration>,
}

impl Supervisor {
    /// `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`, as sd_notify(3) has them.
    pub(super) fn from_env() -> Self {
        let var = |name: &str| std::env::var(name).ok();
        let to = var("NOTIFY_SOCKET").and_then(|path| {
            let address = match path.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name),
                None => SocketAddr::from_pathname(&path),
            };
            Some(Arc::new((UnixDatagram::unbound().ok()?, address.ok()?)))
        });
        let ours = var("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let micros: Option<u64> = var("WATCHDOG_USEC").and_then(|text| text.parse().ok());
        let every = micros
            .filter(|micros| ours && *micros > 1)
            .map(|micros| Duration::from_micros(micros / 2));
        Self { to, every }
    }

    /// Every port is open.
    pub(super) fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// The configuration is being read again.
    pub(super) fn reloading(&self) {
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
        let micros = now.map_or(0, |now| now.tv_sec() * 1_000_000 + now.tv_nsec() / 1_000);
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It is ending.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// It lives.
    pub(super) fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// Until the next sign of life is due; for ever where nobody wants one.
    pub(super) async fn due(&self) {
        match self.every {
            Some(every) => tokio::time::sleep(every).await,
            None => std::future::pending().await,
        }
    }

    fn tell(&self, what: &str) {
        if let Some((socket, address)) = self.to.as_deref()
            && let Err(error) = socket.send_to_addr(what.as_bytes(), address)
        {
            tracing::debug!(%error, what, "the supervisor was not told");
        }
    }
}
