// SPDX-License-Identifier: Apache-2.0
//! An erase over the wire: the order names its disks, each disk's certificate is judged, signed and kept, and a disk that is not
//! proved keeps its node out of service however often a run is ordered.

use crate::way::{instruction, phase, progress};
use crate::world::{Caller, Key, LATER_BOOT, World, inventory};
use groundstate_api::erase::{
    EraseCertificates, EraseClass, EraseMethod, EraseOutcome, EraseRecord, EraseReport,
    EraseSample, SignedErase,
};
use groundstate_api::plan::{DiskAction, DiskPlan, Plan, Step};
use groundstate_api::run::Instruction;
use groundstate_api::view::EventPage;
use groundstate_api::{Millis, ReasonCode};
use provisioner::erase::{VerifyError, verify};
use serde_json::json;
use std::process::Command;

const ERASE: &str = "/v1/nodes/node-1/erase";
const CERTIFICATES: &str = "/v1/nodes/node-1/certificates";

/// What a node says of a disk that was overwritten and read back.
fn record(disk: &DiskPlan) -> EraseRecord {
    let sectors = disk.size.0 / 512;
    EraseRecord {
        serial: disk.serial.clone(),
        wwn: disk.wwn.clone(),
        slot: disk.slot.clone(),
        model: disk.model.clone(),
        revision: "1".into(),
        size: disk.size,
        rotational: true,
        outcome: EraseOutcome::Erased {
            method: EraseMethod::Overwrite,
            class: EraseClass::Clear,
        },
        not_used: Vec::new(),
        status: vec!["overwrite: writing zeros".into()],
        sample: EraseSample {
            whole: true,
            ranges: 1,
            sector: 512,
            sectors,
            blocks: sectors / 8,
            witnesses: 2_000,
            blank: sectors / 8,
            zeros: sectors / 8,
            ..EraseSample::default()
        },
        took: Millis::secs(60),
    }
}

fn ordered(world: &World, serials: &[&str]) -> (Caller, String, Plan) {
    let order = json!({"serials": serials});
    world.operator().post(ERASE, &order).ok();
    let key = Key::new();
    let (node, run) = world.enrol(&key);
    node.post(
        "/v1/run/inventory",
        &json!({"run": run, "inventory": inventory()}),
    )
    .ok();
    let Instruction::CarryOut { plan, .. } = instruction(&node) else {
        panic!("no plan")
    };
    for (number, state) in [(1, "started"), (2, "done")] {
        let state = json!({"state": state, "facts": []});
        progress(&node, &run, number, Step::Guard, &state);
    }
    let state = json!({"state": "started"});
    progress(&node, &run, 3, Step::Erase, &state);
    (node, run, *plan)
}

fn tell(node: &Caller, run: &str, record: EraseRecord) -> u16 {
    let run = run.parse().unwrap();
    node.post("/v1/run/erased", &EraseReport { run, record })
        .status
}

fn certificates(world: &World) -> Vec<SignedErase> {
    let all: EraseCertificates = world.operator().get(CERTIFICATES).read();
    all.certificates
}

fn disk<'a>(plan: &'a Plan, serial: &str) -> &'a DiskPlan {
    let mut disks = plan.disks.iter();
    disks.find(|disk| disk.serial == serial).unwrap()
}

