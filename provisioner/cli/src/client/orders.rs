// SPDX-License-Identifier: Apache-2.0
//! Orders for one node or several: what would be sent is shown first, a person is asked, each is sent with a key of its own,
//! and what came of each is said. One that is refused keeps none of the others back.

use super::list::view_page;
use super::paper::{Paper, Tone};
use super::said::{causes, document, document_line, say, tell};
use super::table::{Cell, Table};
use super::{Client, Connect, Refused, Terms, Verb};
use crate::End;
use anyhow::{Result, bail};
use clap::Args;
use groundstate_api::NodeId;
use groundstate_api::view::{NodeView, Phase};
use serde_json::Value;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// How orders are made.
#[derive(Args, Clone)]
pub(crate) struct How {
    /// Do not ask.
    #[arg(long)]
    pub(crate) yes: bool,
    /// Send nothing: say what would be sent, and what would follow.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print JSON: the API's document, for several nodes one in each line.
    #[arg(long)]
    pub(crate) json: bool,
    /// The key by which the provisioner knows the order again; a fresh one where absent. For one node only.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

/// One order, not sent yet.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) node: NodeId,
    /// Where the node is now, and the number of its newest event.
    pub(crate) phase: Phase,
    pub(crate) version: u64,
    pub(crate) path: String,
    pub(crate) body: Value,
    /// What follows where it is taken.
    pub(crate) follows: String,
}

/// Whether a person is asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Always.
    Always,
    /// Where it is for several nodes.
    Several,
}

/// Shows, asks, sends, and says what came of it.
pub(crate) fn carry_out(
    client: &Client,
    verb: &str,
    orders: &[Order],
    how: &How,
    ask: Ask,
) -> Result<End> {
    if how.idempotency_key.is_some() && orders.len() > 1 {
        bail!(
            "--idempotency-key is for one node; these are {}",
            orders.len()
        );
    }
    if how.dry_run {
        say(&page(orders, true, Paper::of_terminal()))?;
        return Ok(End::Done);
    }
    let asked = !how.yes && (ask == Ask::Always || orders.len() > 1);
    if asked {
        tell(&page(orders, false, Paper::of_terminal()));
        if !agreed(verb, orders)? {
            bail!("nothing was ordered");
        }
    }
    let mut end = End::Done;
    let mut failed = None;
    let mut views: Vec<NodeView> = Vec::new();
    for order in orders {
        let mut terms = Terms::fresh();
        if let Some(key) = &how.idempotency_key {
            terms.key.clone_from(key);
        }
        // Who decided on what was shown decided on that, and on nothing that came after.
        terms.if_match = asked.then(|| format!("\"{}\"", order.version));
        match client.order(Verb::Post, &order.path, Some(&order.body), &terms) {
            Ok(text) if how.json && orders.len() == 1 => document(&text)?,
            Ok(text) if how.json => document_line(&text)?,
            Ok(text) if text.trim().is_empty() => say(&format!("{}: done", order.node))?,
            Ok(text) => match serde_json::from_str::<NodeView>(&text) {
                Ok(view) => views.push(view),
                Err(_) => document(&text)?,
            },
            Err(error) if orders.len() == 1 => return Err(error),
            Err(error) => match error.downcast_ref::<Refused>() {
                Some(refused) => {
                    tell(&format!("{}: {}", order.node, refused.reason));
                    end = End::Held;
                }
                None => {
                    tell(&format!("{}: {}", order.node, causes(&error)));
                    failed = Some(order.node.clone());
                }
            },
        }
    }
    if !views.is_empty() {
        say(&view_page(&views, Paper::of_terminal()))?;
    }
    match failed {
        Some(node) => bail!("not every order was answered, {node}'s for example"),
        None => Ok(end),
    }
}

/// What will happen.
pub(crate) fn page(orders: &[Order], with_request: bool, paper: Paper) -> String {
    let mut head = vec!["NODE", "IS", "THEN"];
    if with_request {
        head.push("WOULD BE SENT");
    }
    let mut table = Table::new(&head);
    for order in orders {
        let mut cells = vec![
            Cell::from(order.node.as_str()),
            Cell::new(Tone::of(order.phase), order.phase.as_str()),
            order.follows.as_str().into(),
        ];
        if with_request {
            cells.push(format!("POST {} {}", order.path, order.body).into());
        }
        table.row(cells);
    }
    table.page(paper)
}

/// One node is typed by its name, several by how many they are: a habit of typing `y` agrees to nothing.
fn agreed(verb: &str, orders: &[Order]) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("this is not a terminal to ask on; --yes orders without asking");
    }
    let (wanted, words) = match orders {
        [one] => (one.node.to_string(), "the node's name".to_owned()),
        several => {
            let count = several.len().to_string();
            (count.clone(), format!("{count}, the number of nodes,"))
        }
    };
    let mut err = std::io::stderr().lock();
    write!(err, "Type {words} to {verb}: ")?;
    err.flush()?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim() == wanted)
}
