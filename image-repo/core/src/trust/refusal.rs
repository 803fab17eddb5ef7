// SPDX-License-Identifier: Apache-2.0
//! Why something is not believed: a variant per attack or fault, each with what a person does next.

use super::count::Ignored;
use super::limits::{ROOTS_MAX, SIGNATURES_MAX};
use super::moment::moment;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::trust::{DocumentType, KeyId, TRUST_SCHEMA};
use groundstate_api::{Bytes, Millis, Part, Reason, ReasonCode};

/// Why something is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// About the signed statement of one image.
    #[error("{image}: {error}")]
    Of {
        /// Name and version.
        image: String,
        /// What.
        error: Box<TrustError>,
    },
    /// Endless data.
    #[error("the {subject} has {length} bytes; at most {max} are read", length = .length.0, max = .max.0)]
    TooLong {
        /// Which document.
        subject: DocumentType,
        /// Its length.
        length: Bytes,
        /// The most.
        max: Bytes,
    },
    /// Endless signatures.
    #[error(
        "the {subject} has {found} signatures; at most {} are read",
        SIGNATURES_MAX
    )]
    TooManySignatures {
        /// Which document.
        subject: DocumentType,
        /// How many.
        found: usize,
    },
    /// Endless roots.
    #[error(
        "{found} trust roots follow the pinned one; at most {} are gone through",
        ROOTS_MAX
    )]
    TooManyRoots {
        /// How many.
        found: usize,
    },
    /// Not readable.
    #[error("the {subject} is not readable: {message}")]
    Json {
        /// Which document.
        subject: DocumentType,
        /// What the JSON reader says.
        message: String,
    },
    /// Other bytes of the same meaning.
    #[error("the {subject} is not in its canonical form")]
    NotCanonical {
        /// Which document.
        subject: DocumentType,
    },
    /// Another document, signed for another use.
    #[error(
        "this is {found:?}, and a {subject} is needed: a signature for one use is none for another"
    )]
    OtherType {
        /// What is needed.
        subject: DocumentType,
        /// What it says it is.
        found: String,
    },
    /// A schema number that this version does not know.
    #[error(
        "the {subject} has schema {found}; this version reads {}",
        TRUST_SCHEMA
    )]
    Schema {
        /// Which document.
        subject: DocumentType,
        /// The number.
        found: u32,
    },
    /// Nobody signed it.
    #[error("the {subject} is not signed; {needed} {} needed", if *.needed == 1 { "signature is" } else { "signatures are" })]
    Unsigned {
        /// Which document.
        subject: DocumentType,
        /// How many are needed.
        needed: u32,
    },
    /// Not enough of those who may.
    #[error("the {subject} is signed by {} of the {needed} keys that are needed", .counted.len())]
    TooFew {
        /// Which document.
        subject: DocumentType,
        /// How many are needed.
        needed: u32,
        /// Who signed.
        counted: Vec<KeyId>,
        /// What does not count.
        ignored: Vec<Ignored>,
    },
    /// Signed by others.
    #[error("the {subject} is signed by keys that may not sign it")]
    OtherKey {
        /// Which document.
        subject: DocumentType,
        /// What does not count.
        ignored: Vec<Ignored>,
    },
    /// Not signed as it is.
    #[error("the {subject} is not what was signed, or a signature beside it is broken")]
    BadSignature {
        /// Which document.
        subject: DocumentType,
        /// What does not count.
        ignored: Vec<Ignored>,
    },
    /// Signed by a key that is no longer believed.
    #[error("the {subject} is signed by a key that is revoked")]
    RevokedKey {
        /// Which document.
        subject: DocumentType,
        /// What does not count.
        ignored: Vec<Ignored>,
    },
    /// A root that means nothing.
    #[error("trust root {version}: {field}: {should}")]
    RootInvalid {
        /// Its version.
        version: u64,
        /// The field.
        field: String,
        /// What it is and should be.
        should: String,
    },
    /// A root that is not the next one.
    #[error("trust root {found} comes where {expected} should")]
    RootOrder {
        /// Its version.
        found: u64,
        /// What should come.
        expected: u64,
    },
    /// An old root.
    #[error(
        "the newest trust root is {found}, but {seen} was believed before: somebody rolled it back"
    )]
    RootRollback {
        /// Its version.
        found: u64,
        /// What was seen.
        seen: u64,
    },
    /// A root that is over.
    #[error("trust root {version} expired {}; it is {}", moment(*.expired), moment(*.now))]
    RootExpired {
        /// Its version.
        version: u64,
        /// When.
        expired: Millis,
        /// The time.
        now: Millis,
    },
    /// No catalogue.
    #[error("the repository has no signed catalogue{}", if *.seen > 0 { format!(", but catalogue {seen} was believed before") } else if *.waits { ": the first one waits for signatures".to_string() } else { String::new() })]
    NoCatalogue {
        /// What was seen.
        seen: u64,
        /// Whether one waits for signatures.
        waits: bool,
    },
    /// Signed, and never promoted: no catalogue says what is revoked.
    #[error(
        "{name} {version} is signed (by {}), and no catalogue is: {}, and without a catalogue nobody can tell what was revoked",
        .signers.iter().map(alloc::string::ToString::to_string).collect::<Vec<_>>().join(", "),
        if *.waits { "the first one waits for signatures" } else { "nothing was promoted yet" }
    )]
    NotPromoted {
        /// The image's name.
        name: String,
        /// Its version.
        version: String,
        /// Who signed it.
        signers: Vec<KeyId>,
        /// Whether a catalogue waits for signatures.
        waits: bool,
    },
    /// A catalogue that means nothing.
    #[error("catalogue {sequence}: {field}: {should}")]
    CatalogueInvalid {
        /// Its sequence.
        sequence: u64,
        /// The field.
        field: String,
        /// What it is and should be.
        should: String,
    },
    /// Freeze: an old state is passed off as the newest.
    #[error("catalogue {sequence} expired {}; it is {}: nobody renewed it, or a newer one is held back", moment(*.expired), moment(*.now))]
    CatalogueExpired {
        /// Its sequence.
        sequence: u64,
        /// When.
        expired: Millis,
        /// The time.
        now: Millis,
    },
    /// Rollback.
    #[error(
        "the repository has catalogue {found}, but {seen} was believed before: somebody rolled it back"
    )]
    CatalogueRollback {
        /// Its sequence.
        found: u64,
        /// What was seen.
        seen: u64,
    },
    /// Two catalogues of one sequence.
    #[error(
        "catalogue {sequence} is another one than the catalogue {sequence} that was believed before"
    )]
    CatalogueOther {
        /// The sequence.
        sequence: u64,
    },
    /// A clock is wrong: the signer's or ours.
    #[error("catalogue {sequence} was made {}, and it is only {}", moment(*.issued), moment(*.now))]
    FromTheFuture {
        /// Its sequence.
        sequence: u64,
        /// When.
        issued: Millis,
        /// The time.
        now: Millis,
    },
    /// Our clock went back.
    #[error("this machine's clock says {}, but a catalogue was believed {}", moment(*.now), moment(*.seen))]
    ClockBack {
        /// The time.
        now: Millis,
        /// What was seen.
        seen: Millis,
    },
    /// No such channel.
    #[error("the catalogue has no channel {channel}")]
    NoChannel {
        /// `NAME@CHANNEL`.
        channel: String,
        /// Those that are there.
        there: Vec<String>,
    },
    /// A channel that goes back in a newer catalogue.
    #[error(
        "{channel} was set in catalogue {found}, but stood for what catalogue {seen} says before: somebody rolled it back"
    )]
    ChannelRollback {
        /// `NAME@CHANNEL`.
        channel: String,
        /// Where it is set.
        found: u64,
        /// Where it was set.
        seen: u64,
    },
    /// An older image without saying so.
    #[error(
        "{channel} stands for version {found}, but stood for {seen} before, and the catalogue does not say that this is meant"
    )]
    VersionRollback {
        /// `NAME@CHANNEL`.
        channel: String,
        /// The version.
        found: String,
        /// What it was.
        seen: String,
    },
    /// An image that is no longer believed.
    #[error("{image} was revoked {}: {why}", moment(*.since))]
    RevokedImage {
        /// Name and version.
        image: String,
        /// Since when.
        since: Millis,
        /// Why.
        why: String,
    },
    /// Mix-and-match: documents that do not belong together.
    #[error("{image}: the {by} says {field} {stated}, the manifest {found}")]
    Mixed {
        /// Name and version.
        image: String,
        /// Which document.
        by: &'static str,
        /// The field.
        field: &'static str,
        /// What that document says.
        stated: String,
        /// What the manifest says.
        found: String,
    },
    /// An old signature.
    #[error("{image}: its signature expired {}; it is {}", moment(*.expired), moment(*.now))]
    StatementExpired {
        /// Name and version.
        image: String,
        /// When.
        expired: Millis,
        /// The time.
        now: Millis,
    },
}

