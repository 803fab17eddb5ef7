// SPDX-License-Identifier: Apache-2.0
//! Rules for ATA disks.

use super::{BASE, Rule};
use crate::disk::measure::{Measure, Media};
use groundstate_api::health::{Advice, Sureness, Verdict};

/// Unreadable sectors from which a rotating disk is pulled: 64 of 512 bytes are eight physical sectors of 4 KiB.
const UNREADABLE_FAIL: u64 = 64;

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "ata-attribute-fails-now",
        measure: Measure::PrefailNow,
        verdict: Verdict::Fail,
        advice: Advice::Replace,
        what: "{n:attribute} at or below the vendor's threshold of failure: {detail}",
        next_step: "Copy what is needed off it and replace it",
        why: "The vendor calls the attribute a sign of failure within a day and sets the threshold himself.",
        ..BASE
    },
    Rule {
        code: "ata-attribute-below-threshold",
        measure: Measure::OldAgeNow,
        advice: Advice::Replace,
        what: "{n:attribute} of age at or below the vendor's threshold: {detail}",
        next_step: "Plan to replace it; heat alone is the room's doing",
        why: "An attribute of age says that the drive is past its design life or too hot, not that data are in danger now.",
        ..BASE
    },
    Rule {
        code: "ata-attribute-failed-before",
        measure: Measure::FailedBefore,
        sureness: Sureness::Likely,
        advice: Advice::Watch,
        what: "{n:attribute} once at or below the vendor's threshold: {detail}",
        next_step: "Watch it; for a temperature look at the cooling",
        why: "The drive remembers the worst value for life; the cause may be gone, as after a hot summer.",
        ..BASE
    },
    Rule {
        code: "ata-pending-sectors",
        measure: Measure::Pending,
        advice: Advice::Watch,
        what: "{n:sector} cannot be read and should be reallocated",
        next_step: "Scrub or overwrite the disk, and run a long self-test; replace it if the number grows",
        why: "One can be a write that a power cut tore; overwriting it heals it.",
        ..BASE
    },
    Rule {
        code: "ata-pending-sectors",
        measure: Measure::Pending,
        from: UNREADABLE_FAIL,
        media: Some(Media::Rotating),
        verdict: Verdict::Fail,
        sureness: Sureness::Likely,
        advice: Advice::Replace,
        what: "{n:sector} cannot be read and should be reallocated",
        next_step: "Copy what is needed off it and replace it",
        why: "64 sectors of 512 bytes are eight physical ones of 4 KiB: eight at once are a surface that goes.",
        ..BASE
    },
    Rule {
        code: "ata-pending-sectors",
        measure: Measure::Pending,
        to: 1,
        models: &["MX500SSD"],
        sureness: Sureness::Hint,
        advice: Advice::Update,
        what: "{n:sector} waits for reallocation, on a model whose firmware counts one that is not there",
        next_step: "Update the drive's firmware and look again; watch it if the number stays above 0",
        why: "Firmware M3CR0xx of the Crucial MX500 raises the counter to 1 for minutes while it moves data, and takes it back.",
        ..BASE
    },
    Rule {
        code: "ata-offline-uncorrectable",
        measure: Measure::Offline,
        advice: Advice::Watch,
        what: "{n:sector} could not be read by the disk's own scan",
        next_step: "Scrub or overwrite the disk, and run a long self-test; replace it if the number grows",
        why: "The scan reads what nobody else reads, so this is often the first sign.",
        ..BASE
    },
    Rule {
        code: "ata-offline-uncorrectable",
        measure: Measure::Offline,
        from: UNREADABLE_FAIL,
        media: Some(Media::Rotating),
        verdict: Verdict::Fail,
        sureness: Sureness::Likely,
        advice: Advice::Replace,
        what: "{n:sector} could not be read by the disk's own scan",
        next_step: "Copy what is needed off it and replace it",
        why: "As for pending sectors. On flash the number counts for life and fails no drive.",
        ..BASE
    },
    Rule {
        code: "ata-reported-uncorrectable",
        measure: Measure::Uncorrectable,
        sureness: Sureness::Likely,
        advice: Advice::Watch,
        what: "{n:uncorrectable error} reported to the host over the disk's life",
        next_step: "Run a long self-test; replace the disk if it fails or the number grows",
        why: "Data were lost once, however long ago; one bad block read ten times counts ten.",
        ..BASE
    },
    Rule {
        code: "ata-impossible-count",
        measure: Measure::ImpossibleCount,
        sureness: Sureness::Hint,
        advice: Advice::Look,
        what: "{n:counter} of unreadable sectors holds a number that no disk can reach: {detail}",
        next_step: "Run a long self-test, and update the firmware if the vendor has a newer one",
        why: "The counter is broken or packed in a way nobody documented, so it can neither fail nor clear the disk.",
        ..BASE
    },
    Rule {
        code: "ata-reallocated-sectors",
        measure: Measure::Reallocated,
        verdict: Verdict::Ok,
        what: "{n:sector} replaced from the spares",
        next_step: "Nothing now; what counts is whether the number grows",
        why: "A few over the years are what spares are for; drives with them and nothing else are as good as others.",
        ..BASE
    },
    Rule {
        code: "ata-reallocated-sectors",
        measure: Measure::Reallocated,
        from: 1_000,
        sureness: Sureness::Likely,
        advice: Advice::Replace,
        what: "{n:sector} replaced from the spares",
        next_step: "Plan to replace it; at once if the number grows",
        why: "Vendors keep 2,000 to 4,000 spares: the drives that call themselves failed for this have 1,966 to 9,792.",
        ..BASE
    },
    Rule {
        code: "ata-retired-blocks",
        measure: Measure::RetiredBlocks,
        verdict: Verdict::Ok,
        what: "{n:flash block} retired",
        next_step: "Nothing now; the drive says itself when its reserve runs low",
        why: "Flash retires blocks as it ages, and the reserve has an attribute with a threshold of its own.",
        ..BASE
    },
    Rule {
        code: "ata-spares-half-used",
        measure: Measure::SparesUsedPercent,
        from: 50,
        sureness: Sureness::Likely,
        advice: Advice::Replace,
        what: "{n} % of the way to the vendor's threshold for reallocated sectors is used",
        next_step: "Plan to replace it; at once if the number grows",
        why: "The vendor's own scale, whatever a sector counts on it: past the middle it ends within its remaining life.",
        ..BASE
    },
    Rule {
        code: "ata-spin-retries",
        measure: Measure::SpinRetries,
        verdict: Verdict::Ok,
        sureness: Sureness::Hint,
        what: "{n:spin-up} needed another try",
        next_step: "Look at the power supply and its cables if the number grows",
        why: "Weak power at the start of many disks does it, and several vendors pack other figures in here; its threshold rules.",
        ..BASE
    },
    Rule {
        code: "ata-end-to-end-errors",
        measure: Measure::EndToEnd,
        verdict: Verdict::Ok,
        sureness: Sureness::Hint,
        what: "{n:error} on the way between the disk's buffer and the host",
        next_step: "Nothing now; the attribute's threshold is the vendor's word on it",
        why: "Some vendors count corrected ones. Where one is one too many the threshold is 99, and the first fails it.",
        ..BASE
    },
    Rule {
        code: "ata-command-timeouts",
        measure: Measure::CommandTimeouts,
        from: 100,
        verdict: Verdict::Ok,
        sureness: Sureness::Hint,
        advice: Advice::Reseat,
        what: "{n:command} ran out of time",
        next_step: "Look at cable, backplane and power if the number grows",
        why: "Spin-ups and host resets count too; healthy drives have dozens.",
        ..BASE
    },
    Rule {
        code: "ata-crc-errors",
        measure: Measure::Crc,
        from: 100,
        verdict: Verdict::Ok,
        sureness: Sureness::Likely,
        advice: Advice::Reseat,
        what: "{n:CRC error} on the cable over the disk's life",
        next_step: "Reseat the disk and its cable if the number grows; the disk itself is not at fault",
        why: "It counts for life and never falls: a cable changed years ago is still in it, so only growth is a fault.",
        ..BASE
    },
    Rule {
        code: "ata-uncorrectable-statistic",
        measure: Measure::UncorrectableStatistic,
        verdict: Verdict::Ok,
        sureness: Sureness::Hint,
        what: "The Device Statistics count {n:uncorrectable error} over the disk's life",
        next_step: "Nothing now; run a long self-test if the number grows",
        why: "It also counts reads of blocks that were rewritten since; sectors that are bad now show as pending or offline.",
        ..BASE
    },
    Rule {
        code: "ata-error-log",
        measure: Measure::DeviceErrors,
        verdict: Verdict::Ok,
        sureness: Sureness::Hint,
        advice: Advice::Look,
        what: "The disk logged {n:error} over its life",
        next_step: "Nothing now; unreadable sectors and CRC errors have findings of their own",
        why: "Aborted commands of a curious host count too; healthy drives have hundreds.",
        ..BASE
    },
    Rule {
        code: "ata-smart-disabled",
        measure: Measure::SmartDisabled,
        verdict: Verdict::Unknown,
        advice: Advice::Configure,
        what: "SMART is switched off on this disk",
        next_step: "Switch it on (smartctl -s on DEVICE, or in the BIOS) and look again",
        why: "A disk that does not watch itself says nothing about itself.",
        ..BASE
    },
    Rule {
        code: "ata-smart-absent",
        measure: Measure::SmartAbsent,
        verdict: Verdict::Unknown,
        advice: Advice::Look,
        what: "This disk has no SMART, or the way to it hides it",
        next_step: "Read it past the controller in between (smartctl -d TYPE)",
        why: "Every server disk of this century has it; a RAID volume or a USB bridge does not pass it on.",
        ..BASE
    },
    Rule {
        code: "ata-damaged-data",
        measure: Measure::DamagedData,
        verdict: Verdict::Unknown,
        advice: Advice::Look,
        what: "The disk's SMART data came through damaged: {detail}",
        next_step: "Read it again, past the controller in between if there is one",
        why: "Figures from a block with a wrong checksum may be any figures; they can neither fail nor clear the disk.",
        ..BASE
    },
];
