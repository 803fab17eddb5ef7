// SPDX-License-Identifier: Apache-2.0
//! Time-outs and limits. Each has its reason; tests shorten them.

use groundstate_api::Millis;
use std::path::PathBuf;

/// How BMCs are spoken to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program that speaks IPMI; looked for in `PATH` where it has no slash.
    pub ipmitool: PathBuf,
    /// The port of IPMI where the address names none, or names that of Redfish.
    pub ipmi_port: u16,
    /// Requests under way at once, over all BMCs: a wave over a thousand nodes must not fill the management network.
    pub requests_max: usize,
    /// Until a connection stands, TLS included: BMCs need seconds for RSA.
    pub connect: Millis,
    /// Until an answer has come in whole: slow BMCs need 20 seconds for a `ComputerSystem`.
    pub answer: Millis,
    /// Until one run of `ipmitool` has ended.
    pub ipmi_answer: Millis,
    /// Between two looks at what was written.
    pub settle: Millis,
    /// Looks at what was written before it counts as ignored.
    pub looks: u32,
    /// Until a task has ended.
    pub task: Millis,
    /// How long refusals during POST are waited out.
    pub post: Millis,
    /// Between two looks at power, at first and at most, as parts of what `bmc-core` says: 1 in production.
    pub pace_divisor: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ipmitool: PathBuf::from("ipmitool"),
            ipmi_port: 623,
            requests_max: 64,
            connect: Millis::secs(10),
            answer: Millis::secs(60),
            ipmi_answer: Millis::secs(30),
            settle: Millis::secs(2),
            looks: 5,
            task: Millis::secs(300),
            post: Millis::secs(180),
            pace_divisor: 1,
        }
    }
}
