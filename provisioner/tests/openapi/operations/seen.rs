// SPDX-License-Identifier: Apache-2.0
//! What is only looked at.

use super::{
    AFTER, COUNT, CURSOR, Content, FLAG, LIMIT, Operation, PHASE, RACK, TEXT, WAIT, get, json,
};
use crate::describe::schema;
use groundstate_api::action::ActionList;
use groundstate_api::audit::WebhookList;
use groundstate_api::bmc::BmcReport;
use groundstate_api::boot_answers::BootAnswers;
use groundstate_api::boot_session::BootSessions;
use groundstate_api::erase::EraseCertificates;
use groundstate_api::fleet::FleetView;
use groundstate_api::healing::BrakeView;
use groundstate_api::paths;
use groundstate_api::plan::{Plan, PlanPreview};
use groundstate_api::ready::Ready;
use groundstate_api::ticket::Ticket;
use groundstate_api::view::{EventPage, NodeList, NodeReport};
use prov_core::Route;

pub(super) fn seen(row: &Route) -> Option<Operation> {
    if row.method != "GET" {
        return None;
    }
    let operation = match row.path {
        paths::NODES => get(
            "listNodes",
            "nodes",
            "The nodes that the caller may see, by name.",
            json!(NodeList),
        )
        .asked(&[PHASE, RACK, LIMIT, CURSOR])
        .tagged(),
        paths::NODE => get("getNode", "nodes", "A node in full.", json!(NodeReport))
            .asked(&[("at_event", "The node as of that event.", COUNT)])
            .tagged(),
        paths::NODE_PLAN => get(
            "getPlan",
            "nodes",
            "The plan of the node's run.",
            json!(Plan),
        ),
        paths::NODE_PLAN_PREVIEW => get(
            "previewPlan",
            "nodes",
            "What a run ordered now would plan. Nothing is ordered.",
            json!(PlanPreview),
        )
        .asked(&[
            (
                "confirm",
                "Serial numbers as an order would confirm them, separated by commas.",
                TEXT,
            ),
            ("rebuild", "The serial number of a disk to make anew.", TEXT),
        ]),
        paths::ERASE_CERTIFICATES => get(
            "listCertificates",
            "nodes",
            "What was erased in this node, and what could not be.",
            json!(EraseCertificates),
        ),
        paths::NODE_LOG => get(
            "getLog",
            "nodes",
            "PID 1's log of a run.",
            &[Content::Kind("text/plain; charset=utf-8")],
        )
        .asked(&[("run", "The run; the newest where absent.", TEXT)]),
        paths::NODE_BMC => get(
            "getBmc",
            "nodes",
            "What the node's BMC says.",
            json!(BmcReport),
        ),
        paths::NODE_CONSOLE => get(
            "getConsole",
            "nodes",
            "The serial console as far as the BMC keeps it.",
            &[Content::Kind("text/plain; charset=utf-8")],
        ),
        paths::NODE_TICKET => get(
            "getTicket",
            "nodes",
            "The repair ticket, to print or as JSON.",
            &[
                Content::Json(schema::<Ticket>),
                Content::Kind("text/html; charset=utf-8"),
            ],
        ),
        paths::NODE_DIAGNOSTICS => get(
            "getDiagnostics",
            "nodes",
            "The diagnostics that the host sent last.",
            &[Content::Kind("application/gzip")],
        ),
        paths::ACTIONS => get(
            "listActions",
            "actions",
            "Actions, newest first.",
            json!(ActionList),
        )
        .asked(&[
            ("node", "Only of this node.", TEXT),
            (
                "open",
                "Only those that go on, or only those that have ended.",
                FLAG,
            ),
            RACK,
            PHASE,
            LIMIT,
            CURSOR,
        ]),
        paths::BRAKE => get(
            "getBrake",
            "fleet",
            "How the brake stands.",
            json!(BrakeView),
        ),
        paths::FLEET => get(
            "getFleet",
            "fleet",
            "Counts, racks, what goes on, and when it will be done.",
            json!(FleetView),
        ),
        paths::EVENTS => get(
            "listEvents",
            "events",
            "Events of the journal: a page, a long poll, or a stream.",
            &[
                Content::Json(schema::<EventPage>),
                Content::Kind("text/event-stream"),
            ],
        )
        .asked(&[
            AFTER,
            ("node", "Only of this node.", TEXT),
            (
                "newest",
                "Not the events behind `after`, but the newest ones, the oldest of them first.",
                FLAG,
            ),
            RACK,
            ("phase", "Only nodes that moved to this phase.", PHASE.2),
            WAIT,
            LIMIT,
        ]),
        paths::BOOTS => get(
            "listBoots",
            "boots",
            "What every boot service saw, newest first.",
            json!(BootSessions),
        )
        .asked(&[("mac", "Only of this machine.", TEXT), RACK, LIMIT, CURSOR]),
        paths::BOOT_ANSWERS => get(
            "getBootAnswers",
            "boots",
            "What a boot service on another machine shall answer.",
            json!(BootAnswers),
        )
        .asked(&[WAIT])
        .tagged(),
        paths::AUDIT => get(
            "listAudit",
            "audit",
            "Who ordered what, and what came of it.",
            json!(EventPage),
        )
        .asked(&[
            AFTER,
            ("by", "Only of this caller.", TEXT),
            ("node", "Only orders about this node.", TEXT),
            (
                "since",
                "Not before this moment, in milliseconds since 1970.",
                COUNT,
            ),
            (
                "until",
                "Before this moment, in milliseconds since 1970.",
                COUNT,
            ),
            (
                "dry_runs",
                "False: without those that only asked what would come of it.",
                FLAG,
            ),
            LIMIT,
        ]),
        paths::WEBHOOKS => get(
            "listWebhooks",
            "audit",
            "How each webhook stands.",
            json!(WebhookList),
        ),
        paths::HEALTHZ => get(
            "healthz",
            "service",
            "Whether the process is alive.",
            &[Content::Kind("text/plain; charset=utf-8")],
        ),
        paths::READYZ => get(
            "readyz",
            "service",
            "Whether this provisioner may decide, and its journal is current.",
            json!(Ready),
        ),
        paths::METRICS => get(
            "metrics",
            "service",
            "Figures in the text format of Prometheus.",
            &[Content::Kind("text/plain; version=0.0.4; charset=utf-8")],
        ),
        paths::OPENAPI => get(
            "openapi",
            "service",
            "This description of the API.",
            &[Content::Kind("application/json")],
        ),
        _ => return None,
    };
    Some(operation)
}
