// SPDX-License-Identifier: Apache-2.0
//! The DMTF's mockup and a crawl of a real Lenovo, served as they are: read whole, powered, told what to boot.

use crate::world::{World, folder};
use crate::{corpus, settings, target};
use bmc::{Bmcs, PowerState, Rung, Target, Trouble};
use groundstate_api::Millis;
use groundstate_api::action::{NextBoot, PowerTo};
use groundstate_api::bmc::BmcReport;
use groundstate_api::site_parts::BmcProtocol;
use std::process::Command;

const WITHIN: Millis = Millis::secs(60);

async fn dmtf() -> Option<World> {
    let root = corpus("redfish/dmtf-public-rackmount1")?;
    Some(World::honest(folder(&root, "/redfish/v1")).await)
}

async fn lenovo() -> Option<World> {
    let archive = corpus("redfish/nvidia-bmc-mock/lenovo_thinksystem_sr670.tar.gz")?;
    let dir = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(&archive)
        .arg("-C")
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(unpacked.success());
    let world = World::honest(folder(&dir.path().join("redfish/v1"), "/redfish/v1")).await;
    world.state.lock().unwrap().wants_tag = true;
    Some(world)
}

/// What holds for any machine whose BMC can be read.
fn plausible(report: &BmcReport) {
    assert!(!report.manufacturer.is_empty() && !report.serial.is_empty() && report.uuid.is_some());
    assert!(!report.firmware.is_empty() && !report.bmc_firmware.is_empty());
    assert_eq!(
        (report.power.as_str(), report.protocol.as_str()),
        ("on", "redfish")
    );
    assert!(report.memory.is_some_and(|memory| memory.0 > 1 << 30));
    assert!(
        !report.dimms.is_empty() && !report.drives.is_empty() && !report.processors.is_empty(),
        "{report:?}"
    );
    assert!(report.health.is_some());
}

/// Power in every direction, each seen at the service, and nothing but known actions.
async fn power(world: &World, bmcs: &Bmcs, target: &Target) {
    for (to, state) in [
        (PowerTo::ForceOff, PowerState::Off),
        (PowerTo::On, PowerState::On),
        (PowerTo::Off, PowerState::Off),
        (PowerTo::Cycle, PowerState::On),
        (PowerTo::Cycle, PowerState::On),
        (PowerTo::On, PowerState::On),
    ] {
        let facts = bmcs.power(target, to, WITHIN).await.unwrap();
        assert!(facts.len() >= 2, "{facts:?}");
        assert_eq!(bmcs.power_state(target).await.unwrap(), state);
    }
    let state = world.state.lock().unwrap();
    let posts = state
        .asked
        .iter()
        .filter(|asked| asked.method == "POST" && !asked.path.ends_with("Sessions"));
    for post in posts {
        assert!(
            post.path.ends_with("/Actions/ComputerSystem.Reset"),
            "{}",
            post.path
        );
    }
    // Every session that was begun was ended.
    assert!(
        state.begun >= 6 && state.tokens.is_empty(),
        "{} {:?}",
        state.begun,
        state.tokens
    );
    // The password went to the session service only.
    let tells = |asked: &&crate::world::Asked| {
        asked.body.to_string().contains(crate::PASSWORD)
            || asked.fields.contains_key("authorization")
    };
    assert!(
        state
            .asked
            .iter()
            .filter(tells)
            .all(|asked| asked.path.ends_with("/Sessions"))
    );
}

