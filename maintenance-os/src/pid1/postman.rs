// SPDX-License-Identifier: Apache-2.0
//! Carries letters between PID 1 and the provisioner, one after the other, on a thread of its own.
//!
//! Reports are delivered in order, each until it is acknowledged; of several reports about the same step's progress
//! or its waits only the newest is carried. The log goes along whenever there is nothing else to carry.

use crate::pid1::call::{Credential, Provisioner, Refusal};
use crate::pid1::log::Log;
use crate::pid1::{Word, clock};
use groundstate_api::boot::BootConfig;
use groundstate_api::enrol::{EnrolReply, EnrolRequest};
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::Step;
use groundstate_api::run::{Instruction, InventoryReport, LogChunk, Progress, StepState};
use groundstate_api::{Bytes, RunId, paths};
use mos_core::phases::Event;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// How long to wait before a report is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often the log is carried while nothing else is.
const LOG_EVERY: Duration = Duration::from_secs(1);
/// After how long without a call the provisioner is called: it takes a node that says nothing for one that lost power, and a
/// step without figures, or a probe, may take minutes.
const STILL_HERE_EVERY: Duration = Duration::from_secs(2);
/// Pieces of log that are carried before the host is started.
const LAST_LOG_PIECES_MAX: u32 = 64;

/// What is to be carried.
pub(super) enum Letter {
    /// An enrolment.
    Enrol(Box<EnrolRequest>),
    /// From now on, speak with this key for this run.
    Speak(RunId, Credential),
    /// The inventory.
    Inventory(Box<Inventory>),
    /// The question what to do.
    Ask,
    /// A report.
    Report(Step, StepState),
}

/// The thread's whole state.
pub(super) struct Postman {
    config: BootConfig,
    provisioner: Provisioner,
    run: Option<RunId>,
    log: Log,
    log_offset: u64,
    number: u64,
    /// Reports of this run that were handed in, those included that a newer one has replaced.
    handed_in: u64,
    /// The report that could not be delivered at first, so that the wait is said once.
    silent_since_number: Option<u64>,
    /// When the provisioner was last called.
    called: Instant,
    letters: Receiver<Letter>,
    words: Sender<Word>,
    bag: VecDeque<Letter>,
}

impl Postman {
    /// A postman for this provisioner.
    pub(super) fn new(
        config: BootConfig,
        provisioner: Provisioner,
        log: Log,
        letters: Receiver<Letter>,
        words: Sender<Word>,
    ) -> Self {
        Self {
            config,
            provisioner,
            run: None,
            log,
            log_offset: 0,
            number: 0,
            handed_in: 0,
            silent_since_number: None,
            called: Instant::now(),
            letters,
            words,
            bag: VecDeque::new(),
        }
    }

