// SPDX-License-Identifier: Apache-2.0
//! Whether this provisioner may decide: alone with its file, as the leader of several, or not at all.
//!
//! A lease is judged on the steady clock, from before it was asked for: whoever cannot renew it stops deciding before it ends,
//! so that no two provisioners decide at once, whatever their wall clocks say. The journal refuses the deposed in any case.

mod mark;

pub(crate) use mark::{Mark, MarkFile};

use crate::journal::{JournalError, Leader};
use axum::http::HeaderValue;
use groundstate_api::ready::PROVISIONERS_MAX;
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
    /// The others, as the journal lists them.
    members: RwLock<Vec<Leader>>,
    /// What every answer says of the provisioners, ready to be sent.
    header: RwLock<Option<HeaderValue>>,
}

impl Leadership {
    pub(crate) fn new(me: Leader, standing: Standing) -> Self {
        Self {
            me,
            standing: RwLock::new(standing),
            members: RwLock::default(),
            header: RwLock::default(),
        }
    }

    /// The addresses of all provisioners, ours included: who leads first, then by name.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let leader = match self.standing() {
            Standing::Alone | Standing::Refuses(_) => None,
            Standing::Leads { .. } => Some(self.me.url.clone()),
            Standing::Follows(leader) => leader.map(|leader| leader.url),
        };
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let all = members.iter().map(|member| member.url.clone());
        let mut addresses: Vec<String> = Vec::new();
        for one in leader.into_iter().chain(all).chain([self.me.url.clone()]) {
            if addresses.len() < PROVISIONERS_MAX && !addresses.contains(&one) {
                addresses.push(one);
            }
        }
        addresses
    }

    /// What the header of every answer says; `None` where there is one provisioner.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let header = self.header.read().unwrap_or_else(PoisonError::into_inner);
        header.clone()
    }

    /// Who is there, as the journal lists them now.
    pub(crate) fn know(&self, mut members: Vec<Leader>) {
        members.sort_by(|a, b| a.name.cmp(&b.name));
        *self.members.write().unwrap_or_else(PoisonError::into_inner) = members;
        self.tell();
    }

    fn tell(&self) {
        let addresses = self.addresses();
        let several = (addresses.len() > 1).then(|| addresses.join(" "));
        let value = several.and_then(|list| HeaderValue::try_from(list).ok());
        *self.header.write().unwrap_or_else(PoisonError::into_inner) = value;
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
        let before = std::mem::replace(
            &mut *self
                .standing
                .write()
                .unwrap_or_else(PoisonError::into_inner),
            to.clone(),
        );
        let same = match (&before, &to) {
            (Standing::Leads { .. }, Standing::Leads { .. }) => true,
            _ => before == to,
        };
        if !same {
            self.tell();
        }
    }

    /// Whether somebody else decides here: who follows, and whose lease is over. Not so where the journal is not believed.
    pub(crate) fn is_elsewhere(&self) -> Option<JournalError> {
        self.may_decide()
            .err()
            .filter(|error| matches!(error, JournalError::NotLeader { .. }))
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
        assert!(alone.is_elsewhere().is_none());
        let follows = Leadership::new(me.clone(), Standing::Follows(Some(me.clone())));
        let refused = follows.may_decide();
        assert!(matches!(refused, Err(JournalError::NotLeader { leader: Some(l) }) if l == me));
    }

    #[test]
    fn every_answer_lists_the_provisioners_with_the_leader_first() {
        let one = |name: &str| Leader {
            name: name.into(),
            url: format!("https://{name}:8443"),
        };
        let ours = Leadership::new(one("b"), Standing::Follows(None));
        assert_eq!(ours.header(), None, "one is no choice");
        ours.know(vec![one("c"), one("b"), one("a")]);
        let said = |list: &str| Some(HeaderValue::try_from(list.to_owned()).unwrap());
        let all = "https://a:8443 https://b:8443 https://c:8443";
        assert_eq!(ours.header(), said(all));
        ours.set(Standing::Follows(Some(one("c"))));
        let all = "https://c:8443 https://a:8443 https://b:8443";
        assert_eq!(ours.header(), said(all));
        let until = Instant::now() + Duration::from_secs(60);
        ours.set(Standing::Leads { term: 3, until });
        let all = "https://b:8443 https://a:8443 https://c:8443";
        assert_eq!(ours.header(), said(all));
        assert!(ours.is_elsewhere().is_none());
        ours.know((0..30).map(|n| one(&format!("n{n}"))).collect());
        assert_eq!(ours.addresses().len(), PROVISIONERS_MAX);
        assert_eq!(ours.addresses()[0], "https://b:8443");
    }
}
