// SPDX-License-Identifier: Apache-2.0
//! What each route does, takes and gives, in words and types. A route that is not here fails the test.

mod seen;

use crate::describe::{Schema, schema};
use groundstate_api::action::{Act, ActionView};
use groundstate_api::adopt::{AdoptOrder, AdoptReply, AdoptRequest, AdoptTokenView};
use groundstate_api::boot_session::BootReport;
use groundstate_api::customise::FileBytes;
use groundstate_api::enrol::{EnrolReply, EnrolRequest};
use groundstate_api::erase::{EraseOrder, EraseReport};
use groundstate_api::fan_out::{SourcesAnswer, SourcesQuestion};
use groundstate_api::healing::{ApprovePlan, Because, BrakeOrder, BrakeView, Remark, Troubles};
use groundstate_api::host::{Heartbeat, HostInstruction, Register};
use groundstate_api::machine::{Accept, MachineList};
use groundstate_api::paths;
use groundstate_api::run::{
    HostCredential, HostCredentialRequest, Instruction, InventoryReport, LogChunk, Progress,
};
use groundstate_api::site::Site;
use groundstate_api::site_plan::{Drift, SitePlan};
use groundstate_api::trust::Signed;
use groundstate_api::view::{NodeView, Order, RebuildOrder};
use prov_core::Route;

/// A body.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    Json(Schema),
    Kind(&'static str),
}

/// One operation.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) says: &'static str,
    pub(crate) status: u16,
    pub(crate) answers: &'static [Content],
    pub(crate) body: Option<Content>,
    pub(crate) body_required: bool,
    /// Whether its answer has an entity tag.
    pub(crate) tagged: bool,
    /// Name, words, schema as JSON.
    pub(crate) query: &'static [(&'static str, &'static str, &'static str)],
}

const TEXT: &str = r#"{"type": "string"}"#;
const FLAG: &str = r#"{"type": "boolean"}"#;
const COUNT: &str = r#"{"type": "integer", "minimum": 0, "maximum": 18446744073709551615}"#;
const LIMIT: (&str, &str, &str) = (
    "limit",
    "The most things in the answer; the header Link leads to the next ones.",
    r#"{"type": "integer", "minimum": 1, "maximum": 1000}"#,
);
const CURSOR: (&str, &str, &str) = ("cursor", "Where the page begins, from a Link.", TEXT);
const RACK: (&str, &str, &str) = ("rack", "Only what stands in this rack.", TEXT);
const PHASE: (&str, &str, &str) = (
    "phase",
    "Only nodes in this phase.",
    r##"{"$ref": "#/components/schemas/Phase"}"##,
);
const AFTER: (&str, &str, &str) = ("after", "Only events with a higher number.", COUNT);
const WAIT: (&str, &str, &str) = (
    "wait_ms",
    "How long to wait for something new; at most 30,000 ms are waited.",
    COUNT,
);

const fn get(
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    answers: &'static [Content],
) -> Operation {
    Operation {
        id,
        tag,
        summary,
        says: "As asked.",
        status: 200,
        answers,
        body: None,
        body_required: false,
        tagged: false,
        query: &[],
    }
}

const fn post(
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    body: Schema,
    answers: &'static [Content],
) -> Operation {
    let operation = get(id, tag, summary, answers);
    Operation {
        body: Some(Content::Json(body)),
        body_required: true,
        ..operation
    }
}

