// SPDX-License-Identifier: Apache-2.0
//! The logs of machine and BMC, as far as they stand in their collections.

use super::{Redfish, members};
use bmc_core::link::Link;
use bmc_core::resource::{Collection, LogEntry, LogService};
use bmc_core::trouble::Trouble;

/// The most lines that are handed back.
const LINES_MAX: usize = 500;
/// The most logs that are read.
const LOGS_MAX: usize = 8;
/// The most pages of one log.
const PAGES_MAX: usize = 8;

impl Redfish {
    pub(super) async fn logs(&mut self) -> Result<Vec<String>, Trouble> {
        let (_, system) = self.now().await?;
        let mut entries: Vec<LogEntry> = Vec::new();
        let mut notes = Vec::new();
        let places: Vec<Link> = [system.links.logs, self.manager.logs.clone()]
            .into_iter()
            .flatten()
            .collect();
        for place in places {
            for link in members(&mut self.client, &place)
                .await?
                .iter()
                .take(LOGS_MAX)
            {
                let log = match self.client.get(link).await {
                    Ok(answer) => LogService::read(&answer),
                    Err(trouble) => {
                        notes.push(note(link, trouble)?);
                        continue;
                    }
                };
                if let Some(page) = log.entries
                    && let Err(trouble) = self.pages(page, &mut entries).await
                {
                    notes.push(note(link, trouble)?);
                }
            }
        }
        // Times of ISO 8601 sort as texts; entries without one come first.
        entries.sort();
        entries.dedup();
        let from = entries.len().saturating_sub(LINES_MAX);
        let lines = entries
            .drain(from..)
            .map(|entry| format!("{} {}", entry.at, entry.text).trim().to_owned());
        notes.extend(lines);
        Ok(notes)
    }

    async fn pages(&mut self, first: Link, entries: &mut Vec<LogEntry>) -> Result<(), Trouble> {
        let mut next = Some(first);
        for _ in 0..PAGES_MAX {
            let Some(link) = next.take() else { break };
            let answer = self.client.get(&link).await?;
            let here = LogEntry::of_page(&answer);
            let page = Collection::read(&answer);
            if here.is_empty() {
                // Only links: the newest are read one by one.
                let from = page.members.len().saturating_sub(20);
                for link in page.members.get(from..).unwrap_or_default() {
                    entries.extend(LogEntry::read(&self.client.get(link).await?));
                }
            }
            entries.extend(here);
            next = page.next;
        }
        Ok(())
    }
}

/// A log that cannot be read is named; a BMC that cannot be spoken to ends it.
fn note(link: &Link, trouble: Trouble) -> Result<String, Trouble> {
    if trouble.bars_the_way() {
        return Err(trouble);
    }
    Ok(format!("log {} cannot be read: {trouble}", link.id()))
}
