// SPDX-License-Identifier: Apache-2.0
//! TFTP: port 69, and a socket of its own for each transfer, all on one thread.
//!
//! Everything is decided in `pxe-core`. This thread never waits for a client, a disk or a database; it refuses to open a
//! file, and takes names to the allow-list only.

mod budget;
mod path_mtu;
mod patience;
mod port;
mod report;
mod run;
mod spans;
mod timers;
mod transfer;
mod window;
mod wire;

use crate::ServeError;
use crate::desk::Desk;
use crate::limits::Limits;
use crate::sockets::OnInterface;
use nix::sys::eventfd::{EfdFlags, EventFd};
use port::Port;
use report::Reports;
use run::Run;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// The ports: one for each family of addresses.
pub(crate) struct Ports(Vec<OnInterface>);

impl From<OnInterface> for Ports {
    fn from(port: OnInterface) -> Self {
        Self(vec![port])
    }
}

impl From<Vec<OnInterface>> for Ports {
    fn from(ports: Vec<OnInterface>) -> Self {
        Self(ports)
    }
}

/// Ends the thread, and the reports after it, when the service is dropped.
struct Stop {
    event: Arc<EventFd>,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Stop {
    fn drop(&mut self) {
        if self.event.write(1).is_err() {
            return;
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("TFTP: the serving thread panicked");
            }
        }
    }
}

/// Serves until a socket stops working, or until this is dropped; then nothing of it runs any more.
pub(crate) async fn serve(ports: impl Into<Ports>, desk: Arc<Desk>, limits: Limits) -> ServeError {
    let ended = match begin(ports.into(), desk, limits) {
        Ok((_stop, ended)) => ended.await,
        Err(error) => Ok(error),
    };
    ServeError::Socket {
        service: "TFTP",
        source: ended.unwrap_or_else(|_| io::Error::other("the serving thread ended")),
    }
}

fn begin(
    Ports(ports): Ports,
    desk: Arc<Desk>,
    limits: Limits,
) -> io::Result<(Stop, oneshot::Receiver<io::Error>)> {
    let ports = ports
        .into_iter()
        .map(Port::new)
        .collect::<io::Result<Vec<_>>>()?;
    let event = Arc::new(EventFd::from_flags(
        EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
    )?);
    let (reports, telling) = Reports::begin(Arc::clone(&desk))?;
    let run = Run::new(ports, &event, desk, reports, limits)?;
    let (tell, ended) = oneshot::channel();
    let serving = thread::Builder::new()
        .name("tftp".to_owned())
        .spawn(move || {
            if let Err(error) = run.serve() {
                // Nobody listens where the service is ending.
                let _ended = tell.send(error);
            }
        })?;
    let threads = vec![serving, telling];
    Ok((Stop { event, threads }, ended))
}
