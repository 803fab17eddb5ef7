// SPDX-License-Identifier: Apache-2.0
//! One boot of one machine: which steps belong to it, how it stands, and until when it may be silent.

use super::stage::{Asker, FileKind, Stage};
use super::why;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::boot_session::{BootSession, BootStep, SessionState, TimedStep, Via};
use groundstate_api::{MacAddr, Millis};

/// Firmware asks at 0, 4, 12 and 28 s (PXE 2.1), OVMF at 0, 3, 14 and 31 s: a longer silence is no pause between two tries.
const ASKING: Millis = Millis::secs(45);
/// From the first file to iPXE's first question: it brings the link up again, which takes 30 s on a switch with spanning
/// tree, and waits 15 s for IPv6 routers (measured with Debian's).
const FIRST_FILE: Millis = Millis::secs(90);
/// From iPXE's address or script to its next question: time-outs of HTTP and a prompt for a key.
const IPXE: Millis = Millis::secs(60);
/// From a kernel to its initramfs; a kernel that is given none goes without.
const KERNEL: Millis = Millis::secs(10);
/// A file on its way: whoever sends it tells its end long before; this is for the case that it does not.
const FILE: Millis = Millis::secs(15 * 60);
/// After a machine was sent to its own disk its firmware goes through its other boot entries: OVMF takes 65 s for one.
const NEXT_ENTRY: Millis = Millis::secs(180);
/// How long what an operating system asks is an afterword to the boot.
const AFTERWORD: Millis = Millis::secs(15 * 60);
/// Steps back in which a repeat is looked for: a try has at most three steps and its file.
const LOOK_BACK: usize = 4;
/// The longest text of a step that is kept, in characters.
const TEXT_MAX: usize = 160;

/// Where a step belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    /// To this boot.
    Here,
    /// To this boot's afterword: an operating system asks.
    Aside,
    /// To a new boot.
    Anew,
    /// To nothing.
    Nowhere,
}

/// One boot.
#[derive(Clone, Debug)]
pub(super) struct Boot {
    pub(super) session: BootSession,
    /// Rises with each change over all boots.
    pub(super) revision: u64,
    /// When the boot itself last moved; an operating system's steps do not count.
    pub(super) moved: Millis,
    pub(super) stage: Stage,
    pub(super) found: why::Found,
    aside: bool,
    kernel: bool,
    initrd: bool,
}

impl Boot {
    /// The boot that a step begins; `None` where it begins none.
    pub(super) fn begin(now: Millis, mac: MacAddr, step: &BootStep) -> Option<Self> {
        let (stage, firmware) = match step {
            BootStep::Asked {
                client, firmware, ..
            } => match Asker::of(client) {
                Asker::Firmware => (Stage::Asking, *firmware),
                Asker::Ipxe => (Stage::IpxeAsking, *firmware),
                Asker::OperatingSystem => return None,
            },
            // Whoever asks by HTTP for what is not there may be a person with a browser, or a host that is up.
            BootStep::FileEnded { via: Via::Http, .. } => return None,
            BootStep::FileAsked { .. } | BootStep::FileSent { .. } | BootStep::FileEnded { .. } => {
                (Stage::Asking, None)
            }
            BootStep::SentToLocalDisk { .. }
            | BootStep::Offered { .. }
            | BootStep::Bound { .. }
            | BootStep::Denied { .. }
            | BootStep::Unanswered { .. } => return None,
        };
        let session = BootSession {
            mac,
            uuid: None,
            firmware,
            address: None,
            relay: None,
            service: None,
            began: now,
            last: now,
            state: SessionState::Running,
            steps: Vec::new(),
            left_out: 0,
        };
        Some(Self {
            session,
            revision: 0,
            moved: now,
            stage,
            found: why::Found::default(),
            aside: false,
            kernel: false,
            initrd: false,
        })
    }

