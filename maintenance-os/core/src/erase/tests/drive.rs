// SPDX-License-Identifier: Apache-2.0
//! A simulated drive: its bytes, the methods that it has, and one way to lie.

use crate::erase::*;
use crate::guard::UNKNOWN_DATA;
use crate::signature::{Window, recognise};
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::erase::{EraseClass, EraseMethod, EraseOutcome, EraseRecord, ReadsAs};
use groundstate_api::{Bytes, Millis};
use std::collections::VecDeque;

/// Small, so that a thousand erases take seconds; it is read whole.
pub(super) const SIZE: usize = (1 << 20) + 512;
const SECTOR: usize = 512;
/// How many questions an honest erase takes.
const POLLS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Full,
    Half,
    Blank,
}

/// How a drive lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lie {
    None,
    /// It says that it is done and did nothing.
    DoesNothing,
    /// It leaves out the last bytes.
    LeavesTheEnd(usize),
    /// It leaves out a stretch.
    Leaves(usize, usize),
    /// It erases, and answers one stretch with what was there before (from a cache, or a cell that it had put aside).
    AnswersOld(usize, usize),
    /// It moves what was there to another place.
    Shifts(usize),
    /// It is erasing and never gets further.
    StandsStill,
    /// It gets further and further and never ends.
    NeverEnds,
    /// It stops answering.
    FallsSilent,
    /// It says that it failed, having done nothing.
    SaysFailed,
    /// It says that it failed, and did it.
    FailsAndErases,
    /// It is reset half way and knows nothing of an erase.
    Resets,
    /// Nobody knows whether it has begun.
    Unclear,
    /// It never answers to the start.
    NeverStarts,
    /// It is erased and cannot be read in one place.
    Unreadable(usize),
    /// It cannot be read at all any more.
    Gone,
    /// It leaves one repeated word that is neither blank nor what was there, where it should be blank; where it should be
    /// changed, the first sectors as they were.
    LeavesAPattern,
    /// It stops in the middle of being read.
    StopsReading,
}

/// A drive.
pub(super) struct Sim {
    pub(super) method: EraseMethod,
    /// Whether it has every method of its kind, or this one alone.
    pub(super) all_of_its_kind: bool,
    pub(super) refuses: Vec<EraseMethod>,
    pub(super) rotational: bool,
    pub(super) lie: Lie,
    pub(super) begun: Vec<EraseMethod>,
    /// How long the erase took on the simulated clock.
    pub(super) ended: Millis,
    bytes: Vec<u8>,
    before: Vec<u8>,
    polls: u32,
    after: bool,
    grain: u64,
}

impl Sim {
    pub(super) fn new(method: EraseMethod, filled: Filled) -> Self {
        let mut bytes = vec![0u8; SIZE];
        let canaries = match filled {
            Filled::Full => SIZE / SECTOR,
            Filled::Half => SIZE / SECTOR / 2,
            Filled::Blank => 0,
        };
        for (sector, place) in bytes.chunks_mut(SECTOR).take(canaries).enumerate() {
            place.copy_from_slice(&witness(0xCA_4A_41, sector as u64, SECTOR));
        }
        Self {
            method,
            all_of_its_kind: false,
            refuses: Vec::new(),
            rotational: false,
            lie: Lie::None,
            begun: Vec::new(),
            ended: Millis(0),
            before: bytes.clone(),
            bytes,
            polls: 0,
            after: false,
            grain: BLOCK,
        }
    }

    /// How many sectors still hold what was there.
    pub(super) fn canaries(&self) -> usize {
        let old = self.before.chunks(SECTOR);
        let pairs = self.bytes.chunks(SECTOR).zip(old);
        pairs
            .filter(|(new, old)| new == old && old.iter().any(|byte| *byte != 0))
            .count()
    }

