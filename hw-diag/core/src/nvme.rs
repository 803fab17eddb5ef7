// SPDX-License-Identifier: Apache-2.0
//! NVMe disks: Identify Controller and the SMART / Health log page, with its verdict.
//!
//! Refuses to invent: a log of zeros is unknown, and a field that a drive leaves empty is not reported as a figure.

mod health_log;
mod identify;

pub use health_log::{LOG_LENGTH, health};
pub use identify::{Controller, IDENTIFY_LENGTH, identify_controller};

/// Admin command Get Log Page.
pub const GET_LOG_PAGE: u8 = 0x02;
/// Admin command Identify.
pub const IDENTIFY: u8 = 0x06;
/// CNS of Identify Controller, Command Dword 10.
pub const CNS_CONTROLLER: u32 = 1;
/// Every namespace: the log page is the controller's.
pub const ALL_NAMESPACES: u32 = u32::MAX;
/// Command Dword 10 for the SMART / Health log: page 02h, 128 double words less one.
pub const HEALTH_LOG_DW10: u32 = 0x007f_0002;
