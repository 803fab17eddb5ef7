// SPDX-License-Identifier: Apache-2.0
//! What becomes known of transfers outside: on a thread of its own, because whoever hears a sighting may write it to a
//! database before it returns, and transfers do not wait for that.

use crate::desk::Desk;
use groundstate_api::boot_session::{BootStep, Via};
use groundstate_api::{Bytes, Millis};
use pxe_core::session::LENGTH_ALONE;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// Reports that wait: as many as there can be transfers, twice.
const WAITING_MAX: usize = 4_096;

/// One thing to tell.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) peer: IpAddr,
    pub(super) file: String,
    pub(super) what: What,
}

/// What happened to the file.
#[derive(Debug)]
pub(super) enum What {
    /// It was asked for.
    Asked,
    /// It went out whole.
    Sent {
        length: u64,
        took: Millis,
        again: u32,
    },
    /// Its length was all that was wanted.
    LengthTold,
    /// It did not.
    Ended { why: String },
}

/// Where reports go.
#[derive(Debug)]
pub(super) struct Reports(SyncSender<Report>);

impl Reports {
    /// Begins to tell; it ends with the last sender.
    pub(super) fn begin(desk: Arc<Desk>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, reports) = sync_channel(WAITING_MAX);
        let thread = thread::Builder::new()
            .name("tftp-reports".to_owned())
            .spawn(move || tell_all(&desk, &reports))?;
        Ok((Self(sender), thread))
    }

    /// Tells. A file that went out is never kept back: better to wait. Requests are, where a flood of them comes.
    pub(super) fn tell(&self, report: Report) {
        if matches!(report.what, What::Sent { .. }) {
            // It fails only where nobody listens any more.
            let _ended = self.0.send(report);
        } else if let Err(TrySendError::Full(report)) = self.0.try_send(report) {
            tracing::debug!(?report, "TFTP: too much to tell");
        }
    }
}

fn tell_all(desk: &Desk, reports: &Receiver<Report>) {
    while let Ok(Report { peer, file, what }) = reports.recv() {
        let (via, mac) = (Via::Tftp, desk.machine(peer));
        match what {
            What::Asked => {
                if let Some(mac) = mac {
                    desk.step(mac, BootStep::FileAsked { via, file });
                }
            }
            What::Sent {
                length,
                took,
                again,
            } => {
                desk.file_sent(peer, &file, length, via.as_str());
                let step = BootStep::FileSent {
                    via,
                    file,
                    length: Bytes(length),
                    took,
                    again,
                };
                if let Some(mac) = mac {
                    desk.step(mac, step);
                }
            }
            What::LengthTold => {
                tracing::debug!(%peer, file, "TFTP: asked for the length alone");
                let why = LENGTH_ALONE.to_owned();
                if let Some(mac) = mac {
                    desk.step(mac, BootStep::FileEnded { via, file, why });
                }
            }
            What::Ended { why } => {
                tracing::info!(%peer, file, why, "TFTP: a file did not go out");
                if let Some(mac) = mac {
                    desk.step(mac, BootStep::FileEnded { via, file, why });
                }
            }
        }
    }
}