const SIGN: &str = "have it signed by those who may: groundstate image trust show names them; groundstate image sign --add-signature FILE adds a signature that was made elsewhere";
const WAITS: &str = "groundstate image trust show says where it waits; have it signed there (minisign -S -m FILE), then add each signature: groundstate image trust add-signature FILE.minisig";
const LOOK: &str = "do not deploy from it; find out who changed the repository, and bring back what its signers signed";
const RENEW: &str = "if the signers stand by it, renew it: groundstate image promote --renew --key SECRET; if they did already, this repository is held back: copy theirs";
const BEHIND: &str = "bring the repository up to date from the one that has the newest; if the newest is lost, promote every channel once more, and revoke again what it revoked";
const CLOCKS: &str = "set this machine's clock, and look at the signer's; then try again";

impl TrustError {
    /// The same about one image.
    #[must_use]
    pub fn of(self, image: &str) -> Self {
        Self::Of {
            image: image.to_string(),
            error: Box::new(self),
        }
    }

    /// The cause itself, without what it is about.
    #[must_use]
    pub fn cause(&self) -> &Self {
        if let Self::Of { error, .. } = self {
            return error.cause();
        }
        self
    }

    /// What kind of reason it is.
    #[must_use]
    pub fn code(&self) -> ReasonCode {
        match self.cause() {
            Self::ClockBack { .. } | Self::FromTheFuture { .. } => ReasonCode::ClockWrong,
            Self::NoChannel { .. } => ReasonCode::ImageMissing,
            Self::RevokedImage { .. } | Self::RevokedKey { .. } => ReasonCode::ImageRevoked,
            Self::Of { .. }
            | Self::TooLong { .. }
            | Self::TooManySignatures { .. }
            | Self::TooManyRoots { .. }
            | Self::Json { .. }
            | Self::NotCanonical { .. }
            | Self::OtherType { .. }
            | Self::Schema { .. }
            | Self::Unsigned { .. }
            | Self::RootInvalid { .. }
            | Self::RootOrder { .. }
            | Self::RootRollback { .. }
            | Self::RootExpired { .. }
            | Self::NoCatalogue { .. }
            | Self::NotPromoted { .. }
            | Self::CatalogueInvalid { .. }
            | Self::CatalogueExpired { .. }
            | Self::CatalogueRollback { .. }
            | Self::CatalogueOther { .. }
            | Self::ChannelRollback { .. }
            | Self::VersionRollback { .. }
            | Self::Mixed { .. }
            | Self::StatementExpired { .. }
            | Self::TooFew { .. }
            | Self::OtherKey { .. }
            | Self::BadSignature { .. } => ReasonCode::ImageUntrusted,
        }
    }

