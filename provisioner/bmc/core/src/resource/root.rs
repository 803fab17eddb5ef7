// SPDX-License-Identifier: Apache-2.0
//! The service root, collections, and how a session is begun.

use crate::answer::Answer;
use crate::link::Link;
use crate::trouble::Trouble;
use alloc::string::String;
use alloc::vec::Vec;

/// What the service root leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// `Systems`.
    pub systems: Option<Link>,
    /// `Managers`.
    pub managers: Option<Link>,
    /// `Chassis`.
    pub chassis: Option<Link>,
    /// `SessionService`.
    pub session_service: Option<Link>,
    /// `Links.Sessions`: where sessions are begun without looking at the service.
    pub sessions: Option<Link>,
    /// `Vendor`.
    pub vendor: Option<String>,
    /// `RedfishVersion`.
    pub version: Option<String>,
}

impl Root {
    /// Reads it.
    ///
    /// # Errors
    /// [`Trouble::Odd`] for an object that is no service root at all.
    pub fn read(answer: &Answer) -> Result<Self, Trouble> {
        let top = answer.top();
        let is_root = top.text("RedfishVersion").is_some()
            || top
                .word("@odata.type")
                .is_some_and(|of| of.contains("ServiceRoot"))
            || top.at("Systems").is_there();
        if !is_root {
            return Err(Trouble::odd(
                "what answers at /redfish/v1/ is no Redfish service root",
            ));
        }
        Ok(Self {
            systems: top.link("Systems"),
            managers: top.link("Managers"),
            chassis: top.link("Chassis"),
            session_service: top.link("SessionService"),
            sessions: top.at("Links").link("Sessions"),
            vendor: top.text("Vendor"),
            version: top.text("RedfishVersion"),
        })
    }
}

/// One page of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The members' links.
    pub members: Vec<Link>,
    /// The next page.
    pub next: Option<Link>,
}

impl Collection {
    /// Reads it.
    #[must_use]
    pub fn read(answer: &Answer) -> Self {
        let top = answer.top();
        Self {
            members: top.links("Members"),
            next: top
                .link("Members@odata.nextLink")
                .or_else(|| top.link("@odata.nextLink")),
        }
    }
}

/// The session service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sessions {
    /// Whether it is switched on; on where it does not say.
    pub enabled: bool,
    /// Where sessions are begun.
    pub sessions: Option<Link>,
}

impl Sessions {
    /// Reads it.
    #[must_use]
    pub fn read(answer: &Answer) -> Self {
        let top = answer.top();
        Self {
            enabled: top.flag("ServiceEnabled").unwrap_or(true),
            sessions: top.link("Sessions"),
        }
    }
}
