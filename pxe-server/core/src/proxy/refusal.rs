// SPDX-License-Identifier: Apache-2.0
//! The reason why a machine gets no boot file.

use crate::dhcp::BootNames;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::{MacAddr, Part, Reason, ReasonCode};

/// There is no file for this processor architecture type.
pub(crate) fn no_file(mac: MacAddr, architecture: u16, names: &BootNames) -> Reason {
    let served: Vec<String> = names
        .pxe
        .keys()
        .chain(names.http.keys())
        .map(u16::to_string)
        .collect();
    Reason::new(
        ReasonCode::PlanRefused,
        format!("there is no boot file for processor architecture type {architecture}"),
        "name a boot file for this architecture in the configuration, or boot this machine as x86-64",
    )
    .about(Part::Machine {
        said: mac.to_string(),
    })
    .seen(format!(
        "the client says {architecture}; served are {}",
        served.join(", ")
    ))
}
