// SPDX-License-Identifier: Apache-2.0
//! `sushy-emulator --fake` of OpenStack's sushy-tools: a Redfish service that is not ours. It knows no sessions, changes power only
//! after seconds, answers `Continuous` whatever was written, and reads UefiHttp back as Pxe.

use crate::peer::{Peer, python, skipped, tcp};
use crate::{settings, target};
use bmc::ladder::{Action, Event, Sighting};
use bmc::{Bmcs, Ladder, Learned, PowerState, Rung, Target, Trouble};
use groundstate_api::Millis;
use groundstate_api::action::{NextBoot, PowerTo};
use groundstate_api::site_parts::BmcProtocol;
use tempfile::TempDir;

struct Sushy {
    target: Target,
    bmcs: Bmcs,
    _peer: Peer,
    _dir: TempDir,
}

fn sushy() -> Option<Sushy> {
    let (dir, address) = (tempfile::tempdir().unwrap(), tcp());
    let config = format!("SUSHY_EMULATOR_STATE_DIR = {:?}\n", dir.path());
    std::fs::write(dir.path().join("emulator.conf"), config).unwrap();
    let program = python("sushy-emulator");
    let port = address.port().to_string();
    let config = dir.path().join("emulator.conf");
    let arguments = [
        "--fake",
        "--config",
        config.to_str().unwrap(),
        "-i",
        "127.0.0.1",
        "-p",
        &port,
    ];
    let peer = Peer::start(&program, &arguments, dir.path());
    let Some(mut peer) = peer else {
        skipped("sushy-emulator (Python's sushy-tools)");
        return None;
    };
    if !peer.listens(address) {
        skipped("sushy-emulator that runs");
        return None;
    }
    // It lags by real seconds.
    let mut settings = settings();
    settings.pace_divisor = 4;
    Some(Sushy {
        target: target(address, BmcProtocol::RedfishHttp),
        bmcs: Bmcs::new(settings),
        _peer: peer,
        _dir: dir,
    })
}

#[tokio::test]
async fn its_power_is_waited_for() {
    let Some(Sushy {
        target,
        bmcs,
        _peer,
        _dir,
    }) = sushy()
    else {
        return;
    };
    for (to, state) in [
        (PowerTo::On, PowerState::On),
        (PowerTo::On, PowerState::On),
        (PowerTo::ForceOff, PowerState::Off),
        (PowerTo::Cycle, PowerState::On),
        (PowerTo::Off, PowerState::Off),
    ] {
        bmcs.power(&target, to, Millis::secs(240)).await.unwrap();
        assert_eq!(bmcs.power_state(&target).await, Ok(state));
    }
}

#[tokio::test]
async fn its_lies_lead_down_the_ladder() {
    let Some(Sushy {
        target,
        bmcs,
        _peer,
        _dir,
    }) = sushy()
    else {
        return;
    };
    let report = bmcs.inventory(&target, Millis(7)).await.unwrap();
    assert_eq!(
        (report.manufacturer.as_str(), report.power.as_str()),
        ("Sushy Emulator", "off")
    );
    assert_eq!(report.quirks, ["sushy-http-reads-pxe"]);
    assert_eq!(report.macs.len(), 1, "{report:?}");
    // Once is read back as Continuous.
    let lie = bmcs
        .set_next_boot(&target, NextBoot::Network, Rung::RedfishOnce)
        .await
        .unwrap_err();
    assert!(
        matches!(&lie, Trouble::Ignored { seen, .. } if seen.starts_with("Pxe, Continuous")),
        "{lie}"
    );
    let http = bmcs
        .set_next_boot(&target, NextBoot::HttpBoot, Rung::RedfishPersistent)
        .await
        .unwrap_err();
    assert!(
        http.to_string().contains("known: sushy-http-reads-pxe"),
        "{http}"
    );
    let mut ladder = Ladder::new(NextBoot::Network, &Rung::ALL, &Learned::default(), None);
    let wanted = bmcs
        .climb(&target, &mut ladder, Millis(0), Event::Begin)
        .await;
    assert!(
        matches!(
            wanted.last(),
            Some(Action::Ready {
                rung: Rung::RedfishPersistent,
                ..
            })
        ),
        "{wanted:?}"
    );
    bmcs.climb(&target, &mut ladder, Millis(1), Event::Restarted)
        .await;
    let wanted = bmcs
        .climb(
            &target,
            &mut ladder,
            Millis(2),
            Event::Sighted(Sighting::Pxe),
        )
        .await;
    assert!(
        wanted.contains(&Action::Proven {
            rung: Rung::RedfishPersistent
        }),
        "{wanted:?}"
    );
    let after = bmcs.inventory(&target, Millis(8)).await.unwrap();
    assert_ne!(
        after.next_boot.as_deref(),
        Some("pxe continuous"),
        "an override that holds was left behind"
    );
}

#[tokio::test]
async fn its_virtual_media() {
    let Some(Sushy {
        target,
        bmcs,
        _peer,
        _dir,
    }) = sushy()
    else {
        return;
    };
    // It fetches the image itself; nobody serves it here, and what it says of that is told.
    let trouble = bmcs
        .insert_media(&target, "http://127.0.0.1:9/none.iso")
        .await
        .unwrap_err();
    assert!(
        matches!(
            trouble,
            Trouble::Refused { .. } | Trouble::NotOffered { .. }
        ),
        "{trouble}"
    );
    assert_eq!(
        bmcs.eject_media(&target).await.unwrap(),
        ["nothing was in there"]
    );
}
