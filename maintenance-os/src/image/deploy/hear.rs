// SPDX-License-Identifier: Apache-2.0
//! What the threads tell, as events of the deploy machine; it decides nothing.

use super::order::broken;
use super::{Actor, Doing};
use crate::image::buffer::Aligned;
use crate::image::hand::{Answer, Effect, Order};
use crate::image::lane::{Errand, News};
use crate::image::prove::{Job, Verdict};
use crate::image::read_back::{differs_in, is_not_clear};
use groundstate_api::Reason;
use groundstate_api::image::Chunk;
use image_core::deploy::{Chunks, Event, members};

impl Actor<'_> {
    pub(super) fn news(&mut self, news: News) -> Event {
        match news {
            News::Arrived(parcel) => {
                let (lane, span, chunks) = (parcel.lane, parcel.span, parcel.chunks);
                self.counts.chunks_fetched += parcel.rows.len() as u64;
                self.arrived.insert((lane, span), parcel);
                Event::Arrived { lane, span, chunks }
            }
            News::Lost { lane, said } => {
                // A lane that has ended hears nothing.
                if let Some(orders) = self.lanes.get(lane).and_then(|end| end.orders.as_ref()) {
                    let _ = orders.send(Errand::Heard);
                }
                Event::Lost { lane, said }
            }
            News::Refused {
                lane,
                chunk,
                lacks,
                reason,
            } => Event::Refused {
                lane,
                chunk,
                lacks,
                reason,
            },
        }
    }

    pub(super) fn verdict(&mut self, verdict: Verdict) -> Event {
        match verdict {
            Verdict::Proved {
                span,
                buffer,
                good,
                bad,
            } => {
                if good == 0 {
                    self.buffer_back(span, buffer);
                } else {
                    self.proved.insert(span, buffer);
                }
                Event::Proved { span, good, bad }
            }
            Verdict::Kept { span, kept } => {
                self.counts.chunks_kept += u64::from(kept.count_ones());
                Event::Read { span, kept }
            }
            Verdict::Back { span, wrong } => match self.wrong_chunk(span, wrong) {
                None => Event::Back { span },
                Some(chunk) => Event::Stopped {
                    reason: differs_in(self.target.path(), self.manifest, chunk),
                },
            },
            Verdict::Stopped(reason) => Event::Stopped { reason },
        }
    }

    fn wrong_chunk(&self, span: usize, wrong: Chunks) -> Option<&Chunk> {
        let chunk = members(*self.spans.get(span)?, wrong).next()?;
        self.manifest.chunks.get(chunk)
    }

    pub(super) fn buffer_back(&mut self, span: usize, buffer: Aligned) {
        if self.borrowed.remove(&span).is_some() {
            self.pool.reads.give_back(buffer);
        } else {
            self.pool.plain.give_back(buffer);
        }
    }

    pub(super) fn disk(&mut self, number: u64, answer: Answer) -> Result<Option<Event>, Reason> {
        let doing = self.doing.remove(&number);
        let Effect { written, is_clear } = self.target.answered(number, answer.done)?;
        self.counts.written.0 += written;
        let Some(doing) = doing else {
            return Ok(None);
        };
        let event = match (doing, answer.buffer) {
            (Doing::Read(span), Some(buffer)) => {
                self.job(Job::Place(span, buffer));
                return Ok(None);
            }
            (Doing::Borrow(span, chunks), Some(buffer)) => {
                self.job(Job::Borrowed(span, chunks, buffer));
                return Ok(None);
            }
            (Doing::Write(span), Some(buffer)) => {
                self.buffer_back(span, buffer);
                Event::Wrote { span }
            }
            (Doing::Look(span), _) => Event::Looked {
                span,
                clear: is_clear,
            },
            (Doing::Clear(span), _) => Event::Wrote { span },
            (Doing::Shut, _) => {
                if !self.doing.values().any(|one| matches!(one, Doing::Shut)) {
                    self.order(Doing::ShutFlush, "flushed".to_owned(), Order::Flush)?;
                }
                return Ok(None);
            }
            (Doing::ShutFlush, _) => Event::Shut,
            (Doing::Flush, _) => Event::Flushed,
            (Doing::Settle, _) => Event::Settled,
            (Doing::Back(span), Some(buffer)) => {
                self.job(Job::Back(span, buffer));
                return Ok(None);
            }
            (Doing::BackZeros(span, ..), _) if is_clear => Event::Back { span },
            (Doing::BackZeros(_, from, to), _) => {
                return Err(is_not_clear(self.target.path(), self.manifest, from, to));
            }
            (Doing::Read(_) | Doing::Borrow(..) | Doing::Write(_) | Doing::Back(_), None) => {
                return Err(broken("a buffer did not come back from the disk"));
            }
        };
        Ok(Some(event))
    }
}
