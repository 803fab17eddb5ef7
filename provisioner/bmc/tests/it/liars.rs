// SPDX-License-Identifier: Apache-2.0
//! BMCs that say yes and do something else.

#![allow(clippy::too_many_lines)]

use crate::world::{Reply, World, merge, ok, small, status};
use crate::{settings, target};
use bmc::ladder::{Action, Event, Sighting};
use bmc::{Bmcs, Ladder, Learned, Lesson, Rung, Trouble};
use groundstate_api::Millis;
use groundstate_api::action::{NextBoot, PowerTo};
use groundstate_api::site_parts::BmcProtocol;
use serde_json::{Value, json};

const MACHINE: &str = "/redfish/v1/S/a";
const HTTP: BmcProtocol = BmcProtocol::RedfishHttp;

#[tokio::test]
async fn an_override_that_is_reverted_is_noticed() {
    let world = World::start(small(), |asked, _| {
        (asked.method == "PATCH").then(|| ok(json!({})))
    })
    .await;
    let trouble = Bmcs::new(settings())
        .set_next_boot(
            &target(world.address, HTTP),
            NextBoot::Network,
            Rung::RedfishOnce,
        )
        .await
        .unwrap_err();
    assert_eq!(
        trouble.to_string(),
        "it said yes to Pxe Once, and afterwards there is None, Disabled, mode UEFI"
    );
    assert_eq!(
        trouble.reason("x").code,
        groundstate_api::ReasonCode::BmcIgnored
    );
}

