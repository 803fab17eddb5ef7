// SPDX-License-Identifier: Apache-2.0
//! Where the news come from: one thread follows the journal's events by long polls, another asks for what is no event (how far
//! steps are, the site at a glance, the chosen node in full). When the provisioner does not answer they say so and ask again.

use super::Told;
use super::model::{EVENTS_MAX, News};
use crate::client::said::causes;
use crate::client::{Client, Connect, node_path};
use anyhow::Result;
use groundstate_api::NodeId;
use groundstate_api::fleet::FleetView;
use groundstate_api::paths;
use groundstate_api::view::{EventPage, NodeReport, NodeView};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// How long one long poll waits: a dead connection is noticed after it.
const WAIT_MS: u64 = 20_000;
/// The pause after a question that was not answered: from this, doubled each time, to that.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How often the second thread looks what is due.
const LOOK: Duration = Duration::from_millis(500);
/// How often the site at a glance is asked for.
const FLEET: Duration = Duration::from_secs(3);
/// How often the whole list is: events have told of every change long before.
const LIST: Duration = Duration::from_secs(60);
/// How often the chosen node is, and each node on the screen whose step runs.
const CLOSE: Duration = Duration::from_secs(2);
/// The most nodes on the screen that are asked for in one round.
const CLOSE_MAX: usize = 40;

/// What the screen looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Looks {
    pub(super) chosen: Option<NodeId>,
    /// Nodes on the screen whose steps run.
    pub(super) running: Vec<NodeId>,
}

/// What is known before the screen is drawn for the first time.
pub(super) struct First {
    pub(super) nodes: Vec<NodeView>,
    pub(super) fleet: FleetView,
}

/// Asks for everything once. Where that does not work the screen is not begun.
pub(super) fn first(client: &Client) -> Result<First> {
    let fleet = client.get(paths::FLEET)?;
    let nodes = nodes(client)?;
    Ok(First { nodes, fleet })
}

fn nodes(client: &Client) -> Result<Vec<NodeView>> {
    let all = crate::client::nodes::views(client)?;
    crate::client::names::keep(&all);
    Ok(all)
}

/// Starts both threads.
pub(super) fn start(
    connect: &Connect,
    after: u64,
    told: &Sender<Told>,
    looks: Receiver<Looks>,
) -> Result<()> {
    let (follows, asks) = (Client::new(connect)?, Client::new(connect)?);
    let to = told.clone();
    std::thread::Builder::new()
        .name("events".into())
        .spawn(move || {
            let _out = OutWhenBroken(to.clone());
            follow(&follows, after, &to);
        })?;
    let to = told.clone();
    std::thread::Builder::new()
        .name("looks".into())
        .spawn(move || {
            let _out = OutWhenBroken(to.clone());
            Asker::new(asks, to).run(&looks);
        })?;
    Ok(())
}

/// A thread that breaks ends the screen: it would show what is true no more.
struct OutWhenBroken(Sender<Told>);

impl Drop for OutWhenBroken {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _nobody = self.0.send(Told::Out);
        }
    }
}

/// Follows the events until nobody listens.
fn follow(client: &Client, mut after: u64, told: &Sender<Told>) {
    let mut pause = PAUSE_MIN;
    let mut lost = false;
    loop {
        // After a loss the first answer comes at once: whether it answers is what is asked.
        let wait = if lost { 0 } else { WAIT_MS };
        let page =
            client.get::<EventPage>(&format!("{}?after={after}&wait_ms={wait}", paths::EVENTS));
        let news = match page {
            Ok(page) => {
                after = page.next_after.max(after);
                pause = PAUSE_MIN;
                if std::mem::take(&mut lost) && told.send(Told::News(News::Live)).is_err() {
                    return;
                }
                News::Events(page.events)
            }
            Err(error) => {
                lost = true;
                News::Lost(causes(&error))
            }
        };
        if told.send(Told::News(news)).is_err() {
            return;
        }
        if lost {
            std::thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Asks for what is no event.
struct Asker {
    client: Client,
    told: Sender<Told>,
    fleet: Instant,
    list: Instant,
    close: Instant,
    chosen: Option<NodeId>,
}

impl Asker {
    fn new(client: Client, told: Sender<Told>) -> Self {
        let now = Instant::now();
        Self {
            client,
            told,
            fleet: now + FLEET,
            list: now + LIST,
            close: now,
            chosen: None,
        }
    }

    fn run(&mut self, looks: &Receiver<Looks>) {
        let mut at = Looks::default();
        loop {
            match looks.recv_timeout(LOOK) {
                Ok(newer) => at = looks.try_iter().last().unwrap_or(newer),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Who follows the events says when nobody answers; here it is asked again at the next round.
            let _asked_again = self.round(&at);
        }
    }

    fn round(&mut self, looks: &Looks) -> Result<()> {
        let now = Instant::now();
        if looks.chosen != self.chosen || now >= self.close {
            self.chosen.clone_from(&looks.chosen);
            self.close = now + CLOSE;
            if let Some(node) = &looks.chosen {
                let report: NodeReport = self.client.get(&node_path(paths::NODE, node))?;
                let newest = format!(
                    "{}?newest=true&limit={EVENTS_MAX}&node={node}",
                    paths::EVENTS
                );
                let page: EventPage = self.client.get(&newest)?;
                self.tell(News::Report(Box::new(report), page.events))?;
            }
            for node in looks.running.iter().take(CLOSE_MAX) {
                let report: NodeReport = self.client.get(&node_path(paths::NODE, node))?;
                self.tell(News::Node(Box::new(report.view)))?;
            }
        }
        if now >= self.fleet {
            self.fleet = now + FLEET;
            self.tell(News::Fleet(Box::new(self.client.get(paths::FLEET)?)))?;
        }
        if now >= self.list {
            self.list = now + LIST;
            self.tell(News::Nodes(nodes(&self.client)?))?;
        }
        Ok(())
    }

    fn tell(&self, news: News) -> Result<()> {
        Ok(self.told.send(Told::News(news))?)
    }
}