    fn facts(&self) -> DriveFacts {
        let has = |method: EraseMethod| self.all_of_its_kind || method == self.method;
        let interface = match self.method.as_str().split('-').next() {
            Some("nvme") => Interface::Nvme(NvmeFacts {
                sanitize_crypto: has(EraseMethod::NvmeSanitizeCrypto),
                sanitize_block: has(EraseMethod::NvmeSanitizeBlock),
                sanitize_overwrite: has(EraseMethod::NvmeSanitizeOverwrite),
                format: has(EraseMethod::NvmeFormatUserData) || has(EraseMethod::NvmeFormatCrypto),
                format_crypto: has(EraseMethod::NvmeFormatCrypto),
                namespaces: 1,
                estimates: [Some(Millis::secs(60)); 3],
                ..NvmeFacts::default()
            }),
            Some("ata") => Interface::Ata(AtaFacts {
                sanitize: true,
                sanitize_crypto: has(EraseMethod::AtaSanitizeCrypto),
                sanitize_block: has(EraseMethod::AtaSanitizeBlock),
                sanitize_overwrite: has(EraseMethod::AtaSanitizeOverwrite),
                security: Some(AtaSecurity {
                    enhanced: has(EraseMethod::AtaSecurityEraseEnhanced),
                    takes: Some(Millis::secs(120)),
                    ..AtaSecurity::default()
                }),
                hidden: Some(0),
                ..AtaFacts::default()
            }),
            Some("scsi") => Interface::Scsi(ScsiFacts {
                crypto: Some(has(EraseMethod::ScsiSanitizeCrypto)),
                block: Some(has(EraseMethod::ScsiSanitizeBlock)),
                overwrite: None,
            }),
            _ => Interface::Plain("it is simulated".to_string()),
        };
        DriveFacts {
            size: Bytes(SIZE as u64),
            sector: 512,
            rotational: self.rotational,
            interface,
        }
    }

    /// Follows the machine to its end on a clock of its own.
    pub(super) fn erase(&mut self, level: EraseClass) -> EraseRecord {
        let named = EraseRecord {
            serial: "SIM-1".to_string(),
            wwn: None,
            slot: "bay-1".to_string(),
            model: "Simulated".to_string(),
            revision: "1".to_string(),
            size: Bytes(SIZE as u64),
            rotational: self.rotational,
            outcome: EraseOutcome::Quarantine {
                method: None,
                why: String::new(),
            },
            not_used: Vec::new(),
            status: Vec::new(),
            sample: groundstate_api::erase::EraseSample::default(),
            took: Millis(0),
        };
        let mut machine = Erase::new(named, 512, level, ladder(&self.facts(), level), 99);
        let (mut now, mut events) = (Millis(1_000), VecDeque::from([Event::Began]));
        let mut turns = 0u32;
        while !machine.is_over() {
            turns += 1;
            assert!(turns < 3_000_000, "it never ends: {:?}", self.lie);
            let event = events.pop_front().unwrap_or_else(|| {
                now = now.max(machine.deadline().expect("a state without a deadline"));
                Event::Timeout
            });
            let mut out = Vec::new();
            machine.handle(now, event, &mut out);
            let over = out.iter().filter(|one| matches!(one, Action::Ended(_)));
            assert_eq!(over.count(), usize::from(machine.is_over()));
            self.grain = machine.grain();
            for action in out {
                self.act(action, &mut events);
            }
        }
        self.ended = now;
        assert_eq!(machine.deadline(), None);
        machine.record().clone()
    }

    fn act(&mut self, action: Action, events: &mut VecDeque<Event>) {
        match action {
            Action::Read(ranges) => self.read(&ranges, events),
            Action::Plant(places) => {
                for at in places {
                    let at = usize::try_from(at).unwrap();
                    let length = usize::try_from(self.grain).unwrap().min(SIZE - at);
                    let bytes = witness(99, at as u64, length);
                    self.bytes[at..at + length].copy_from_slice(&bytes);
                }
                events.push_back(Event::Planted);
            }
            Action::Start(method) if self.refuses.contains(&method) => {
                events.push_back(Event::Started(Start::Refused("illegal".to_string())));
            }
            // What it has besides, it refuses: an ATA drive has no ladder with one rung.
            Action::Start(method) if !self.all_of_its_kind && method != self.method => {
                events.push_back(Event::Started(Start::Refused("not this one".to_string())));
            }
            Action::Start(method) => {
                self.begun.push(method);
                self.before.clone_from(&self.bytes);
                match self.lie {
                    Lie::NeverStarts => {}
                    Lie::Unclear => {
                        events.push_back(Event::Started(Start::Unclear("time-out".to_string())));
                    }
                    _ => events.push_back(Event::Started(Start::Begun("ok".to_string()))),
                }
            }
            Action::Poll(method) => {
                self.polls += 1;
                if let Some(poll) = self.poll(method) {
                    events.push_back(Event::Polled(poll));
                }
            }
            Action::Recognise => events.push_back(Event::Recognised(self.recognise())),
            Action::Moved { .. } | Action::Ended(_) => {}
        }
    }

