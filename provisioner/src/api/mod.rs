// SPDX-License-Identifier: Apache-2.0
//! The HTTPS API, version 1: routes, and who may call them.

mod actions;
mod adopt;
mod audit;
mod bmc;
pub(crate) mod body;
mod boots;
mod brake;
pub(crate) mod conditional;
mod desk;
mod diagnostics;
mod disks;
mod enrol;
mod erase;
mod events;
mod files;
mod fleet;
mod guard;
mod health;
mod host;
mod idempotency;
mod life;
mod machines;
mod metrics;
pub(crate) mod node;
mod nodes;
mod only_if;
mod openapi;
mod operator;
pub(crate) mod paging;
mod problem;
mod rate;
mod replay;
pub(crate) mod routes;
pub(crate) mod scope;
mod site;
mod sse;
mod text;
mod ticket;
mod wrong;

pub use problem::Refusal;

use crate::provisioner::Provisioner;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use groundstate_api::paths;
use routes::{Routes, routes};
use std::sync::Arc;

impl Provisioner {
    /// Every path of [`groundstate_api::paths`]. `images` serves manifests, chunks and blobs at exactly their paths;
    /// it gets to see only requests of nodes in a run and of operators.
    pub fn api(&self, images: Router) -> Router {
        let desk = (self.clone(), Arc::new(desk::Desk::default()));
        let scopes = (self.clone(), scope::SiteScopes::default());
        served()
            .into_router()
            .with_state(self.clone())
            .merge(images)
            .fallback(guard::no_such_path)
            .method_not_allowed_fallback(guard::wrong_method)
            .layer(from_fn_with_state(desk, desk::desk))
            .layer(from_fn_with_state(scopes, guard::guard))
            .layer(from_fn_with_state(self.clone(), guard::provisioners))
            .layer(from_fn(conditional::conditional))
            .layer(from_fn(problem::problems_only))
            .layer(from_fn_with_state(self.clone(), metrics::measure))
    }
}

/// Every route that is served here. The images' come from the composition, with rows of their own.
fn served() -> Routes {
    routes![
        GET paths::HEALTHZ => operator::healthz,
        GET paths::NODE => replay::node,
        GET paths::NODES => nodes::nodes,
        GET paths::METRICS => metrics::metrics,
        GET paths::OPENAPI => openapi::openapi,
        GET paths::AUDIT => audit::audit,
        GET paths::WEBHOOKS => crate::webhook::webhooks,
        POST paths::PROVISION => operator::provision,
        POST paths::REPROVISION => operator::reprovision,
        GET paths::NODE_PLAN => operator::plan,
        GET paths::NODE_PLAN_PREVIEW => disks::plan_preview,
        POST paths::REBUILD_DISK => disks::rebuild_disk,
        POST paths::ERASE => erase::erase,
        GET paths::ERASE_CERTIFICATES => erase::certificates,
        POST paths::RUN_ERASED => erase::erased,
        GET paths::NODE_LOG => operator::log,
        GET paths::EVENTS => events::events,
        GET paths::BOOTS => boots::boots,
        GET paths::BOOT_ANSWERS => boots::answers,
        POST paths::BOOT_REPORTS => boots::report,
        POST paths::ENROL => enrol::enrol,
        POST paths::RUN_INVENTORY => node::inventory,
        GET paths::RUN_INSTRUCTION => node::instruction,
        POST paths::RUN_PROGRESS => node::progress,
        POST paths::RUN_LOG => node::log,
        POST paths::RUN_SOURCES => crate::fan_out::sources,
        POST paths::RUN_HOST_CREDENTIAL => node::host_credential,
        POST paths::HOST_REGISTER => host::register,
        POST paths::HOST_HEARTBEAT => host::heartbeat,
    ]
    // Others' routes, one `.merge(NAME::routes())` each:
    .merge(health::routes())
    .merge(actions::routes())
    .merge(adopt::routes())
    .merge(bmc::routes())
    .merge(brake::routes())
    .merge(diagnostics::routes())
    .merge(life::routes())
    .merge(fleet::routes())
    .merge(ticket::routes())
    .merge(machines::routes())
    .merge(files::routes())
    .merge(site::routes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prov_core::Route;

    /// Served by the image repository, which the composition puts beside us.
    const IMAGES: [&str; 6] = [
        paths::IMAGE_MANIFEST,
        paths::CHUNK,
        paths::BLOB,
        paths::TRUST_ROOT,
        paths::TRUST_CATALOGUE,
        paths::TRUST_IMAGE,
    ];
    /// Rows of routes that are not served.
    const NOT_SERVED: &[&str] = &[];

    #[test]
    fn every_row_is_served_once() {
        let served = served();
        for row in Route::ALL {
            let count = served.rows().iter().filter(|other| **other == row).count();
            let elsewhere = IMAGES.contains(&row.path) || NOT_SERVED.contains(&row.path);
            assert_eq!(
                count,
                usize::from(!elsewhere),
                "{} {}",
                row.method,
                row.path
            );
        }
    }
}