impl Operation {
    const fn asked(self, query: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    const fn tagged(self) -> Self {
        Self {
            tagged: true,
            ..self
        }
    }

    const fn or_empty(self) -> Self {
        Self {
            body_required: false,
            ..self
        }
    }

    const fn no_content(self) -> Self {
        Self {
            status: 204,
            answers: &[],
            says: "Done; there is nothing to say.",
            ..self
        }
    }
}

macro_rules! json {
    ($($name:ty),*) => { &[$(Content::Json(schema::<$name>)),*] };
}

use json;

/// The operation of a row.
pub(crate) fn of(row: &Route) -> Operation {
    orders(row)
        .or_else(|| seen::seen(row))
        .or_else(|| machines(row))
        .or_else(|| site(row))
        .unwrap_or_else(|| panic!("{} {} is not described", row.method, row.path))
}

fn orders(row: &Route) -> Option<Operation> {
    const NODE: &[Content] = json!(NodeView);
    let because = |id, summary| post(id, "orders", summary, schema::<Because>, NODE).or_empty();
    let operation = match (row.method, row.path) {
        ("POST", paths::PROVISION) => post(
            "provision",
            "orders",
            "Orders a run of a node that runs nothing.",
            schema::<Order>,
            NODE,
        )
        .or_empty(),
        ("POST", paths::REPROVISION) => post(
            "reprovision",
            "orders",
            "Orders a run of a node with a host, or of one that is held.",
            schema::<Order>,
            NODE,
        )
        .or_empty(),
        ("POST", paths::REBUILD_DISK) => post(
            "rebuildDisk",
            "orders",
            "Makes one data disk anew and writes nothing else.",
            schema::<RebuildOrder>,
            NODE,
        ),
        ("POST", paths::ERASE) => post(
            "erase",
            "orders",
            "Erases the named disks and does nothing else.",
            schema::<EraseOrder>,
            NODE,
        ),
        ("POST", paths::DRAIN) => because("drain", "The host gives its work away."),
        ("POST", paths::QUARANTINE) => because("quarantine", "Takes a node out of use."),
        ("POST", paths::REPAIR) => because(
            "repair",
            "Says that a person begins to work at the machine.",
        ),
        ("POST", paths::RELEASE) => because(
            "release",
            "Lets a node out of drain, quarantine, repair or rescue.",
        ),
        ("POST", paths::RETIRE) => because("retire", "Takes a node out of the fleet."),
        ("POST", paths::RESCUE) => because(
            "rescue",
            "Boots the maintenance OS with a shell for the keys of the site.",
        ),
        ("POST", paths::APPROVE_PLAN) => post(
            "approvePlan",
            "orders",
            "Lets the plan of a run go on.",
            schema::<ApprovePlan>,
            NODE,
        ),
        ("POST", paths::NODE_ACTIONS) => post(
            "act",
            "actions",
            "Power, next boot, locator LED, or an action of the host.",
            schema::<Act>,
            json!(ActionView),
        ),
        ("POST", paths::NODE_TROUBLES) => post(
            "reportTroubles",
            "orders",
            "What the fabric controller sees wrong with the host; an empty list where nothing is.",
            schema::<Troubles>,
            NODE,
        ),
        ("POST", paths::NODE_REMARKS) => post(
            "remark",
            "orders",
            "Writes something down about the node.",
            schema::<Remark>,
            NODE,
        ),
        ("POST", paths::ACTION_VETO) => post(
            "vetoAction",
            "actions",
            "Forbids an action that has not begun.",
            schema::<Because>,
            json!(ActionView),
        )
        .or_empty(),
        ("POST", paths::ACTION_APPROVE) => post(
            "approveAction",
            "actions",
            "Lets an action begin that waits for it.",
            schema::<Because>,
            json!(ActionView),
        )
        .or_empty(),
        ("POST", paths::BRAKE) => post(
            "setBrake",
            "fleet",
            "Sets the brake or lets it go.",
            schema::<BrakeOrder>,
            json!(BrakeView),
        ),
        _ => return None,
    };
    Some(operation)
}

fn machines(row: &Route) -> Option<Operation> {
    const DONE: &[Content] = &[];
    let operation = match (row.method, row.path) {
        ("POST", paths::ENROL) => post(
            "enrol",
            "machines",
            "A machine asks to enrol.",
            schema::<EnrolRequest>,
            json!(EnrolReply),
        ),
        ("POST", paths::RUN_INVENTORY) => post(
            "sendInventory",
            "machines",
            "A node tells its hardware.",
            schema::<InventoryReport>,
            json!(Instruction),
        ),
        ("GET", paths::RUN_INSTRUCTION) => get(
            "getInstruction",
            "machines",
            "What the node shall do.",
            json!(Instruction),
        ),
        ("POST", paths::RUN_PROGRESS) => post(
            "sendProgress",
            "machines",
            "A node tells how far it is.",
            schema::<Progress>,
            json!(Instruction),
        ),
        ("POST", paths::RUN_LOG) => post(
            "sendLog",
            "machines",
            "A piece of a node's log.",
            schema::<LogChunk>,
            DONE,
        )
        .no_content(),
        ("POST", paths::RUN_SOURCES) => post(
            "askSources",
            "machines",
            "Where a node gets the next pieces of its image.",
            schema::<SourcesQuestion>,
            json!(SourcesAnswer),
        ),
        ("POST", paths::RUN_HOST_CREDENTIAL) => post(
            "askHostCredential",
            "machines",
            "The certificate of the host that is to come.",
            schema::<HostCredentialRequest>,
            json!(HostCredential),
        ),
        ("GET", paths::RUN_FILE) => get(
            "getRunFile",
            "machines",
            "A file that the node's plan names.",
            json!(FileBytes),
        ),
        ("GET", paths::RUN_CREDENTIAL) => get(
            "getRunCredential",
            "machines",
            "A secret that the node's plan names, while it is put there.",
            json!(FileBytes),
        ),
        ("POST", paths::RUN_ERASED) => post(
            "sendErased",
            "machines",
            "A disk is erased, or could not be.",
            schema::<EraseReport>,
            DONE,
        )
        .no_content(),
        ("POST", paths::HOST_REGISTER) => post(
            "registerHost",
            "machines",
            "The host's agent is there.",
            schema::<Register>,
            json!(HostInstruction),
        ),
        ("POST", paths::HOST_HEARTBEAT) => post(
            "heartbeat",
            "machines",
            "The host's agent says that it lives.",
            schema::<Heartbeat>,
            json!(HostInstruction),
        ),
        ("POST", paths::HOST_DIAGNOSTICS) => Operation {
            body: Some(Content::Kind("application/gzip")),
            body_required: true,
            ..get(
                "sendDiagnostics",
                "machines",
                "What a host packed of its logs and states.",
                DONE,
            )
        }
        .no_content()
        .asked(&[("action", "The action that asked for them.", COUNT)]),
        ("GET", paths::IMAGE_MANIFEST) => get(
            "getManifest",
            "images",
            "A manifest by its digest.",
            &[Content::Kind("application/json")],
        ),
        ("GET", paths::CHUNK) => get(
            "getChunk",
            "images",
            "A stored chunk by the digest of its bytes.",
            &[Content::Kind("application/zstd")],
        ),
        ("GET", paths::BLOB) => get(
            "getBlob",
            "images",
            "A blob by its digest.",
            &[Content::Kind("application/octet-stream")],
        ),
        ("GET", paths::TRUST_ROOT) => get(
            "getTrustRoot",
            "images",
            "A version of the trust root.",
            json!(Signed),
        ),
        ("GET", paths::TRUST_CATALOGUE) => get(
            "getCatalogue",
            "images",
            "The newest catalogue.",
            json!(Signed),
        ),
        ("GET", paths::TRUST_IMAGE) => get(
            "getTrustOfImage",
            "images",
            "What was signed of an image.",
            json!(Signed),
        ),
        ("POST", paths::BOOT_REPORTS) => post(
            "reportBoots",
            "boots",
            "A boot service on another machine tells what it saw.",
            schema::<BootReport>,
            DONE,
        )
        .no_content(),
        ("POST", paths::ADOPT) => post(
            "makeAdoptToken",
            "machines",
            "Makes the digest of a token known, with which one running host becomes this node.",
            schema::<AdoptOrder>,
            json!(AdoptTokenView),
        ),
        ("DELETE", paths::ADOPT) => Operation {
            body: Some(Content::Json(schema::<Because>)),
            ..get(
                "unadopt",
                "machines",
                "Lets an adopted host go: its agent is believed no more.",
                json!(NodeView),
            )
        },
        ("POST", paths::ADOPT_HOST) => post(
            "adopt",
            "machines",
            "Takes a running host in as it is, with a token in the header Authorization: nothing is written to it.",
            schema::<AdoptRequest>,
            json!(AdoptReply),
        ),
        ("GET", paths::CA) => get(
            "getCa",
            "machines",
            "The site CA's certificate: believed only by who knows its digest.",
            &[Content::Kind("application/x-pem-file")],
        ),
        _ => return None,
    };
    Some(operation)
}

fn site(row: &Route) -> Option<Operation> {
    const DONE: &[Content] = &[];
    let operation = match (row.method, row.path) {
        ("GET", paths::SITE) => get("getSite", "site", "The site in force.", json!(Site)).tagged(),
        ("PUT", paths::SITE) => post(
            "putSite",
            "site",
            "Replaces the site in force, or says what that would change.",
            schema::<Site>,
            json!(SitePlan),
        )
        .asked(&[("dry_run", "Only say what would change.", FLAG)]),
        ("PUT", paths::SITE_FILE) => post(
            "putSiteFile",
            "site",
            "A file beside the site file.",
            schema::<FileBytes>,
            DONE,
        )
        .no_content(),
        ("GET", paths::SITE_DRIFT) => get(
            "getDrift",
            "site",
            "Where machines differ from the site.",
            json!(Drift),
        ),
        ("GET", paths::MACHINES) => get(
            "listMachines",
            "site",
            "Machines of no node: the waiting room.",
            json!(MachineList),
        ),
        ("POST", paths::MACHINE_ACCEPT) => post(
            "acceptMachine",
            "site",
            "Makes a node of a machine of the waiting room.",
            schema::<Accept>,
            json!(NodeView),
        ),
        ("DELETE", paths::MACHINE) => get(
            "removeMachine",
            "site",
            "Takes a machine out of the waiting room.",
            &[],
        )
        .no_content(),
        _ => return None,
    };
    Some(operation)
}