    /// Where a step belongs that was seen now.
    pub(super) fn belongs(&self, now: Millis, step: &BootStep) -> Belongs {
        let gap = now.since(self.moved);
        match step {
            BootStep::Asked { client, .. } => match Asker::of(client) {
                Asker::OperatingSystem if gap < AFTERWORD => Belongs::Aside,
                Asker::OperatingSystem => Belongs::Nowhere,
                Asker::Firmware => self.asks(gap, client, Stage::Asking),
                Asker::Ipxe => self.asks(gap, client, Stage::IpxeAsking),
            },
            BootStep::Offered { .. }
            | BootStep::Bound { .. }
            | BootStep::Denied { .. }
            | BootStep::Unanswered { .. } => match (self.aside, &self.session.state) {
                (true, _) if gap < AFTERWORD => Belongs::Aside,
                (false, SessionState::Running) => Belongs::Here,
                (false, SessionState::Fetched | SessionState::LocalDisk) if gap < NEXT_ENTRY => {
                    Belongs::Here
                }
                (
                    true | false,
                    SessionState::Running
                    | SessionState::Fetched
                    | SessionState::LocalDisk
                    | SessionState::Stopped { .. },
                ) => Belongs::Nowhere,
            },
            BootStep::FileAsked { .. }
            | BootStep::FileSent { .. }
            | BootStep::FileEnded { .. }
            | BootStep::SentToLocalDisk { .. } => match &self.session.state {
                SessionState::Running => Belongs::Here,
                SessionState::Fetched | SessionState::LocalDisk | SessionState::Stopped { .. }
                    if gap < NEXT_ENTRY =>
                {
                    Belongs::Here
                }
                SessionState::Fetched | SessionState::LocalDisk | SessionState::Stopped { .. } => {
                    Belongs::Anew
                }
            },
        }
    }

    /// Whether a question is a retry, the next part of the way, or the first of another boot: a machine that has come
    /// further than where it asks now was started again.
    fn asks(&self, gap: Millis, client: &str, stage: Stage) -> Belongs {
        let further = self.stage > stage;
        match &self.session.state {
            SessionState::Running if gap < self.patience() && !further => Belongs::Here,
            // Its firmware goes on to its next boot entry.
            SessionState::LocalDisk if gap < NEXT_ENTRY && self.found.client != client => {
                Belongs::Here
            }
            SessionState::LocalDisk if gap < ASKING && !further => Belongs::Here,
            // The user's own program was iPXE after all.
            SessionState::Fetched
                if gap < FIRST_FILE
                    && self.stage == Stage::FirstFile
                    && stage == Stage::IpxeAsking =>
            {
                Belongs::Here
            }
            SessionState::Running
            | SessionState::LocalDisk
            | SessionState::Fetched
            | SessionState::Stopped { .. } => Belongs::Anew,
        }
    }

    /// How long it may be silent where it stands.
    const fn patience(&self) -> Millis {
        if self.found.open {
            return FILE;
        }
        match self.stage {
            Stage::Asking => ASKING,
            Stage::FirstFile => FIRST_FILE,
            Stage::IpxeAsking | Stage::Script => IPXE,
            Stage::Kernel => KERNEL,
        }
    }

    /// When its silence means something.
    pub(super) fn deadline(&self) -> Option<Millis> {
        match self.session.state {
            SessionState::Running => Some(self.moved.plus(self.patience())),
            SessionState::Fetched | SessionState::LocalDisk | SessionState::Stopped { .. } => None,
        }
    }

    /// It was silent for too long.
    pub(super) fn silent(&mut self, foreign: Option<&str>) {
        self.session.state = if self.kernel {
            SessionState::Fetched
        } else {
            let (why, next) = why::judge(self.stage, &self.found, foreign);
            SessionState::Stopped { why, next }
        };
    }

    /// The machine was started again before this boot came to an end.
    pub(super) fn cut_short(&mut self, foreign: Option<&str>) {
        self.silent(foreign);
        if let SessionState::Stopped { why, .. } = &mut self.session.state {
            why.push_str("; then it was started again");
        }
    }

    /// Takes a step of the boot in.
    pub(super) fn take(&mut self, now: Millis, step: BootStep, most: usize) {
        self.moved = now;
        self.aside = false;
        self.progress(&step);
        self.keep(now, step, most);
    }

    /// Takes a step of the operating system in.
    pub(super) fn take_aside(&mut self, now: Millis, step: BootStep, most: usize) {
        self.aside = true;
        self.keep(now, step, most);
    }

    fn progress(&mut self, step: &BootStep) {
        match step {
            BootStep::Asked {
                client, firmware, ..
            } => {
                self.session.firmware = firmware.or(self.session.firmware);
                self.session.state = SessionState::Running;
                self.stage = match Asker::of(client) {
                    Asker::Firmware => Stage::Asking,
                    Asker::Ipxe | Asker::OperatingSystem => Stage::IpxeAsking,
                };
                self.found.asked(client);
            }
            // Some models go to their own disk best where nobody answers.
            BootStep::Unanswered { why, .. } if why::is_local_disk(why) => self.sent_to_its_disk(),
            BootStep::Offered { .. } | BootStep::Denied { .. } | BootStep::Unanswered { .. } => {}
            BootStep::Bound { address, file, .. } => {
                self.session.address = Some(cut(address));
                if file.as_deref().map(FileKind::of) == Some(FileKind::LocalDisk) {
                    self.session.state = SessionState::LocalDisk;
                }
            }
            BootStep::FileAsked { file, .. } | BootStep::FileEnded { file, .. } => {
                if FileKind::of(file) == FileKind::LocalDisk {
                    self.sent_to_its_disk();
                } else if matches!(self.session.state, SessionState::Stopped { .. }) {
                    self.session.state = SessionState::Running;
                }
            }
            BootStep::FileSent { via, file, .. } => self.sent(*via, file),
            BootStep::SentToLocalDisk { .. } => self.sent_to_its_disk(),
        }
        self.found.step(step);
    }

