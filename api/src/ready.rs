// SPDX-License-Identifier: Apache-2.0
//! Whether a provisioner can be asked, and for what: `GET /readyz`.

use crate::reason::Reason;
use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The header of an answer with status 503 that names the leader's API: `https://10.0.0.2:8443`.
pub const LEADER_HEADER: &str = "groundstate-leader";
/// The header of every answer where a site has several provisioners: the addresses of their APIs with a space between them, the
/// leader's first where it is known.
pub const PROVISIONERS_HEADER: &str = "groundstate-provisioners";
/// How often a call is sent on to who is said to lead, before it counts as not answered: the first may have been deposed a moment
/// ago, and so may the second; a third is a fault.
pub const HOPS_MAX: u32 = 3;
/// Provisioners of a site that a client keeps in mind.
pub const PROVISIONERS_MAX: usize = 9;
/// The longest address that is believed, in bytes: a host name has at most 253, and `https://` and a port come to it.
pub const ADDRESS_MAX: usize = 280;

/// The addresses of a site's provisioners, as a client knows them: the one that it calls, and the others. What is heard replaces
/// what was known; the one that it is calling stays among them until another one has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    all: Vec<String>,
    at: usize,
}

impl Addresses {
    /// The address that is called first, and others.
    #[must_use]
    pub fn new<'a>(first: &'a str, others: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all: Vec<String> = Vec::new();
        for one in core::iter::once(first).chain(others) {
            let one = one.trim_end_matches('/');
            if all.len() < PROVISIONERS_MAX && all.iter().all(|had| had != one) {
                all.push(one.to_owned());
            }
        }
        Self { all, at: 0 }
    }

    /// The one that is called.
    #[must_use]
    pub fn current(&self) -> &str {
        self.all.get(self.at).map_or("", String::as_str)
    }

    /// All, in the order in which they are tried.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(String::as_str)
    }

    /// The one that was called did not answer: the next one is called.
    pub fn next(&mut self) {
        self.at = (self.at + 1) % self.all.len().max(1);
    }

    /// An answer had this value of [`PROVISIONERS_HEADER`]. True: the addresses are others than before.
    pub fn heard(&mut self, list: &str) -> bool {
        let current = self.current().to_owned();
        let told = list.split_ascii_whitespace().filter(|one| is_address(one));
        let mut all: Vec<String> = Vec::new();
        for one in told.take(PROVISIONERS_MAX) {
            if all.iter().all(|had| had != one) {
                all.push(one.to_owned());
            }
        }
        if all.is_empty() {
            return false;
        }
        // Who answered is one of them, by whatever name it was called: a floating address is worth keeping.
        let at = all.iter().position(|one| *one == current);
        let at = at.unwrap_or_else(|| {
            all.truncate(PROVISIONERS_MAX - 1);
            all.push(current);
            all.len() - 1
        });
        let (mut before, mut after) = (self.all.clone(), all.clone());
        before.sort_unstable();
        after.sort_unstable();
        self.all = all;
        self.at = at;
        before != after
    }

    /// An answer named this one as the leader ([`LEADER_HEADER`]). False where it is no address, or the one that was called.
    pub fn led(&mut self, leader: &str) -> bool {
        let leader = leader.trim_end_matches('/');
        if !is_address(leader) || leader == self.current() {
            return false;
        }
        if let Some(at) = self.all.iter().position(|one| one == leader) {
            self.at = at;
        } else {
            self.all.truncate(PROVISIONERS_MAX - 1);
            self.all.push(leader.to_owned());
            self.at = self.all.len() - 1;
        }
        true
    }
}

/// What a client does next with a call that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The answer counts.
    Take,
    /// The call belongs to the leader, who is current now.
    SendOn,
}

impl Addresses {
    /// Takes in an answer: its status, and what [`LEADER_HEADER`] said. A provisioner that does not lead and knows no leader may be
    /// cut off from the others: the next call goes to another one.
    pub fn answered(&mut self, status: u16, leader: Option<&str>) -> Then {
        if status != UNAVAILABLE {
            return Then::Take;
        }
        if leader.is_some_and(|leader| self.led(leader)) {
            return Then::SendOn;
        }
        self.next();
        Then::Take
    }
}

