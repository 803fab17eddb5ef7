// SPDX-License-Identifier: Apache-2.0
//! Does what the deploy machine says: opens lanes and asks them, hands over to the provers, tells people.

use super::{Actor, Doing, LaneEnd, Message};
use crate::image::Moved;
use crate::image::hand::Order;
use crate::image::lane::{Errand, Lane, News, Row, Wanted, break_off, teller};
use crate::image::prove::Job;
use crate::image::source::Outcome;
use groundstate_api::Reason;
use image_core::deploy::{Action, Chunks, members, span::bit};
use std::sync::Arc;
use std::sync::mpsc;

impl Actor<'_> {
    pub(super) fn act(&mut self, action: Action) -> Result<Option<Result<(), Reason>>, Reason> {
        match action {
            Action::Open { lane, source } => self.open(lane, &source),
            Action::Break { lane } => self.lane(lane, |end| break_off(&end.breaker)),
            Action::Close { lane } => self.lane(lane, LaneEnd::close),
            Action::Get { lane, span, chunks } => self.get(lane, span, chunks),
            Action::Prove { lane, span } => {
                if let Some(parcel) = self.arrived.remove(&(lane, span)) {
                    self.job(Job::Parcel(parcel));
                }
            }
            Action::Discard { lane, span } => {
                if let Some(parcel) = self.arrived.remove(&(lane, span)) {
                    self.pool.stored_back(parcel.bytes);
                }
            }
            Action::Forget { span } => {
                if let Some(buffer) = self.proved.remove(&span) {
                    self.buffer_back(span, buffer);
                }
            }
            Action::Read { span } => self.read(span)?,
            Action::Borrow { span, from } => self.borrow(span, &from)?,
            Action::Look { span, from, to } => {
                let done = format!("read at byte {}", from.0);
                self.order(Doing::Look(span), done, Order::Look(from.0, to.0))?;
            }
            Action::Clear {
                span,
                from,
                to,
                compare,
            } => {
                let done = format!("cleared at byte {}", from.0);
                self.order(
                    Doing::Clear(span),
                    done,
                    Order::Clear(from.0, to.0, compare),
                )?;
            }
            Action::Write {
                span,
                chunks,
                compare,
            } => self.write(span, chunks, compare)?,
            Action::Shut => self.shut()?,
            Action::Flush => self.order(Doing::Flush, "flushed".to_owned(), Order::Flush)?,
            Action::Settle => self.order(Doing::Settle, "flushed".to_owned(), Order::Flush)?,
            Action::Back { span, from, to } => self.back(span, from.0, to.0)?,
            Action::OnDisk { span, chunks } => {
                let span = self.spans.get(span).copied();
                let indexes = span.into_iter().flat_map(|span| members(span, chunks));
                indexes.for_each(|index| self.book.on_disk(index));
            }
            Action::Done => return Ok(Some(Ok(()))),
            Action::Fail(reason) => return Ok(Some(Err(reason))),
            Action::Progress { .. }
            | Action::Wait(_)
            | Action::GoOn
            | Action::Drop { .. }
            | Action::Return { .. } => self.say(action),
        }
        Ok(None)
    }

    /// A closed channel means that it is over anyway.
    pub(super) fn job(&self, job: Job) {
        if let Some(work) = &self.work {
            let _ = work.send(job);
        }
    }

    fn say(&mut self, action: Action) {
        match action {
            Action::Progress { done, kept } => {
                self.done = done;
                self.counts.kept = kept;
                let progress = self.progress();
                (self.on)(Moved::Progress(progress));
            }
            Action::Wait(reason) => (self.on)(Moved::Waiting(reason)),
            Action::GoOn => (self.on)(Moved::GoingOn),
            Action::Drop {
                source,
                reason,
                until,
            } => {
                let outcome = Outcome::Dropped {
                    reason: reason.clone(),
                    until,
                };
                self.book.report(&source, &outcome);
                self.dropped.push((source.clone(), reason.clone()));
                (self.on)(Moved::Dropped { source, reason });
            }
            Action::Return { source } => {
                self.book.report(&source, &Outcome::Back);
                (self.on)(Moved::Returned { source });
            }
            _ => {}
        }
    }

    fn lane(&mut self, lane: usize, act: impl FnOnce(&mut LaneEnd)) {
        if let Some(end) = self.lanes.get_mut(lane) {
            act(end);
        }
    }

    /// The lane's thread is not waited for at the end: a server that does not answer keeps nobody.
    fn open(&mut self, lane: usize, source: &str) {
        let (orders, ordered) = mpsc::channel();
        let end = LaneEnd {
            orders: Some(orders),
            received: Arc::default(),
            breaker: Arc::default(),
        };
        if let Some(place) = self.places.get(source).cloned() {
            let runner = Lane {
                lane,
                shared: Arc::clone(&self.shared),
                received: Arc::clone(&end.received),
                breaker: Arc::clone(&end.breaker),
                tell: teller(self.tell.clone(), Message::News),
            };
            std::thread::spawn(move || runner.run(&place, &ordered));
        }
        self.lanes.push(end);
    }

    fn get(&mut self, lane: usize, span: usize, chunks: Chunks) {
        let Some(place) = self.spans.get(span) else {
            return;
        };
        let rows = members(*place, chunks).filter_map(|index| {
            Some(Row {
                index,
                bit: bit(*place, index),
                chunk: *self.manifest.chunks.get(index)?,
            })
        });
        let wanted = Wanted {
            span,
            rows: rows.collect(),
        };
        let orders = self.lanes.get(lane).and_then(|end| end.orders.as_ref());
        if orders.is_none_or(|orders| orders.send(Errand::Bring(wanted)).is_err()) {
            let said = "its thread has ended".to_owned();
            let _ = self.tell.send(Message::News(News::Lost { lane, said }));
        }
    }
}
