// SPDX-License-Identifier: Apache-2.0
//! Orders for one node or several: what would be sent is shown first, a person is asked, each is sent with a key of its own,
//! and what came of each is said. One that is refused keeps none of the others back.

use super::list::view_page;
use super::paper::{Paper, Tone};
use super::said::{ask, causes, document, document_line, say, tell};
use super::table::{Cell, Table};
use super::{Client, Connect, Refused, Terms, Verb};
use crate::End;
use crate::refusal::{self, Failed};
use anyhow::{Result, bail};
use clap::Args;
use groundstate_api::text::inert;
use groundstate_api::view::{NodeView, Phase};
use groundstate_api::{NodeId, Reason};
use serde_json::{Value, json};

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
    /// Why it would be refused, as far as the phase of its node decides.
    pub(crate) refused: Option<Reason>,
}

/// Whether a person is asked before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Always.
    Always,
    /// Always, and what will happen was shown already.
    Shown,
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
        if how.json {
            would_be_sent(&orders.iter().map(Order::document).collect::<Vec<_>>())?;
        } else {
            say(&page(orders, true, Paper::of_terminal()))?;
        }
        return Ok(refused(orders));
    }
    let asked = !how.yes && (ask != Ask::Several || orders.len() > 1);
    if asked {
        if ask != Ask::Shown {
            show(orders);
        }
        if !agreed(verb, orders)? {
            return Err(Failed::not_agreed().into());
        }
    }
    let came = send(client, orders, how, asked);
    if !came.views.is_empty() {
        say(&view_page(&came.views, Paper::of_terminal()))?;
    }
    let end = came.ended?;
    match came.unanswered {
        None => Ok(end),
        // Its line has told it already.
        Some(_) if how.json => Ok(End::Faults),
        Some(node) => bail!("not every order was answered, {node}'s for example"),
    }
}

/// Shows what will happen, to a person who is asked next.
pub(crate) fn show(orders: &[Order]) {
    tell(&page(orders, false, Paper::of_terminal()));
}

/// Says why those that would be refused would be, and how the dry run ends.
fn refused(orders: &[Order]) -> End {
    let mut end = End::Done;
    for order in orders {
        if let Some(reason) = &order.refused {
            tell(&format!("{}: {reason}", order.node));
            end = End::Held;
        }
    }
    end
}

/// What came of the orders.
struct Came {
    views: Vec<NodeView>,
    /// How it ended; an error where an answer could not be printed.
    ended: Result<End>,
    /// One of several that nobody answered.
    unanswered: Option<NodeId>,
}

/// Sends each one: neither one that is refused nor a reader that has gone keeps the others back.
fn send(client: &Client, orders: &[Order], how: &How, asked: bool) -> Came {
    let mut came = Came {
        views: Vec::new(),
        ended: Ok(End::Done),
        unanswered: None,
    };
    for order in orders {
        let mut terms = Terms::fresh();
        if let Some(key) = &how.idempotency_key {
            terms.key.clone_from(key);
        }
        // Who decided on what was shown decided on that, and on nothing that came after.
        terms.if_match = asked.then(|| format!("\"{}\"", order.version));
        let answer = client.order(Verb::Post, &order.path, Some(&order.body), &terms);
        if let Err(error) = came.take(order, answer, how.json, orders.len() == 1) {
            came.ended = Err(error);
        }
    }
    came
}

impl Came {
    /// Says what came of one order, or keeps it for the table at the end.
    fn take(
        &mut self,
        order: &Order,
        answer: Result<String>,
        json: bool,
        alone: bool,
    ) -> Result<()> {
        let error = match answer {
            Ok(text) if json && alone => return document(&text),
            Ok(text) if json => return document_line(&text),
            Ok(text) if text.trim().is_empty() => return say(&format!("{}: done", order.node)),
            Ok(text) => match serde_json::from_str::<NodeView>(&text) {
                Ok(view) => {
                    self.views.push(view);
                    return Ok(());
                }
                Err(_) => return document(&text),
            },
            Err(error) if alone => return Err(error),
            Err(error) => error,
        };
        if json {
            document_line(&refusal::document(&error, Some(&order.node)).to_string())?;
        }
        match error.downcast_ref::<Refused>() {
            Some(refused) => {
                tell(&format!("{}: {}", order.node, refused.reason));
                if matches!(self.ended, Ok(End::Done)) {
                    self.ended = Ok(End::Held);
                }
            }
            None => {
                tell(&format!("{}: {}", order.node, causes(&error)));
                self.unanswered = Some(order.node.clone());
            }
        }
        Ok(())
    }
}

impl Order {
    /// What would be sent, for a program.
    fn document(&self) -> Value {
        json!({
            "node": self.node, "phase": self.phase, "method": "POST", "path": self.path, "body": self.body,
            "follows": self.says(), "refused": self.refused,
        })
    }

    /// What follows, or that it would be refused.
    fn says(&self) -> String {
        match &self.refused {
            None => self.follows.clone(),
            Some(reason) => format!("refused: {}", inert(&reason.what)),
        }
    }
}

/// Prints what would be sent as the one document of a dry run.
pub(crate) fn would_be_sent(orders: &[Value]) -> Result<()> {
    document(&json!({"dry_run": true, "orders": orders}).to_string())
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
            order.says().into(),
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
    let (wanted, words) = match orders {
        [one] => (one.node.to_string(), "the node's name".to_owned()),
        several => {
            let count = several.len().to_string();
            (count.clone(), format!("{count}, the number of nodes,"))
        }
    };
    Ok(ask(&format!("Type {words} to {verb}: "))? == wanted)
}
