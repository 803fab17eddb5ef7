// SPDX-License-Identifier: Apache-2.0
//! Rules that hold for every protocol: the disk's own word, self-tests, heat, wear.

use super::{BASE, Rule};
use crate::disk::measure::{Measure, Media};
use groundstate_api::health::{Advice, Sureness, Verdict};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "disk-says-it-fails",
        measure: Measure::SaysFailed,
        verdict: Verdict::Fail,
        advice: Advice::Replace,
        what: "The disk's own assessment is that it fails{detail}",
        next_step: "Copy what is needed off it and replace it",
        why: "A drive says so only when its vendor's own threshold is passed; of 66,776 server drives 186 did.",
        ..BASE
    },
    Rule {
        code: "disk-no-answer",
        measure: Measure::NoAnswer,
        verdict: Verdict::Unknown,
        advice: Advice::Look,
        what: "The disk did not answer{detail}",
        next_step: "Run it as root; a disk that hangs: look at its cable, its power and the kernel's log, and try once more",
        why: "One that hangs for minutes has often begun to fail, but a cable or a controller does the same: its state is not known.",
        ..BASE
    },
    Rule {
        code: "disk-no-smart-data",
        measure: Measure::NothingRead,
        verdict: Verdict::Unknown,
        advice: Advice::Look,
        what: "No health data could be read of this disk{detail}",
        next_step: "Read it past the controller in between (smartctl -d TYPE), or look at that controller's own tool",
        why: "What was not read is not known, and unknown is never ok.",
        ..BASE
    },
    Rule {
        code: "disk-only-own-word",
        measure: Measure::OnlyOwnWord,
        verdict: Verdict::Unknown,
        advice: Advice::Look,
        what: "The disk says that it is well, and no counter was read that could bear it out",
        next_step: "Read it again with everything that it keeps (smartctl -x or smartctl --json -x)",
        why: "Of the bad drives in the field eight in nine say PASSED; the word alone is no verdict.",
        ..BASE
    },
    Rule {
        code: "disk-no-own-word",
        measure: Measure::NoOwnWord,
        verdict: Verdict::Unknown,
        advice: Advice::Look,
        what: "The disk's own assessment did not come through",
        next_step: "Read it past the controller in between, or ask for it too (smartctl -H)",
        why: "Bridges and RAID controllers drop it. A drive may fail by a threshold that no counter shows.",
        ..BASE
    },
    Rule {
        code: "disk-capture-cut",
        measure: Measure::Cut,
        verdict: Verdict::Unknown,
        advice: Advice::Look,
        what: "The capture ends in the middle: {detail}",
        next_step: "Capture it again, whole (smartctl -x, or smartctl --json -x)",
        why: "What is bad may have stood in what is cut off, and unknown is never ok.",
        ..BASE
    },
    Rule {
        code: "disk-counter-unreadable",
        measure: Measure::Unreadable,
        verdict: Verdict::Unknown,
        advice: Advice::Look,
        what: "{n:counter} that decides could not be read: {detail}",
        next_step: "Read the disk again; where it says the same, run a long self-test and update its firmware",
        why: "A counter without a number is no zero: it can neither fail nor clear the disk.",
        ..BASE
    },
    Rule {
        code: "disk-contradicts-itself",
        measure: Measure::Contradicted,
        sureness: Sureness::Likely,
        advice: Advice::Look,
        what: "The disk's assessment is that it is well, and yet {detail}",
        next_step: "Read it again; copy what is needed off it and replace it if the contradiction stays",
        why: "One of the two is wrong, and the one that warns costs less to believe.",
        ..BASE
    },
    Rule {
        code: "disk-partly-read",
        measure: Measure::PartlyRead,
        verdict: Verdict::Ok,
        what: "Some of what the disk keeps could not be read",
        next_step: "Nothing now; what was read is judged",
        why: "Old firmware lacks logs, and captures leave out sections. It is told so that nobody takes silence for health.",
        ..BASE
    },
    Rule {
        code: "disk-self-test-failed",
        measure: Measure::SelfTestRead,
        sureness: Sureness::Certain,
        advice: Advice::Watch,
        what: "{n:self-test} failed, and no whole one passed since",
        next_step: "Overwrite the disk or let the pool repair it, run a long self-test, and replace the disk if it fails again",
        why: "One unreadable block fails a test; a write that a power cut tore leaves one. Many show in the pending sectors.",
        ..BASE
    },
    Rule {
        code: "disk-self-test-part-failure",
        measure: Measure::SelfTestPart,
        verdict: Verdict::Fail,
        advice: Advice::Replace,
        what: "{n:self-test} found a broken part{detail}, and no whole one passed since",
        next_step: "Replace the disk",
        why: "Electronics, servo and handling damage do not heal; only a failure to read can be overwritten.",
        ..BASE
    },
    Rule {
        code: "disk-self-test-vendor-failure",
        measure: Measure::SelfTestVendor,
        sureness: Sureness::Hint,
        advice: Advice::Look,
        what: "{n:self-test} of a kind that only the vendor knows failed",
        next_step: "Run a long self-test; replace the disk if that one fails",
        why: "Factory tests stay in the log of drives that work for years, so this alone replaces no disk.",
        ..BASE
    },
    Rule {
        code: "disk-self-test-failed-before",
        measure: Measure::SelfTestBefore,
        sureness: Sureness::Likely,
        advice: Advice::Watch,
        what: "{n:self-test} failed, and a later whole one passed",
        next_step: "Watch it: another failed test is the time to replace it",
        why: "The disk repaired itself by reallocation. Drives that did so once fail more often than others.",
        ..BASE
    },
    Rule {
        code: "disk-hot",
        measure: Measure::Celsius,
        from: 65,
        to: 119,
        media: Some(Media::Rotating),
        advice: Advice::Look,
        what: "{n} °C: too hot for a rotating disk",
        next_step: "Look at fans, filters, blanks and the room before you blame the disk",
        why: "Vendors of rotating drives allow 60 °C at the case, and the sensor inside reads up to 5 °C more. From 120 °C on the sensor lies.",
        ..BASE
    },
    Rule {
        code: "disk-hot",
        measure: Measure::Celsius,
        from: 75,
        to: 119,
        media: Some(Media::Solid),
        advice: Advice::Look,
        what: "{n} °C: too hot for a solid-state disk",
        next_step: "Look at fans, filters, blanks and the room before you blame the disk",
        why: "SATA solid-state drives are rated to 70 °C at the case, and the sensor inside reads up to 5 °C more. From 120 °C on the sensor lies.",
        ..BASE
    },
    Rule {
        code: "disk-hot",
        measure: Measure::CelsiusAtLimit,
        from: 1,
        to: 149,
        advice: Advice::Look,
        what: "{n} °C{detail}",
        next_step: "Look at fans, filters, blanks and the room before you blame the disk",
        why: "The limit is the one that the disk itself names.",
        ..BASE
    },
    Rule {
        code: "disk-worn-out",
        measure: Measure::WearPercent,
        from: 100,
        advice: Advice::Replace,
        what: "{n} % of the rated endurance is used",
        next_step: "Order another and move what writes much off this one",
        why: "The vendor's guarantee ends here. Many drives live on for years, so it is no failure.",
        ..BASE
    },
    Rule {
        code: "disk-wear-unclear",
        measure: Measure::WearUnclear,
        verdict: Verdict::Ok,
        sureness: Sureness::Hint,
        what: "The normalised value says worn out and the raw value does not: {detail}",
        next_step: "Nothing now; read the endurance with the vendor's tool if it matters",
        why: "Firmware that keeps the percentage in the raw value leaves the normalised one at 0 from the first day.",
        ..BASE
    },
    Rule {
        code: "disk-nearly-worn-out",
        measure: Measure::WearPercent,
        from: 90,
        to: 99,
        verdict: Verdict::Ok,
        what: "{n} % of the rated endurance is used",
        next_step: "Plan for another",
        why: "Ten percent are months on a busy node: time to order, nothing to repair.",
        ..BASE
    },
];