#[tokio::test]
async fn the_mockup_of_the_dmtf() {
    let Some(world) = dmtf().await else { return };
    let (bmcs, target) = (
        Bmcs::new(settings()),
        target(world.address, BmcProtocol::RedfishHttp),
    );
    let report = bmcs.inventory(&target, Millis(5)).await.unwrap();
    plausible(&report);
    assert_eq!(
        report.macs.len(),
        report
            .macs
            .iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    );
    assert!(!report.macs.is_empty());
    power(&world, &bmcs, &target).await;
    let facts = bmcs
        .set_next_boot(&target, NextBoot::Disk, Rung::RedfishOnce)
        .await
        .unwrap();
    assert!(facts[0].starts_with("read back: Hdd, Once"), "{facts:?}");
    bmcs.set_next_boot(&target, NextBoot::Network, Rung::RedfishPersistent)
        .await
        .unwrap();
    assert_eq!(
        bmcs.inventory(&target, Millis(5))
            .await
            .unwrap()
            .next_boot
            .as_deref(),
        Some("pxe continuous")
    );
    bmcs.clear_next_boot(&target).await.unwrap();
    assert_eq!(
        bmcs.inventory(&target, Millis(5)).await.unwrap().next_boot,
        None
    );
    // It lists no UefiHttp.
    let refused = bmcs
        .set_next_boot(&target, NextBoot::HttpBoot, Rung::RedfishOnce)
        .await
        .unwrap_err();
    assert!(matches!(refused, Trouble::NotOffered { .. }), "{refused}");
    for on in [true, false] {
        assert!(!bmcs.identify(&target, on).await.unwrap().is_empty());
    }
    assert!(!bmcs.console_log(&target).await.unwrap().is_empty());
    let shown = bmcs
        .insert_media(&target, "http://10.0.0.1/rescue.iso")
        .await
        .unwrap();
    assert!(shown[0].contains("rescue.iso"), "{shown:?}");
    bmcs.eject_media(&target).await.unwrap();
}

#[tokio::test]
async fn the_crawl_of_a_lenovo() {
    let Some(world) = lenovo().await else { return };
    let (bmcs, target) = (
        Bmcs::new(settings()),
        target(world.address, BmcProtocol::RedfishHttp),
    );
    let report = bmcs.inventory(&target, Millis(5)).await.unwrap();
    plausible(&report);
    assert_eq!(report.manufacturer, "Lenovo");
    assert_eq!(report.quirks, ["xcc-if-match"]);
    power(&world, &bmcs, &target).await;
    // It wants If-Match with every change, and gets the tag of what was read.
    let facts = bmcs
        .set_next_boot(&target, NextBoot::Network, Rung::RedfishOnce)
        .await
        .unwrap();
    assert!(facts[0].starts_with("read back: Pxe, Once"), "{facts:?}");
    // It allows Once and Disabled only: nothing is sent.
    let before = world.orders().len();
    let refused = bmcs
        .set_next_boot(&target, NextBoot::Network, Rung::RedfishPersistent)
        .await
        .unwrap_err();
    assert!(
        matches!(&refused, Trouble::NotOffered { offers, .. } if offers == &["Once", "Disabled"]),
        "{refused}"
    );
    assert_eq!(
        world.orders()[before..]
            .iter()
            .filter(|order| order.starts_with("PATCH"))
            .count(),
        0
    );
    bmcs.identify(&target, true).await.unwrap();
    let lines = bmcs.console_log(&target).await.unwrap();
    assert!(lines.len() > 10 && lines.len() <= 600);
    bmcs.insert_media(&target, "https://10.0.0.1/rescue.iso")
        .await
        .unwrap();
    bmcs.eject_media(&target).await.unwrap();
    assert!(
        bmcs.machine(&target.address)
            .unwrap()
            .firmware
            .contains(&report.bmc_firmware)
    );
}

#[tokio::test]
async fn another_machine_is_not_taken_for_it() {
    let Some(world) = dmtf().await else { return };
    let bmcs = Bmcs::new(settings());
    let mut target = target(world.address, BmcProtocol::RedfishHttp);
    target.system = Some("other".into());
    let trouble = bmcs.power_state(&target).await.unwrap_err();
    assert!(
        matches!(&trouble, Trouble::NoSystem { has, .. } if has.len() == 1),
        "{trouble}"
    );
    let Trouble::NoSystem { has, .. } = trouble else {
        return;
    };
    target.system = has.first().cloned();
    bmcs.power_state(&target).await.unwrap();
    assert!(world.state.lock().unwrap().tokens.is_empty());
}
