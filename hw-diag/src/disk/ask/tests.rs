// SPDX-License-Identifier: Apache-2.0
//! Two dozen disks of which some hang: the others' answers are there, and what the hanging ones said before is kept.

use super::*;
use hw_core::disk::facts::Protocol;

/// `disk7` hangs before it says anything, `disk9` after its serial number; the others answer.
fn some_hang(_: &Ask, device: &Path, facts: &mut DiskFacts, so_far: SoFar<'_>) {
    let hang = || -> ! {
        loop {
            thread::park();
        }
    };
    if device.ends_with("disk7") {
        hang();
    }
    facts.identity.serial = format!("S-{}", facts.device);
    so_far(facts);
    if device.ends_with("disk9") {
        hang();
    }
    facts.power_on_hours = Some(1);
}

#[test]
fn disks_that_hang_hold_nobody() {
    let job = |number: usize| Job {
        ask: if number == 5 {
            Ask::Nobody("not asked".into())
        } else {
            Ask::Scsi
        },
        device: PathBuf::from(format!("/nowhere/disk{number}")),
        facts: DiskFacts::new(format!("disk{number}"), "ioctl", Protocol::Scsi),
    };
    let answers = all(
        (0..24).map(job).collect(),
        Duration::from_secs(1),
        some_hang,
    );
    assert_eq!(answers.len(), 24);
    let late = Some("the disk did not answer within 1 s".to_owned());
    for (number, facts) in answers.iter().enumerate() {
        assert_eq!(facts.device, format!("disk{number}"));
        match number {
            5 => assert_eq!(facts.missed, ["not asked"]),
            7 => {
                assert_eq!(facts.no_answer, late);
                assert_eq!(facts.identity.serial, "");
            }
            9 => {
                assert_eq!(facts.no_answer, late);
                assert_eq!(facts.identity.serial, "S-disk9");
                assert_eq!(facts.power_on_hours, None);
            }
            _ => {
                assert_eq!(facts.no_answer, None);
                assert_eq!(facts.power_on_hours, Some(1));
            }
        }
    }
}

#[test]
fn an_asking_that_ends_without_a_word_is_no_answer() {
    fn panics(_: &Ask, _: &Path, _: &mut DiskFacts, _: SoFar<'_>) {
        // As a panic in a thread does, without its words on the test's output.
        std::panic::resume_unwind(Box::new("a fault of ours"));
    }
    let job = Job {
        ask: Ask::Nvme,
        device: "/nowhere".into(),
        facts: DiskFacts::new("d", "ioctl", Protocol::Nvme),
    };
    let answers = all(vec![job], Duration::from_secs(60), panics);
    assert!(answers[0].no_answer.is_some());
}

#[test]
fn what_cannot_be_opened_says_which_device_and_why() {
    let mut facts = DiskFacts::new("sda", "ioctl", Protocol::Ata);
    for ask in [Ask::Ata, Ask::Nvme, Ask::Scsi] {
        one(&ask, Path::new("/nowhere/sda"), &mut facts, &mut |_| {});
        assert_eq!(
            facts.no_answer.as_deref(),
            Some(
                "/nowhere/sda: No such file or directory (os error 2): there is no such device node"
            )
        );
    }
    // A file that is no disk takes no ioctl.
    let file = tempfile::NamedTempFile::new().unwrap();
    one(&Ask::Nvme, file.path(), &mut facts, &mut |_| {});
    assert!(
        facts
            .no_answer
            .as_deref()
            .unwrap()
            .ends_with("its driver takes no such command"),
        "{facts:?}"
    );
}
