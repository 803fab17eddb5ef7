// SPDX-License-Identifier: Apache-2.0
//! One line of the client matrix, and the table.

use super::wire::{Fetched, Wire};
use std::fmt;

/// How many digits of a SHA-256 the table shows.
const DIGITS: usize = 12;

/// What one client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The client.
    pub client: String,
    /// What it did, in a few words.
    pub did: String,
    /// Packets on its cable, both ways.
    pub packets: usize,
    /// The SHA-256 of the last file that it fetched, put together from the packets; none where it fetched none.
    pub sha256: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a client ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has what it wanted.
    Well(String),
    /// It has not, and why.
    Failed(String),
    /// It could not be tried here, and why.
    NotTried(String),
}

impl Row {
    /// What a client did, with what its cable carried.
    #[must_use]
    pub fn new(client: &str, did: &str, wire: &Wire, outcome: Outcome) -> Self {
        Self {
            client: client.to_owned(),
            did: did.to_owned(),
            packets: wire.packets,
            sha256: wire
                .fetched
                .last()
                .map(|Fetched { sha256, .. }| sha256.clone()),
            outcome,
        }
    }

    /// A client that could not be tried, or of which nothing is known.
    #[must_use]
    pub fn bare(client: &str, did: &str, outcome: Outcome) -> Self {
        Self::new(client, did, &Wire::default(), outcome)
    }

    /// Whether the client has what it wanted.
    #[must_use]
    pub const fn is_well(&self) -> bool {
        matches!(self.outcome, Outcome::Well(_))
    }
}

/// Every row.
#[derive(Clone, Debug, Default)]
pub struct Table(pub Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28} {:<34} {:>7}  {:<DIGITS$}  outcome",
            "client", "does", "packets", "sha-256"
        )?;
        for row in &self.0 {
            let digits = row
                .sha256
                .as_deref()
                .and_then(|all| all.get(..DIGITS))
                .unwrap_or("-");
            let outcome = match &row.outcome {
                Outcome::Well(said) => format!("ok: {said}"),
                Outcome::Failed(why) => format!("FAILED: {why}"),
                Outcome::NotTried(why) => format!("not tried: {why}"),
            };
            writeln!(
                f,
                "{:<28} {:<34} {:>7}  {digits:<DIGITS$}  {outcome}",
                row.client, row.did, row.packets
            )?;
        }
        let well = self.0.iter().filter(|row| row.is_well()).count();
        write!(
            f,
            "{well} of {} clients have what they asked for",
            self.0.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_a_client_and_counts_the_good_ones() {
        let fetched = Fetched {
            name: "x".into(),
            by: "tftp",
            length: 1,
            sha256: "0123456789abcdef".into(),
        };
        let wire = Wire {
            packets: 7,
            dhcp: 0,
            fetched: vec![fetched],
        };
        let table = Table(vec![
            Row::new("curl", "one file", &wire, Outcome::Well("1 byte".into())),
            Row::bare(
                "dhclient",
                "an address",
                Outcome::Failed("no answer".into()),
            ),
        ]);
        expect_test::expect![[r"
            client                       does                               packets  sha-256       outcome
            curl                         one file                                 7  0123456789ab  ok: 1 byte
            dhclient                     an address                               0  -             FAILED: no answer
            1 of 2 clients have what they asked for"]]
        .assert_eq(&table.to_string());
    }
}
