// SPDX-License-Identifier: Apache-2.0
//! The authorisation matrix.

use super::{Object, Roles, Route, Who};
use groundstate_api::paths;

const fn seen(path: &'static str, object: Object) -> Route {
    row("GET", path, Who::Roles(Roles::ALL), object)
}

const fn order(path: &'static str, roles: Roles) -> Route {
    row("POST", path, Who::Roles(roles), Object::Node)
}

const fn own(method: &'static str, path: &'static str, who: Who) -> Route {
    row(method, path, who, Object::Own)
}

const fn image(path: &'static str) -> Route {
    row("GET", path, Who::NodeOr(Roles::ORDERS), Object::Nothing)
}

const fn open(path: &'static str) -> Route {
    row("GET", path, Who::Anyone, Object::Nothing)
}

const fn row(method: &'static str, path: &'static str, who: Who, object: Object) -> Route {
    Route {
        path,
        method,
        who,
        object,
    }
}

const ADMIN: Who = Who::Roles(Roles::ADMIN);
const OPERATOR: Who = Who::Roles(Roles::OPERATOR);
const ORDERS: Who = Who::Roles(Roles::ORDERS);
const HANDS: Who = Who::Roles(Roles::HANDS);

/// Every route of the API.
pub(super) const ALL: &[Route] = &[
    open(paths::HEALTHZ),
    open(paths::READYZ),
    open(paths::OPENAPI),
    seen(paths::METRICS, Object::Site),
    seen(paths::NODES, Object::Each),
    seen(paths::NODE, Object::Node),
    order(paths::PROVISION, Roles::ORDERS),
    order(paths::REPROVISION, Roles::ORDERS),
    seen(paths::NODE_PLAN, Object::Node),
    seen(paths::NODE_PLAN_PREVIEW, Object::Node),
    order(paths::REBUILD_DISK, Roles::ORDERS),
    order(paths::ERASE, Roles::ADMIN),
    seen(paths::ERASE_CERTIFICATES, Object::Node),
    seen(paths::NODE_LOG, Object::Node),
    order(paths::DRAIN, Roles::ORDERS),
    order(paths::QUARANTINE, Roles::ORDERS),
    order(paths::REPAIR, Roles::HANDS),
    order(paths::RELEASE, Roles::ACTS),
    order(paths::RETIRE, Roles::ADMIN),
    order(paths::RESCUE, Roles::OPERATOR),
    order(paths::APPROVE_PLAN, Roles::ORDERS),
    order(paths::NODE_ACTIONS, Roles::ACTS),
    order(paths::NODE_TROUBLES, Roles::FABRIC),
    order(paths::NODE_REMARKS, Roles::ACTS),
    order(paths::ADOPT, Roles::OPERATOR),
    row("DELETE", paths::ADOPT, OPERATOR, Object::Node),
    row("POST", paths::ADOPT_HOST, Who::Anyone, Object::Own),
    open(paths::CA),
    seen(paths::NODE_BMC, Object::Node),
    seen(paths::NODE_CONSOLE, Object::Node),
    seen(paths::NODE_TICKET, Object::Node),
    seen(paths::NODE_DIAGNOSTICS, Object::Node),
    seen(paths::ACTIONS, Object::Each),
    row("POST", paths::ACTION_VETO, ORDERS, Object::Each),
    row("POST", paths::ACTION_APPROVE, ORDERS, Object::Each),
    seen(paths::BRAKE, Object::Each),
    row("POST", paths::BRAKE, ORDERS, Object::Site),
    seen(paths::FLEET, Object::Each),
    seen(paths::EVENTS, Object::Each),
    seen(paths::BOOTS, Object::Each),
    row("GET", paths::BOOT_ANSWERS, OPERATOR, Object::Site),
    row("POST", paths::BOOT_REPORTS, OPERATOR, Object::Site),
    seen(paths::SITE, Object::Site),
    row("PUT", paths::SITE, ADMIN, Object::Site),
    row("PUT", paths::SITE_FILE, ADMIN, Object::Site),
    seen(paths::SITE_DRIFT, Object::Each),
    seen(paths::MACHINES, Object::Site),
    row("POST", paths::MACHINE_ACCEPT, HANDS, Object::Site),
    row("DELETE", paths::MACHINE, HANDS, Object::Site),
    row("GET", paths::AUDIT, ADMIN, Object::Site),
    row("GET", paths::WEBHOOKS, ADMIN, Object::Site),
    row("POST", paths::ENROL, Who::Anyone, Object::Own),
    own("POST", paths::RUN_INVENTORY, Who::Node),
    own("GET", paths::RUN_INSTRUCTION, Who::Node),
    own("POST", paths::RUN_PROGRESS, Who::Node),
    own("POST", paths::RUN_LOG, Who::Node),
    own("POST", paths::RUN_SOURCES, Who::Node),
    own("POST", paths::RUN_HOST_CREDENTIAL, Who::Node),
    own("POST", paths::RUN_ERASED, Who::Node),
    own("GET", paths::RUN_FILE, Who::Node),
    own("GET", paths::RUN_CREDENTIAL, Who::Node),
    own("POST", paths::HOST_REGISTER, Who::Host),
    own("POST", paths::HOST_HEARTBEAT, Who::Host),
    own("POST", paths::HOST_DIAGNOSTICS, Who::Host),
    image(paths::IMAGE_MANIFEST),
    image(paths::CHUNK),
    image(paths::BLOB),
    image(paths::TRUST_ROOT),
    image(paths::TRUST_CATALOGUE),
    image(paths::TRUST_IMAGE),
];
