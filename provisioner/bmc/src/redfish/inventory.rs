// SPDX-License-Identifier: Apache-2.0
//! What the BMC says of its machine. A part that cannot be read is left out; the rest is told all the same.

use super::{Redfish, members};
use bmc_core::answer::Answer;
use bmc_core::link::Link;
use bmc_core::report::{self, Found};
use bmc_core::resource::{Dimm, Drive, Nic, Processor, System};
use bmc_core::trouble::Trouble;
use groundstate_api::Millis;
use groundstate_api::bmc::BmcReport;

/// The most parts of one kind that are read: 64 DIMM slots, 60 drives in a storage server.
const PARTS_MAX: usize = 96;

impl Redfish {
    pub(super) async fn report(&mut self, now: Millis) -> Result<BmcReport, Trouble> {
        let (_, system) = self.now().await?;
        let mut found = Found {
            led: self.led(&system).await.ok().flatten().map(|(_, led)| led),
            ..Found::default()
        };
        let links = system.links.clone();
        for answer in self.each(links.memory.as_ref()).await? {
            found.dimms.extend(Dimm::read(&answer));
        }
        for answer in self.each(links.processors.as_ref()).await? {
            found.processors.extend(Processor::read(&answer));
        }
        for answer in self.each(links.nics.as_ref()).await? {
            found.nics.extend(Nic::read(&answer));
        }
        if found.nics.is_empty() {
            found.nics = self.adapters(&system).await?;
        }
        found.drives = self.drives(&system).await?;
        let vendor = self.root.vendor.as_deref();
        Ok(report::by_redfish(
            now,
            &system,
            vendor,
            &self.manager,
            &found,
            self.client.certificate(),
        ))
    }

    /// The members of a collection that can be read.
    async fn each(&mut self, collection: Option<&Link>) -> Result<Vec<Answer>, Trouble> {
        let Some(collection) = collection else {
            return Ok(Vec::new());
        };
        let links = match members(&mut self.client, collection).await {
            Ok(links) => links,
            Err(trouble) => return skip(trouble).map(|()| Vec::new()),
        };
        self.all(&links).await
    }

    async fn all(&mut self, links: &[Link]) -> Result<Vec<Answer>, Trouble> {
        let mut answers = Vec::new();
        for link in links.iter().take(PARTS_MAX) {
            match self.client.get(link).await {
                Ok(answer) => answers.push(answer),
                Err(trouble) => skip(trouble)?,
            }
        }
        Ok(answers)
    }

    async fn drives(&mut self, system: &System) -> Result<Vec<Drive>, Trouble> {
        let mut drives = Vec::new();
        for storage in self.each(system.links.storage.as_ref()).await? {
            let links = storage.top().links("Drives");
            drives.extend(self.all(&links).await?.iter().filter_map(Drive::read));
            if drives.len() >= PARTS_MAX {
                break;
            }
        }
        if drives.is_empty() {
            for storage in self.each(system.links.simple_storage.as_ref()).await? {
                drives.extend(Drive::of_simple_storage(&storage));
            }
        }
        Ok(drives)
    }

    /// Some services name network interfaces at the chassis' adapters only.
    async fn adapters(&mut self, system: &System) -> Result<Vec<Nic>, Trouble> {
        let mut nics = Vec::new();
        let chassis = system.links.chassis.clone();
        for chassis in self.all(&chassis).await? {
            for adapter in self
                .each(chassis.top().link("NetworkAdapters").as_ref())
                .await?
            {
                for function in self
                    .each(adapter.top().link("NetworkDeviceFunctions").as_ref())
                    .await?
                {
                    nics.extend(Nic::of_adapter(&function));
                }
            }
        }
        Ok(nics)
    }
}

/// One resource that is refused or odd is left out; a BMC that cannot be spoken to ends it.
fn skip(trouble: Trouble) -> Result<(), Trouble> {
    if trouble.bars_the_way() {
        return Err(trouble);
    }
    tracing::debug!(%trouble, "a part of a BMC's inventory cannot be read");
    Ok(())
}
