// SPDX-License-Identifier: Apache-2.0
//! Whether this provisioner may decide: alone with its file, as the leader of several, or not at all.
//!
//! A lease is judged on the steady clock, from before it was asked for: whoever cannot renew it stops deciding before it ends,
//! so that no two provisioners decide at once, whatever their wall clocks say. The journal refuses the deposed in any case.

mod mark;

pub(crate) use mark::{Mark, MarkFile};

use crate::journal::{JournalError, Leader};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// How long before the end of its lease a leader stops deciding: an append that began must be over by then.
const MARGIN: Duration = Duration::from_millis(500);

/// Where this provisioner stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The journal is this provisioner's alone.
    Alone,
    /// It leads, in this term, until then at least.
    Leads {
        /// The term.
        term: u64,
        /// On the steady clock.
        until: Instant,
    },
    /// Another one leads, or nobody does at this moment.
    Follows(Option<Leader>),
    /// The journal is not to be believed; what was read of it may still be asked for.
    Refuses(String),
}

/// Shared by all who ask.
#[derive(Debug)]
pub(crate) struct Leadership {
    me: Leader,
    standing: RwLock<Standing>,
}

impl Leadership {
    pub(crate) fn new(me: Leader, standing: Standing) -> Self {
        Self {
            me,
            standing: RwLock::new(standing),
        }
    }

    pub(crate) fn me(&self) -> &Leader {
        &self.me
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set(&self, to: Standing) {
        *self
            .standing
            .write()
            .unwrap_or_else(PoisonError::into_inner) = to;
    }

    /// The journal says that another one writes. What stands alone with its file must not go on beside another writer.
    pub(crate) fn lost(&self) {
        match self.standing() {
            Standing::Leads { .. } => self.set(Standing::Follows(None)),
            Standing::Alone => self.set(Standing::Refuses(
                "another process writes to this journal; stop one of the two and restart the other"
                    .into(),
            )),
            Standing::Follows(_) | Standing::Refuses(_) => {}
        }
    }

    /// Whether a decision may be made now.
    pub(crate) fn may_decide(&self) -> Result<(), JournalError> {
        match &*self.standing.read().unwrap_or_else(PoisonError::into_inner) {
            Standing::Alone => Ok(()),
            Standing::Leads { until, .. } if Instant::now() + MARGIN < *until => Ok(()),
            Standing::Leads { .. } => Err(JournalError::NotLeader { leader: None }),
            Standing::Follows(leader) => Err(JournalError::NotLeader {
                leader: leader.clone(),
            }),
            Standing::Refuses(why) => Err(JournalError::Unusable { why: why.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_stops_before_its_lease_ends_and_two_writers_of_one_file_stop() {
        let me = Leader {
            name: "a".into(),
            url: "https://a".into(),
        };
        let ends = |until| Leadership::new(me.clone(), Standing::Leads { term: 1, until });
        let now = Instant::now();
        assert!(ends(now + Duration::from_secs(60)).may_decide().is_ok());
        let late = ends(now + MARGIN).may_decide();
        assert!(matches!(
            late,
            Err(JournalError::NotLeader { leader: None })
        ));
        let alone = Leadership::new(me.clone(), Standing::Alone);
        assert!(alone.may_decide().is_ok());
        alone.lost();
        assert!(matches!(
            alone.may_decide(),
            Err(JournalError::Unusable { .. })
        ));
        let follows = Leadership::new(me.clone(), Standing::Follows(Some(me.clone())));
        let refused = follows.may_decide();
        assert!(matches!(refused, Err(JournalError::NotLeader { leader: Some(l) }) if l == me));
    }
}