/// The status of who does not lead, or whose journal takes nothing.
const UNAVAILABLE: u16 = 503;

/// Whether a text is `https://host` or `https://host:port`, and nothing more.
fn is_address(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    text.len() <= ADDRESS_MAX
        && text
            .strip_prefix("https://")
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(fits))
}

/// What a provisioner is among those of its site.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleAmong {
    /// The only one.
    Alone,
    /// It decides.
    Leader,
    /// It answers questions.
    Follower,
    /// It answers questions from what it read, and does not believe its journal.
    Refuses,
}

/// The answer; its status is 200 where `ready`, else 503.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether it can be asked for what its role can do.
    pub ready: bool,
    /// Its role.
    pub role: RoleAmong,
    /// Its name.
    pub name: String,
    /// Who leads, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Where the leader's API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_url: Option<String>,
    /// The term it leads in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// Number of the newest event that it knows.
    pub newest: u64,
    /// Events of the journal that it does not know yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// Why it is not ready, or only answers questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_goes_on_to_the_next_and_follows_who_leads() {
        let mut known = Addresses::new("https://a:1/", ["https://b:1", "https://a:1"]);
        assert_eq!(
            known.all().collect::<Vec<_>>(),
            ["https://a:1", "https://b:1"]
        );
        assert_eq!(known.current(), "https://a:1");
        known.next();
        assert_eq!(known.current(), "https://b:1");
        known.next();
        assert_eq!(known.current(), "https://a:1");
        assert!(known.heard("https://b:1 https://c:1 https://a:1"));
        assert!(
            !known.heard("https://c:1 https://a:1 https://b:1"),
            "the same ones"
        );
        assert_eq!(
            known.current(),
            "https://a:1",
            "who answered is called again"
        );
        assert!(known.led("https://c:1"));
        assert_eq!(known.current(), "https://c:1");
        assert!(!known.led("https://c:1"), "it was called already");
        assert!(known.led("https://d:1"), "a leader that nobody spoke of");
        assert_eq!(known.current(), "https://d:1");
    }

    #[test]
    fn who_does_not_lead_and_knows_no_leader_is_left() {
        let mut known = Addresses::new("https://a:1", ["https://b:1"]);
        assert_eq!(known.answered(200, Some("https://b:1")), Then::Take);
        assert_eq!(known.answered(409, None), Then::Take);
        assert_eq!(known.current(), "https://a:1");
        assert_eq!(known.answered(503, None), Then::Take);
        assert_eq!(known.current(), "https://b:1");
        assert_eq!(known.answered(503, Some("https://a:1")), Then::SendOn);
        assert_eq!(known.current(), "https://a:1");
        assert_eq!(
            known.answered(503, Some("https://a:1")),
            Then::Take,
            "it names itself"
        );
        assert_eq!(known.current(), "https://b:1");
        let mut alone = Addresses::new("https://a:1", []);
        assert_eq!(alone.answered(503, None), Then::Take);
        assert_eq!(alone.current(), "https://a:1");
    }

    #[test]
    fn what_is_no_address_is_not_believed() {
        let mut known = Addresses::new("https://a:1", []);
        for odd in [
            "",
            "http://b:1",
            "https://",
            "https://b/path",
            "https://u@b",
            "https://b:1\u{202e}",
            "https://b?x",
        ] {
            assert!(!known.led(odd), "{odd}");
            assert!(!known.heard(odd), "{odd}");
        }
        assert!(!known.led(&alloc::format!("https://{}", "b".repeat(ADDRESS_MAX))));
        assert_eq!(known, Addresses::new("https://a:1", []));
        let many: Vec<String> = (0..30).map(|n| alloc::format!("https://n{n}:1")).collect();
        assert!(known.heard(&many.join(" ")));
        assert_eq!(known.all().count(), PROVISIONERS_MAX);
        assert_eq!(
            known.current(),
            "https://a:1",
            "the one that answered stays"
        );
        for _ in 0..20 {
            known.next();
            assert!(!known.current().is_empty());
        }
        assert!(known.led("https://elsewhere:1"));
        assert_eq!(known.all().count(), PROVISIONERS_MAX);
    }
}
