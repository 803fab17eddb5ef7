// SPDX-License-Identifier: Apache-2.0
//! HTTP paths of version 1. Every one of them is served over HTTPS on one port.
//!
//! | who | how it is known |
//! |---|---|
//! | anyone | no client certificate |
//! | node | client certificate with common name `node:<node>:<run>` |
//! | host | client certificate with common name `host:<node>:<plan>` |
//! | operator | client certificate with common name `operator:<name>` |

/// GET: is the process alive. Anyone.
pub const HEALTHZ: &str = "/healthz";
/// GET [`crate::view::NodeList`]. Operator.
pub const NODES: &str = "/v1/nodes";
/// GET [`crate::view::NodeReport`]. Operator.
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
