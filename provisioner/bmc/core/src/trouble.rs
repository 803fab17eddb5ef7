// SPDX-License-Identifier: Apache-2.0
//! Why something asked of a BMC is not so, each cause with its nouns, and what a person can do.

use crate::text::inert;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use groundstate_api::{Bytes, Digest, Millis, Part, Reason, ReasonCode};
use serde::{Deserialize, Serialize};

/// What went wrong with a BMC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "trouble", rename_all = "kebab-case")]
pub enum Trouble {
    /// Nothing answers at the address.
    Unreachable {
        /// What the network said.
        what: String,
    },
    /// It began to answer, or was asked, and did not end in time.
    TimedOut {
        /// What was asked.
        asked: String,
        /// How long was waited.
        after: Millis,
    },
    /// TLS did not come about, for another cause than the pinned certificate.
    Tls {
        /// What TLS said.
        what: String,
    },
    /// It shows another certificate than the pinned one.
    Certificate {
        /// The pinned one.
        pinned: Digest,
        /// The one shown.
        shown: Digest,
    },
    /// It refuses the credential, now or when it was last asked with it. It is not asked again with the same one.
    CredentialRefused {
        /// The user; never the password.
        user: String,
        /// What the BMC said.
        says: String,
    },
    /// The credential cannot be used with this protocol at all (too long for IPMI, for example).
    CredentialUnfit {
        /// Why.
        why: String,
    },
    /// It has no session left.
    SessionLimit {
        /// What the BMC said.
        says: String,
    },
    /// It asks to be asked later (429, 503, still in POST).
    Busy {
        /// What the BMC said.
        says: String,
        /// How long it wants to be left alone.
        pause: Option<Millis>,
    },
    /// It refuses what was asked.
    Refused {
        /// What was asked.
        asked: String,
        /// The status of HTTP; 0 for IPMI.
        status: u16,
        /// What the BMC said.
        says: String,
    },
    /// It does not offer what is wanted.
    NotOffered {
        /// What is wanted.
        wanted: String,
        /// What it offers instead.
        offers: Vec<String>,
    },
    /// It said yes, and something else is so.
    Ignored {
        /// What was asked.
        asked: String,
        /// What is so afterwards.
        seen: String,
    },
    /// It said yes, and what was asked was not reached in time.
    Late {
        /// What was asked.
        asked: String,
        /// What was seen last.
        seen: String,
        /// How long was waited.
        within: Millis,
    },
    /// Its answer cannot be understood.
    Odd {
        /// What is odd.
        what: String,
    },
    /// Its answer is larger than anything that is read.
    TooLarge {
        /// What was asked.
        what: String,
        /// The limit.
        limit: Bytes,
    },
    /// It points to another host, where no credential is sent.
    Elsewhere {
        /// Where to.
        to: String,
    },
    /// The task that it began failed.
    TaskFailed {
        /// What was asked.
        asked: String,
        /// What the task says.
        says: String,
    },
    /// It is left alone until then, because it did not answer before.
    LeftAlone {
        /// Milliseconds since 1970.
        until: Millis,
        /// Why.
        because: String,
    },
    /// It has no machine of that name, or several and none was named.
    NoSystem {
        /// The one wanted.
        wanted: Option<String>,
        /// Those that it has.
        has: Vec<String>,
    },
    /// The program that speaks IPMI is not there or cannot be run.
    NoTool {
        /// Its name and what the system said.
        what: String,
    },
}

impl Trouble {
    /// Something odd, made inert.
    #[must_use]
    pub fn odd(what: &str) -> Self {
        Self::Odd { what: inert(what) }
    }

