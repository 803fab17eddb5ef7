// SPDX-License-Identifier: Apache-2.0
//! Who gives chunks, how each does, and what is asked of whom.

use super::limits::{BACK_FIRST, BACK_MAX, LANES_MAX, LIES_MAX};
use super::set::ChunkSet;
use super::words::SourceWord;
use crate::patience::Patience;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use groundstate_api::Millis;

/// A source.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) last: bool,
    pub(super) holds: Option<Arc<ChunkSet>>,
    /// What it said that it does not have.
    lacks: BTreeSet<usize>,
    pub(super) lanes: Vec<usize>,
    pub(super) health: Health,
    pub(super) patience: Patience,
    drops: u32,
    lies: u32,
    /// It is not in the book any more.
    pub(super) is_gone: bool,
}

/// How a source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It is asked.
    Up,
    /// It is not asked before this moment; never where there is none.
    Down(Option<Millis>),
    /// One question is under way, to see whether it is back.
    Tried,
}

/// A connection to a source, and what is under way on it.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) source: usize,
    /// The spans that were asked for, in order, and when.
    pub(super) out: Vec<(usize, Millis)>,
    /// Bytes at the last tick, and the last tick at which more had come.
    pub(super) received: u64,
    pub(super) moved: Millis,
    /// Where its rate is counted from.
    pub(super) mark: (Millis, u64),
    /// Bytes a second, once it is known.
    pub(super) rate: Option<u64>,
}

impl Source {
    pub(super) fn new(word: &SourceWord, seed: u64) -> Self {
        Self {
            name: word.name.clone(),
            last: word.last,
            holds: word.holds.clone(),
            lacks: BTreeSet::new(),
            lanes: Vec::new(),
            health: Health::Up,
            patience: Patience::new(seed),
            drops: 0,
            lies: 0,
            is_gone: false,
        }
    }

    /// Whether it may be asked for a chunk.
    pub(super) fn has(&self, chunk: usize) -> bool {
        let holds = self.holds.as_ref().is_none_or(|set| set.contains(chunk));
        holds && !self.lacks.contains(&chunk)
    }

    pub(super) fn lack(&mut self, chunk: usize) {
        self.lacks.insert(chunk);
    }

    pub(super) fn is_up(&self) -> bool {
        !self.is_gone && self.health == Health::Up
    }

    /// It is not asked for a while; for good where it lied too often. Tells until when.
    pub(super) fn drop_it(&mut self, now: Millis, lied: bool) -> Option<Millis> {
        self.lies += u32::from(lied);
        let pause = BACK_FIRST.0.checked_shl(self.drops.min(16));
        let pause = pause.unwrap_or(BACK_MAX.0).min(BACK_MAX.0);
        self.drops += 1;
        let until = (self.lies < LIES_MAX).then(|| now.plus(Millis(pause)));
        self.health = Health::Down(until);
        until
    }

    /// When it is asked again.
    pub(super) fn until(&self) -> Option<Millis> {
        match self.health {
            Health::Down(until) if !self.is_gone => until,
            Health::Down(_) | Health::Up | Health::Tried => None,
        }
    }
}

impl Lane {
    pub(super) const fn new(source: usize, now: Millis) -> Self {
        Self {
            source,
            out: Vec::new(),
            received: 0,
            moved: now,
            mark: (now, 0),
            rate: None,
        }
    }

    /// Something is asked of it; the clock of a lane that had nothing to do starts anew.
    pub(super) fn ask(&mut self, span: usize, now: Millis) {
        if self.out.is_empty() {
            self.moved = now;
            self.mark = (now, self.received);
        }
        self.out.push((span, now));
    }

    /// When the span was asked of it; it is not under way any more.
    pub(super) fn take(&mut self, span: usize) -> Option<Millis> {
        let at = self.out.iter().position(|(one, _)| *one == span)?;
        Some(self.out.remove(at).1)
    }
}

/// How many lanes a source gets.
pub(super) fn lanes(word: &SourceWord) -> usize {
    word.lanes.clamp(1, LANES_MAX)
}
