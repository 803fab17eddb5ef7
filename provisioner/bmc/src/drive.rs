// SPDX-License-Identifier: Apache-2.0
//! Carries out a change of power as `bmc-core` decides it.

use crate::clock::duration;
use crate::kind::Bmc;
use crate::settings::Settings;
use bmc_core::power::{Action, Event, Power};
use bmc_core::trouble::Trouble;
use groundstate_api::Millis;
use groundstate_api::action::PowerTo;
use tokio::time::{Instant, sleep};

/// Until the power is as wanted, or says why it is not.
pub(crate) async fn power(
    bmc: &mut dyn Bmc,
    to: PowerTo,
    within: Millis,
    settings: &Settings,
) -> Result<Vec<String>, Trouble> {
    let (allowed, ask_twice) = bmc.resets().await?;
    let pace = settings.pace_divisor.max(1);
    let begun = Instant::now();
    let now = || {
        let elapsed = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Millis(elapsed.saturating_mul(pace))
    };
    let mut machine = Power::new(to, allowed, ask_twice, now(), within);
    let mut wanted = Vec::new();
    machine.begin(&mut wanted);
    loop {
        let event = match wanted.pop() {
            Some(Action::Look) => Event::Looked(bmc.look().await),
            Some(Action::Order(reset)) => Event::Ordered(bmc.reset(reset).await),
            Some(Action::Done(facts)) => return Ok(facts),
            Some(Action::Failed(trouble)) => return Err(trouble),
            None => {
                let at = machine
                    .deadline()
                    .ok_or_else(|| Trouble::odd("a change of power waits for nothing"))?;
                sleep(duration(Millis(at.since(now()).0 / pace + 1))).await;
                Event::Tick
            }
        };
        machine.handle(now(), event, &mut wanted);
    }
}
