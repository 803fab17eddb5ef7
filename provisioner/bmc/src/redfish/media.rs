// SPDX-License-Identifier: Apache-2.0
//! Virtual media: an ISO for one boot.

use super::{Redfish, members};
use crate::clock::duration;
use bmc_core::link::Link;
use bmc_core::resource::{Media, insert_bodies};
use bmc_core::text::inert;
use bmc_core::trouble::Trouble;
use serde_json::json;
use tokio::time::sleep;

impl Redfish {
    /// The devices that take an ISO, at the machine or at its BMC.
    async fn slots(&mut self) -> Result<Vec<(Link, Media)>, Trouble> {
        let (_, system) = self.now().await?;
        let mut slots = Vec::new();
        for place in [system.links.media, self.manager.media.clone()]
            .into_iter()
            .flatten()
        {
            for link in members(&mut self.client, &place).await? {
                let media = Media::read(&self.client.get(&link).await?);
                if media.takes_iso() {
                    slots.push((link, media));
                }
            }
            if !slots.is_empty() {
                break;
            }
        }
        if slots.is_empty() {
            return Err(Trouble::NotOffered {
                wanted: "virtual media that take an ISO".into(),
                offers: Vec::new(),
            });
        }
        Ok(slots)
    }

    pub(super) async fn insert(&mut self, url: &str) -> Result<Vec<String>, Trouble> {
        let slots = self.slots().await?;
        if let Some((link, media)) = slots
            .iter()
            .find(|(_, media)| media.image.as_deref() == Some(url))
        {
            return Ok(vec![format!("{} at {link} shows it already", media.id)]);
        }
        let free = slots
            .iter()
            .find(|(_, media)| !media.inserted && media.insert.is_some());
        let Some((link, media)) = free
            .or_else(|| slots.iter().find(|(_, media)| !media.inserted))
            .or_else(|| slots.first())
            .cloned()
        else {
            return Err(Trouble::odd("no virtual media"));
        };
        if media.inserted {
            self.take_out(&link, &media).await?;
        }
        self.put_in(&link, &media, url).await?;
        let mut seen = None;
        for _ in 0..self.client.settings.looks {
            let media = Media::read(&self.client.get(&link).await?);
            // Some services show another spelling of the URL, or hide it: that something is in there counts.
            if media.inserted {
                return Ok(vec![format!(
                    "{} shows {}",
                    media.id,
                    media.image.unwrap_or_else(|| "something".into())
                )]);
            }
            seen = media.image;
            sleep(duration(self.client.settings.settle)).await;
        }
        Err(Trouble::Ignored {
            asked: format!("insert {}", inert(url)),
            seen: seen.unwrap_or_else(|| "nothing in the drive".into()),
        })
    }

    async fn put_in(&mut self, link: &Link, media: &Media, url: &str) -> Result<(), Trouble> {
        let Some(target) = &media.insert else {
            let body = json!({"Image": url, "Inserted": true});
            let tag = self.client.get_tagged(link).await?.1;
            return match self.client.patch(link, &body, tag.clone()).await {
                // XCC refuses Inserted together with Image.
                Err(Trouble::Refused { .. }) => {
                    self.client.patch(link, &json!({"Image": url}), tag).await
                }
                other => other,
            };
        };
        let [plain, named] = insert_bodies(url);
        match self.client.post(target, &plain).await {
            Err(Trouble::Refused { status: 400, .. }) => {
                self.client.post(target, &named).await.map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }

    async fn take_out(&mut self, link: &Link, media: &Media) -> Result<(), Trouble> {
        match &media.eject {
            Some(target) => self.client.post(target, &json!({})).await.map(|_| ()),
            None => {
                let tag = self.client.get_tagged(link).await?.1;
                self.client
                    .patch(link, &json!({"Image": null, "Inserted": false}), tag)
                    .await
            }
        }
    }

    pub(super) async fn eject(&mut self) -> Result<Vec<String>, Trouble> {
        let mut facts = Vec::new();
        for (link, media) in self.slots().await? {
            if !media.inserted {
                continue;
            }
            self.take_out(&link, &media).await?;
            let mut still = true;
            for _ in 0..self.client.settings.looks {
                still = Media::read(&self.client.get(&link).await?).inserted;
                if !still {
                    break;
                }
                sleep(duration(self.client.settings.settle)).await;
            }
            if still {
                return Err(Trouble::Ignored {
                    asked: format!("eject {}", media.id),
                    seen: "it is in there still".into(),
                });
            }
            facts.push(format!("{} is empty", media.id));
        }
        if facts.is_empty() {
            facts.push("nothing was in there".into());
        }
        Ok(facts)
    }
}