    /// Works until PID 1 ends, which it does not.
    pub(super) fn work(mut self) {
        loop {
            match self.letters.recv_timeout(LOG_EVERY) {
                Ok(letter) => self.put(letter),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.carry_all();
            self.carry_log(1);
            self.say_still_here();
        }
    }

    /// Calls where nothing else was said for a while. The main loop has not asked, so it does not hear the answer; but a
    /// refusal ends this boot's part in its run.
    fn say_still_here(&mut self) {
        if self.run.is_none() || self.called.elapsed() < STILL_HERE_EVERY {
            return;
        }
        self.called = Instant::now();
        let answer = self.provisioner.get::<Instruction>(paths::RUN_INSTRUCTION);
        if let Err(Refusal::Said(reason)) = answer {
            self.tell(Event::Instructed(Instruction::Hold { reason }));
        }
    }

    fn put(&mut self, letter: Letter) {
        if matches!(letter, Letter::Report(..)) {
            self.handed_in += 1;
        }
        let passing = |letter: &Letter| match letter {
            Letter::Report(step, StepState::Running { .. } | StepState::Waiting { .. }) => {
                Some(*step)
            }
            _ => None,
        };
        let step = passing(&letter);
        if step.is_some() && step == self.bag.back().and_then(passing) {
            self.bag.pop_back();
        }
        self.bag.push_back(letter);
    }

    fn carry_all(&mut self) {
        let mut reported = false;
        loop {
            while let Ok(letter) = self.letters.try_recv() {
                self.put(letter);
            }
            let Some(letter) = self.bag.pop_front() else {
                break;
            };
            reported |= matches!(letter, Letter::Report(..));
            if let Err(letter) = self.carry(letter) {
                self.bag.push_front(letter);
                std::thread::sleep(RETRY);
            }
        }
        if reported {
            let through = self.handed_in;
            self.carry_log(LAST_LOG_PIECES_MAX);
            self.tell(Event::ReportsDelivered { through });
        }
    }

    /// Gives the letter back when it must be tried again.
    fn carry(&mut self, letter: Letter) -> Result<(), Letter> {
        self.called = Instant::now();
        match letter {
            Letter::Speak(run, credential) => self.speak(run, &credential),
            Letter::Enrol(request) => {
                // The run before is over; nothing more is said in it.
                self.run = None;
                match self
                    .provisioner
                    .post::<_, EnrolReply>(paths::ENROL, &request)
                {
                    Ok(reply) => self.tell(Event::EnrolAnswered(reply)),
                    Err(refusal) => self.tell(Event::CallFailed {
                        reason: refusal.reason(),
                    }),
                }
            }
            Letter::Inventory(inventory) => {
                if let Some(run) = self.run.clone() {
                    let report = InventoryReport {
                        run,
                        inventory: *inventory,
                    };
                    let answer = self.provisioner.post(paths::RUN_INVENTORY, &report);
                    self.instructed(answer);
                }
            }
            Letter::Ask => {
                let answer = self.provisioner.get(paths::RUN_INSTRUCTION);
                self.instructed(answer);
            }
            Letter::Report(step, state) => return self.report(step, state),
        }
        Ok(())
    }

    fn report(&mut self, step: Step, state: StepState) -> Result<(), Letter> {
        let Some(run) = self.run.clone() else {
            return Ok(());
        };
        let progress = Progress {
            run,
            number: self.number + 1,
            step,
            state,
            at: clock::now(),
            peak_memory: peak_memory(),
        };
        match self
            .provisioner
            .post::<_, Instruction>(paths::RUN_PROGRESS, &progress)
        {
            Ok(instruction) => {
                self.number += 1;
                self.tell(Event::Instructed(instruction));
                Ok(())
            }
            Err(Refusal::Said(reason)) => {
                self.tell(Event::Instructed(Instruction::Hold { reason }));
                Ok(())
            }
            Err(Refusal::NoAnswer(reason)) => {
                if self.silent_since_number != Some(self.number) {
                    self.silent_since_number = Some(self.number);
                    self.log.line(&format!(
                        "the report on step {} waits: {}",
                        step.as_str(),
                        reason.what
                    ));
                }
                Err(Letter::Report(step, progress.state))
            }
        }
    }

    fn instructed(&self, answer: Result<Instruction, Refusal>) {
        match answer {
            Ok(instruction) => self.tell(Event::Instructed(instruction)),
            Err(Refusal::NoAnswer(reason)) => self.tell(Event::CallFailed { reason }),
            Err(Refusal::Said(reason)) => {
                self.tell(Event::Instructed(Instruction::Hold { reason }))
            }
        }
    }

    fn speak(&mut self, run: RunId, credential: &Credential) {
        match Provisioner::new(&self.config, Some(credential)) {
            Ok(provisioner) => {
                self.provisioner = provisioner.knowing(&self.provisioner);
                self.run = Some(run);
                // Another run counts its reports and keeps its log from the beginning.
                self.number = 0;
                self.handed_in = 0;
                self.log_offset = 0;
                self.silent_since_number = None;
            }
            Err(reason) => self.tell(Event::Instructed(Instruction::Hold { reason })),
        }
    }

    fn carry_log(&mut self, pieces: u32) {
        let Some(run) = self.run.clone() else { return };
        for _ in 0..pieces {
            let text = self.log.piece(self.log_offset);
            if text.is_empty() {
                return;
            }
            let length = u64::try_from(text.len()).unwrap_or(0);
            let chunk = LogChunk {
                run: run.clone(),
                offset: self.log_offset,
                text,
            };
            self.called = Instant::now();
            if self.provisioner.tell(paths::RUN_LOG, &chunk).is_err() {
                return; // It is kept here and carried the next time.
            }
            self.log_offset += length;
        }
    }

    fn tell(&self, event: Event) {
        // The main loop never ends; if it did, there would be nobody to tell.
        drop(self.words.send(Word::Event(event)));
    }
}

/// The most memory that PID 1 ever had resident (`VmHWM` of proc(5)).
#[must_use]
pub(super) fn peak_memory() -> Bytes {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?
            .trim()
            .strip_suffix(" kB")?
            .trim()
            .parse::<u64>()
            .ok()
    });
    Bytes(kib.unwrap_or(0) << 10)
}
