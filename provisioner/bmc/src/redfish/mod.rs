// SPDX-License-Identifier: Apache-2.0
//! A session with a Redfish service. Resources are found by links from the service root only.

mod boot;
mod client;
mod inventory;
mod led;
mod login;
mod logs;
mod media;

use crate::kind::{Asked, Bmc};
use bmc_core::answer::Answer;
use bmc_core::learned::MachineKey;
use bmc_core::link::Link;
use bmc_core::next_boot::Lasting;
use bmc_core::power::{Look, Reset};
use bmc_core::quirk::{Effect, Quirks};
use bmc_core::resource::{Manager, Root, System, allowed_by_action_info};
use bmc_core::trouble::Trouble;
use bmc_core::{report, resource::Collection};
use client::Client;
use groundstate_api::Millis;
use groundstate_api::action::NextBoot;
use groundstate_api::bmc::BmcReport;
use serde_json::json;

/// The most pages of one collection that are read.
const PAGES_MAX: usize = 16;
/// The most members of one collection that are read one by one.
const MEMBERS_MAX: usize = 256;

/// One machine behind one service.
pub(crate) struct Redfish {
    client: Client,
    root: Root,
    system: Link,
    manager: Manager,
    quirks: Quirks,
    key: MachineKey,
}

impl Redfish {
    /// Finds the machine: the one that is named, or the only one.
    async fn find(
        mut client: Client,
        root: Root,
        wanted: Option<&str>,
    ) -> Result<Self, (Client, Trouble)> {
        match Self::look_around(&mut client, &root, wanted).await {
            Ok((system, first, manager)) => Ok(Self {
                quirks: report::quirks(&first, root.vendor.as_deref(), &manager),
                key: report::machine_key(&first, root.vendor.as_deref(), &manager),
                client,
                root,
                system,
                manager,
            }),
            Err(trouble) => Err((client, trouble)),
        }
    }

    async fn look_around(
        client: &mut Client,
        root: &Root,
        wanted: Option<&str>,
    ) -> Result<(Link, System, Manager), Trouble> {
        let systems = root.systems.as_ref().ok_or_else(|| Trouble::NoSystem {
            wanted: wanted.map(String::from),
            has: Vec::new(),
        })?;
        let links = members(client, systems).await?;
        let has = || links.iter().map(|link| link.id().to_owned()).collect();
        let link = match wanted {
            Some(wanted) => links.iter().find(|link| link.id() == wanted),
            None if links.len() == 1 => links.first(),
            None => None,
        };
        let link = link.cloned().ok_or_else(|| Trouble::NoSystem {
            wanted: wanted.map(String::from),
            has: has(),
        })?;
        let system = System::read(&client.get(&link).await?);
        let manager = match system.links.managers.first() {
            Some(link) => Some(link.clone()),
            None => match &root.managers {
                Some(managers) => members(client, managers)
                    .await
                    .ok()
                    .and_then(|links| links.first().cloned()),
                None => None,
            },
        };
        let manager = match manager {
            // What a BMC says of itself is good to know; its machine can be managed without.
            Some(link) => client
                .get(&link)
                .await
                .map(|answer| Manager::read(&answer))
                .unwrap_or_default(),
            None => Manager::default(),
        };
        Ok((link, system, manager))
    }

    async fn now(&mut self) -> Result<(Answer, System), Trouble> {
        let answer = self.client.get(&self.system).await?;
        let system = System::read(&answer);
        Ok((answer, system))
    }

    async fn order(&mut self, reset: Reset) -> Result<(), Trouble> {
        let (_, system) = self.now().await?;
        let target = system.reset.target.ok_or_else(|| Trouble::NotOffered {
            wanted: "#ComputerSystem.Reset".into(),
            offers: Vec::new(),
        })?;
        let body = json!({"ResetType": reset.as_str()});
        self.client.post(&target, &body).await.map(|_| ())
    }

    async fn allowed(&mut self) -> Result<(Option<Vec<Reset>>, bool), Trouble> {
        let (_, system) = self.now().await?;
        let twice = self.quirks.want(Effect::AskPowerTwice);
        if system.reset.allowed.is_some() {
            return Ok((system.reset.allowed, twice));
        }
        let Some(info) = system.reset.info else {
            return Ok((None, twice));
        };
        Ok((
            allowed_by_action_info(&self.client.get(&info).await?),
            twice,
        ))
    }
}

/// The links of a collection, over its pages.
async fn members(client: &mut Client, link: &Link) -> Result<Vec<Link>, Trouble> {
    let (mut links, mut next) = (Vec::new(), Some(link.clone()));
    for _ in 0..PAGES_MAX {
        let Some(page) = next.take() else { break };
        let page = Collection::read(&client.get(&page).await?);
        links.extend(page.members);
        next = page.next;
        if links.len() >= MEMBERS_MAX {
            break;
        }
    }
    links.truncate(MEMBERS_MAX);
    Ok(links)
}

impl Bmc for Redfish {
    fn look(&mut self) -> Asked<'_, Look> {
        Box::pin(async {
            let (_, system) = self.now().await?;
            Ok(Look {
                power: system.power,
                mark: system.mark,
            })
        })
    }

    fn resets(&mut self) -> Asked<'_, (Option<Vec<Reset>>, bool)> {
        Box::pin(self.allowed())
    }

    fn reset(&mut self, reset: Reset) -> Asked<'_, ()> {
        Box::pin(self.order(reset))
    }

    fn set_next_boot(&mut self, to: NextBoot, lasting: Lasting) -> Asked<'_, Vec<String>> {
        Box::pin(self.override_boot(to, lasting))
    }

    fn clear_next_boot(&mut self) -> Asked<'_, Vec<String>> {
        Box::pin(self.clear_override())
    }

    fn identify(&mut self, on: bool) -> Asked<'_, Vec<String>> {
        Box::pin(self.light(on))
    }

    fn inventory(&mut self, now: Millis) -> Asked<'_, BmcReport> {
        Box::pin(self.report(now))
    }

    fn console_log(&mut self) -> Asked<'_, Vec<String>> {
        Box::pin(self.logs())
    }

    fn insert_media<'a>(&'a mut self, url: &'a str) -> Asked<'a, Vec<String>> {
        Box::pin(self.insert(url))
    }

    fn eject_media(&mut self) -> Asked<'_, Vec<String>> {
        Box::pin(self.eject())
    }

    fn machine(&self) -> Option<MachineKey> {
        Some(self.key.clone())
    }

    fn close(&mut self) -> Asked<'_, ()> {
        Box::pin(async {
            self.client.log_out().await;
            Ok(())
        })
    }
}
