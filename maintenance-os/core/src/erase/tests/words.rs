// SPDX-License-Identifier: Apache-2.0
//! The commands' bytes and the answers' meaning, against the standards' own tables.

use crate::erase::commands::*;
use crate::erase::{AtaFacts, NvmeFacts, Poll, ScsiFacts};
use groundstate_api::Millis;
use groundstate_api::erase::EraseMethod;

#[test]
fn nvme_commands_are_those_of_the_standard() {
    // The namespace is formatted with LBA format 3, metadata at the end of the block, protection type 1 at the start.
    let as_it_is = 0x3 | 1 << 4 | 1 << 5 | 1 << 8;
    let words = |method| nvme(method, as_it_is).map(|one| (one.opcode, one.cdw10, one.waits));
    assert_eq!(
        words(EraseMethod::NvmeSanitizeBlock),
        Some((0x84, 0x02, false))
    );
    assert_eq!(
        words(EraseMethod::NvmeSanitizeOverwrite),
        Some((0x84, 0x13, false))
    );
    assert_eq!(
        words(EraseMethod::NvmeSanitizeCrypto),
        Some((0x84, 0x04, false))
    );
    assert_eq!(
        words(EraseMethod::NvmeFormatUserData),
        Some((0x80, 0x333, true))
    );
    assert_eq!(
        words(EraseMethod::NvmeFormatCrypto),
        Some((0x80, 0x533, true))
    );
    assert_eq!(words(EraseMethod::Overwrite), None);
}

#[test]
fn a_sanitize_log_of_another_sanitize_is_no_proof_of_this_one() {
    let log = |status: u16, of: u32| {
        let mut log = vec![0u8; 512];
        log[..2].copy_from_slice(&0x8000u16.to_le_bytes());
        log[2..4].copy_from_slice(&status.to_le_bytes());
        log[4..8].copy_from_slice(&of.to_le_bytes());
        log
    };
    let half = Poll::Running { done: Some(0x8000) };
    assert_eq!(nvme_sanitize_status(&log(2, 2), 2), half);
    assert!(matches!(
        nvme_sanitize_status(&log(0x101, 2), 2),
        Poll::Done(_)
    ));
    assert!(matches!(nvme_sanitize_status(&log(4, 2), 2), Poll::Done(_)));
    assert!(matches!(nvme_sanitize_status(&log(1, 4), 2), Poll::Idle(_)));
    assert!(matches!(nvme_sanitize_status(&log(0, 0), 2), Poll::Idle(_)));
    assert!(matches!(
        nvme_sanitize_status(&log(3, 2), 2),
        Poll::Failed(_)
    ));
    assert!(matches!(
        nvme_sanitize_status(&[0; 7], 2),
        Poll::NoAnswer(_)
    ));
}

