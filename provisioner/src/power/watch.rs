// SPDX-License-Identifier: Apache-2.0
//! What the journal says of machines that were told what to boot, and outcomes on their way into it.

use crate::provisioner::Provisioner;
use bmc::ladder::Sighting;
use groundstate_api::NodeId;
use groundstate_api::action::{ActionId, Outcome};
use groundstate_api::boot::{BootSighting, Firmware};
use groundstate_api::event::Happened;
use prov_core::Input;
use std::time::Duration;

/// Events that are read at once.
const PAGE: usize = 500;
/// How long to wait before an outcome that the journal did not take is written again.
const AGAIN: Duration = Duration::from_secs(2);

/// Follows the journal while a machine is watched.
pub(super) async fn sightings(ours: Provisioner) {
    let mut news = ours.follow();
    let mut after = *news.borrow_and_update();
    while news.changed().await.is_ok() {
        let newest = *news.borrow_and_update();
        if !ours.power().watches() {
            after = newest;
            continue;
        }
        while after < newest {
            let reader = ours.clone();
            let read = move || reader.events(after, PAGE, None);
            let Ok(Ok(events)) = tokio::task::spawn_blocking(read).await else {
                break;
            };
            let Some(last) = events.last() else { break };
            after = last.number;
            for event in &events {
                if let (Some(node), Some(sighting)) = (&event.node, sighting(&event.what)) {
                    ours.power().sighted(&ours, node, sighting).await;
                }
            }
        }
    }
}

/// What an event says about what a machine has booted.
fn sighting(what: &Happened) -> Option<Sighting> {
    match what {
        Happened::BootSeen {
            sighting: BootSighting::Leased { firmware, .. },
        } => match firmware {
            Some(Firmware::UefiHttp) => Some(Sighting::Http),
            Some(Firmware::Bios | Firmware::UefiPxe) => Some(Sighting::Pxe),
            // An operating system asks for an address too.
            None => None,
        },
        Happened::HostRegistered { .. } => Some(Sighting::Disk),
        // Our maintenance OS, of a machine whose firmware asked nobody: it came from a virtual drive.
        Happened::Enrolled { .. } | Happened::CameBack { .. } => Some(Sighting::VirtualMedia),
        _ => None,
    }
}

/// Brings an outcome into the journal, however long that takes: the action stays open until it is there.
pub(super) async fn ended(ours: &Provisioner, node: &NodeId, id: ActionId, outcome: Outcome) {
    loop {
        let (writer, node, outcome) = (ours.clone(), node.clone(), outcome.clone());
        let write = move || writer.submit(&node, Input::ActionEnded { id, outcome });
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(_)) => return,
            Ok(Err(error)) => {
                tracing::error!(%error, "the outcome of an action is not in the journal; it is tried again");
            }
            Err(error) => {
                tracing::error!(%error, "a task of the provisioner failed");
                return;
            }
        }
        // Another provisioner that leads now carries the action out itself.
        if ours.may_decide().is_err() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}
