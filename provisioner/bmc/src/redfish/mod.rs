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
use bmc_core::text::inert;
use bmc_core::trouble::Trouble;
use bmc_core::{report, resource::Collection};
use client::Client;
use groundstate_api::Millis;
use groundstate_api::action::NextBoot;
use groundstate_api::bmc::BmcReport;
use serde_json::json;

/// The most pages of one collection that are read.
const PAGES_MAX: usize = 16;
/// The most machines behind one BMC among which one is looked for.
const SYSTEMS_MAX: usize = 16;
/// The most machines that a refusal names.
const NAMED_MAX: usize = 32;
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
        let (link, system) = match wanted {
            Some(wanted) => named(client, &links, wanted).await?,
            None => only(client, &links).await?,
        };
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

/// The machine of this id.
async fn named(
    client: &mut Client,
    links: &[Link],
    wanted: &str,
) -> Result<(Link, System), Trouble> {
    let link = links
        .iter()
        .find(|link| link.id() == wanted)
        .ok_or_else(|| Trouble::NoSystem {
            wanted: Some(inert(wanted)),
            has: ids(links),
        })?;
    Ok((link.clone(), System::read(&client.get(link).await?)))
}

/// The only machine; of several the only one that can be booted and reset, as where an accelerator's board stands beside it.
async fn only(client: &mut Client, links: &[Link]) -> Result<(Link, System), Trouble> {
    if let [link] = links {
        return Ok((link.clone(), System::read(&client.get(link).await?)));
    }
    let none = || Trouble::NoSystem {
        wanted: None,
        has: ids(links),
    };
    if links.len() > SYSTEMS_MAX {
        return Err(none());
    }
    let mut found = None;
    for link in links {
        let system = match client.get(link).await {
            Ok(answer) => System::read(&answer),
            Err(trouble) if trouble.bars_the_way() => return Err(trouble),
            // What cannot be read is not known to be another board: nothing is guessed then.
            Err(_) => return Err(none()),
        };
        if system.boot.is_known() && system.reset.target.is_some() {
            if found.is_some() {
                return Err(none());
            }
            found = Some((link.clone(), system));
        }
    }
    found.ok_or_else(none)
}

fn ids(links: &[Link]) -> Vec<String> {
    links
        .iter()
        .take(NAMED_MAX)
        .map(|link| inert(link.id()))
        .collect()
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