    /// Whether asking again later can go better by itself. A credential or a certificate changes only by a person.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Tls { .. }
            | Self::SessionLimit { .. }
            | Self::Busy { .. }
            | Self::Late { .. }
            | Self::TaskFailed { .. }
            | Self::LeftAlone { .. } => true,
            Self::Certificate { .. }
            | Self::CredentialRefused { .. }
            | Self::CredentialUnfit { .. }
            | Self::Refused { .. }
            | Self::NotOffered { .. }
            | Self::Ignored { .. }
            | Self::Odd { .. }
            | Self::TooLarge { .. }
            | Self::Elsewhere { .. }
            | Self::NoSystem { .. }
            | Self::NoTool { .. } => false,
        }
    }

    /// Whether the whole way of speaking is barred (no answer, no trust, no credential), rather than this one request.
    #[must_use]
    pub const fn bars_the_way(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Tls { .. }
            | Self::Certificate { .. }
            | Self::CredentialRefused { .. }
            | Self::CredentialUnfit { .. }
            | Self::SessionLimit { .. }
            | Self::Elsewhere { .. }
            | Self::LeftAlone { .. }
            | Self::NoSystem { .. }
            | Self::NoTool { .. } => true,
            Self::Busy { .. }
            | Self::Refused { .. }
            | Self::NotOffered { .. }
            | Self::Ignored { .. }
            | Self::Late { .. }
            | Self::Odd { .. }
            | Self::TooLarge { .. }
            | Self::TaskFailed { .. } => false,
        }
    }

    /// The code under which people and programs know it.
    #[must_use]
    pub const fn code(&self) -> ReasonCode {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Tls { .. }
            | Self::SessionLimit { .. }
            | Self::Busy { .. }
            | Self::LeftAlone { .. } => ReasonCode::BmcUnreachable,
            Self::Certificate { .. } => ReasonCode::BmcCertificate,
            Self::CredentialRefused { .. }
            | Self::CredentialUnfit { .. }
            | Self::Refused { .. }
            | Self::NotOffered { .. }
            | Self::Odd { .. }
            | Self::TooLarge { .. }
            | Self::Elsewhere { .. }
            | Self::TaskFailed { .. }
            | Self::NoSystem { .. } => ReasonCode::BmcRefused,
            Self::Ignored { .. } | Self::Late { .. } => ReasonCode::BmcIgnored,
            Self::NoTool { .. } => ReasonCode::Internal,
        }
    }

    /// The reason as every screen shows it; `address` is the BMC's. Whether it is asked again, who asks says.
    #[must_use]
    pub fn reason(&self, address: &str) -> Reason {
        let reason = Reason::new(
            self.code(),
            format!("The BMC at {}: {self}.", inert(address)),
            self.step(),
        );
        let evidence = self.evidence();
        evidence.into_iter().fold(reason, Reason::seen)
    }

    fn evidence(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Self::NotOffered { offers: list, .. } | Self::NoSystem { has: list, .. } = self
            && !list.is_empty()
        {
            lines.push(format!("it has: {}", list.join(", ")));
        }
        if let Self::Certificate { pinned, shown } = self {
            lines.push(format!("pinned {pinned}"));
            lines.push(format!("shown  {shown}"));
        }
        lines
    }

    fn step(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::LeftAlone { .. } => {
                "Check that the BMC has power and its network cable, and that its address in the site file is right."
            }
            Self::Tls { .. } => {
                "Check that HTTPS is switched on at the BMC and that it can do TLS 1.2 with a key of at least 2,048 bits (RSA) or 256 (EC)."
            }
            Self::Certificate { .. } => {
                "Find out why the certificate changed. If it was renewed on purpose, write the new digest into the site file (bmc.certificate)."
            }
            Self::CredentialRefused { .. } => {
                "Correct the credential that the site file names; the BMC is not asked again with this one, so that it locks nobody out."
            }
            Self::CredentialUnfit { .. } => "Give the BMC a user that this protocol can use.",
            Self::SessionLimit { .. } => {
                "End sessions that nobody uses at the BMC's page, or restart the BMC."
            }
            Self::Busy { .. } => "Nothing, unless it lasts: then restart the BMC.",
            Self::Refused { .. } | Self::TaskFailed { .. } => {
                "Read what the BMC says; give its user the role of an operator if it lacks a right, or do it at the machine."
            }
            Self::NotOffered { .. } => {
                "Do it at the machine, or update the BMC's firmware if a newer one offers it."
            }
            Self::Ignored { .. } | Self::Late { .. } => {
                "Look at the machine's console and do it by hand; restart the BMC if it keeps saying yes and doing nothing."
            }
            Self::Odd { .. } | Self::TooLarge { .. } => {
                "Check that the address is a BMC's; update its firmware, or set the node's bmc.protocol to ipmi."
            }
            Self::Elsewhere { .. } => {
                "Check that the address is the BMC's own; write the address that it points to into the site file if that is the BMC."
            }
            Self::NoSystem { .. } => "Write the right one into the site file (bmc.system).",
            Self::NoTool { .. } => {
                "Install ipmitool on the provisioner's machine, or set the node's bmc.protocol to redfish."
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { what } => write!(f, "it does not answer ({what})"),
            Self::TimedOut { asked, after } => write!(f, "no answer to {asked} within {after}"),
            Self::Tls { what } => write!(f, "TLS does not come about ({what})"),
            Self::Certificate { .. } => {
                f.write_str("it shows another certificate than the pinned one")
            }
            Self::CredentialRefused { user, says } => {
                write!(f, "it refuses the credential of user {user} ({says})")
            }
            Self::CredentialUnfit { why } => write!(f, "the credential cannot be used: {why}"),
            Self::SessionLimit { says } => write!(f, "it has no session left ({says})"),
            Self::Busy { says, .. } => write!(f, "it is busy ({says})"),
            Self::Refused {
                asked,
                status: 0,
                says,
            } => write!(f, "it refuses {asked}: {says}"),
            Self::Refused {
                asked,
                status,
                says,
            } => {
                write!(f, "it refuses {asked} with status {status}: {says}")
            }
            Self::NotOffered { wanted, .. } => write!(f, "it does not offer {wanted}"),
            Self::Ignored { asked, seen } => {
                write!(f, "it said yes to {asked}, and afterwards there is {seen}")
            }
            Self::Late {
                asked,
                seen,
                within,
            } => {
                write!(
                    f,
                    "it said yes to {asked}, and {within} later there is {seen}"
                )
            }
            Self::Odd { what } => write!(f, "its answer cannot be understood ({what})"),
            Self::TooLarge { what, limit } => {
                write!(f, "its answer to {what} is larger than {limit}")
            }
            Self::Elsewhere { to } => write!(
                f,
                "it points to another host ({to}), where no credential is sent"
            ),
            Self::TaskFailed { asked, says } => write!(f, "the task for {asked} failed: {says}"),
            Self::LeftAlone { because, .. } => {
                write!(f, "it is left alone for a while, because {because}")
            }
            Self::NoSystem {
                wanted: Some(wanted),
                ..
            } => write!(f, "it has no machine {wanted}"),
            Self::NoSystem { wanted: None, has } if has.is_empty() => {
                f.write_str("it has no machine")
            }
            Self::NoSystem { wanted: None, has } => {
                write!(
                    f,
                    "it has {} machines and the site file names none",
                    has.len()
                )
            }
            Self::NoTool { what } => write!(f, "IPMI needs ipmitool ({what})"),
        }
    }
}