#[test]
fn erased_disks_get_certificates_that_other_programs_verify_and_the_node_is_known_again() {
    let world = World::new();
    world
        .operator()
        .post(ERASE, &json!({"serials": []}))
        .problem(400);
    world.operator().post(ERASE, &json!({})).problem(400);
    let (node, run, plan) = ordered(&world, &["DATA-1"]);
    let erased = |disk: &&DiskPlan| matches!(disk.action, DiskAction::Erase { .. });
    assert_eq!(plan.disks.iter().filter(erased).count(), 1);
    assert_eq!(disk(&plan, "OS-1").action, DiskAction::LeaveAlone);
    assert_eq!(plan.image.name, "none", "an erase needs no image");
    // A disk that the plan leaves alone gets no certificate.
    assert_eq!(tell(&node, &run, record(disk(&plan, "OS-1"))), 409);
    assert_eq!(tell(&node, &run, record(disk(&plan, "DATA-1"))), 204);
    assert_eq!(
        tell(&node, &run, record(disk(&plan, "DATA-1"))),
        204,
        "its answer was lost"
    );
    let done = json!({"state": "done", "facts": ["DATA-1: erased"]});
    progress(&node, &run, 4, Step::Erase, &done);
    assert_eq!(phase(&world), "enrolled");
    assert!(matches!(instruction(&node), Instruction::Hold { .. }));

    let all = certificates(&world);
    assert_eq!(all.len(), 1);
    let ca = world.ours.pki().ca_pem();
    let certificate = verify(ca, &all[0]).unwrap();
    assert!(certificate.is_erased());
    assert_eq!(certificate.ordered_by, "admin:local");
    assert_eq!(
        (certificate.ended.0 - certificate.began.0, certificate.plan),
        (60_000, plan.id.clone())
    );
    other_programs_verify(&world, &run);
    node.get(CERTIFICATES).problem(403);
    world.anyone().get(CERTIFICATES).problem(403);

    // One changed byte, another signature, another signer, another site: none is believed.
    let mut changed = all[0].clone();
    changed.certificate = changed.certificate.replacen("DATA-1", "DATA-2", 1);
    assert!(matches!(verify(ca, &changed), Err(VerifyError::Signature)));
    let mut changed = all[0].clone();
    let last = if changed.signature.ends_with('0') {
        "1"
    } else {
        "0"
    };
    changed
        .signature
        .replace_range(changed.signature.len() - 1.., last);
    assert!(verify(ca, &changed).is_err());
    let mut changed = all[0].clone();
    changed.signer_pem = std::fs::read_to_string(world.pki("operator/operator.crt")).unwrap();
    assert!(matches!(verify(ca, &changed), Err(VerifyError::Signer(_))));
    let other = World::new();
    assert!(matches!(
        verify(other.ours.pki().ca_pem(), &all[0]),
        Err(VerifyError::NotOfThisSite)
    ));
    let world = world.restart();
    assert_eq!(certificates(&world), all, "the journal keeps them");
    assert_eq!(phase(&world), "enrolled");
}

/// openssl verifies the files beside the journal.
fn other_programs_verify(world: &World, run: &str) {
    let folder = world.dir.path().join("certificates/node-1");
    let file = |ending: &str| folder.join(format!("{run}-DATA-1.{ending}"));
    let key = folder.join("key.pem");
    let pubkey = Command::new("openssl")
        .args(["x509", "-pubkey", "-noout", "-in"])
        .arg(file("pem"))
        .output()
        .unwrap();
    assert!(pubkey.status.success());
    std::fs::write(&key, pubkey.stdout).unwrap();
    let verified = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(&key)
        .arg("-signature")
        .args([file("sig"), file("json")])
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&verified.stdout).trim(),
        "Verified OK"
    );
    let chain = Command::new("openssl")
        .args(["verify", "-CAfile"])
        .args([world.pki("ca.crt"), file("pem")])
        .output()
        .unwrap();
    assert!(chain.status.success(), "{chain:?}");
}

