// SPDX-License-Identifier: Apache-2.0
//! Findings on disks, explained.

use super::Entry;
use groundstate_api::health::DeviceKind;

const fn entry(
    code: &'static str,
    title: &'static str,
    meaning: &'static str,
    to_do: &'static str,
) -> Entry {
    Entry {
        code,
        kind: DeviceKind::Disk,
        title,
        meaning,
        to_do,
    }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "disk-says-it-fails",
        "The disk says that it fails",
        "The drive's self-assessment (SMART RETURN STATUS, informational exception or critical warning) is FAILED: a threshold that its vendor set is passed. It is the gravest word a drive has, and rarely wrong.",
        "Copy what is needed off it, pull it and put in another; the vendor takes it back under guarantee.",
    ),
    entry(
        "disk-no-answer",
        "The disk did not answer",
        "The disk could not be opened, refused to be asked, or did not answer in time; the evidence says which. What it had said before is judged, what is missing is not known. Usual causes: missing permission, a drive that hangs while it tries to read a bad place, a loose cable, a controller that resets.",
        "Run it as root. Where the disk hangs, look at its cable, its power and the kernel's log, and ask it once more; a drive that hangs again is to be replaced.",
    ),
    entry(
        "disk-no-smart-data",
        "No health data",
        "Neither a self-assessment nor a counter could be read. The drive may be well; nothing shows it. Usual causes: a RAID volume or USB bridge in between, missing permission, or a drive that no longer answers.",
        "Read it past the controller (smartctl -d megaraid,N or -d sat), or use the controller's own tool.",
    ),
    entry(
        "disk-only-own-word",
        "Only the disk's own word",
        "The drive says PASSED, and no counter was read. Most bad drives in the field say PASSED too, so that is no verdict.",
        "Read everything that it keeps: smartctl -x, or smartctl --json -x.",
    ),
    entry(
        "disk-no-own-word",
        "The disk's own word is missing",
        "Counters were read and nothing in them is bad, but the self-assessment did not come through. Bridges and RAID controllers drop it.",
        "Read it past the controller, or ask for it as well (smartctl -H).",
    ),
    entry(
        "disk-capture-cut",
        "The capture ends in the middle",
        "A section that the capture announces, or that this kind of capture always has, is missing or ends in the middle of a table. What is there is judged; what is cut off is not known.",
        "Capture it again, whole: smartctl -x, or smartctl --json -x.",
    ),
    entry(
        "disk-counter-unreadable",
        "A counter that decides could not be read",
        "A counter of unreadable sectors, of media errors or of wear is there and holds no number that makes sense, or is missing from a log that always has it. It is not taken for zero.",
        "Read the disk again. Where it says the same, run a long self-test and update its firmware.",
    ),
    entry(
        "disk-contradicts-itself",
        "The disk contradicts itself",
        "The self-assessment is PASSED, and smartctl's exit status says that the disk fails. One of the two is wrong.",
        "Read it again; copy what is needed off it and replace it if the contradiction stays.",
    ),
    entry(
        "disk-partly-read",
        "Some of it could not be read",
        "A log or a field was missing or made no sense. What was read is judged; the lines say what was not.",
        "Nothing, unless what is missing matters to you.",
    ),
    entry(
        "disk-self-test-failed",
        "A self-test failed",
        "A short or long self-test failed, mostly at a block that it could not read, and no long test passed since. One such block may be a write that a power cut tore.",
        "Overwrite or scrub the disk, run a long self-test, and replace the disk when it fails again.",
    ),
    entry(
        "disk-self-test-part-failure",
        "A self-test found a broken part",
        "The drive's self-test blames electronics, servo or handling damage. None of these heals.",
        "Pull it and put in another.",
    ),
    entry(
        "disk-self-test-vendor-failure",
        "A vendor's own self-test failed",
        "The log holds a failed test of a kind that only the vendor knows, often from the factory or a service tool.",
        "Run a long self-test. If that passes, leave the disk where it is.",
    ),
    entry(
        "disk-self-test-failed-before",
        "A self-test failed once",
        "An older self-test failed and a later long one passed: the drive mended itself by reallocation.",
        "Watch it. Another failure is the time to replace it.",
    ),
    entry(
        "disk-hot",
        "The disk is too hot",
        "It is at or above the temperature that it names as its limit; drives that name none are held to 65 °C (rotating) or 75 °C (solid state). Heat shortens life and is seldom the drive's own doing.",
        "Look at fans, filters, blanking plates, neighbours and the room.",
    ),
    entry(
        "disk-worn-out",
        "The rated endurance is used up",
        "A solid-state drive has written what its vendor rated it for. Many live on for years, but the guarantee ends and retention without power falls.",
        "Order another, and move what writes much off this one.",
    ),
    entry(
        "disk-wear-unclear",
        "Two values of the wear disagree",
        "The normalised value of the endurance is 0 and the raw value says that life is left. Some firmware keeps the percentage in the raw value alone.",
        "Nothing, unless the vendor's own tool says that the drive is worn.",
    ),
    entry(
        "disk-nearly-worn-out",
        "The rated endurance is nearly used up",
        "Nine tenths of what the drive is rated for are written.",
        "Plan for another.",
    ),
    entry(
        "ata-attribute-fails-now",
        "An attribute of failure is below its threshold",
        "An attribute that the vendor marks as a sign of failure (pre-fail) is at or below the vendor's threshold now. The drive may still say PASSED.",
        "Copy what is needed off it and replace it.",
    ),
    entry(
        "ata-attribute-below-threshold",
        "An attribute of age is below its threshold",
        "An attribute that the vendor marks as a sign of age is at or below its threshold: worn out, past its design life, or too hot.",
        "Plan to replace it; for a temperature look at the cooling.",
    ),
    entry(
        "ata-attribute-failed-before",
        "An attribute was below its threshold once",
        "The worst value that the drive remembers is at or below the threshold, the present one is not. For attribute 190 it was a hot summer or a dead fan.",
        "Watch it, and look at the cooling where it was a temperature.",
    ),
    entry(
        "ata-pending-sectors",
        "Sectors that cannot be read",
        "The drive met sectors that it cannot read and waits for a write to replace them (attribute 197). One may be a torn write and heals by overwriting; many at once are a surface that goes. The Crucial MX500 shows one for minutes without cause.",
        "Scrub or overwrite, run a long self-test; replace it when the number grows or is large.",
    ),
    entry(
        "ata-offline-uncorrectable",
        "The disk's own scan found unreadable sectors",
        "Attribute 198: sectors that the drive's background scan could not read. On flash it counts for life.",
        "Scrub or overwrite, run a long self-test; replace it when the number grows or is large.",
    ),
    entry(
        "ata-reported-uncorrectable",
        "Uncorrectable errors reached the host",
        "Attribute 187: reads that failed for good. It counts for life; a single bad block read again and again counts each time.",
        "Run a long self-test, check what was on it, and replace it when the number grows.",
    ),
    entry(
        "ata-impossible-count",
        "A counter holds an impossible number",
        "A counter of unreadable sectors holds a number that no drive reaches: it is broken, or packed in a way nobody documented.",
        "Run a long self-test, and update the firmware if there is a newer one.",
    ),
    entry(
        "ata-reallocated-sectors",
        "Sectors were replaced from the spares",
        "Attribute 5 on a rotating drive. A few are normal; from 1,000 on the spares run low on every model known, and growth is the sign that counts.",
        "Nothing for a few; plan to replace it when there are many or they grow.",
    ),
    entry(
        "ata-retired-blocks",
        "Flash blocks were retired",
        "Attribute 5 on a solid-state drive. Flash retires blocks as it ages; its reserve has a threshold of its own.",
        "Nothing to do: it is told for the record.",
    ),
    entry(
        "ata-spares-half-used",
        "Half of the reallocation margin is gone",
        "The normalised value of attribute 5 has fallen more than half of the way to the vendor's threshold.",
        "Plan to replace it.",
    ),
    entry(
        "ata-spin-retries",
        "The spindle needed more than one try",
        "Attribute 10. Weak power at the start of many drives does it, and some vendors pack other figures into it.",
        "Look at power supply and cables when it grows.",
    ),
    entry(
        "ata-end-to-end-errors",
        "Errors inside the drive's data path",
        "Attribute 184. Vendors for whom one is too many set the threshold so that one fails the attribute.",
        "Nothing, unless the attribute is below its threshold.",
    ),
    entry(
        "ata-command-timeouts",
        "Commands ran out of time",
        "Attribute 188. It counts spin-ups and host resets as well as cables and power.",
        "Look at cable, backplane and power when it grows.",
    ),
    entry(
        "ata-crc-errors",
        "CRC errors on the cable",
        "Attribute 199 counts data that were damaged between drive and controller, for life. It is the cable, the contacts or the backplane, not the drive.",
        "Reseat disk and cable when it grows; an old high number means nothing.",
    ),
    entry(
        "ata-uncorrectable-statistic",
        "The statistics count uncorrectable errors",
        "Device Statistics page 4 counts reported uncorrectable errors for life, also of blocks that were rewritten since. No sector is pending or offline uncorrectable for it.",
        "Nothing; run a long self-test when it grows.",
    ),
    entry(
        "ata-error-log",
        "The drive's error log has entries",
        "Aborted commands count as well as media errors; what matters of it has findings of its own.",
        "Nothing by itself.",
    ),
    entry(
        "ata-smart-disabled",
        "SMART is switched off",
        "The drive can watch itself and is told not to.",
        "Switch it on: smartctl -s on DEVICE, or in the BIOS.",
    ),
    entry(
        "ata-smart-absent",
        "No SMART",
        "The drive, or what stands in between, says that it has no SMART.",
        "Read it past the controller: smartctl -d TYPE.",
    ),
    entry(
        "ata-damaged-data",
        "SMART data came through damaged",
        "A data block has a wrong checksum or is not what its header says, so its figures may be any figures.",
        "Read it again, past the controller in between if there is one.",
    ),
    entry(
        "nvme-spare-low",
        "The spare is below its threshold",
        "Critical warning bit 0: the drive has fewer spare blocks left than its vendor allows.",
        "Copy what is needed off it and replace it.",
    ),
    entry(
        "nvme-temperature-warning",
        "Outside its temperature limits",
        "Critical warning bit 1: the drive is over or under a temperature threshold now, and calls itself failed as long as it is.",
        "Cool it and look again; replace it only if the warning stays.",
    ),
    entry(
        "nvme-reliability-degraded",
        "Reliability is degraded",
        "Critical warning bit 2: media errors or an internal error made the drive unreliable; worn-out drives raise it too.",
        "Copy what is needed off it and replace it.",
    ),
    entry(
        "nvme-read-only",
        "The medium is read-only",
        "Critical warning bit 3: the drive takes no more writes, mostly at the end of its spare.",
        "Copy what is needed off it and replace it.",
    ),
    entry(
        "nvme-backup-failed",
        "The cache's power backup failed",
        "Critical warning bit 4: the capacitors that save the volatile memory at a power cut are dead. Acknowledged writes can be lost.",
        "Replace it.",
    ),
    entry(
        "nvme-persistent-memory",
        "The persistent memory region is unreliable",
        "Critical warning bit 5: the region is read-only or unreliable.",
        "Replace it.",
    ),
    entry(
        "nvme-reserved-warning",
        "An unknown critical warning",
        "Bits of the critical warning are set that no specification names.",
        "Look into the vendor's manual; replace the drive if it stays.",
    ),
    entry(
        "nvme-spare-below-threshold",
        "Little spare, and no warning",
        "The available spare is below the drive's own threshold, yet critical warning bit 0 is not raised: the firmware contradicts itself.",
        "Update the firmware, and plan to replace it.",
    ),
    entry(
        "nvme-media-errors",
        "Media and data integrity errors",
        "The drive could not give back data as they were written. It counts for life.",
        "Scrub what is on it; replace it when the number grows.",
    ),
    entry(
        "nvme-critical-heat",
        "It was critically hot",
        "Minutes above the critical temperature, over the drive's life.",
        "Look at the cooling when it grows.",
    ),
    entry(
        "scsi-predicts-failure",
        "The disk predicts its failure",
        "Informational exception 5Dh: a threshold of the drive's failure prediction is passed. The qualifier names what.",
        "Copy what is needed off it and replace it.",
    ),
    entry(
        "scsi-warning",
        "The disk warns",
        "Informational exception 0Bh: temperature, a failed background self-test, lost redundancy of power and the like.",
        "Look at its cooling and power, and run a long self-test.",
    ),
    entry(
        "scsi-exception",
        "An informational exception",
        "The drive reports a sense code that is neither a warning nor a prediction.",
        "Look the code up in the drive's manual, and run a long self-test.",
    ),
    entry(
        "scsi-uncorrected-errors",
        "Errors that nothing could correct",
        "The error counter pages count reads, writes or verifies that failed for good. Corrected errors, however many, are how a drive works.",
        "Scrub or overwrite, run a long self-test; replace it when the number grows.",
    ),
    entry(
        "scsi-pending-defects",
        "Defects not reassigned yet",
        "The drive holds defects that wait for a write, as pending sectors of an ATA drive.",
        "Scrub or overwrite; replace it when the number grows.",
    ),
    entry(
        "scsi-grown-defects",
        "The grown defect list",
        "Blocks that the drive replaced since it left the factory. Dozens are normal, thousands are not.",
        "Nothing for a few; plan to replace it when there are many or they grow.",
    ),
    entry(
        "scsi-not-reassigned",
        "Blocks wait for reassignment",
        "The background scan found blocks unreadable that the drive could not move by itself.",
        "Scrub or overwrite, and look again.",
    ),
    entry(
        "scsi-scan-medium-errors",
        "The background scan found medium errors",
        "The scan finds and mends them; those that it could not mend have a finding of their own.",
        "Nothing by itself.",
    ),
    entry(
        "scsi-scan-stopped",
        "The background scan stopped",
        "The scan ended with a fatal error.",
        "Run a long self-test; replace the drive if it fails.",
    ),
    entry(
        "scsi-non-medium-errors",
        "Errors that are not of the medium",
        "Resets, cables, expanders and unwanted commands.",
        "Reseat the disk and look at its cable when the number grows.",
    ),
    entry(
        "scsi-nvme-translated",
        "An NVMe drive behind SCSI translation",
        "The controller shows an NVMe drive as a SCSI one and makes up its health line. No counter and no warning of the drive comes through.",
        "Read it by its NVMe name, or through the controller's own tool.",
    ),
    entry(
        "scsi-prediction-off",
        "Failure prediction is off",
        "The drive can predict its failure and is told not to (DEXCPT).",
        "Switch it on: smartctl -s on DEVICE.",
    ),
    entry(
        "disk-gains-pending-sectors",
        "It gains pending sectors",
        "The number grew since an earlier report of the same disk on this node. Growth is the surest sign of a failing disk there is.",
        "Copy what is needed off it and plan to replace it.",
    ),
    entry(
        "disk-gains-offline-uncorrectable",
        "It gains sectors that its own scan cannot read",
        "The number grew since an earlier report of the same disk on this node. Growth is the surest sign of a failing disk there is.",
        "Copy what is needed off it and plan to replace it.",
    ),
    entry(
        "disk-gains-uncorrectable-errors",
        "It gains uncorrectable errors",
        "The number grew since an earlier report of the same disk on this node. Growth is the surest sign of a failing disk there is.",
        "Copy what is needed off it and plan to replace it.",
    ),
    entry(
        "disk-gains-reallocated-sectors",
        "It gains reallocated sectors",
        "The number grew since an earlier report of the same disk on this node. Growth is the surest sign of a failing disk there is.",
        "Copy what is needed off it and plan to replace it.",
    ),
    entry(
        "disk-gains-grown-defects",
        "It gains grown defects",
        "The number grew since an earlier report of the same disk on this node. Growth is the surest sign of a failing disk there is.",
        "Copy what is needed off it and plan to replace it.",
    ),
    entry(
        "disk-gains-uncorrected-errors",
        "It gains uncorrected errors",
        "The number grew since an earlier report of the same disk on this node. Growth is the surest sign of a failing disk there is.",
        "Copy what is needed off it and plan to replace it.",
    ),
    entry(
        "disk-gains-media-errors",
        "It gains media errors",
        "The number grew since an earlier report of the same disk on this node. Growth is the surest sign of a failing disk there is.",
        "Copy what is needed off it and plan to replace it.",
    ),
    entry(
        "disk-gains-crc-errors",
        "It gains CRC errors",
        "Data are damaged between drive and controller, now and not years ago. Cable, contacts or backplane.",
        "Reseat disk and cable; change the cable or the bay if it goes on.",
    ),
    entry(
        "disk-gains-spin-retries",
        "Its spindle needs more tries",
        "Spin-ups failed since an earlier report: weak power, or a bearing.",
        "Look at the power supply; replace the disk if only this one does it.",
    ),
];

#[cfg(test)]
mod tests {
    use super::ENTRIES;
    use std::collections::BTreeSet;

    #[test]
    fn every_finding_on_a_disk_is_explained_and_nothing_else() {
        let given: BTreeSet<&str> = crate::disk::codes().collect();
        let explained: BTreeSet<&str> = ENTRIES.iter().map(|entry| entry.code).collect();
        assert_eq!(given, explained);
    }
}