impl core::error::Error for Trouble {}

/// The reason for a credential that is not there: `name` as the site file names it.
#[must_use]
pub fn credential_missing(name: &str, why: &str) -> Reason {
    Reason::new(
        ReasonCode::CredentialMissing,
        format!("The credential {} cannot be read: {}.", inert(name), inert(why)),
        "Write user:password in one line into a file of that name in the credentials directory, mode 0600.",
    )
    .about(Part::Field {
        path: inert(name).to_string(),
    })
    .then("it is looked for again with the next action")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_reason_names_the_cause_and_the_step() {
        let trouble = Trouble::Ignored {
            asked: "Pxe once".into(),
            seen: "Pxe with Disabled".into(),
        };
        expect![[r#"
            The BMC at 10.0.0.9: it said yes to Pxe once, and afterwards there is Pxe with Disabled. [bmc-ignored]
              by itself: nothing: it waits for a person
              do now:    Look at the machine's console and do it by hand; restart the BMC if it keeps saying yes and doing nothing."#]]
        .assert_eq(&trouble.reason("10.0.0.9").to_string());
        let trouble = Trouble::Certificate {
            pinned: Digest([1; 32]),
            shown: Digest([2; 32]),
        };
        let reason = trouble.reason("h");
        assert_eq!(
            (reason.code, reason.evidence.len()),
            (ReasonCode::BmcCertificate, 2)
        );
        assert!(!trouble.may_pass() && trouble.bars_the_way());
        assert_eq!(
            credential_missing("x", "no such file").code,
            ReasonCode::CredentialMissing
        );
    }
}