    /// The same for people: what `image` (`NAME@CHANNEL`, or name and version) is refused for and what to do.
    #[must_use]
    pub fn reason(&self, image: &str) -> Reason {
        // What it is about is said once.
        let of_image = if let Self::Of { image: of, error } = self
            && of == image
        {
            error
        } else {
            self
        };
        let what = if matches!(self, Self::NotPromoted { .. }) {
            self.to_string()
        } else {
            format!("{image} is not believed: {of_image}")
        };
        let reason = Reason::new(self.code(), what, self.next_step_for(image))
            .about(Part::Image {
                image: image.to_string(),
                digest: None,
            })
            .then("nothing: no disk is touched");
        self.evidence().into_iter().fold(reason, Reason::seen)
    }

    /// What was seen, a line each.
    #[must_use]
    pub fn evidence(&self) -> Vec<String> {
        match self.cause() {
            Self::TooFew {
                counted, ignored, ..
            } => counted
                .iter()
                .map(|id| format!("signed by {id}"))
                .chain(ignored.iter().map(Ignored::to_string))
                .collect(),
            Self::OtherKey { ignored, .. }
            | Self::BadSignature { ignored, .. }
            | Self::RevokedKey { ignored, .. } => ignored.iter().map(Ignored::to_string).collect(),
            Self::NoChannel { there, .. } if there.is_empty() => {
                Vec::from(["the catalogue has no channels".to_string()])
            }
            Self::NoChannel { there, .. } => Vec::from([format!("channels: {}", there.join(", "))]),
            Self::Of { .. }
            | Self::TooLong { .. }
            | Self::TooManySignatures { .. }
            | Self::TooManyRoots { .. }
            | Self::Json { .. }
            | Self::NotCanonical { .. }
            | Self::OtherType { .. }
            | Self::Schema { .. }
            | Self::Unsigned { .. }
            | Self::RootInvalid { .. }
            | Self::RootOrder { .. }
            | Self::RootRollback { .. }
            | Self::RootExpired { .. }
            | Self::NoCatalogue { .. }
            | Self::NotPromoted { .. }
            | Self::CatalogueInvalid { .. }
            | Self::CatalogueExpired { .. }
            | Self::CatalogueRollback { .. }
            | Self::CatalogueOther { .. }
            | Self::ChannelRollback { .. }
            | Self::VersionRollback { .. }
            | Self::Mixed { .. }
            | Self::StatementExpired { .. }
            | Self::RevokedImage { .. }
            | Self::FromTheFuture { .. }
            | Self::ClockBack { .. } => Vec::new(),
        }
    }

