// SPDX-License-Identifier: Apache-2.0
//! How far a long command is: a bar with rate and time left on a terminal, a line for each tenth elsewhere. All of it on
//! standard error, so that standard output is the result's.

use anyhow::Result;
use groundstate_api::Bytes;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Instant;

/// Where nothing tells how much there is, a line is written at each of these.
const STEP: u64 = 1 << 30;

/// What is done, how far.
pub(super) struct Progress {
    verb: &'static str,
    began: Instant,
    bar: Option<ProgressBar>,
    /// The last tenth that was told, or the last step.
    told: u64,
}

impl Progress {
    /// `verb` begins the line: `importing`.
    pub(super) fn new(verb: &'static str) -> Result<Self> {
        let bar = if std::io::stderr().is_terminal() {
            let style = format!(
                "{verb} {{wide_bar}} {{bytes}} of {{total_bytes}}, {{bytes_per_sec}}, {{eta}} left"
            );
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::with_template(&style)?);
            Some(bar)
        } else {
            None
        };
        Ok(Self {
            verb,
            began: Instant::now(),
            bar,
            told: 0,
        })
    }

    /// So much is done, of so much where it is known.
    pub(super) fn set(&mut self, done: Bytes, total: Option<Bytes>) {
        if let Some(bar) = &self.bar {
            if let Some(total) = total {
                bar.set_length(total.0);
            }
            bar.set_position(done.0);
            return;
        }
        let seconds = self.began.elapsed().as_secs_f64();
        if let Some(line) = line(self.verb, &mut self.told, done, total, seconds) {
            eprintln!("{line}");
        }
    }

    /// A line of its own.
    pub(super) fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The line that is due, if one is.
fn line(
    verb: &str,
    told: &mut u64,
    done: Bytes,
    total: Option<Bytes>,
    seconds: f64,
) -> Option<String> {
    let rate = per_second(done, seconds);
    let Some(total) = total.filter(|total| total.0 > 0) else {
        let step = done.0 / STEP;
        let due = step > *told;
        *told = step;
        return due.then(|| format!("{verb}: {done}{rate}"));
    };
    let tenth = done.0.saturating_mul(10) / total.0;
    if tenth <= *told {
        return None;
    }
    *told = tenth;
    let left = eta(done, total, seconds);
    Some(format!(
        "{verb}: {} %, {done} of {total}{rate}{left}",
        tenth * 10
    ))
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people"
)]
fn per_second(done: Bytes, seconds: f64) -> String {
    if seconds < 0.001 {
        return String::new();
    }
    format!(", {}/s", Bytes((done.0 as f64 / seconds) as u64))
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time for people"
)]
fn eta(done: Bytes, total: Bytes, seconds: f64) -> String {
    if done >= total || done.0 == 0 {
        return String::new();
    }
    let left = (total.0 - done.0) as f64 * seconds / done.0 as f64;
    format!(", {} s left", left.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_tenth_and_for_each_step_where_no_end_is_known() {
        let mut told = 0;
        let mib = |count: u64| Bytes(count << 20);
        let at = |told: &mut u64, done, total| line("importing", told, done, total, 2.0);
        assert_eq!(at(&mut told, mib(9), Some(mib(100))), None);
        assert_eq!(
            at(&mut told, mib(20), Some(mib(100))).unwrap(),
            "importing: 20 %, 20 MiB of 100 MiB, 10 MiB/s, 8 s left"
        );
        assert_eq!(at(&mut told, mib(29), Some(mib(100))), None);
        assert_eq!(
            at(&mut told, mib(100), Some(mib(100))).unwrap(),
            "importing: 100 %, 100 MiB of 100 MiB, 50 MiB/s"
        );
        assert_eq!(at(&mut told, mib(100), Some(mib(100))), None);
        let mut told = 0;
        assert_eq!(at(&mut told, mib(1023), None), None);
        assert_eq!(
            at(&mut told, mib(2048), None).unwrap(),
            "importing: 2 GiB, 1 GiB/s"
        );
    }
}
