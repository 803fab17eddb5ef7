// SPDX-License-Identifier: Apache-2.0
//! Facts in, findings out: each line is what a technician reads.

mod boxes;
mod functions;
mod links;
mod processors;

use super::*;

/// Every finding as one line: verdict, device, code, sentence.
fn lines(facts: &MachineFacts) -> Vec<String> {
    let mut lines = Vec::new();
    for report in judge(facts) {
        for f in &report.findings {
            assert!(!f.next_step.is_empty());
            let known = crate::catalogue::find(&f.code);
            assert!(known.is_some(), "{} is not in the catalogue", f.code);
            let verdict = f.verdict.as_str();
            lines.push(format!(
                "{verdict} {} {}: {}",
                report.device, f.code, f.what
            ));
        }
    }
    lines
}