#[tokio::test]
async fn the_ladder_goes_down_remembers_and_takes_back() {
    // Once is kept as Disabled; what holds is kept.
    let world = World::start(small(), |asked, state| {
        if asked.method == "PATCH" && asked.body["Boot"]["BootSourceOverrideEnabled"] == "Once" {
            merge(
                state.resources.get_mut(MACHINE).unwrap(),
                &json!({"Boot": {"BootSourceOverrideEnabled": "Disabled"}}),
            );
            return Some(ok(json!({})));
        }
        None
    })
    .await;
    let (bmcs, target) = (Bmcs::new(settings()), target(world.address, HTTP));
    let mut learned = Learned::default();
    let mut ladder = Ladder::new(NextBoot::Network, &Rung::ALL, &learned, None);
    let wanted = bmcs
        .climb(&target, &mut ladder, Millis(0), Event::Begin)
        .await;
    let key = bmcs.machine(&target.address).unwrap();
    let [
        Action::Learn {
            rung: Rung::RedfishOnce,
            lesson,
        },
        Action::Ready {
            rung: Rung::RedfishPersistent,
            facts,
        },
    ] = wanted.as_slice()
    else {
        panic!("{wanted:?}");
    };
    assert!(facts[0].starts_with("read back: Pxe, Continuous"));
    learned.note(
        &key,
        NextBoot::Network,
        Rung::RedfishOnce,
        *lesson,
        Millis(0),
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
    assert_eq!(
        wanted,
        [
            Action::Learn {
                rung: Rung::RedfishPersistent,
                lesson: Lesson::Booted
            },
            Action::Proven {
                rung: Rung::RedfishPersistent
            }
        ]
    );
    assert_eq!(
        world.state.lock().unwrap().resources[MACHINE]["Boot"]["BootSourceOverrideEnabled"],
        "Disabled"
    );
    learned.note(
        &key,
        NextBoot::Network,
        Rung::RedfishPersistent,
        Lesson::Booted,
        Millis(2),
    );
    let second = Ladder::new(NextBoot::Network, &Rung::ALL, &learned, Some(&key));
    assert_eq!(second.rungs().first(), Some(&Rung::RedfishPersistent));
    assert_eq!(second.rungs().last(), Some(&Rung::RedfishOnce));
}

#[tokio::test]
async fn a_mode_that_reverts_later_is_noticed_by_the_second_look() {
    let mut resources = small();
    resources.get_mut(MACHINE).unwrap()["Manufacturer"] = json!("Supermicro");
    let mut looks = 0;
    let world = World::start(resources, move |asked, state| {
        if asked.method == "PATCH" {
            looks = 1;
        } else if asked.path == MACHINE && looks > 0 {
            looks += 1;
            if looks == 3 {
                merge(
                    state.resources.get_mut(MACHINE).unwrap(),
                    &json!({"Boot": {"BootSourceOverrideMode": "Legacy"}}),
                );
            }
        }
        None
    })
    .await;
    let trouble = Bmcs::new(settings())
        .set_next_boot(
            &target(world.address, HTTP),
            NextBoot::Network,
            Rung::RedfishOnce,
        )
        .await
        .unwrap_err();
    assert!(
        trouble
            .to_string()
            .ends_with("there is Pxe, Once, mode Legacy"),
        "{trouble}"
    );
    assert_eq!(
        world.bodies("PATCH", MACHINE)[0]["Boot"]["BootSourceOverrideMode"],
        "UEFI"
    );
}

#[tokio::test]
async fn power_that_does_not_change_is_late() {
    let world = World::start(small(), |asked, _| {
        asked
            .path
            .ends_with("Reset")
            .then(|| Reply::Json(204, vec![], Value::Null))
    })
    .await;
    let trouble = Bmcs::new(settings())
        .power(
            &target(world.address, HTTP),
            PowerTo::ForceOff,
            Millis::secs(30),
        )
        .await
        .unwrap_err();
    assert_eq!(
        trouble.to_string(),
        "it said yes to ForceOff, and 30.0 s later there is power on"
    );
}

#[tokio::test]
async fn a_task_is_followed_to_its_end() {
    for (end, words) in [
        (json!({"TaskState": "Completed", "TaskStatus": "OK"}), None),
        (
            json!({"TaskState": "Exception", "Messages": [{"Message": "The %1 is on fire.", "MessageArgs": ["supply"]}]}),
            Some(
                "the task for POST /redfish/v1/S/a/Actions/ComputerSystem.Reset failed: The supply is on fire.",
            ),
        ),
    ] {
        let mut asks = 0;
        let world = World::start(small(), move |asked, state| {
            if asked.path.ends_with("Reset") {
                state.answer(asked);
                return Some(Reply::Json(
                    202,
                    vec![("Location", "/redfish/v1/T/1".into())],
                    Value::Null,
                ));
            }
            if asked.path == "/redfish/v1/T/1" {
                asks += 1;
                return Some(if asks < 3 {
                    Reply::Json(202, vec![], json!({"TaskState": "Running"}))
                } else {
                    ok(end.clone())
                });
            }
            None
        })
        .await;
        let (bmcs, target) = (Bmcs::new(settings()), target(world.address, HTTP));
        let mut session = bmcs.open(&target).await.unwrap();
        let result = session.reset(bmc::Reset::ForceOff).await;
        session.close().await;
        assert_eq!(
            result.err().map(|trouble| trouble.to_string()).as_deref(),
            words
        );
    }
}

#[tokio::test]
async fn a_task_without_end_is_late() {
    let world = World::start(small(), |asked, _| match asked.path.as_str() {
        path if path.ends_with("Reset") => Some(Reply::Json(
            202,
            vec![],
            json!({"TaskState": "New", "@odata.id": "/redfish/v1/T/1"}),
        )),
        "/redfish/v1/T/1" => Some(ok(json!({"TaskState": "Running"}))),
        _ => None,
    })
    .await;
    let bmcs = Bmcs::new(settings());
    let mut session = bmcs.open(&target(world.address, HTTP)).await.unwrap();
    assert!(matches!(
        session.reset(bmc::Reset::ForceOff).await,
        Err(Trouble::Late { .. })
    ));
}

#[tokio::test]
async fn refusals_during_post_are_waited_out_where_that_is_known() {
    let mut resources = small();
    resources.get_mut(MACHINE).unwrap()["Manufacturer"] = json!("HPE");
    let mut asks = 0;
    let world = World::start(resources, move |asked, _| {
        asks += usize::from(asked.method == "PATCH");
        (asked.method == "PATCH" && asks < 4).then(|| {
            Reply::Json(400, vec![], json!({"error": {"@Message.ExtendedInfo": [{"MessageId": "iLO.2.14.UnableToModifyDuringSystemPOST"}]}}))
        })
    })
    .await;
    let facts = Bmcs::new(settings())
        .set_next_boot(
            &target(world.address, HTTP),
            NextBoot::Network,
            Rung::RedfishOnce,
        )
        .await;
    assert!(facts.is_ok(), "{facts:?}");
}

#[tokio::test]
async fn entity_tags_that_nobody_understands() {
    let mut resources = small();
    resources.get_mut(MACHINE).unwrap()["@odata.etag"] = json!("W/\"1\"");
    // It takes no tag at all, and only says that the one given is wrong.
    let world = World::start(resources, |asked, _| {
        asked
            .fields
            .contains_key("if-match")
            .then(|| status(412, "no"))
    })
    .await;
    let facts = Bmcs::new(settings())
        .set_next_boot(
            &target(world.address, HTTP),
            NextBoot::Network,
            Rung::RedfishOnce,
        )
        .await;
    assert!(facts.is_ok(), "{facts:?}");
    assert_eq!(world.bodies("PATCH", MACHINE).len(), 4);
}

#[tokio::test]
async fn media_that_want_the_protocol_named() {
    let mut resources = small();
    resources.get_mut(MACHINE).unwrap()["VirtualMedia"] = json!({"@odata.id": "/redfish/v1/V"});
    resources.insert(
        "/redfish/v1/V".into(),
        json!({"Members": [{"@odata.id": "/redfish/v1/V/1"}]}),
    );
    let media = json!({"Id": "1", "MediaTypes": ["DVD"], "Image": null, "Inserted": false,
        "Actions": {"#VirtualMedia.InsertMedia": {"target": "/redfish/v1/V/1/Actions/VirtualMedia.InsertMedia"}}});
    resources.insert("/redfish/v1/V/1".into(), media);
    let world = World::start(resources, |asked, _| {
        let lacks =
            asked.path.ends_with("InsertMedia") && asked.body.get("TransferProtocolType").is_none();
        lacks.then(|| status(400, "ActionParameterMissing"))
    })
    .await;
    let facts = Bmcs::new(settings())
        .insert_media(&target(world.address, HTTP), "https://h/a.iso")
        .await
        .unwrap();
    assert_eq!(facts, ["1 shows https://h/a.iso"]);
}

/// An accelerator's baseboard stands beside the machine that carries it: only one of them can be booted.
#[tokio::test]
async fn of_several_the_one_that_boots_is_taken() {
    let mut resources = small();
    let board = json!({"Id": "HGX_Baseboard_0", "PowerState": "On",
        "Actions": {"#ComputerSystem.Reset": {"target": "/redfish/v1/S/b/Actions/ComputerSystem.Reset"}}});
    resources.insert("/redfish/v1/S/b".into(), board);
    let members = json!([{"@odata.id": "/redfish/v1/S/b"}, {"@odata.id": "/redfish/v1/S/a"}]);
    resources.get_mut("/redfish/v1/S").unwrap()["Members"] = members;
    let mut two = resources.clone();
    let world = World::honest(resources).await;
    let bmcs = Bmcs::new(settings());
    assert_eq!(
        bmcs.inventory(&target(world.address, HTTP), Millis(0))
            .await
            .unwrap()
            .model,
        "R1"
    );
    // Two that boot: nothing is guessed.
    two.insert("/redfish/v1/S/b".into(), two[MACHINE].clone());
    let world = World::honest(two).await;
    let mut target = target(world.address, HTTP);
    let trouble = bmcs.power_state(&target).await.unwrap_err();
    assert!(
        matches!(&trouble, Trouble::NoSystem { has, .. } if has == &["b", "a"]),
        "{trouble}"
    );
    target.system = Some("a".into());
    bmcs.power_state(&target).await.unwrap();
}
