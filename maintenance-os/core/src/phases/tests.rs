// SPDX-License-Identifier: Apache-2.0
//! The machine's promises, one by one.

use super::*;
use groundstate_api::ReasonCode;
use groundstate_api::plan::HandOver;

fn drive(phases: &mut Phases, now: u64, event: Event) -> Vec<Action> {
    let mut out = Vec::new();
    phases.handle(Millis(now), event, &mut out);
    out.retain(|action| !matches!(action, Action::Show(_)));
    out
}

fn reason() -> Reason {
    Reason::new(
        ReasonCode::ProvisionerUnreachable,
        "no answer",
        "look at the provisioner",
    )
}

fn enrolled() -> Phases {
    let mut phases = Phases::default();
    assert_eq!(drive(&mut phases, 0, Event::Started), [Action::GetLease]);
    let lease = Event::LeaseGot {
        interface: "eth0".into(),
        address: "10.77.0.100".into(),
    };
    assert_eq!(drive(&mut phases, 1, lease), [Action::Enrol]);
    let reply = EnrolReply::Enrolled {
        node: "node1".parse().unwrap(),
        run: "run-1".parse().unwrap(),
        certificate_pem: String::new(),
        firmware: None,
        boot: 1,
    };
    assert_eq!(
        drive(&mut phases, 2, Event::EnrolAnswered(reply)),
        [Action::Inspect]
    );
    assert_eq!(
        drive(&mut phases, 3, Event::Inspected),
        [Action::SendInventory]
    );
    phases
}

#[test]
fn an_absent_provisioner_is_asked_again() {
    let mut phases = enrolled();
    assert_eq!(
        drive(&mut phases, 10, Event::CallFailed { reason: reason() }),
        []
    );
    assert_eq!(phases.deadline(), Some(Millis(10 + PROVISIONER_RETRY.0)));
    assert_eq!(drive(&mut phases, 11, Event::Timeout), [], "too early");
    assert_eq!(
        drive(&mut phases, 10 + PROVISIONER_RETRY.0, Event::Timeout),
        [Action::Ask]
    );
}

#[test]
fn a_held_node_wishes_for_nothing_that_writes_and_keeps_asking() {
    let mut phases = enrolled();
    assert_eq!(
        drive(
            &mut phases,
            10,
            Event::Instructed(Instruction::Hold { reason: reason() })
        ),
        []
    );
    for event in [
        Event::StepDone { facts: Vec::new() },
        Event::ReportsDelivered { through: 99 },
        Event::StepMoved {
            done: Bytes(1),
            total: Bytes(2),
        },
    ] {
        assert_eq!(drive(&mut phases, 11, event), []);
    }
    assert_eq!(
        drive(&mut phases, 10 + HOLD_POLL.0, Event::Timeout),
        [Action::Ask]
    );
    assert_eq!(
        drive(
            &mut phases,
            6_000,
            Event::Instructed(Instruction::SendInventory)
        ),
        [Action::Inspect]
    );
}

#[test]
fn a_late_second_answer_changes_nothing() {
    let mut phases = enrolled();
    let reply = EnrolReply::Refused {
        reason: reason(),
        retry_ms: 1,
    };
    assert_eq!(drive(&mut phases, 5, Event::EnrolAnswered(reply)), []);
    assert_eq!(phases.deadline(), None);
}

fn plan() -> Box<Plan> {
    Box::new(Plan {
        schema: groundstate_api::SCHEMA,
        id: "0".repeat(64).parse().unwrap(),
        run: "run-1".parse().unwrap(),
        node: "node1".parse().unwrap(),
        machine: groundstate_api::SystemUuid([7; 16]),
        hand_over: HandOver::Kexec,
        uefi: true,
        boot_mac: groundstate_api::MacAddr([2; 6]),
        image: groundstate_api::image::ImageRef {
            name: "debian-host".into(),
            version: "1".into(),
            kind: groundstate_api::image::ImageKind::RootFsExt4,
            manifest: groundstate_api::Digest([0; 32]),
            size: Bytes(1),
            sector_size: 512,
            whole: None,
        },
        disks: Vec::new(),
        files: Vec::new(),
        rebuild: None,
        previous: None,
        notes: Vec::new(),
    })
}

