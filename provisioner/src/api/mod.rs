// SPDX-License-Identifier: Apache-2.0
//! The HTTPS API, version 1: routes, and who may call them.

pub(crate) mod body;
mod boots;
mod disks;
mod enrol;
mod erase;
mod events;
mod guard;
mod host;
pub(crate) mod node;
mod operator;
mod problem;
mod text;

pub use problem::Refusal;

use crate::provisioner::Provisioner;
use axum::Router;
use axum::routing::{get, post};
use groundstate_api::paths;

impl Provisioner {
    /// Every path of [`groundstate_api::paths`]. `images` serves manifests, chunks and blobs at exactly their paths;
    /// it gets to see only requests of nodes in a run and of operators.
    pub fn api(&self, images: Router) -> Router {
        let ours = Router::new()
            .route(paths::HEALTHZ, get(operator::healthz))
            .route(paths::NODES, get(operator::nodes))
            .route(paths::NODE, get(operator::node))
            .route(paths::PROVISION, post(operator::provision))
            .route(paths::REPROVISION, post(operator::reprovision))
            .route(paths::NODE_PLAN, get(operator::plan))
            .route(paths::NODE_PLAN_PREVIEW, get(disks::plan_preview))
            .route(paths::REBUILD_DISK, post(disks::rebuild_disk))
            .route(paths::ERASE, post(erase::erase))
            .route(paths::ERASE_CERTIFICATES, get(erase::certificates))
            .route(paths::RUN_ERASED, post(erase::erased))
            .route(paths::NODE_LOG, get(operator::log))
            .route(paths::EVENTS, get(events::events))
            .route(paths::BOOTS, get(boots::boots))
            .route(paths::BOOT_ANSWERS, get(boots::answers))
            .route(paths::BOOT_REPORTS, post(boots::report))
            .route(paths::ENROL, post(enrol::enrol))
            .route(paths::RUN_INVENTORY, post(node::inventory))
            .route(paths::RUN_INSTRUCTION, get(node::instruction))
            .route(paths::RUN_PROGRESS, post(node::progress))
            .route(paths::RUN_LOG, post(node::log))
            .route(paths::RUN_SOURCES, post(crate::fan_out::sources))
            .route(paths::RUN_HOST_CREDENTIAL, post(node::host_credential))
            .route(paths::HOST_REGISTER, post(host::register))
            .route(paths::HOST_HEARTBEAT, post(host::heartbeat))
            .with_state(self.clone());
        let guarded = axum::middleware::from_fn_with_state(self.clone(), guard::guard);
        ours.merge(images)
            .fallback(guard::no_such_path)
            .method_not_allowed_fallback(guard::wrong_method)
            .layer(guarded)
    }
}
