// SPDX-License-Identifier: Apache-2.0
//! Operators: one who orders and lists, and some who look all the time and whose calls are timed.

use super::ground::Site;
use crate::fleet::{Latencies, Line, Member};
use anyhow::{Context as _, Result, bail};
use groundstate_api::paths;
use groundstate_api::view::{NodeList, Order};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Who looks all the time.
const LOOKERS: u32 = 4;
/// Each looks so often.
const EVERY: Duration = Duration::from_millis(100);

/// An operator.
pub(super) struct Operator(Line);

impl Operator {
    pub(super) const fn new(line: Line) -> Self {
        Self(line)
    }

    /// Orders a run; whether it was taken.
    pub(super) async fn order(&mut self, who: Member, again: bool) -> Result<bool> {
        let path = if again {
            paths::REPROVISION
        } else {
            paths::PROVISION
        };
        let path = path.replace("{node}", who.name().as_str());
        for _ in 0..60 {
            let answer = self.0.post(&path, &Order::default()).await?;
            match answer.status {
                200..300 => return Ok(true),
                409 => return Ok(false),
                429 | 503 => {
                    let wait = answer.retry_after.unwrap_or(1).min(5);
                    sleep(Duration::from_secs(wait)).await;
                }
                _ => bail!("{path}: {} {}", answer.status, answer.says()),
            }
        }
        bail!("{path}: put off for too long")
    }

    /// Every node, page after page.
    pub(super) async fn list(&mut self) -> Result<NodeList> {
        let mut all = NodeList { nodes: Vec::new() };
        let mut path = format!("{}?limit=1000", paths::NODES);
        loop {
            let answer = self.0.get(&path).await?;
            let page: NodeList = answer.read()?;
            all.nodes.extend(page.nodes);
            match answer.next {
                Some(next) => path = next,
                None => return Ok(all),
            }
        }
    }
}

/// Operators who look.
pub(super) struct Probe {
    seen: Arc<Latencies>,
    failed: Arc<AtomicU32>,
    lookers: JoinSet<()>,
}

impl Probe {
    /// They begin.
    pub(super) fn begin(site: &Site) -> Result<Self> {
        let (seen, failed) = (Arc::new(Latencies::default()), Arc::default());
        let mut lookers = JoinSet::new();
        for number in 0..LOOKERS {
            let line = site.line()?;
            lookers.spawn(look(
                line,
                number,
                site.nodes(),
                seen.clone(),
                Arc::clone(&failed),
            ));
        }
        Ok(Self {
            seen,
            failed,
            lookers,
        })
    }

    /// They end.
    pub(super) async fn end(&mut self) {
        self.lookers.shutdown().await;
    }

    /// In milliseconds; a call that failed counts as one that took for ever.
    pub(super) fn quantile(&self, part: f64) -> f64 {
        let failed = f64::from(self.failed.load(Ordering::Relaxed));
        let all = failed + super::count(self.seen.counted());
        if all > 0.0 && failed / all > 1.0 - part {
            return f64::INFINITY;
        }
        self.seen.quantile(part)
    }

    pub(super) fn counted(&self) -> u64 {
        self.seen.counted()
    }
}

/// A page of the list, a node, events, and the process's own health, in turn.
async fn look(
    mut line: Line,
    mut number: u32,
    nodes: u32,
    seen: Arc<Latencies>,
    failed: Arc<AtomicU32>,
) {
    loop {
        number = number.wrapping_add(1);
        let who = Member(number.wrapping_mul(7_919) % nodes);
        let path = match number % 4 {
            0 => format!("{}?limit=50", paths::NODES),
            1 => format!("{}?after={}&limit=20", paths::EVENTS, u64::from(number)),
            2 => paths::HEALTHZ.to_owned(),
            _ => paths::NODE.replace("{node}", who.name().as_str()),
        };
        let began = Instant::now();
        match line.get(&path).await.context("no answer") {
            Ok(answer) if answer.is_good() => seen.count(began.elapsed()),
            Ok(_) | Err(_) => {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        sleep(EVERY).await;
    }
}