#[test]
fn a_disk_that_is_not_proved_is_in_quarantine_however_often_a_run_is_ordered() {
    let world = World::new();
    let (node, run, plan) = ordered(&world, &["DATA-1", "OS-1"]);
    assert_eq!(tell(&node, &run, record(disk(&plan, "OS-1"))), 204);
    // The node calls it erased and shows blocks that did not change.
    let mut lie = record(disk(&plan, "DATA-1"));
    lie.sample.unchanged = 3;
    assert_eq!(tell(&node, &run, lie), 204);
    let done = json!({"state": "done", "facts": []});
    progress(&node, &run, 4, Step::Erase, &done);
    assert_eq!(phase(&world), "held");
    let Instruction::Hold { reason } = instruction(&node) else {
        panic!("it must be held")
    };
    assert_eq!(reason.code, ReasonCode::EraseFailed);
    assert_eq!(reason.evidence, ["not proved: DATA-1"]);
    let all = certificates(&world);
    let ca = world.ours.pki().ca_pem();
    let said = verify(ca, &all[1]).unwrap();
    assert!(!said.is_erased());
    let EraseOutcome::Quarantine { why, .. } = &said.disk.outcome else {
        panic!("{said:?}")
    };
    assert!(why.contains("3 of"), "{why}");

    // Somebody wants it back in service: the run stops before anything is written, after a restart too.
    let world = world.restart();
    for _ in 0..2 {
        world
            .operator()
            .post("/v1/nodes/node-1/reprovision", &json!({}))
            .ok();
        let (node, run) = world.enrol(&Key::new());
        let report = json!({"run": run, "inventory": inventory()});
        node.post("/v1/run/inventory", &report).ok();
        let Instruction::Hold { reason } = instruction(&node) else {
            panic!("a disk is in quarantine")
        };
        assert_eq!(reason.code, ReasonCode::EraseFailed);
        assert!(reason.next_step.contains("--confirm DATA-1"), "{reason}");
    }
    // A proved erase ends it.
    let (node, run, plan) = ordered(&world, &["DATA-1"]);
    assert_eq!(tell(&node, &run, record(disk(&plan, "DATA-1"))), 204);
    progress(
        &node,
        &run,
        4,
        Step::Erase,
        &json!({"state": "done", "facts": []}),
    );
    assert_eq!(phase(&world), "enrolled");
    let (node, run) = world.enrolled();
    let report = json!({"run": run, "inventory": inventory()});
    node.post("/v1/run/inventory", &report).ok();
    assert!(matches!(instruction(&node), Instruction::CarryOut { .. }));
}

#[test]
fn an_erase_that_breaks_off_leaves_its_disks_in_quarantine() {
    let world = World::new();
    let (node, run, _) = ordered(&world, &["DATA-1"]);
    let failed = json!({"state": "failed", "reason": {
        "code": "erase-failed", "part": null, "what": "Quarantine: a disk could not be erased.", "evidence": [],
        "since": null, "deadline": null, "next_automatic": "nothing", "next_step": "erase again",
    }});
    progress(&node, &run, 4, Step::Erase, &failed);
    assert_eq!(phase(&world), "held");
    world
        .operator()
        .post("/v1/nodes/node-1/reprovision", &json!({}))
        .ok();
    let (node, run) = world.enrol(&Key::new());
    let report = json!({"run": run, "inventory": inventory()});
    node.post("/v1/run/inventory", &report).ok();
    let Instruction::Hold { reason } = instruction(&node) else {
        panic!("a disk is in quarantine")
    };
    assert_eq!(reason.code, ReasonCode::EraseFailed);
    let page: EventPage = world.operator().get("/v1/events?after=0").read();
    assert!(page.events.len() > 5);
}

#[test]
fn a_certificate_says_how_often_power_interrupted_its_erase() {
    let world = World::new();
    let (_, run, plan) = ordered(&world, &["DATA-1"]);
    let key = Key::new();
    let world = world.came_back(2, &key).came_back(3, &key);
    let mut request = key.request(1);
    request["boot_id"] = json!(LATER_BOOT);
    let reply = world.anyone().post("/v1/enrol", &request).ok();
    let node = world.with(reply["certificate_pem"].as_str().unwrap(), &key);
    let state = json!({"state": "started"});
    progress(&node, &run, 1, Step::Erase, &state);
    assert_eq!(tell(&node, &run, record(disk(&plan, "DATA-1"))), 204);
    let signed = &certificates(&world)[0];
    let certificate = verify(world.ours.pki().ca_pem(), signed).unwrap();
    assert!(certificate.is_erased());
    assert_eq!(certificate.interrupted, 2);
}
