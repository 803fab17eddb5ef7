// SPDX-License-Identifier: Apache-2.0
//! The one trait behind which Redfish and IPMI stand.

use bmc_core::learned::MachineKey;
use bmc_core::next_boot::Lasting;
use bmc_core::power::{Look, Reset};
use bmc_core::trouble::Trouble;
use groundstate_api::Millis;
use groundstate_api::action::NextBoot;
use groundstate_api::bmc::BmcReport;
use std::future::Future;
use std::pin::Pin;

/// A question under way.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, Trouble>> + Send + 'a>>;

/// One BMC with which a session stands. Facts are sentences for people.
pub trait Bmc: Send {
    /// Power, and what moves when the machine restarts.
    fn look(&mut self) -> Asked<'_, Look>;
    /// Resets that it allows, `None` where it does not say; and whether orders may be lost (a quirk).
    fn resets(&mut self) -> Asked<'_, (Option<Vec<Reset>>, bool)>;
    /// Orders a reset. Its yes says nothing about power.
    fn reset(&mut self, reset: Reset) -> Asked<'_, ()>;
    /// Sets what is booted next, reads it back and compares.
    fn set_next_boot(&mut self, to: NextBoot, lasting: Lasting) -> Asked<'_, Vec<String>>;
    /// Takes the override back, reads back and compares.
    fn clear_next_boot(&mut self) -> Asked<'_, Vec<String>>;
    /// The locator LED, read back where the BMC shows it.
    fn identify(&mut self, on: bool) -> Asked<'_, Vec<String>>;
    /// What it says of its machine.
    fn inventory(&mut self, now: Millis) -> Asked<'_, BmcReport>;
    /// Lines of its logs, newest last.
    fn console_log(&mut self) -> Asked<'_, Vec<String>>;
    /// Shows the machine an ISO.
    fn insert_media<'a>(&'a mut self, url: &'a str) -> Asked<'a, Vec<String>>;
    /// Takes the ISO away.
    fn eject_media(&mut self) -> Asked<'_, Vec<String>>;
    /// Model and firmware, as far as they are known.
    fn machine(&self) -> Option<MachineKey>;
    /// Ends the session at the BMC.
    fn close(&mut self) -> Asked<'_, ()>;
}
