// SPDX-License-Identifier: Apache-2.0
//! The node's screens: a page on the VGA console, lines on the serial ones.

use crate::pid1::clock;
use crate::pid1::log::Log;
use groundstate_api::Millis;
use mos_core::phases::Scene;
use mos_core::screen::{self, Heading};
use std::fs::{File, OpenOptions};
use std::io::Write as _;

/// Between two lines about the same step's progress, so that a slow serial line does not slow the work.
const PROGRESS_LINE_EVERY: Millis = Millis::secs(5);
/// Between two redraws of the page for progress alone.
const REDRAW_EVERY: Millis = Millis(500);

/// Both kinds of screen.
pub(super) struct Console {
    page: Option<File>,
    log: Log,
    /// What stands at the top of the page.
    pub(super) heading: Heading,
    last_progress_line: Millis,
    last_redraw: Millis,
    last_said: Vec<String>,
}

/// The kernel's consoles (`console=` on its command line), opened for writing: VGA first, then the serial ones.
#[must_use]
pub(super) fn open() -> (Option<File>, Vec<File>) {
    let active = std::fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    let open = |name: &str| {
        OpenOptions::new()
            .write(true)
            .open(format!("/dev/{name}"))
            .ok()
    };
    let page = active
        .split_whitespace()
        .find(|name| *name == "tty0")
        .and_then(open);
    let lines = active
        .split_whitespace()
        .filter(|name| *name != "tty0")
        .filter_map(open)
        .collect();
    (page, lines)
}

impl Console {
    /// Screens that show a page on `page` and write to `log`.
    #[must_use]
    pub(super) fn new(page: Option<File>, log: Log, heading: Heading) -> Self {
        Self {
            page,
            log,
            heading,
            last_progress_line: Millis(0),
            last_redraw: Millis(0),
            last_said: Vec::new(),
        }
    }

    /// Shows a scene.
    pub(super) fn show(&mut self, scene: &Scene) {
        let now = clock::now();
        let progress = matches!(
            scene,
            Scene::Step {
                progress: Some(_),
                ..
            }
        );
        if !progress || now.since(self.last_progress_line) >= PROGRESS_LINE_EVERY {
            let lines = screen::log_lines(scene);
            if lines != self.last_said {
                for line in &lines {
                    self.log.line(line);
                }
                self.last_said = lines;
            }
            self.last_progress_line = now;
        }
        if !progress || now.since(self.last_redraw) >= REDRAW_EVERY {
            self.last_redraw = now;
            self.draw(now, scene);
        }
    }

    fn draw(&mut self, now: Millis, scene: &Scene) {
        if let Some(page) = &mut self.page {
            let mut text = String::from("\x1b[2J\x1b[H\x1b[?25l");
            for line in screen::page(&self.heading, now, scene) {
                text.push_str(&line);
                text.push_str("\r\n");
            }
            // A screen that is not there cannot be told so; the log has the same words.
            drop(page.write_all(text.as_bytes()));
        }
    }
}
