// SPDX-License-Identifier: Apache-2.0
//! NVMe disks of canned replies.

use super::*;
use crate::disk::fake::{Fake, Reply};
use hw_core::disk::facts::{Assessment, SelfTestKind};

fn get(page: u8, length: usize) -> u32 {
    log_page_dw10(page, length).unwrap()
}

fn identify(self_test: bool, lists: bool) -> Vec<u8> {
    let mut data = vec![0u8; IDENTIFY_LENGTH];
    data[4..13].copy_from_slice(b"GS-NVME-1");
    data[24..28].copy_from_slice(b"Disk");
    data[256] = u8::from(self_test) << 4;
    data[261] = u8::from(lists) << 5;
    data[262] = 3;
    data[316] = 60;
    data
}

fn health() -> Vec<u8> {
    let mut log = vec![0u8; LOG_LENGTH];
    (log[0], log[1], log[2], log[3], log[5]) = (4, 0x37, 1, 100, 7);
    log
}

fn seen(disk: &Fake) -> (DiskFacts, Result<(), Over>) {
    let mut facts = DiskFacts::new("/dev/nvme0n1", "ioctl", Protocol::Nvme);
    let end = gather(disk, &mut facts, &mut |_| {});
    (facts, end)
}

#[test]
fn a_disk_says_what_it_keeps() {
    let mut errors = vec![0u8; 4 * ERROR_ENTRY];
    (errors[0], errors[12], errors[13]) = (9, 4, 0x40);
    let mut tests = vec![0u8; SELF_TEST_LENGTH];
    (tests[0], tests[1], tests[4], tests[8]) = (1, 40, 0x20, 50);
    let disk = Fake::default()
        .admin_reply(IDENTIFY, CNS_CONTROLLER, Reply::Data(identify(true, false)))
        .admin_reply(
            GET_LOG_PAGE,
            get(LOG_SMART, LOG_LENGTH),
            Reply::Data(health()),
        )
        .admin_reply(
            GET_LOG_PAGE,
            get(LOG_ERRORS, 4 * ERROR_ENTRY),
            Reply::Data(errors),
        )
        .admin_reply(
            GET_LOG_PAGE,
            get(LOG_SELF_TEST, SELF_TEST_LENGTH),
            Reply::Data(tests),
        );
    let (facts, end) = seen(&disk);
    assert_eq!(end, Ok(()));
    assert_eq!(facts.identity.serial, "GS-NVME-1");
    assert_eq!(facts.assessment, Assessment::Failed);
    assert_eq!(facts.temperature_c, Some(38));
    let nvme = facts.nvme.unwrap();
    assert_eq!(
        (nvme.critical_warning, nvme.percentage_used),
        (Some(4), Some(7))
    );
    assert_eq!(
        nvme.errors[0].what,
        "status 0x4004 (invalid field in command)"
    );
    let tests = facts.self_tests.unwrap();
    assert_eq!(
        (tests.running, tests.extended_minutes),
        (Some(60), Some(60))
    );
    assert_eq!(tests.entries[0].kind, SelfTestKind::Extended);
    assert!(facts.missed.is_empty(), "{:?}", facts.missed);
}

#[test]
fn a_log_that_is_not_listed_is_not_asked_for() {
    let mut listed = vec![0u8; SUPPORTED_LENGTH];
    (listed[4], listed[8]) = (1, 1);
    let disk = Fake::default()
        .admin_reply(IDENTIFY, CNS_CONTROLLER, Reply::Data(identify(true, true)))
        .admin_reply(
            GET_LOG_PAGE,
            get(LOG_SUPPORTED, SUPPORTED_LENGTH),
            Reply::Data(listed),
        )
        .admin_reply(
            GET_LOG_PAGE,
            get(LOG_SMART, LOG_LENGTH),
            Reply::Data(health()),
        );
    let (facts, _) = seen(&disk);
    assert_eq!(facts.missed, ["Get Log Page 01h: NVMe status 0x4001"]);
    assert_eq!(facts.self_tests, None);
    assert_eq!(disk.asked().len(), 4);
}

#[test]
fn a_disk_that_goes_away_is_not_asked_further() {
    let disk = Fake::default()
        .admin_reply(
            IDENTIFY,
            CNS_CONTROLLER,
            Reply::Data(identify(false, false)),
        )
        .admin_reply(
            GET_LOG_PAGE,
            get(LOG_SMART, LOG_LENGTH),
            Reply::Errno(libc::EIO),
        );
    let (facts, end) = seen(&disk);
    assert!(
        end.unwrap_err()
            .0
            .starts_with("Get Log Page 02h: Input/output error")
    );
    assert_eq!(facts.identity.serial, "GS-NVME-1");
    let denied = Fake::default().admin_reply(IDENTIFY, CNS_CONTROLLER, Reply::Errno(libc::EACCES));
    assert!(seen(&denied).1.unwrap_err().0.ends_with("run as root"));
}
