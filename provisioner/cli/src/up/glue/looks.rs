// SPDX-License-Identifier: Apache-2.0
//! Looks into images that are kept: an image is what its manifest's digest says, so one look serves every plan of every node.
//! What could not be read is not kept, and is looked at again.

use groundstate_api::image::ImageTable;
use groundstate_api::{Digest, Reason};
use mos_core::customise::Volume;
use mos_core::guid::Guid;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// The most looks that are kept, each a few KiB: a site deploys a handful of images at a time.
const KEPT_MAX: usize = 32;

/// What was seen in an image of a whole disk.
#[derive(Debug)]
pub(super) struct Look {
    /// By what its own table is known again; or why it goes to no disk of a fleet, which does not change.
    pub(super) table: Result<ImageTable, Reason>,
    /// Its file systems.
    pub(super) volumes: Vec<Volume>,
    /// The GUIDs of its own partition table: the disk's and its partitions'.
    pub(super) guids: Vec<Guid>,
}

/// Held by who looks, so that others wait for that look.
type Turn = Arc<Mutex<Option<Arc<Look>>>>;

/// The looks that are kept, the least used first.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<VecDeque<(Digest, Turn)>>);

impl Looks {
    /// The look into the image of this manifest, by `look` where none is kept.
    pub(super) fn of(
        &self,
        manifest: Digest,
        look: impl FnOnce() -> Result<Look, Reason>,
    ) -> Result<Arc<Look>, Reason> {
        let turn = self.turn(manifest);
        let mut kept = turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(look) = kept.as_ref() {
            return Ok(Arc::clone(look));
        }
        let looked = Arc::new(look()?);
        *kept = Some(Arc::clone(&looked));
        Ok(looked)
    }

    fn turn(&self, manifest: Digest) -> Turn {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().position(|(digest, _)| *digest == manifest);
        let turn = found.and_then(|at| all.remove(at)).map(|(_, turn)| turn);
        let turn = turn.unwrap_or_default();
        all.push_back((manifest, Arc::clone(&turn)));
        // Who is looking keeps what it looks for, whether it is kept here or not.
        let more = all.len().saturating_sub(KEPT_MAX);
        all.drain(..more);
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::ReasonCode;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn seen(number: u8) -> Look {
        Look {
            table: Ok(ImageTable::Dos {
                first_sector: Digest([number; 32]),
            }),
            volumes: Vec::new(),
            guids: Vec::new(),
        }
    }

    #[test]
    fn many_who_ask_at_once_have_one_look() {
        let (looks, count) = (Looks::default(), AtomicUsize::new(0));
        let together = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    let look = looks.of(Digest([1; 32]), || {
                        count.fetch_add(1, Ordering::Relaxed);
                        Ok(seen(7))
                    });
                    let table = look.unwrap().table.clone().unwrap();
                    assert_eq!(table, seen(7).table.unwrap());
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_could_not_be_read_is_looked_at_again() {
        let looks = Looks::default();
        let failed = Reason::new(ReasonCode::ImageMissing, "not there", "import it");
        let said = looks.of(Digest([1; 32]), || Err(failed.clone()));
        assert_eq!(said.unwrap_err(), failed);
        assert!(looks.of(Digest([1; 32]), || Ok(seen(1))).is_ok());
        let kept = looks.of(Digest([1; 32]), || panic!("it is kept"));
        assert!(kept.is_ok());
    }

    #[test]
    fn the_least_used_goes_where_there_are_too_many() {
        let looks = Looks::default();
        let most = u8::try_from(KEPT_MAX).unwrap();
        for number in 0..most {
            looks.of(Digest([number; 32]), || Ok(seen(number))).unwrap();
        }
        // The first is used again, so that the second is the least used.
        looks.of(Digest([0; 32]), || panic!("it is kept")).unwrap();
        looks.of(Digest([200; 32]), || Ok(seen(200))).unwrap();
        assert_eq!(looks.0.lock().unwrap().len(), KEPT_MAX);
        looks.of(Digest([0; 32]), || panic!("it is kept")).unwrap();
        let mut again = false;
        let look = looks.of(Digest([1; 32]), || {
            again = true;
            Ok(seen(1))
        });
        assert!(look.is_ok() && again);
    }
}
