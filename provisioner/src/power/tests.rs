// SPDX-License-Identifier: Apache-2.0
//! Actions without a BMC, with one, with one that lies, and after a restart of ours.

use super::kept;
use crate::peer::NoImages;
use crate::provisioner::tests::site;
use crate::provisioner::{Options, Provisioner};
use axum::extract::{Path as UrlPath, State};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use axum::routing::any;
use axum::{Json, Router};
use groundstate_api::action::{Act, ActionView, NextBoot, Outcome, PowerTo};
use groundstate_api::adopt::AdoptToken;
use groundstate_api::boot::{BootSighting, Firmware};
use groundstate_api::host::{HostAct, HostInstruction};
use groundstate_api::site_parts::{BmcProtocol, BmcSite};
use groundstate_api::{Digest, NodeId, Reason, ReasonCode};
use prov_core::adopt::Adoptee;
use prov_core::{Input, Reply};
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// A BMC in a few lines: power, an override, and whether it does what it says.
#[derive(Default)]
struct Fake {
    on: bool,
    target: String,
    enabled: String,
    ignores: bool,
    resets: Vec<String>,
}

type Shared = Arc<Mutex<Fake>>;

async fn redfish(
    State(fake): State<Shared>,
    method: Method,
    UrlPath(path): UrlPath<String>,
    body: String,
) -> axum::response::Response {
    let mut fake = fake.lock().unwrap();
    let body: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    match (method.as_str(), path.trim_end_matches('/')) {
        ("GET", "v1") => Json(json!({
            "@odata.id": "/redfish/v1/", "RedfishVersion": "1.18.0", "Systems": { "@odata.id": "/redfish/v1/Systems" },
            "Links": { "Sessions": { "@odata.id": "/redfish/v1/SessionService/Sessions" } },
        }))
        .into_response(),
        ("POST", "v1/SessionService/Sessions") => {
            if body["UserName"] != "admin" || body["Password"] != "geheim" {
                return StatusCode::UNAUTHORIZED.into_response();
            }
            let headers = [
                ("X-Auth-Token", "token"),
                ("Location", "/redfish/v1/SessionService/Sessions/1"),
            ];
            (StatusCode::CREATED, headers, Json(json!({ "Id": "1" }))).into_response()
        }
        ("GET", "v1/Systems") => {
            Json(json!({ "Members": [{ "@odata.id": "/redfish/v1/Systems/1" }] })).into_response()
        }
        ("GET", "v1/Systems/1") => Json(json!({
            "@odata.id": "/redfish/v1/Systems/1", "Id": "1", "Manufacturer": "Contoso", "Model": "R1\u{1b}[2J", "SerialNumber": "GS1",
            "BiosVersion": "2", "PowerState": if fake.on { "On" } else { "Off" },
            "Boot": {
                "BootSourceOverrideEnabled": fake.enabled, "BootSourceOverrideTarget": fake.target,
                "BootSourceOverrideTarget@Redfish.AllowableValues": ["None", "Pxe", "Hdd"],
            },
            "Actions": { "#ComputerSystem.Reset": {
                "target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
                "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "GracefulShutdown", "ForceRestart", "PowerCycle"],
            }},
        }))
        .into_response(),
        ("PATCH", "v1/Systems/1") => {
            if !fake.ignores {
                for (key, value) in body["Boot"].as_object().into_iter().flatten() {
                    let text = value.as_str().unwrap_or_default().to_owned();
                    match key.as_str() {
                        "BootSourceOverrideEnabled" => fake.enabled = text,
                        "BootSourceOverrideTarget" => fake.target = text,
                        _ => {}
                    }
                }
            }
            StatusCode::NO_CONTENT.into_response()
        }
        ("POST", "v1/Systems/1/Actions/ComputerSystem.Reset") => {
            let how = body["ResetType"].as_str().unwrap_or_default().to_owned();
            fake.on = how != "ForceOff" && how != "GracefulShutdown";
            fake.resets.push(how);
            StatusCode::NO_CONTENT.into_response()
        }
        ("DELETE", _) => StatusCode::NO_CONTENT.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn fake_bmc(fake: &Shared) -> (SocketAddr, watch::Sender<bool>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/redfish/{*path}", any(redfish))
        .with_state(fake.clone());
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(crate::serve::serve_plain(listener, router, stopped));
    (address, stop)
}

fn open(dir: &Path, bmc: Option<SocketAddr>) -> Provisioner {
    let mut site = site();
    site.nodes[0].bmc = bmc.map(|address| BmcSite {
        address: address.to_string(),
        protocol: Some(BmcProtocol::RedfishHttp),
        credential: "bmc-1".to_owned(),
        certificate: None,
        system: None,
    });
    Provisioner::open(Options {
        site,
        state_dir: dir.to_owned(),
        images: Arc::new(NoImages),
    })
    .unwrap()
}

fn credential(dir: &Path, text: &str, mode: u32) {
    fs::create_dir_all(dir.join("credentials")).unwrap();
    let file = dir.join("credentials/bmc-1");
    fs::write(&file, text).unwrap();
    fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
}

fn node() -> NodeId {
    "node-1".parse().unwrap()
}

async fn want(ours: &Provisioner, act: Act) -> Option<Reply> {
    let (ours, by) = (ours.clone(), "operator:ana".to_owned());
    let input = Input::ActionWanted {
        act,
        by,
        because: None,
    };
    let wanted = tokio::task::spawn_blocking(move || ours.submit(&node(), input));
    wanted.await.unwrap().unwrap()
}

/// The newest action of the node, once it has ended.
async fn ended(ours: &Provisioner) -> Outcome {
    for _ in 0..1_200 {
        let views: Vec<ActionView> = ours.report(&node()).unwrap().actions;
        if let Some(outcome) = views.first().and_then(|view| view.outcome.clone()) {
            return outcome;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!(
        "no action ended: {:?}",
        ours.report(&node()).unwrap().actions
    );
}

async fn done(ours: &Provisioner, act: Act) -> Outcome {
    want(ours, act).await;
    ended(ours).await
}

fn failed(outcome: &Outcome) -> &Reason {
    match outcome {
        Outcome::Failed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

fn by(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Done { by, .. } => by,
        other => panic!("{other:?}"),
    }
}

const ON: Act = Act::Power { to: PowerTo::On };
const CYCLE: Act = Act::Power { to: PowerTo::Cycle };

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bmc_a_person_is_asked_by_the_serial_number() {
    let dir = tempfile::tempdir().unwrap();
    let ours = open(dir.path(), None);
    for act in [ON, CYCLE, Act::Identify { on: true }] {
        let reason = ours.target_for(&node(), &act).await.unwrap_err();
        assert_eq!(reason.code, ReasonCode::PowerNeeded);
        assert!(reason.next_step.contains("GS1"), "{reason}");
        // Nothing is begun that nobody could do.
        let reply = want(&ours, act).await;
        assert!(matches!(&reply, Some(Reply::Conflict(_))), "{reply:?}");
    }
    let refusal = ours.bmc_report(&node()).await.unwrap_err();
    assert_eq!(refusal.reason.code, ReasonCode::PowerNeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_others_may_read_is_not_sent_and_a_mended_one_counts_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Shared::default();
    let (address, _bmc) = fake_bmc(&fake).await;
    credential(dir.path(), "admin:geheim", 0o644);
    let ours = open(dir.path(), Some(address));
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(ours.clone().run(stopped));
    let outcome = done(&ours, ON).await;
    assert_eq!(failed(&outcome).code, ReasonCode::CredentialMissing);
    assert!(fake.lock().unwrap().resets.is_empty());
    credential(dir.path(), "admin:geheim", 0o600);
    let outcome = done(&ours, ON).await;
    assert_eq!(by(&outcome), "redfish");
    assert_eq!(fake.lock().unwrap().resets, ["On"]);
    // It is on: nothing more is asked of it.
    assert_eq!(by(&done(&ours, ON).await), "redfish");
    assert_eq!(fake.lock().unwrap().resets, ["On"]);
    let report = ours.bmc_report(&node()).await.unwrap();
    assert_eq!(report.power, "on");
    assert!(!report.model.contains('\u{1b}'), "{:?}", report.model);
    assert_eq!(ours.last_bmc(&node()).unwrap().report, Some(report));
    // The secret is neither in the journal nor in what is kept.
    for file in fs::read_dir(dir.path()).unwrap().flatten() {
        let bytes = fs::read(file.path()).unwrap_or_default();
        let found = bytes.windows(6).any(|six| six == b"geheim");
        assert!(!found, "{}", file.path().display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_boot_is_proved_by_what_the_network_saw_and_kept_for_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Shared::default();
    let (address, _bmc) = fake_bmc(&fake).await;
    credential(dir.path(), "admin:geheim", 0o600);
    let ours = open(dir.path(), Some(address));
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(ours.clone().run(stopped));
    let next = Act::BootNext {
        to: NextBoot::Network,
    };
    assert_eq!(by(&done(&ours, next).await), "redfish-once");
    assert_eq!(fake.lock().unwrap().target, "Pxe");
    done(&ours, CYCLE).await;
    let firmware = Some(Firmware::UefiPxe);
    let mac = ours.report(&node()).unwrap().view.mac;
    ours.saw(
        mac,
        BootSighting::Leased {
            address: "127.0.0.101".to_owned(),
            firmware,
        },
    );
    let file = dir.path().join(kept::FILE);
    for _ in 0..200 {
        if fs::read_to_string(&file).is_ok_and(|text| text.contains("redfish-once")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing was learned: {:?}", fs::read_to_string(&file));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_that_says_yes_and_does_nothing_leaves_it_to_the_boot_service() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Shared::default();
    fake.lock().unwrap().ignores = true;
    let (address, _bmc) = fake_bmc(&fake).await;
    credential(dir.path(), "admin:geheim", 0o600);
    let ours = open(dir.path(), Some(address));
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(ours.clone().run(stopped));
    let next = Act::BootNext {
        to: NextBoot::Network,
    };
    assert_eq!(by(&done(&ours, next).await), "boot-service");
    // A disk is nothing that our boot service could answer with: every way has failed.
    let next = Act::BootNext { to: NextBoot::Disk };
    let outcome = done(&ours, next).await;
    assert_eq!(failed(&outcome).code, ReasonCode::BmcIgnored);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cycle_that_was_seen_to_have_happened_is_not_done_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Shared::default();
    let (address, _bmc) = fake_bmc(&fake).await;
    credential(dir.path(), "admin:geheim", 0o600);
    {
        // Begun, and we are gone before anything is heard of it.
        let ours = open(dir.path(), Some(address));
        want(&ours, CYCLE).await;
        let firmware = Some(Firmware::UefiPxe);
        let seen = Input::Sighted(BootSighting::Leased {
            address: "127.0.0.101".to_owned(),
            firmware,
        });
        let writer = ours.clone();
        let write = tokio::task::spawn_blocking(move || writer.submit(&node(), seen));
        write.await.unwrap().unwrap();
    }
    let ours = open(dir.path(), Some(address));
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(ours.clone().run(stopped));
    assert_eq!(by(&ended(&ours).await), "boot-service");
    assert!(fake.lock().unwrap().resets.is_empty());
}

/// The host of the node, taken in as it runs: it calls, says that it can set its next boot, and does what it is asked.
#[expect(clippy::too_many_lines, reason = "what a host says of itself")]
fn host_that_can(ours: &Provisioner) -> tokio::task::JoinHandle<()> {
    let key = Some("agent".to_owned());
    let token = Digest::of(b"token");
    let boot = "33333333-3333-4333-8333-333333333333";
    let request = json!({
        "schema": 1, "macs": ["02:00:00:00:00:01"], "boot_mac": "02:00:00:00:00:01", "serial": "GS1", "boot_id": boot,
        "uuid": "564d1234-5678-9abc-def0-123456789abc", "uefi": true, "os": "theirs",
        "inventory": {
            "schema": 1, "boot_id": boot, "first_line_after": 0, "complete_after": 0, "disks": [], "nics": [],
            "system": {"manufacturer": "Contoso", "product": "R1", "serial": "GS1", "uuid": null, "firmware_version": "2",
                "firmware": null, "uefi": true, "cpus": 1, "cpu_model": "c"},
            "memory": {"available": 1, "configured": 1, "dimms": []}, "could_not_look": [],
        },
    });
    let made = AdoptToken {
        token,
        node: node(),
        expires: ours.now().plus(groundstate_api::Millis::secs(600)),
        by: "operator:ana".to_owned(),
        mac: None,
        serial: None,
    };
    let put = ours.decide_alone(None, |fleet, now, wishes| {
        fleet.adopt_token(now, made, wishes);
    });
    assert_eq!(put.unwrap(), Some(Reply::Accepted));
    let request = serde_json::from_value(request).unwrap();
    let who = Adoptee {
        request,
        token,
        key,
    };
    let adopted = ours.submit(&node(), Input::AdoptAsked(Box::new(who)));
    let Some(Reply::Adopted(plan)) = adopted.unwrap() else {
        panic!("it is not adopted")
    };
    let register = json!({
        "schema": 1, "node": "node-1", "run": "adopted", "plan": plan, "boot_id": boot, "os": "theirs", "kernel": "6",
        "uptime_secs": 1, "changes": [], "disk_serials": [],
    });
    let registers = Input::HostRegistered {
        plan: plan.clone(),
        key: "agent".to_owned(),
        register: Box::new(serde_json::from_value(register).unwrap()),
    };
    ours.submit(&node(), registers).unwrap();
    let ours = ours.clone();
    tokio::task::spawn_blocking(move || {
        let mut ended = Value::Null;
        for number in 1..2_000 {
            let beat = json!({
                "node": "node-1", "plan": plan, "boot_id": boot, "number": number, "uptime_secs": 2, "boots_next": true,
                "ended": ended,
            });
            let beats = Input::HostBeat {
                plan: plan.clone(),
                key: "agent".to_owned(),
                beat: serde_json::from_value(beat).unwrap(),
            };
            match ours.submit(&node(), beats).unwrap() {
                Some(Reply::Host(HostInstruction::Act { action, act })) => {
                    let to = NextBoot::Network;
                    assert_eq!(act, HostAct::BootNext { to });
                    ended = json!({"action": action, "facts": ["BootNext is Boot0004; it was read back"], "done": true});
                }
                Some(Reply::Host(_)) if !ended.is_null() => return,
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("nobody asked it for anything");
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_bmc_does_nothing_the_host_that_runs_sets_its_next_boot() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Shared::default();
    fake.lock().unwrap().ignores = true;
    let (address, _bmc) = fake_bmc(&fake).await;
    credential(dir.path(), "admin:geheim", 0o600);
    let ours = open(dir.path(), Some(address));
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(ours.clone().run(stopped));
    let host = {
        let ours = ours.clone();
        let calls = tokio::task::spawn_blocking(move || host_that_can(&ours));
        calls.await.unwrap()
    };
    // Its first call says that it can.
    while ours.with_node(&node(), |node| node.host_boots_next(ours.now())) != Some(true) {
        tokio::task::yield_now().await;
    }
    let next = Act::BootNext {
        to: NextBoot::Network,
    };
    want(&ours, next).await;
    host.await.unwrap();
    let ladder = loop {
        let views: Vec<ActionView> = ours.report(&node()).unwrap().actions;
        let ladder = |view: &&ActionView| matches!(view.action.act, Act::BootNext { .. });
        let found = views.iter().find(ladder).cloned().unwrap();
        if let Some(outcome) = found.outcome {
            break (outcome, views);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let (outcome, views) = ladder;
    assert_eq!(by(&outcome), "in-os-boot-next", "{outcome:?}");
    let mut of_host = views
        .iter()
        .filter(|view| matches!(view.action.act, Act::HostBootNext { .. }));
    let of_host = of_host.next().unwrap();
    assert_eq!(of_host.action.by, "boot-ladder");
    // As with every other way, what is learned of it stands beside the model.
    let mac = ours.report(&node()).unwrap().view.mac;
    done(&ours, CYCLE).await;
    ours.saw(
        mac,
        BootSighting::Leased {
            address: "127.0.0.101".to_owned(),
            firmware: Some(Firmware::UefiPxe),
        },
    );
    let file = dir.path().join(kept::FILE);
    while !fs::read_to_string(&file).is_ok_and(|text| text.contains("in-os")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