    fn poll(&mut self, method: EraseMethod) -> Option<Poll> {
        let running = |done| Some(Poll::Running { done: Some(done) });
        match self.lie {
            Lie::StandsStill => return running(100),
            Lie::NeverEnds => return running(self.polls.min(65_535)),
            Lie::FallsSilent if self.polls > 1 => {
                // Sometimes it says that it cannot answer, sometimes nothing comes.
                let silent = Poll::NoAnswer("time-out".to_string());
                return (self.polls < 5).then_some(silent);
            }
            Lie::Resets if self.polls > 1 => {
                return Some(Poll::Idle("never sanitized".to_string()));
            }
            _ if self.polls < POLLS => return running(self.polls * 20_000),
            _ => {}
        }
        let before = self.bytes.clone();
        if !matches!(self.lie, Lie::DoesNothing | Lie::SaysFailed) {
            self.wipe(method);
        }
        self.lie_about(&before);
        self.after = true;
        Some(match self.lie {
            Lie::SaysFailed | Lie::FailsAndErases => Poll::Failed("failed".to_string()),
            _ => Poll::Done("done".to_string()),
        })
    }

    fn wipe(&mut self, method: EraseMethod) {
        match method.reads_as() {
            ReadsAs::Zeros => self.bytes.fill(0),
            ReadsAs::Uniform => self.bytes.fill(0xff),
            ReadsAs::Changed => {
                let noise = witness(0x4e_01_5e, 3, SIZE);
                self.bytes.copy_from_slice(&noise);
            }
        }
    }

    fn lie_about(&mut self, before: &[u8]) {
        let (mut back, mut pattern) = (None, None);
        match self.lie {
            Lie::LeavesTheEnd(length) => back = Some((SIZE - length, length)),
            Lie::Leaves(at, length) | Lie::AnswersOld(at, length) => back = Some((at, length)),
            Lie::LeavesAPattern => match self.method.reads_as() {
                ReadsAs::Changed => back = Some((0, 4_096)),
                ReadsAs::Zeros | ReadsAs::Uniform => pattern = Some(*b"old!"),
            },
            Lie::Shifts(by) => {
                let mut moved = before.to_vec();
                moved.rotate_left(by);
                self.bytes = moved;
            }
            _ => {}
        }
        if let Some((at, length)) = back {
            self.bytes[at..at + length].copy_from_slice(&before[at..at + length]);
        }
        if let Some(pattern) = pattern {
            let words = self.bytes.chunks_exact_mut(4);
            words.for_each(|word| word.copy_from_slice(&pattern));
        }
    }

    fn read(&self, ranges: &[Range], events: &mut VecDeque<Event>) {
        if self.after && self.lie == Lie::Gone {
            events.push_back(Event::ReadFailed("no such device".to_string()));
            return;
        }
        for range in ranges {
            let mut prints = Vec::new();
            let end = range.start + range.length;
            let mut at = range.start;
            while at < end {
                let length = self.grain.min(end - at);
                let from = usize::try_from(at).unwrap();
                let bytes = &self.bytes[from..from + usize::try_from(length).unwrap()];
                let lost = match self.lie {
                    Lie::Unreadable(place) => {
                        self.after && (at..at + length).contains(&(place as u64))
                    }
                    _ => false,
                };
                let length = u32::try_from(length).unwrap();
                prints.push(print(at, (!lost).then_some(bytes), length, 99));
                at += u64::from(length);
            }
            if self.after && self.lie == Lie::StopsReading {
                prints.truncate(prints.len() / 2);
                events.push_back(Event::Blocks(prints));
                return; // And nothing more comes.
            }
            events.push_back(Event::Blocks(prints));
        }
        events.push_back(Event::ReadEnded);
    }

    fn recognise(&self) -> Vec<String> {
        let mut read = |at: u64, length: usize| {
            let at = usize::try_from(at).unwrap();
            Ok::<_, ()>(self.bytes[at..at + length].to_vec())
        };
        let found = recognise(&mut Window::new(SIZE as u64, 512, &mut read)).unwrap();
        let named = found.into_iter().map(|one| one.what);
        named.filter(|what| what != UNKNOWN_DATA).collect()
    }
}
