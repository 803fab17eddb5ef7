// SPDX-License-Identifier: Apache-2.0
//! What a technician reads on the node's own screen: plain text, 79 columns, no colour needed.

use crate::moving::Moving;
use crate::phases::Scene;
use crate::ticket;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::enrol::RescueShell;
use groundstate_api::plan::Step;
use groundstate_api::{Bytes, Millis, NodeId};

/// Columns that every text console has.
pub const COLUMNS: usize = 79;
/// Cells of a progress bar.
const BAR_CELLS: u64 = 20;

/// Who the screen speaks of.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// The site's name.
    pub site: String,
    /// The node, once it is known.
    pub node: Option<NodeId>,
    /// The machine's serial number.
    pub serial: String,
    /// The address that was leased, with its interface.
    pub address: Option<String>,
}

/// The whole screen for `scene`. The caller clears the screen first.
#[must_use]
pub fn page(heading: &Heading, now: Millis, scene: &Scene) -> Vec<String> {
    let node = heading
        .node
        .as_ref()
        .map_or_else(|| "not yet known".to_string(), ToString::to_string);
    let address = heading
        .address
        .clone()
        .unwrap_or_else(|| "no address yet".to_string());
    let mut lines = Vec::new();
    lines.push(format!(
        "GROUNDSTATE MAINTENANCE OS    site {}    up {now}",
        heading.site
    ));
    lines.push(format!(
        "node {node}    serial {}    {address}",
        heading.serial
    ));
    lines.push("-".repeat(COLUMNS));
    match scene {
        Scene::Doing { what } => lines.push(format!("NOW   {what}")),
        Scene::Step { step, progress } => steps(&mut lines, *step, *progress),
        Scene::Waiting { reason } => {
            lines.push(String::from("WAITING"));
            lines.extend(reason.lines());
        }
        Scene::Held { reason } => {
            let mut held = Vec::from([String::from("HELD: this machine needs a person")]);
            held.extend(reason.lines());
            let code = ticket::qr(&ticket::ticket(
                heading.node.as_ref(),
                &heading.serial,
                reason,
            ));
            beside(&mut lines, &held, &code.unwrap_or_default());
        }
        Scene::Rescue { node, shell, keys } => {
            lines.push(String::from("RESCUE: a shell is open on this machine"));
            lines.extend(rescue(node, shell, *keys));
        }
    }
    lines.iter().flat_map(|line| fold(line, COLUMNS)).collect()
}

/// Text with a picture at its right: the text is folded narrow for as long as the picture lasts.
fn beside(lines: &mut Vec<String>, text: &[String], picture: &[String]) {
    let width = picture.first().map_or(0, |line| line.chars().count());
    let left = COLUMNS.saturating_sub(width + 1);
    let mut picture = picture.iter();
    for line in text {
        if picture.len() == 0 {
            lines.push(line.clone());
            continue;
        }
        for piece in fold(line, left) {
            match picture.next() {
                Some(row) => lines.push(format!("{piece:<left$} {row}")),
                None => lines.push(piece),
            }
        }
    }
    lines.extend(picture.map(|row| format!("{:left$} {row}", "")));
}

/// The same scene as one or a few lines of a log.
#[must_use]
pub fn log_lines(scene: &Scene) -> Vec<String> {
    match scene {
        Scene::Doing { what } => alloc::vec![what.clone()],
        Scene::Step {
            step,
            progress: None,
        } => alloc::vec![format!("step {}: {}", step.as_str(), step.says())],
        Scene::Step {
            step,
            progress: Some(moving),
        } => alloc::vec![format!("step {}: {moving}", step.as_str())],
        Scene::Waiting { reason } => prefixed("waiting: ", &reason.lines()),
        Scene::Held { reason } => prefixed("HELD: ", &reason.lines()),
        Scene::Rescue { node, shell, keys } => prefixed("rescue: ", &rescue(node, shell, *keys)),
    }
}

/// How to come in, and how it ends.
fn rescue(node: &NodeId, shell: &RescueShell, keys: usize) -> Vec<String> {
    Vec::from([
        format!("come in with: ssh root@{}", shell.address),
        format!("  its host key, made in this boot: {}", shell.fingerprint),
        format!("  {keys} keys of the site file open it; there is no password"),
        String::from("  disks are as they were; nothing is mounted and nothing was written"),
        format!("  it ends with: groundstate node release {node}"),
    ])
}

fn prefixed(prefix: &str, lines: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        out.push(if index == 0 {
            format!("{prefix}{line}")
        } else {
            line.clone()
        });
    }
    out
}