fn carrying() -> Phases {
    let mut phases = enrolled();
    let carry_out = Event::Instructed(Instruction::CarryOut {
        plan: plan(),
        image_begun: false,
    });
    let wishes = drive(&mut phases, 10, carry_out);
    assert!(matches!(
        wishes[..],
        [
            Action::Report {
                step: Step::Guard,
                ..
            },
            Action::CarryOut {
                step: Step::Guard,
                ..
            }
        ]
    ));
    phases
}

fn leaving() -> (Phases, u64) {
    let mut phases = carrying();
    let mut reports = 1;
    for _ in Step::ALL {
        let wishes = drive(&mut phases, 20, Event::StepDone { facts: Vec::new() });
        reports += wishes
            .iter()
            .filter(|wish| matches!(wish, Action::Report { .. }))
            .count() as u64;
    }
    assert!(matches!(phases.state(), State::Leaving { .. }));
    (phases, reports)
}

#[test]
fn the_host_is_started_only_when_the_last_report_was_heard() {
    let (mut phases, reports) = leaving();
    assert_eq!(reports, 2 * Step::ALL.len() as u64);
    assert_eq!(
        drive(
            &mut phases,
            30,
            Event::ReportsDelivered {
                through: reports - 1
            }
        ),
        []
    );
    let heard = drive(
        &mut phases,
        31,
        Event::ReportsDelivered { through: reports },
    );
    assert!(matches!(heard[..], [Action::StartHost { .. }]));
}

#[test]
fn a_host_that_does_not_start_is_reported_and_held() {
    let (mut phases, _) = leaving();
    let wishes = drive(&mut phases, 30, Event::StartFailed { reason: reason() });
    assert!(matches!(
        wishes[..],
        [Action::Report {
            step: Step::HandOver,
            state: StepState::Failed { .. }
        }]
    ));
    assert!(matches!(phases.state(), State::Holding { .. }));
}

#[test]
fn another_run_waits_for_the_step_that_still_runs() {
    let mut phases = carrying();
    assert_eq!(
        drive(&mut phases, 20, Event::Instructed(Instruction::EnrolAgain)),
        []
    );
    assert!(matches!(phases.state(), State::Holding { .. }));
    assert_eq!(
        drive(&mut phases, 21, Event::Instructed(Instruction::EnrolAgain)),
        [],
        "the guard still runs"
    );
    assert_eq!(
        drive(&mut phases, 22, Event::StepDone { facts: Vec::new() }),
        [],
        "and nothing follows it"
    );
    assert_eq!(
        drive(&mut phases, 23, Event::Instructed(Instruction::EnrolAgain)),
        [Action::Enrol]
    );
    assert_eq!(phases.identity(), None);
}

#[test]
fn a_local_host_that_does_not_start_is_tried_again() {
    let mut phases = Phases::default();
    drive(&mut phases, 0, Event::Started);
    drive(
        &mut phases,
        1,
        Event::LeaseGot {
            interface: "eth0".into(),
            address: "10.77.0.100".into(),
        },
    );
    let reply = EnrolReply::BootLocal {
        node: "node1".parse().unwrap(),
        disk_serial: "S1".into(),
        esp_guid: "E".into(),
        root_guid: "R".into(),
    };
    let wishes = drive(&mut phases, 2, Event::EnrolAnswered(reply));
    assert!(matches!(wishes[..], [Action::StartLocalHost(_)]));
    assert_eq!(
        drive(&mut phases, 3, Event::StartFailed { reason: reason() }),
        []
    );
    assert_eq!(
        drive(&mut phases, 3 + LOCAL_RETRY.0, Event::Timeout),
        [Action::Enrol]
    );
}

#[test]
fn a_network_without_a_provisioner_is_left_for_another() {
    let mut phases = Phases::default();
    drive(&mut phases, 0, Event::Started);
    drive(
        &mut phases,
        1,
        Event::LeaseGot {
            interface: "eth0".into(),
            address: "192.0.2.7".into(),
        },
    );
    for _ in 1..FAILURES_PER_NETWORK {
        assert_eq!(
            drive(&mut phases, 2, Event::CallFailed { reason: reason() }),
            []
        );
    }
    assert_eq!(
        drive(&mut phases, 3, Event::CallFailed { reason: reason() }),
        [Action::GetLease]
    );
}