    /// The next step with the names of the image that is asked for, where they are known.
    fn next_step_for(&self, image: &str) -> String {
        let title = if let Self::Of { image, .. } = self {
            image
        } else {
            "NAME VERSION"
        };
        let channel = image.split_once('@');
        match (self.cause(), channel) {
            (Self::NotPromoted { waits: true, .. } | Self::NoCatalogue { waits: true, .. }, _) => {
                WAITS.to_string()
            }
            (
                Self::Unsigned {
                    subject: DocumentType::Image,
                    ..
                },
                _,
            ) => format!(
                "sign it: groundstate image sign {title} --key SECRET, with a key that may (groundstate image trust show names them)"
            ),
            (Self::NotPromoted { name, version, .. }, _) => format!(
                "groundstate image promote {name} {version} --channel stable --key SECRET, with a key that may sign the catalogue (groundstate image trust show names them); then try again"
            ),
            (Self::NoCatalogue { seen: 0, .. }, Some((name, channel))) => format!(
                "make the first one: groundstate image promote {name} VERSION --channel {channel} --key SECRET; groundstate image ls has the versions, and who signed them"
            ),
            (Self::NoChannel { .. }, Some((name, channel))) => format!(
                "groundstate image channels lists those that are there; groundstate image promote {name} VERSION --channel {channel} --key SECRET makes this one"
            ),
            _ => self.next_step().to_string(),
        }
    }

    fn next_step(&self) -> &'static str {
        match self.cause() {
            Self::Of { .. } => LOOK,
            Self::Unsigned { .. } | Self::TooFew { .. } => SIGN,
            Self::OtherKey { .. } => {
                "have it signed by those who may (groundstate image trust show); if this key should, rotate the trust root: groundstate image trust rotate"
            }
            Self::RevokedKey { .. } => {
                "do not use what the revoked key signed; have it looked at and signed anew with a key that holds"
            }
            Self::TooLong { .. }
            | Self::TooManySignatures { .. }
            | Self::TooManyRoots { .. }
            | Self::Json { .. }
            | Self::NotCanonical { .. }
            | Self::OtherType { .. }
            | Self::BadSignature { .. }
            | Self::RootInvalid { .. }
            | Self::RootOrder { .. }
            | Self::CatalogueInvalid { .. }
            | Self::CatalogueOther { .. }
            | Self::ChannelRollback { .. }
            | Self::Mixed { .. } => LOOK,
            Self::Schema { .. } => "use a groundstate as new as the one that wrote it",
            Self::RootExpired { .. } => {
                "renew the trust root: groundstate image trust rotate, signed by its root keys"
            }
            Self::CatalogueExpired { .. } => RENEW,
            Self::RootRollback { .. } | Self::CatalogueRollback { .. } => BEHIND,
            Self::NoCatalogue { .. } | Self::NotPromoted { .. } => {
                "make the first one: groundstate image promote NAME VERSION --channel CHANNEL; where one was, bring it back"
            }
            Self::FromTheFuture { .. } | Self::ClockBack { .. } => CLOCKS,
            Self::NoChannel { .. } => {
                "groundstate image channels lists them all; groundstate image promote makes one"
            }
            Self::VersionRollback { .. } => {
                "if the older version is meant, promote it with --step-back; if not, promote the newer one"
            }
            Self::RevokedImage { .. } => {
                "promote another version: groundstate image promote NAME VERSION --channel CHANNEL"
            }
            Self::StatementExpired { .. } => {
                "if its signers stand by it, sign it again: groundstate image sign NAME VERSION"
            }
        }
    }
}