fn steps(lines: &mut Vec<String>, now: Step, progress: Option<Moving>) {
    let erase = [Step::Guard, Step::Erase];
    let steps = if now == Step::Erase {
        &erase[..]
    } else {
        &Step::ALL[..]
    };
    for step in steps.iter().copied() {
        let mark = match step.cmp(&now) {
            core::cmp::Ordering::Less => "done",
            core::cmp::Ordering::Equal => "NOW ",
            core::cmp::Ordering::Greater => "    ",
        };
        lines.push(format!("{mark}  {}", step.says()));
        if step == now
            && let Some(moving) = progress
        {
            // The bar is narrow, so that rate and rest stand beside it in the same line.
            lines.push(format!("      {} {moving}", bar(moving.done, moving.total)));
        }
    }
}

/// A bar of text: `[#######.......]  52 %`.
#[must_use]
pub fn bar(done: Bytes, total: Bytes) -> String {
    let (done, total) = (u128::from(done.0.min(total.0)), u128::from(total.0.max(1)));
    let full = done * u128::from(BAR_CELLS) / total;
    let cells: String = (0..u128::from(BAR_CELLS))
        .map(|cell| if cell < full { '#' } else { '.' })
        .collect();
    format!("[{cells}] {:3} %", done * 100 / total)
}

fn fold(line: &str, columns: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut current = String::new();
    for word in line.split_inclusive(' ') {
        if !current.trim().is_empty()
            && current.chars().count() + word.trim_end().chars().count() > columns
        {
            out.push(current.trim_end().to_string());
            current = String::from("      ");
        }
        current.push_str(word);
    }
    out.push(current.trim_end().to_string());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::{Part, Reason, ReasonCode};

    #[test]
    fn a_held_screen_fits_the_console_and_says_what_to_do() {
        let reason = Reason::new(
            ReasonCode::DimmMissing,
            "a DIMM that this node should have is not there",
            "reseat or replace the DIMM in DIMM_A2, then run `groundstate node reprovision node1`",
        )
        .about(Part::Dimm {
            slot: "DIMM_A2".into(),
            serial: Some("S2".into()),
            size: Some("512 MiB".into()),
        })
        .seen("DIMM_A1 512 MiB, DIMM_A2 empty");
        let heading = Heading {
            site: "demo".into(),
            node: Some("node1".parse().unwrap()),
            serial: "GS1".into(),
            address: None,
        };
        let page = page(&heading, Millis(7_300), &Scene::Held { reason });
        assert!(
            page.iter().all(|line| line.chars().count() <= COLUMNS),
            "{page:#?}"
        );
        expect_test::expect![[r#"
            GROUNDSTATE MAINTENANCE OS    site demo    up 7.3 s
            node node1    serial GS1    no address yet
            -------------------------------------------------------------------------------
            HELD: this machine needs a person             █████████████████████████████████
            a DIMM that this node should have is not      ██ ▄▄▄▄▄ █▀  █▀ ██ ▄▄███ ▄▄▄▄▄ ██
                  there [dimm-missing]                    ██ █   █ █ ▄ ▄▀█▀██▀▄█▀█ █   █ ██
              part:      DIMM DIMM_A2, 512 MiB, serial S2 ██ █▄▄▄█ ██ ▀▄█ ▀▄▄▄ ▄▀█ █▄▄▄█ ██
              seen:      DIMM_A1 512 MiB, DIMM_A2 empty   ██▄▄▄▄▄▄▄█ ▀ █▄▀▄█▄█▄▀ █▄▄▄▄▄▄▄██
              by itself: nothing: it waits for a person   ██ █▀▀█▀▄█▄▄ ▀██  ▀ ▀▀█▄▄▀▀ ▄▄███
              do now:    reseat or replace the DIMM in    ███▀▄█▄ ▄▄█▀▄▄▄█▀ ███▀▀▀▄ ▄▀▄████
                  DIMM_A2, then run `groundstate node     ██ ▄ █▀▄▄ ▄ ▄█▀   █▀▀▀ ▄  ▀ ▀▄ ██
                  reprovision node1`                      ██▄▀█▀█ ▄█ █▀█   ▄ ███ ▀ ▄▄   ███
                                                          ██  ▀█ █▄▄█▀▄▀▀█▄▄▀ ▄ ▀█▀▀▀▀▄ ███
                                                          ██ ▄ ▄▀ ▄▄█▀   ▄  ▀█  █▀█   ▄▀ ██
                                                          ██▄█████▄█▀▀██ ▀██▄█▀▀ ▄▄▄ ▀ █▀██
                                                          ██ ▄▄▄▄▄ ██▄  ▀ ▄▄ █▀  █▄█ ▄█▀███
                                                          ██ █   █ ██  █▄▄██  ▀   ▄▄▄███ ██
                                                          ██ █▄▄▄█ ██ ▀ ▄█ ▄▄█▄▀█▄▄▄ ▄▀▄▀██
                                                          ██▄▄▄▄▄▄▄█▄█▄▄█▄▄████▄████▄█▄████
                                                          ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀"#]]
        .assert_eq(&page.join("\n"));
        assert_eq!(bar(Bytes(52), Bytes(100)), "[##########..........]  52 %");
    }
}