    /// Whether it came as far as a file.
    pub(super) fn has_file(&self) -> bool {
        self.stage > Stage::IpxeAsking || self.found.has_file()
    }

    fn sent_to_its_disk(&mut self) {
        self.stage = self.stage.max(Stage::FirstFile);
        self.session.state = SessionState::LocalDisk;
    }

    fn sent(&mut self, via: Via, file: &str) {
        let kind = FileKind::of(file);
        let (stage, goes_on) = match kind {
            FileKind::LocalDisk => return self.sent_to_its_disk(),
            FileKind::FirstStage | FileKind::Loader => (Stage::FirstFile, true),
            FileKind::Script => (Stage::Script, true),
            // Firmware fetched it by TFTP as its one program; iPXE, or firmware by HTTP, fetched something that starts.
            FileKind::Program if via == Via::Tftp => (Stage::FirstFile, false),
            FileKind::Program => (self.stage.max(Stage::FirstFile), false),
            FileKind::Kernel => {
                self.kernel = true;
                (Stage::Kernel, !self.initrd)
            }
            FileKind::Initrd => {
                self.initrd = true;
                (Stage::Kernel, !self.kernel)
            }
        };
        self.stage = self.stage.max(stage);
        let ended = match self.session.state {
            SessionState::Fetched => true,
            // The script that says `exit` goes out after it was decided.
            SessionState::LocalDisk => kind == FileKind::Script,
            SessionState::Running | SessionState::Stopped { .. } => false,
        };
        if !goes_on {
            self.session.state = SessionState::Fetched;
        } else if !ended {
            self.session.state = SessionState::Running;
        }
    }

    fn keep(&mut self, now: Millis, mut step: BootStep, most: usize) {
        self.session.last = now;
        clean(&mut step);
        let steps = &mut self.session.steps;
        let recent = steps.iter_mut().rev().take(LOOK_BACK);
        if let Some(old) = recent.into_iter().find(|old| same(&old.step, &step)) {
            old.again = old.again.saturating_add(1);
            old.last = now;
            return;
        }
        if steps.len() >= most {
            // The beginning says how the boot came in, the end why it stopped: the middle goes.
            steps.remove(most / 2);
            self.session.left_out = self.session.left_out.saturating_add(1);
        }
        steps.push(TimedStep {
            at: now,
            last: now,
            again: 0,
            step,
        });
    }
}

/// Whether two steps are tries of the same thing.
fn same(old: &BootStep, new: &BootStep) -> bool {
    match (old, new) {
        (
            BootStep::FileSent {
                via: old_via,
                file: old,
                length: old_length,
                ..
            },
            BootStep::FileSent {
                via, file, length, ..
            },
        ) => (old_via, old, old_length) == (via, file, length),
        (old, new) => old == new,
    }
}

fn clean(step: &mut BootStep) {
    let texts: Vec<&mut String> = match step {
        BootStep::Asked { client, .. } => [client].into(),
        BootStep::Offered { address, file, .. } => address.iter_mut().chain(file).collect(),
        BootStep::Bound { address, file, .. } => [address].into_iter().chain(file).collect(),
        BootStep::Denied { why, .. } | BootStep::Unanswered { why, .. } => [why].into(),
        BootStep::FileAsked { file, .. } | BootStep::FileSent { file, .. } => [file].into(),
        BootStep::FileEnded { file, why, .. } => [file, why].into(),
        BootStep::SentToLocalDisk { .. } => Vec::new(),
    };
    for text in texts {
        let long = text.len() > TEXT_MAX;
        if long || !text.chars().all(shown) {
            *text = cut(text);
        }
    }
}

/// Whether a character may be shown: it steers no terminal and does not turn the line around.
fn shown(c: char) -> bool {
    let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !turns
}

/// A text of the wire as it may be kept and shown.
pub(super) fn cut(text: &str) -> String {
    let kept = text.chars().take(TEXT_MAX);
    kept.map(|c| if shown(c) { c } else { '?' }).collect()
}
