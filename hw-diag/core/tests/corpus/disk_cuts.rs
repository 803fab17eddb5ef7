// SPDX-License-Identifier: Apache-2.0
//! Every text cut after every line and in the middle of every line: a bad drive is never ok for what was cut off.

use crate::corpus;
use crate::disks::files;
use groundstate_api::health::Verdict;
use hw_core::capture::smartctl_text;
use hw_core::disk::judge;

#[test]
fn a_cut_text_never_clears_a_bad_drive() {
    let Some(root) = corpus("smart/linuxhw-enterprise") else {
        return;
    };
    let (mut cuts, mut refused, mut told) = (0, 0, 0);
    let mut cleared = Vec::new();
    let mut healthy_ok = 0;
    for folder in ["failed", "passed-but-bad", "passed-healthy"] {
        for path in files(&root.join(folder), "txt") {
            let text = std::fs::read_to_string(&path).unwrap();
            let whole = smartctl_text(text.as_bytes(), "drive").unwrap();
            assert_eq!(whole.cut, None, "{}", path.display());
            assert!(whole.unreadable.is_empty(), "{}", path.display());
            let mut end = 0;
            for line in text.split_inclusive('\n') {
                let middle = end + line.len() / 2;
                end += line.len();
                for at in [middle, end] {
                    let Some(part) = text.get(..at) else {
                        continue;
                    };
                    cuts += 1;
                    let Ok(facts) = smartctl_text(part.as_bytes(), "drive") else {
                        refused += 1;
                        continue;
                    };
                    told += usize::from(facts.cut.is_some());
                    let verdict = judge(&facts, &[]).verdict;
                    if verdict == Verdict::Ok && folder == "passed-healthy" {
                        healthy_ok += 1;
                    } else if verdict == Verdict::Ok {
                        cleared.push(format!("{} at byte {at}", path.display()));
                    }
                }
            }
        }
    }
    println!(
        "{cuts} cuts: {refused} refused, {told} told as cut, {} bad drives called ok, {healthy_ok} cuts of healthy ones ok",
        cleared.len()
    );
    assert!(cuts > 10_000 && told > 5_000, "{cuts} {told}");
    assert!(cleared.is_empty(), "{} {cleared:#?}", cleared.len());
}
