// SPDX-License-Identifier: Apache-2.0
//! A real terminal for tests: tmux, with a server of its own, and its screen as text and as a picture.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// How long a screen may take to show what is waited for, on a busy machine.
const WAIT: Duration = Duration::from_secs(40);

pub(crate) struct Tmux {
    socket: PathBuf,
}

/// Whether tmux is there; with `CI` set it must be.
pub(crate) fn is_there() -> bool {
    let found = Command::new("tmux").arg("-V").output().is_ok();
    assert!(
        found || std::env::var_os("CI").is_none(),
        "tmux is not there"
    );
    if !found {
        eprintln!("tmux is not there: the screen is not tried");
    }
    found
}

impl Tmux {
    /// Runs a shell command in a terminal of this size.
    pub(crate) fn run(folder: &Path, columns: u16, rows: u16, shell: &str) -> Self {
        let this = Self {
            socket: folder.join("tmux"),
        };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let made = this.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            shell,
        ]);
        assert!(made.status.success(), "{made:?}");
        this
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command
            .arg("-S")
            .arg(&self.socket)
            .args(args)
            .env_remove("TMUX");
        command
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8");
        command.output().unwrap()
    }

    pub(crate) fn keys(&self, keys: &[&str]) {
        let sent = self.tmux(&[&["send-keys"], keys].concat());
        assert!(sent.status.success(), "{sent:?}");
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let sent = self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
        assert!(sent.status.success(), "{sent:?}");
    }

    /// The screen as text.
    pub(crate) fn text(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p"]);
        String::from_utf8(output.stdout).unwrap()
    }

    /// The screen with its colours.
    pub(crate) fn coloured(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-e"]);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until this is on the screen no more.
    pub(crate) fn wait_gone(&self, word: &str) {
        let until = Instant::now() + WAIT;
        while self.text().contains(word) {
            assert!(Instant::now() < until, "{word:?} stays: {}", self.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until all of this is on the screen.
    pub(crate) fn wait_for(&self, wants: &[&str]) -> String {
        let until = Instant::now() + WAIT;
        loop {
            let text = self.text();
            if wants.iter().all(|want| text.contains(want)) {
                return text;
            }
            assert!(Instant::now() < until, "{wants:?} does not come: {text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// The 16 colours as browsers paint them.
const COLOURS: [&str; 16] = [
    "#1c1c1c", "#e05561", "#7bc275", "#d9b44a", "#5c9fe0", "#c678dd", "#4fb8c4", "#d7dae0",
    "#7d8590", "#ff6b76", "#98e391", "#f4d56a", "#7cb7ff", "#e29bff", "#6fdde9", "#ffffff",
];

/// A screen with colours as a page.
pub(crate) fn page(coloured: &str) -> String {
    let mut html = String::from(
        "<!doctype html><meta charset=utf-8><style>body{margin:0;background:#111;color:#d7dae0}\
         pre{margin:12px;font:16px/20px 'DejaVu Sans Mono',monospace}</style><pre>",
    );
    let mut look = Look::default();
    let mut rest = coloured;
    while let Some(at) = rest.find('\u{1b}') {
        let (before, after) = rest.split_at(at);
        look.write(&mut html, before);
        let sequence = after
            .strip_prefix("\u{1b}[")
            .and_then(|s| s.split_once('m'));
        match sequence {
            Some((codes, after)) if codes.bytes().all(|c| c.is_ascii_digit() || c == b';') => {
                look.turn(codes);
                rest = after;
            }
            _ => rest = &after[1..],
        }
    }
    look.write(&mut html, rest);
    html + "</pre>"
}

#[derive(Default)]
struct Look {
    colour: Option<usize>,
    bold: bool,
    dim: bool,
    reversed: bool,
    underlined: bool,
}

impl Look {
    fn turn(&mut self, codes: &str) {
        let mut codes = codes.split(';').map(|code| code.parse().unwrap_or(0_usize));
        while let Some(code) = codes.next() {
            match code {
                // One of the 16 by the longer name: 38;5;N.
                38 if codes.next() == Some(5) => self.colour = codes.next(),
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                4 => self.underlined = true,
                7 => self.reversed = true,
                22 => (self.bold, self.dim) = (false, false),
                24 => self.underlined = false,
                27 => self.reversed = false,
                30..=37 => self.colour = Some(code - 30),
                39 => self.colour = None,
                90..=97 => self.colour = Some(code - 82),
                _ => {}
            }
        }
    }

    fn write(&self, html: &mut String, text: &str) {
        if text.is_empty() {
            return;
        }
        let ink = self.colour.and_then(|colour| COLOURS.get(colour));
        let ink = ink.copied().unwrap_or("#d7dae0");
        let (ink, ground) = if self.reversed {
            ("#111", ink)
        } else {
            (ink, "transparent")
        };
        let weight = if self.bold { 700 } else { 400 };
        let shade = if self.dim { 0.6 } else { 1.0 };
        let line = if self.underlined { "underline" } else { "none" };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        write!(
            html,
            "<span style='color:{ink};background:{ground};font-weight:{weight};opacity:{shade};text-decoration:{line}'>{text}</span>"
        )
        .unwrap();
    }
}

/// Keeps the page's picture; says so where there is no browser to make it.
pub(crate) fn picture(name: &str, html: &str, width: u32, height: u32) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("groundstate/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let folder = folder.canonicalize().unwrap();
    let (source, made) = (
        folder.join(format!("{name}.html")),
        folder.join(format!("{name}.png")),
    );
    std::fs::write(&source, html).unwrap();
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", made.display()))
        .arg(format!("file://{}", source.display()))
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            let bytes = std::fs::read(&made).unwrap();
            assert!(
                bytes.starts_with(b"\x89PNG") && bytes.len() > 5_000,
                "{}",
                bytes.len()
            );
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "chromium: {error}");
            eprintln!("chromium is not there, no picture is made: {error}");
        }
    }
}