#[test]
fn nvme_facts_are_read_where_the_standard_puts_them() {
    let (mut controller, mut namespace, mut log) = (vec![0; 4_096], vec![0; 4_096], vec![0; 512]);
    controller[256] = 0x02;
    controller[328] = 0x03;
    controller[524] = 0x04;
    namespace[26] = 0x13;
    namespace[29] = 0x09;
    log[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    log[12..16].copy_from_slice(&90u32.to_le_bytes());
    let facts = NvmeFacts::read(&controller, &namespace, Some(&log), 1).unwrap();
    assert!(facts.sanitize_crypto && facts.sanitize_block && !facts.sanitize_overwrite);
    assert!(facts.format && facts.format_crypto && !facts.format_is_for_all);
    let estimates = [None, Some(Millis::secs(90)), Some(Millis(0))];
    assert_eq!(facts.estimates, estimates);
    assert_eq!(facts.format_as_it_is, 0x3 | 1 << 4 | 1 << 5 | 1 << 8);
    assert_eq!(
        NvmeFacts::read(&controller[..300], &namespace, None, 1),
        None
    );
}

#[test]
fn ata_commands_go_into_the_pass_through_as_sat_says() {
    let block = ata_sanitize(EraseMethod::AtaSanitizeBlock).unwrap();
    assert_eq!(
        block.cdb(),
        // 16-byte pass-through, non-data, 48-bit, registers wanted; feature 0012h, LBA 0000_426B_4572h.
        [
            0x85, 0x07, 0x20, 0, 0x12, 0, 0, 0x42, 0x72, 0, 0x45, 0, 0x6b, 0x40, 0xb4, 0
        ]
    );
    let overwrite = ata_sanitize(EraseMethod::AtaSanitizeOverwrite).unwrap();
    assert_eq!((overwrite.lba, overwrite.count), (0x4f57_0000_0000, 1));
    assert_eq!(
        overwrite.cdb(),
        [
            0x85, 0x07, 0x20, 0, 0x14, 0, 1, 0, 0, 0x57, 0, 0x4f, 0, 0x40, 0xb4, 0
        ]
    );
    let (erase, data) = ata_security(ATA_SECURITY_ERASE, true);
    assert_eq!(
        erase.cdb(),
        [
            0x85, 0x0a, 0x26, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x40, 0xf4, 0
        ]
    );
    assert_eq!(
        (data.len(), data[0], &data[2..34]),
        (512, 2, &ATA_PASSWORD[..])
    );
    assert_eq!(
        ata_security(ATA_SECURITY_SET, true).1[0],
        0,
        "user password, high security"
    );
    assert_eq!(ATA_IDENTIFY.cdb()[..3], [0x85, 0x08, 0x2e]);
}

#[test]
fn ata_registers_come_back_in_a_descriptor() {
    let mut sense = vec![0x72, 1, 0, 0x1d, 0, 0, 0, 14];
    // Count 4000h, LBA 0000_0000_8123h, status 50h.
    sense.extend([0x09, 12, 1, 0, 0x40, 0, 0, 0x23, 0, 0x81, 0, 0, 0x40, 0x50]);
    let answer = AtaAnswer::read(&sense).unwrap();
    assert_eq!(
        (answer.count, answer.lba, answer.status),
        (0x4000, 0x8123, 0x50)
    );
    assert_eq!(
        ata_sanitize_status(&answer),
        Poll::Running { done: Some(0x8123) }
    );
    let done = AtaAnswer {
        count: 0x8000,
        ..answer
    };
    assert!(matches!(ata_sanitize_status(&done), Poll::Done(_)));
    let idle = AtaAnswer { count: 0, ..answer };
    assert!(matches!(ata_sanitize_status(&idle), Poll::Idle(_)));
    let failed = AtaAnswer {
        status: 0x51,
        error: 4,
        ..answer
    };
    assert!(matches!(ata_sanitize_status(&failed), Poll::Failed(_)));
    assert_eq!(AtaAnswer::read(&sense[..12]), None);
    assert_eq!(
        AtaAnswer::read(&[0x70; 32]),
        None,
        "fixed format carries no registers"
    );
}

#[test]
fn ata_facts_are_read_where_the_standard_puts_them() {
    let mut identify = vec![0u8; 512];
    let mut word = |at: usize, value: u16| {
        identify[at * 2..at * 2 + 2].copy_from_slice(&value.to_le_bytes());
    };
    word(59, 1 << 12 | 1 << 15);
    word(100, 1_000);
    word(128, 0b10_1001);
    word(89, 0x8000 | 300);
    word(90, 1);
    let facts = AtaFacts::read(&identify, Some(1_200)).unwrap();
    assert!(facts.sanitize && facts.sanitize_block && !facts.sanitize_crypto);
    assert_eq!((facts.sectors, facts.hidden), (1_000, Some(200)));
    let security = facts.security.unwrap();
    assert!(security.frozen && security.enhanced && !security.locked && !security.enabled);
    assert_eq!(security.takes, Some(Millis::secs(600 * 60)));
    assert_eq!(security.enhanced_takes, Some(Millis::secs(120)));
    assert_eq!(AtaFacts::read(&identify[..510], None), None);
}

#[test]
fn scsi_sanitize_and_its_sense_data_are_understood() {
    let (cdb, list) = scsi_sanitize(EraseMethod::ScsiSanitizeOverwrite).unwrap();
    assert_eq!(cdb, [0x48, 0x81, 0, 0, 0, 0, 0, 0, 8, 0]);
    assert_eq!(list, [1, 0, 0, 4, 0, 0, 0, 0]);
    let (cdb, list) = scsi_sanitize(EraseMethod::ScsiSanitizeCrypto).unwrap();
    assert_eq!((cdb[1], list.len()), (0x83, 0));
    let mut fixed = vec![
        0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x04, 0x1b, 0, 0x80, 0x40, 0,
    ];
    assert_eq!(
        scsi_sanitize_status(&fixed),
        Poll::Running { done: Some(0x4000) }
    );
    fixed[2] = 3;
    (fixed[12], fixed[13]) = (0x31, 0x03);
    assert!(matches!(scsi_sanitize_status(&fixed), Poll::Failed(_)));
    let described = [0x72, 0, 4, 0x1b, 0, 0, 0, 8, 2, 6, 0, 0, 0x80, 0x20, 0, 0];
    assert_eq!(
        scsi_sanitize_status(&described),
        Poll::Running { done: Some(0x2000) }
    );
    let mut good = vec![0x70; 18];
    good[1..].fill(0);
    assert!(matches!(scsi_sanitize_status(&good), Poll::Done(_)));
    good[2] = 6;
    good[12] = 0x29;
    assert!(
        matches!(scsi_sanitize_status(&good), Poll::NoAnswer(_)),
        "a reset is told once"
    );
    assert_eq!(ScsiFacts::supported(&[0, 3, 0, 10]), Some(true));
    assert_eq!(ScsiFacts::supported(&[0, 1, 0, 0]), Some(false));
    assert_eq!(ScsiFacts::supported(&[0, 0, 0, 0]), None);
}
