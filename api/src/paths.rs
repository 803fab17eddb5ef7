// SPDX-License-Identifier: Apache-2.0
//! HTTP paths of version 1. Every one of them is served over HTTPS on one port.
//!
//! | who | how it is known |
//! |---|---|
//! | anyone | no client certificate |
//! | node | client certificate with common name `node:<node>:<run>` |
//! | host | client certificate with common name `host:<node>:<plan>` |
//! | viewer, technician, operator, admin, fabric | client certificate with common name `<role>:<name>` |
//!
//! Which of them may call what stands in `provisioner/core/src/access/rows.rs`.

/// GET: is the process alive. Anyone.
pub const HEALTHZ: &str = "/healthz";
/// GET [`crate::view::NodeList`]. Operator.
pub const NODES: &str = "/v1/nodes";
/// GET [`crate::view::NodeReport`]; `?at_event=N` as it was after that event of the journal. Operator.
pub const NODE: &str = "/v1/nodes/{node}";
/// POST [`crate::view::Order`], answers [`crate::view::NodeView`]. Operator. Refused where a run is under way or a host runs.
pub const PROVISION: &str = "/v1/nodes/{node}/provision";
/// POST [`crate::view::Order`], answers [`crate::view::NodeView`]. Operator. For a Ready, Silent or Held node.
pub const REPROVISION: &str = "/v1/nodes/{node}/reprovision";
/// GET [`crate::plan::Plan`]. Operator.
pub const NODE_PLAN: &str = "/v1/nodes/{node}/plan";
/// GET [`crate::plan::PlanPreview`]: what a run ordered now would plan, from the node's last report; `?confirm=SERIAL,SERIAL`
/// and `?rebuild=SERIAL` as in an order. Nothing is ordered. Operator.
pub const NODE_PLAN_PREVIEW: &str = "/v1/nodes/{node}/plan-preview";
/// POST [`crate::view::RebuildOrder`], answers [`crate::view::NodeView`]. Operator. For a node with a host: one data disk is
/// made anew, nothing else is written, and the host starts again.
pub const REBUILD_DISK: &str = "/v1/nodes/{node}/rebuild-disk";
/// POST [`crate::erase::EraseOrder`], answers [`crate::view::NodeView`]. Operator. Erases the named disks and does nothing else.
pub const ERASE: &str = "/v1/nodes/{node}/erase";
/// GET [`crate::erase::EraseCertificates`]: what was erased in this node, and what could not be. Operator.
pub const ERASE_CERTIFICATES: &str = "/v1/nodes/{node}/certificates";
/// GET PID 1's log of the node's newest run, `text/plain`; `?run=ID` for another. Operator.
pub const NODE_LOG: &str = "/v1/nodes/{node}/log";
/// GET [`crate::view::EventPage`]: `?after=N&node=NAME&wait_ms=M` (waits at most 30,000 ms for a new one);
/// with `Accept: text/event-stream` the same as server-sent events. Operator.
pub const EVENTS: &str = "/v1/events";
/// GET [`crate::boot_session::BootSessions`]: `?mac=MAC` for one machine's. Operator.
pub const BOOTS: &str = "/v1/boots";
/// GET [`crate::boot_answers::BootAnswers`] with an entity tag; `?wait_ms=M` with `If-None-Match` waits at most 30,000 ms for
/// another table (304 where there is none). Operator.
pub const BOOT_ANSWERS: &str = "/v1/boot-answers";
/// POST [`crate::boot_session::BootReport`], answers 204. A boot service on another machine tells what it saw. Operator.
pub const BOOT_REPORTS: &str = "/v1/boot-reports";
/// POST [`crate::enrol::EnrolRequest`], answers [`crate::enrol::EnrolReply`]. Anyone.
pub const ENROL: &str = "/v1/enrol";
/// POST [`crate::run::InventoryReport`], answers [`crate::run::Instruction`]. Node.
pub const RUN_INVENTORY: &str = "/v1/run/inventory";
/// GET [`crate::run::Instruction`]. Node.
pub const RUN_INSTRUCTION: &str = "/v1/run/instruction";
/// POST [`crate::run::Progress`], answers [`crate::run::Instruction`]. Node.
pub const RUN_PROGRESS: &str = "/v1/run/progress";
/// POST [`crate::run::LogChunk`], answers 204. Node.
pub const RUN_LOG: &str = "/v1/run/log";
/// POST [`crate::erase::EraseReport`], answers 204 once the certificate is signed and kept. Node.
pub const RUN_ERASED: &str = "/v1/run/erased";
/// POST [`crate::fan_out::SourcesQuestion`], answers [`crate::fan_out::SourcesAnswer`]. Node, with an open run.
pub const RUN_SOURCES: &str = "/v1/run/sources";
/// GET [`crate::customise::FileBytes`]: a file of the run's plan by its digest, 64 hex digits. Node, with an open run.
pub const RUN_FILE: &str = "/v1/run/files/{digest}";
/// GET [`crate::customise::FileBytes`]: a secret that the run's plan names. Node, while its run places the first-boot data.
pub const RUN_CREDENTIAL: &str = "/v1/run/credentials/{name}";
/// POST [`crate::run::HostCredentialRequest`], answers [`crate::run::HostCredential`]. Node.
pub const RUN_HOST_CREDENTIAL: &str = "/v1/run/host-credential";
/// POST [`crate::host::Register`], answers [`crate::host::HostInstruction`]. Host.
pub const HOST_REGISTER: &str = "/v1/host/register";
/// POST [`crate::host::Heartbeat`], answers [`crate::host::HostInstruction`]. Host.
pub const HOST_HEARTBEAT: &str = "/v1/host/heartbeat";
/// GET a manifest's canonical bytes by their digest: `/v1/images/<64 hex digits>`. Node.
pub const IMAGE_MANIFEST: &str = "/v1/images/{digest}";
/// GET a stored chunk (zstd) by the digest of its uncompressed bytes: `/v1/chunks/<64 hex digits>`. Node.
pub const CHUNK: &str = "/v1/chunks/{digest}";
/// GET a blob by its digest: `/v1/blobs/<64 hex digits>`. Node.
pub const BLOB: &str = "/v1/blobs/{digest}";
/// GET [`crate::trust::Signed`]: the trust root of that version, 1, 2, .... Node.
pub const TRUST_ROOT: &str = "/v1/trust/root/{version}";
/// GET [`crate::trust::Signed`]: the newest catalogue. Node.
pub const TRUST_CATALOGUE: &str = "/v1/trust/catalogue";
/// GET [`crate::trust::Signed`]: what was signed of the image with that manifest: `/v1/trust/images/<64 hex digits>`. Node.
pub const TRUST_IMAGE: &str = "/v1/trust/images/{digest}";
/// GET: whether this provisioner leads or follows and its journal is current; 503 with the reason where not. Anyone.
pub const READYZ: &str = "/readyz";
/// GET: figures in the text format of Prometheus. Viewer.
pub const METRICS: &str = "/metrics";
/// GET: this API as OpenAPI 3.1. Anyone.
pub const OPENAPI: &str = "/openapi.json";
/// GET [`crate::site::Site`] with an entity tag; PUT another one with `If-Match` (`?dry_run=true` only says what would change:
/// [`crate::site_plan::SitePlan`]). Viewer; Admin.
pub const SITE: &str = "/v1/site";
/// GET [`crate::site_plan::Drift`]: where machines differ from the site. Viewer.
pub const SITE_DRIFT: &str = "/v1/site/drift";
/// PUT [`crate::customise::FileBytes`], answers 204: a file beside the site file, by its digest, 64 hex digits. Admin.
pub const SITE_FILE: &str = "/v1/site/files/{digest}";
/// GET [`crate::machine::MachineList`]: the waiting room. Viewer.
pub const MACHINES: &str = "/v1/machines";
/// POST [`crate::machine::Accept`], answers [`crate::view::NodeView`]. Technician.
pub const MACHINE_ACCEPT: &str = "/v1/machines/{mac}/accept";
/// DELETE: out of the waiting room, answers 204. Technician.
pub const MACHINE: &str = "/v1/machines/{mac}";
/// POST [`crate::healing::Because`]: the host gives its work away. Operator, Fabric.
pub const DRAIN: &str = "/v1/nodes/{node}/drain";
/// POST [`crate::healing::Because`]: out of use. Operator, Fabric.
pub const QUARANTINE: &str = "/v1/nodes/{node}/quarantine";
/// POST [`crate::healing::Because`]: a person begins to work at it. Technician.
pub const REPAIR: &str = "/v1/nodes/{node}/repair";
/// POST [`crate::healing::Because`]: out of drain, quarantine, repair or rescue. Technician from repair; Operator, Fabric.
pub const RELEASE: &str = "/v1/nodes/{node}/release";
/// POST [`crate::healing::Because`]: out of the fleet. Admin.
pub const RETIRE: &str = "/v1/nodes/{node}/retire";
/// POST [`crate::healing::Because`]: the maintenance OS with a shell. Operator.
pub const RESCUE: &str = "/v1/nodes/{node}/rescue";
/// POST `{"run": ID}`: the plan of that run may go on. Operator, Fabric.
pub const APPROVE_PLAN: &str = "/v1/nodes/{node}/approve";
/// POST [`crate::action::Act`], answers [`crate::action::ActionView`]: power, next boot, LED, host actions. Operator; Technician
/// for the LED.
pub const NODE_ACTIONS: &str = "/v1/nodes/{node}/actions";
/// GET [`crate::bmc::BmcReport`]: what the BMC says. Viewer.
pub const NODE_BMC: &str = "/v1/nodes/{node}/bmc";
/// GET: the serial console as far as the BMC keeps it, `text/plain`. Viewer.
pub const NODE_CONSOLE: &str = "/v1/nodes/{node}/console";
/// POST `{"troubles": [...]}`: what the fabric controller sees wrong with the host. Fabric.
pub const NODE_TROUBLES: &str = "/v1/nodes/{node}/troubles";
/// POST `{"text": ...}`: a remark. Technician.
pub const NODE_REMARKS: &str = "/v1/nodes/{node}/remarks";
/// GET: the repair ticket, `text/html` to print or `application/json`. Viewer.
pub const NODE_TICKET: &str = "/v1/nodes/{node}/ticket";
/// GET: the diagnostics that the host sent last, `application/gzip`. Viewer.
pub const NODE_DIAGNOSTICS: &str = "/v1/nodes/{node}/diagnostics";
/// GET [`crate::action::ActionList`]: `?node=NAME&open=true`. Viewer.
pub const ACTIONS: &str = "/v1/actions";
/// POST [`crate::healing::Because`]. Fabric, Operator.
pub const ACTION_VETO: &str = "/v1/actions/{action}/veto";
/// POST [`crate::healing::Because`]. Fabric, Operator.
pub const ACTION_APPROVE: &str = "/v1/actions/{action}/approve";
/// GET [`crate::healing::BrakeView`]; POST [`crate::healing::BrakeOrder`]. Viewer; Operator, Fabric.
pub const BRAKE: &str = "/v1/brake";
/// GET [`crate::fleet::FleetView`]: counts by phase, racks, ETA, leader, brake. Viewer.
pub const FLEET: &str = "/v1/fleet";
/// GET events of the audit trail, paged as [`EVENTS`]. Admin.
pub const AUDIT: &str = "/v1/audit";
/// GET how each webhook stands. Admin.
pub const WEBHOOKS: &str = "/v1/webhooks";
/// POST a host's diagnostics (gzip), `?action=ID`, answers 204. Host.
pub const HOST_DIAGNOSTICS: &str = "/v1/host/diagnostics";
/// POST [`crate::adopt::AdoptOrder`], answers [`crate::adopt::AdoptTokenView`]: a running host with that token becomes this
/// node; DELETE, with or without [`crate::healing::Because`], answers [`crate::view::NodeView`]: its host is not ours any more.
/// Operator.
pub const ADOPT: &str = "/v1/nodes/{node}/adopt";
/// POST [`crate::adopt::AdoptRequest`] with a token in `Authorization: Bearer`, answers [`crate::adopt::AdoptReply`]. Anyone who
/// has the token.
pub const ADOPT_HOST: &str = "/v1/adopt";
/// GET the site CA's certificate, `application/x-pem-file`: public, and believed only by who knows its digest. Anyone.
pub const CA: &str = "/v1/ca";
