// SPDX-License-Identifier: Apache-2.0
//! Sets what is booted next, and looks whether it is so.

use super::Redfish;
use crate::clock::duration;
use bmc_core::link::Link;
use bmc_core::next_boot::{Lasting, can_be_cleared, choose, clear_body, is_cleared};
use bmc_core::quirk::Effect;
use bmc_core::resource::{Boot, System};
use bmc_core::trouble::Trouble;
use groundstate_api::action::NextBoot;
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// Where an override is written, and what stands there.
struct Place {
    link: Link,
    boot: Boot,
    tag: Option<String>,
}

impl Redfish {
    pub(super) async fn override_boot(
        &mut self,
        to: NextBoot,
        lasting: Lasting,
    ) -> Result<Vec<String>, Trouble> {
        let place = self.place().await?;
        let wanted = choose(to, lasting, &place.boot, &self.quirks)?;
        let link = place.link.clone();
        self.write(place, &wanted.body()).await?;
        let facts = self.read_back(&link, |boot| wanted.compare(boot)).await?;
        if !self.quirks.want(Effect::LookTwice) {
            return Ok(facts);
        }
        sleep(duration(self.client.settings.settle)).await;
        wanted.compare(&self.boot_at(&link).await?)
    }

    pub(super) async fn clear_override(&mut self) -> Result<Vec<String>, Trouble> {
        let place = self.place().await?;
        if is_cleared(&place.boot).is_ok() {
            return Ok(vec!["there is no boot override".into()]);
        }
        if !can_be_cleared(&place.boot) {
            return self
                .override_boot(NextBoot::Disk, Lasting::Continuous)
                .await;
        }
        let (link, body) = (place.link.clone(), clear_body(&place.boot, &self.quirks));
        let result = match self.write(place, &body).await {
            Ok(()) => self.read_back(&link, is_cleared).await,
            Err(trouble) => Err(trouble),
        };
        match result {
            // Services that know no `Disabled` and do not say so.
            Err(Trouble::Refused { .. } | Trouble::Ignored { .. }) => {
                self.override_boot(NextBoot::Disk, Lasting::Continuous)
                    .await
            }
            other => other,
        }
    }

    /// The machine itself, or its settings for the next boot where those hold the override.
    async fn place(&mut self) -> Result<Place, Trouble> {
        let (answer, tag) = self.client.get_tagged(&self.system).await?;
        let system = System::read(&answer);
        if let Some(link) = system.settings
            && let Ok((answer, tag)) = self.client.get_tagged(&link).await
        {
            let boot = System::read(&answer).boot;
            if boot.target.is_some() || boot.targets.is_some() {
                // What is allowed often stands at the machine only.
                let boot = Boot {
                    targets: boot.targets.or(system.boot.targets),
                    enableds: boot.enableds.or(system.boot.enableds),
                    mode: boot.mode.or(system.boot.mode),
                    ..boot
                };
                return Ok(Place { link, boot, tag });
            }
        }
        Ok(Place {
            link: self.system.clone(),
            boot: system.boot,
            tag,
        })
    }

    async fn write(&mut self, place: Place, body: &Value) -> Result<(), Trouble> {
        let always = self.quirks.want(Effect::AlwaysIfMatch);
        let tag = place.tag.or_else(|| always.then(|| "*".into()));
        let begun = Instant::now();
        loop {
            let result = self.client.patch(&place.link, body, tag.clone()).await;
            let waits = self.quirks.want(Effect::WaitOutPost)
                && begun.elapsed() < duration(self.client.settings.post);
            match result {
                Err(Trouble::Busy { .. }) if waits => {
                    sleep(duration(self.client.settings.settle)).await
                }
                other => return other,
            }
        }
    }

    async fn boot_at(&mut self, link: &Link) -> Result<Boot, Trouble> {
        Ok(System::read(&self.client.get(link).await?).boot)
    }

    /// Looks until it is so, or says what is so instead.
    async fn read_back<F>(&mut self, link: &Link, compare: F) -> Result<Vec<String>, Trouble>
    where
        F: Fn(&Boot) -> Result<Vec<String>, Trouble>,
    {
        let mut result = compare(&self.boot_at(link).await?);
        for _ in 1..self.client.settings.looks {
            if result.is_ok() {
                break;
            }
            sleep(duration(self.client.settings.settle)).await;
            result = compare(&self.boot_at(link).await?);
        }
        result
    }
}
