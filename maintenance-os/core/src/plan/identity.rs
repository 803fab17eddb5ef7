// SPDX-License-Identifier: Apache-2.0
//! A plan's identity: the SHA-256 of its canonical bytes.

use alloc::vec::Vec;
use groundstate_api::plan::Plan;
use groundstate_api::{Digest, PlanId};

const BLANK: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The bytes that the id is the SHA-256 of: the plan's JSON, fields in the order of their declaration, no spaces,
/// with the id itself as 64 zeros.
#[must_use]
pub fn canonical_bytes(plan: &Plan) -> Vec<u8> {
    let mut plan = plan.clone();
    plan.id = blank();
    serde_json::to_vec(&plan)
        .expect("a plan has no map with keys other than text and no failing serializer")
}

/// Whether the plan's id is that of its bytes.
#[must_use]
pub fn verify(plan: &Plan) -> bool {
    of(plan) == plan.id
}

pub(super) fn of(plan: &Plan) -> PlanId {
    let hex = Digest::of(&canonical_bytes(plan)).hex();
    hex.parse()
        .expect("a digest's 64 hexadecimal digits are a plan id")
}

pub(super) fn blank() -> PlanId {
    BLANK.parse().expect("64 zeros are a plan id")
}
