// SPDX-License-Identifier: Apache-2.0
//! Rules for SCSI and SAS disks (SPC-5, SBC-4 log pages).

use super::{BASE, Rule};
use crate::disk::measure::Measure;
use groundstate_api::health::{Advice, Sureness, Verdict};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "scsi-predicts-failure",
        measure: Measure::PredictsFailure,
        verdict: Verdict::Fail,
        advice: Advice::Replace,
        what: "The disk predicts its failure ({detail})",
        next_step: "Copy what is needed off it and replace it",
        why: "Additional sense code 5Dh: the drive's own threshold of failure prediction is passed.",
        ..BASE
    },
    Rule {
        code: "scsi-warning",
        measure: Measure::ScsiWarning,
        advice: Advice::Look,
        what: "The disk warns ({detail})",
        next_step: "Look at its cooling and power, and run a long self-test",
        why: "Additional sense code 0Bh: temperature, a failed background test and the like; most have a cause outside.",
        ..BASE
    },
    Rule {
        code: "scsi-exception",
        measure: Measure::ScsiException,
        sureness: Sureness::Likely,
        advice: Advice::Look,
        what: "The disk reports an informational exception ({detail})",
        next_step: "Look the sense code up in the drive's manual, and run a long self-test",
        why: "A drive without trouble reports code 0; what another one means differs.",
        ..BASE
    },
    Rule {
        code: "scsi-uncorrected-errors",
        measure: Measure::Uncorrected,
        sureness: Sureness::Certain,
        advice: Advice::Watch,
        what: "{n:error} of reading, writing or verifying that nothing could correct",
        next_step: "Scrub or overwrite the disk, and run a long self-test; replace it if the number grows",
        why: "Data were lost once. Corrected errors, however many millions, are how the drive works.",
        ..BASE
    },
    Rule {
        code: "scsi-pending-defects",
        measure: Measure::PendingDefects,
        advice: Advice::Watch,
        what: "{n:defect} not reassigned yet",
        next_step: "Scrub or overwrite the disk; replace it if the number grows",
        why: "As for pending sectors of an ATA disk.",
        ..BASE
    },
    Rule {
        code: "scsi-grown-defects",
        measure: Measure::GrownDefects,
        verdict: Verdict::Ok,
        what: "{n:element} in the grown defect list",
        next_step: "Nothing now; what counts is whether the number grows",
        why: "Spares are there to be used: dozens over the years are normal.",
        ..BASE
    },
    Rule {
        code: "scsi-grown-defects",
        measure: Measure::GrownDefects,
        from: 1_000,
        sureness: Sureness::Likely,
        advice: Advice::Replace,
        what: "{n:element} in the grown defect list",
        next_step: "Plan to replace it; at once if the number grows",
        why: "As for reallocated sectors of an ATA disk: thousands are what failing drives have.",
        ..BASE
    },
    Rule {
        code: "scsi-not-reassigned",
        measure: Measure::NotReassigned,
        sureness: Sureness::Likely,
        advice: Advice::Watch,
        what: "The background scan found {n:block} not reassigned yet",
        next_step: "Scrub or overwrite the disk, and look again",
        why: "The drive found them unreadable and could not move them by itself.",
        ..BASE
    },
    Rule {
        code: "scsi-scan-medium-errors",
        measure: Measure::ScanMediumErrors,
        verdict: Verdict::Ok,
        sureness: Sureness::Hint,
        what: "The background scan found {n:medium error} over the disk's life",
        next_step: "Nothing now; those that are not reassigned have a finding of their own",
        why: "The scan is there to find and mend them.",
        ..BASE
    },
    Rule {
        code: "scsi-scan-stopped",
        measure: Measure::ScanStopped,
        sureness: Sureness::Likely,
        advice: Advice::Look,
        what: "The background scan stopped: {detail}",
        next_step: "Run a long self-test; replace the disk if it fails",
        why: "A scan that ends with a fatal error met something that the drive cannot get past.",
        ..BASE
    },
    Rule {
        code: "scsi-non-medium-errors",
        measure: Measure::NonMedium,
        from: 1_000,
        verdict: Verdict::Ok,
        sureness: Sureness::Hint,
        advice: Advice::Reseat,
        what: "{n:error} that are not of the medium",
        next_step: "Reseat the disk and look at its cable if the number grows",
        why: "It counts resets, cables and unwanted commands; drives that live in enclosures have hundreds.",
        ..BASE
    },
    Rule {
        code: "scsi-nvme-translated",
        measure: Measure::TranslatedNvme,
        verdict: Verdict::Unknown,
        advice: Advice::Look,
        what: "An NVMe drive behind a SCSI translation that passes on no counter",
        next_step: "Read it by its NVMe name, or through the controller's own tool",
        why: "The controller makes up a SCSI health line; media errors and warnings of the drive do not come through it.",
        ..BASE
    },
    Rule {
        code: "scsi-prediction-off",
        measure: Measure::PredictionOff,
        verdict: Verdict::Unknown,
        advice: Advice::Configure,
        what: "Failure prediction is switched off on this disk",
        next_step: "Switch it on (smartctl -s on DEVICE) and look again",
        why: "A disk that does not watch itself says nothing about itself.",
        ..BASE
    },
];
