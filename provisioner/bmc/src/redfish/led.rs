// SPDX-License-Identifier: Apache-2.0
//! The locator LED, at the machine or at its chassis.

use super::Redfish;
use crate::clock::duration;
use bmc_core::link::Link;
use bmc_core::resource::{Led, System};
use bmc_core::trouble::Trouble;
use serde_json::json;
use tokio::time::sleep;

impl Redfish {
    /// The LED and where it is spoken to.
    pub(super) async fn led(&mut self, system: &System) -> Result<Option<(Link, Led)>, Trouble> {
        if let Some(led) = system.led {
            return Ok(Some((self.system.clone(), led)));
        }
        for link in system.links.chassis.iter().take(4) {
            if let Some(led) = Led::read(self.client.get(link).await?.top()) {
                return Ok(Some((link.clone(), led)));
            }
        }
        Ok(None)
    }

    pub(super) async fn light(&mut self, on: bool) -> Result<Vec<String>, Trouble> {
        let (_, system) = self.now().await?;
        let Some((link, led)) = self.led(&system).await? else {
            return Err(Trouble::NotOffered {
                wanted: "a locator LED".into(),
                offers: Vec::new(),
            });
        };
        // Blinking is what people look for; not every BMC has it.
        let bodies = match (led, on) {
            (Led::Active(_), on) => vec![json!({"LocationIndicatorActive": on})],
            (Led::Word(_), true) => vec![
                json!({"IndicatorLED": "Blinking"}),
                json!({"IndicatorLED": "Lit"}),
            ],
            (Led::Word(_), false) => vec![json!({"IndicatorLED": "Off"})],
        };
        let mut result = Err(Trouble::odd("no LED"));
        for body in bodies {
            let tag = self.client.get_tagged(&link).await?.1;
            result = self.client.patch(&link, &body, tag).await;
            if !matches!(result, Err(Trouble::Refused { .. })) {
                break;
            }
        }
        result?;
        let mut seen = "nothing";
        for _ in 0..self.client.settings.looks {
            let led = Led::read(self.client.get(&link).await?.top());
            if led.is_some_and(|led| led.is_on() == on) {
                return Ok(vec![format!(
                    "the locator LED is {}",
                    led.map_or("unknown", Led::as_str)
                )]);
            }
            seen = led.map_or("nothing", Led::as_str);
            sleep(duration(self.client.settings.settle)).await;
        }
        Err(Trouble::Ignored {
            asked: format!("the locator LED {}", if on { "on" } else { "off" }),
            seen: format!("the LED {seen}"),
        })
    }
}
