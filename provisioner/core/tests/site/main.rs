// SPDX-License-Identifier: Apache-2.0
//! A site of two racks: what is a fault in it, what another one would change, and what a fleet makes of that.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that unwraps what is not there has failed"
)]

mod diff;
mod moved;
mod parts;
mod pools;
mod same;
mod texts;
mod waiting;

use groundstate_api::site::Site;
use prov_core::site_check::check;

/// As it stands in the guide.
const TWO_RACKS: &str = include_str!("two_racks.toml");

fn site() -> Site {
    toml::from_str(TWO_RACKS).unwrap()
}

/// The site with one text of its file replaced.
fn with(from: &str, to: &str) -> Site {
    assert!(TWO_RACKS.contains(from), "{from}");
    let text = TWO_RACKS.replacen(from, to, 1);
    toml::from_str(&text).unwrap_or_else(|error| panic!("{to}: {error}"))
}

fn faults(site: &Site) -> Vec<String> {
    check(site).iter().map(ToString::to_string).collect()
}
