// SPDX-License-Identifier: Apache-2.0
//! Virtual media: an ISO that the BMC shows its machine.

use crate::answer::{Answer, Part};
use crate::link::Link;
use alloc::string::String;
use alloc::vec::Vec;
use serde_json::{Value, json};

/// One device for virtual media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Its id.
    pub id: String,
    /// Whether it can be a CD or DVD.
    pub is_cd: bool,
    /// What it shows now.
    pub image: Option<String>,
    /// Whether something is in it.
    pub inserted: bool,
    /// `InsertMedia`.
    pub insert: Option<Link>,
    /// `EjectMedia`.
    pub eject: Option<Link>,
    /// Whether it can be written to directly (`PATCH Image`), as services without the actions want.
    pub patchable: bool,
    /// The transfer protocols that it allows, where it says so.
    pub protocols: Option<Vec<String>>,
}

impl Media {
    /// Reads a `VirtualMedia`.
    #[must_use]
    pub fn read(answer: &Answer) -> Self {
        let top = answer.top();
        let actions = top.at("Actions");
        let insert = actions.at("#VirtualMedia.InsertMedia");
        let types = top.words("MediaTypes").unwrap_or_default();
        Self {
            id: top.text("Id").unwrap_or_default(),
            is_cd: types.iter().any(|kind| kind == "CD" || kind == "DVD"),
            image: image(top),
            inserted: top.flag("Inserted").unwrap_or(false) || image(top).is_some(),
            insert: insert.link("target"),
            eject: actions.at("#VirtualMedia.EjectMedia").link("target"),
            patchable: top.knows("Image"),
            protocols: insert
                .words("TransferProtocolType@Redfish.AllowableValues")
                .or_else(|| top.words("TransferProtocolType@Redfish.AllowableValues")),
        }
    }

    /// Whether it takes an ISO.
    #[must_use]
    pub const fn takes_iso(&self) -> bool {
        self.is_cd && (self.insert.is_some() || self.patchable)
    }
}

fn image(top: Part<'_>) -> Option<String> {
    // Some services write the text "None" for nothing.
    top.text("Image").filter(|image| image != "None")
}

/// The bodies of `InsertMedia` for `url`, plainest first: some services want the protocol and the method named
/// (`ActionParameterMissing`).
#[must_use]
pub fn insert_bodies(url: &str) -> [Value; 2] {
    let protocol = if url.starts_with("https:") {
        "HTTPS"
    } else {
        "HTTP"
    };
    [
        json!({"Image": url, "Inserted": true, "WriteProtected": true}),
        json!({"Image": url, "Inserted": true, "WriteProtected": true, "TransferProtocolType": protocol, "TransferMethod": "Stream"}),
    ]
}
