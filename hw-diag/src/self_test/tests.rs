// SPDX-License-Identifier: Apache-2.0
//! Orders to disks of canned replies, and what is refused before any order is sent.

use super::command::{Not, Order, of_ata, of_nvme, of_scsi};
use super::*;
use crate::disk::fake::{Fake, REFUSED, Reply};
use hw_core::ata::{BLOCK, Command, Start};
use hw_core::disk::facts::{Protocol, SelfTestLog};
use hw_core::nvme::{CNS_CONTROLLER, DEVICE_SELF_TEST, IDENTIFY, IDENTIFY_LENGTH};
use hw_core::scsi;

fn facts(protocol: Protocol) -> DiskFacts {
    let mut facts = DiskFacts::new("/dev/sda", "ioctl", protocol);
    facts.self_tests = Some(SelfTestLog {
        extended_minutes: Some(90),
        ..SelfTestLog::default()
    });
    facts
}

/// SMART data of a disk with these off-line abilities (byte 367).
fn ata(offline: u8) -> Fake {
    let mut data = vec![0u8; BLOCK];
    (data[0], data[367], data[372], data[373], data[374]) = (16, offline, 2, 200, 5);
    Fake::default().data(&Command::SmartReadData.cdb(), data)
}

#[test]
fn an_ata_disk_is_told_what_it_can_do() {
    let registers = Reply::Status(2, vec![0x72, 1, 0, 0x1d]);
    let extended = Order::Start(SelfTestKind::Extended);
    let disk = ata(0x10).with(&Start::Extended.cdb(), registers.clone());
    assert_eq!(of_ata(&disk, extended), Ok(Some(200)));
    let why = "its SMART data say so".to_owned();
    assert_eq!(
        of_ata(&disk, Order::Start(SelfTestKind::Conveyance)),
        Err(Not::Supported("conveyance", why))
    );
    let why = "its SMART data say that it has no self-tests".to_owned();
    assert_eq!(
        of_ata(&ata(0x0b), extended),
        Err(Not::Supported("extended", why))
    );
    let aborted = ata(0x10).with(
        &Start::Extended.cdb(),
        Reply::Status(2, vec![0x72, 0xb, 0, 0]),
    );
    let why = "SMART EXECUTE OFF-LINE IMMEDIATE: aborted command (b/00/00)".to_owned();
    assert_eq!(of_ata(&aborted, extended), Err(Not::Taken(why)));
    let ends = ata(0).with(&Start::Abort.cdb(), registers);
    assert_eq!(of_ata(&ends, Order::Abort), Ok(None));
    assert!(matches!(
        of_ata(&ata(0x10), Order::Start(SelfTestKind::Selective)),
        Err(Not::Supported("selective", _))
    ));
}

#[test]
fn an_nvme_disk_without_the_command_is_not_sent_it() {
    let controller = |able: bool| {
        let mut data = vec![0u8; IDENTIFY_LENGTH];
        (data[4], data[256], data[316]) = (b'S', u8::from(able) << 4, 90);
        Fake::default().admin_reply(IDENTIFY, CNS_CONTROLLER, Reply::Data(data))
    };
    let facts = facts(Protocol::Nvme);
    let short = Order::Start(SelfTestKind::Short);
    let disk = controller(false);
    assert!(matches!(
        of_nvme(&disk, &facts, short),
        Err(Not::Supported("short", _))
    ));
    assert_eq!(disk.asked().len(), 1);
    let able = controller(true).admin_reply(DEVICE_SELF_TEST, 2, Reply::Data(Vec::new()));
    let extended = Order::Start(SelfTestKind::Extended);
    assert_eq!(of_nvme(&able, &facts, extended), Ok(Some(90)));
    assert!(matches!(of_nvme(&able, &facts, short), Err(Not::Taken(_))));
    let conveyance = Order::Start(SelfTestKind::Conveyance);
    assert!(matches!(
        of_nvme(&able, &facts, conveyance),
        Err(Not::Supported(..))
    ));
}

#[test]
fn a_scsi_disk_is_told_by_send_diagnostic() {
    let facts = facts(Protocol::Scsi);
    let short = scsi::start_self_test(SelfTestKind::Short).unwrap();
    let disk = Fake::default()
        .data(&short, Vec::new())
        .with(&scsi::abort_self_test(), Reply::Status(2, REFUSED.to_vec()));
    assert_eq!(
        of_scsi(&disk, &facts, Order::Start(SelfTestKind::Short)),
        Ok(Some(2))
    );
    assert_eq!(
        of_scsi(&disk, &facts, Order::Abort),
        Err(Not::Taken(
            "SEND DIAGNOSTIC: illegal request (5/20/00)".into()
        ))
    );
}

#[test]
fn what_is_no_disk_or_is_not_asked_is_refused_with_the_reason() {
    let root = tempfile::tempdir().unwrap();
    let virtio = "devices/pci0000:00/0000:00:06.0/virtio3/block/vda";
    let directory = root.path().join("sys").join(virtio);
    std::fs::create_dir_all(directory.join("device")).unwrap();
    std::fs::write(directory.join("size"), "2048\n").unwrap();
    std::fs::create_dir_all(root.path().join("sys/block")).unwrap();
    std::os::unix::fs::symlink(&directory, root.path().join("sys/block/vda")).unwrap();
    let tree = Tree::at(root.path());
    let start = |device: &str| {
        let error = start_in(&tree, Path::new(device), SelfTestKind::Short).unwrap_err();
        error.to_string()
    };
    assert_eq!(
        start("/dev/vda"),
        "/dev/vda: a virtio disk keeps no health data; it has no self-test that can be started from here"
    );
    assert_eq!(
        start("/dev/vda1"),
        "/dev/vda1 is not a whole disk of this machine: name one such as /dev/sda or /dev/nvme0n1"
    );
    assert!(start("/").contains("not a whole disk"));
}

#[test]
fn progress_is_what_the_log_says() {
    let mut facts = facts(Protocol::Ata);
    let log = facts.self_tests.as_mut().unwrap();
    log.last_status = Some(SelfTestResult::Passed);
    let ended = Progress::Ended {
        newest: None,
        status: Some(SelfTestResult::Passed),
    };
    assert_eq!(progress_of(&facts), ended);
    facts.self_tests.as_mut().unwrap().running = Some(40);
    assert_eq!(progress_of(&facts), Progress::Running { remaining: 40 });
}

#[test]
fn none_is_started_over_one_that_runs() {
    let device = Path::new("/dev/sda");
    let mut facts = facts(Protocol::Ata);
    assert_eq!(idle(device, &facts), Ok(None));
    facts.self_tests.as_mut().unwrap().running = Some(40);
    assert_eq!(
        idle(device, &facts).unwrap_err().to_string(),
        "a self-test runs on /dev/sda already, 40 % of it remain: let it end, or end it first"
    );
}
