// SPDX-License-Identifier: Apache-2.0
//! The graph among our crates: a star around `api`, held by rules and by a golden file.

use crate::command::{command, output};
use crate::layout::Layout;
use crate::product;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Where a crate stands in the star.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rank {
    /// The words.
    Api,
    /// Decides.
    Core,
    /// Acts.
    Shell,
    /// Puts together.
    Composer,
}

/// Each of our crates and its rank. A crate that is not here is a breach.
const RANKS: &[(&str, Rank)] = &[
    ("groundstate-api", Rank::Api),
    ("pxe-core", Rank::Core),
    ("image-core", Rank::Core),
    ("hw-core", Rank::Core),
    ("mos-core", Rank::Core),
    ("prov-core", Rank::Core),
    ("bmc-core", Rank::Core),
    ("pxe-server", Rank::Shell),
    ("image-repo", Rank::Shell),
    ("hw-diag", Rank::Shell),
    ("maintenance-os", Rank::Shell),
    ("provisioner", Rank::Shell),
    ("bmc", Rank::Shell),
    ("groundstate-journal", Rank::Shell),
    ("host-agent", Rank::Shell),
    ("groundstate", Rank::Composer),
    ("groundstate-tests", Rank::Composer),
    ("xtask", Rank::Composer),
];

/// Edges that the ranks forbid and the house allows, with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("maintenance-os", "hw-diag", "its probes run on the node"),
    ("host-agent", "hw-diag", "its probes run on the host"),
    (
        "provisioner",
        "groundstate-journal",
        "its journal, which is measured and proved by itself",
    ),
    (
        "provisioner",
        "bmc",
        "it speaks to BMCs in a crate of its own, which is proved against peers by itself",
    ),
    (
        "xtask",
        "groundstate-tests",
        "the demo is played in the virtual rack",
    ),
];

/// Who depends on whom; `dev` edges are for tests only.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Graph {
    edges: BTreeMap<String, BTreeSet<(String, bool)>>,
}

impl Graph {
    /// The workspace's graph, from cargo itself.
    pub(super) fn of(layout: &Layout) -> Result<Self> {
        let mut cargo = command(
            product::program(),
            ["metadata", "--no-deps", "--format-version=1", "--offline"],
        );
        let bytes = output(cargo.current_dir(layout.source("")))?;
        Self::read(&serde_json::from_slice(&bytes)?)
    }

    fn read(metadata: &Value) -> Result<Self> {
        let name = |value: &Value| value["name"].as_str().map(str::to_owned);
        let packages = metadata["packages"]
            .as_array()
            .context("cargo metadata lists no packages")?;
        let ours: BTreeSet<String> = packages.iter().filter_map(name).collect();
        let mut edges = BTreeMap::new();
        for package in packages {
            let from = name(package).context("a package has no name")?;
            let to = package["dependencies"]
                .as_array()
                .context("a package has no list of dependencies")?;
            let to = to
                .iter()
                .filter_map(|to| Some((name(to)?, to["kind"].as_str() == Some("dev"))))
                .filter(|(to, _)| ours.contains(to))
                .collect();
            edges.insert(from, to);
        }
        Ok(Self { edges })
    }

    /// The golden text: one line per crate.
    pub(super) fn draw(&self) -> String {
        let mut text = String::from(
            "# Who depends on whom among our crates; (test) where only tests do. Written by `cargo xtask tidy --bless`.\n",
        );
        for (from, to) in &self.edges {
            let to: Vec<String> = to
                .iter()
                .map(|(to, dev)| format!("{to}{}", if *dev { " (test)" } else { "" }))
                .collect();
            text.push_str(&format!("{from}: {}\n", to.join(", ")));
        }
        text
    }

    /// Every edge that the star forbids.
    pub(super) fn breaches(&self) -> Vec<String> {
        let mut breaches = Vec::new();
        for (from, to) in &self.edges {
            let Some(rank) = rank_of(from) else {
                breaches.push(format!(
                    "crate {from} has no rank in xtask/src/tidy/graph.rs"
                ));
                continue;
            };
            for (to, dev) in to {
                let excepted = EXCEPTIONS.iter().any(|(a, b, _)| a == from && b == to);
                let allowed = excepted || rank_of(to).is_some_and(|to| may(rank, to, *dev));
                if !allowed {
                    breaches.push(format!("{from} ({rank:?}) must not depend on {to}"));
                }
            }
        }
        breaches
    }
}

fn rank_of(name: &str) -> Option<Rank> {
    RANKS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, rank)| *rank)
}

/// Whether one rank may use another. A shell's tests may use another shell as a real peer; nothing else changes in tests.
fn may(from: Rank, to: Rank, test: bool) -> bool {
    match (from, to) {
        (Rank::Api, _) | (_, Rank::Composer) => false,
        (_, Rank::Api) => true,
        (Rank::Core, Rank::Core | Rank::Shell) => false,
        (Rank::Shell, Rank::Core) => true,
        (Rank::Shell, Rank::Shell) => test,
        (Rank::Composer, Rank::Core | Rank::Shell) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    fn graph(edges: &[(&str, &str, Option<&str>)]) -> Graph {
        let names: BTreeSet<_> = edges.iter().flat_map(|(a, b, _)| [*a, *b]).collect();
        let packages: Vec<_> = names
            .iter()
            .map(|name| {
                let to: Vec<_> = edges
                    .iter()
                    .filter(|(from, _, _)| from == name)
                    .map(|(_, to, kind)| json!({"name": to, "kind": kind}))
                    .chain([json!({"name": "serde", "kind": null})])
                    .collect();
                json!({"name": name, "dependencies": to})
            })
            .collect();
        Graph::read(&json!({ "packages": packages })).unwrap()
    }

    #[test]
    fn the_star_is_held() {
        let good = graph(&[
            ("pxe-core", "groundstate-api", None),
            ("pxe-server", "pxe-core", None),
            ("pxe-server", "image-repo", Some("dev")),
            ("maintenance-os", "hw-diag", None),
            ("groundstate", "pxe-server", None),
        ]);
        assert_eq!(good.breaches(), [] as [String; 0]);
        let bad = graph(&[
            ("pxe-core", "image-core", None),
            ("pxe-server", "image-repo", None),
            ("groundstate-api", "hw-core", None),
            ("provisioner", "groundstate-tests", Some("dev")),
            ("stranger", "groundstate-api", None),
        ]);
        expect![[r#"
            groundstate-api (Api) must not depend on hw-core
            provisioner (Shell) must not depend on groundstate-tests
            pxe-core (Core) must not depend on image-core
            pxe-server (Shell) must not depend on image-repo
            crate stranger has no rank in xtask/src/tidy/graph.rs"#]]
        .assert_eq(&bad.breaches().join("\n"));
    }

    #[test]
    fn the_picture_is_one_line_a_crate() {
        let graph = graph(&[
            ("pxe-server", "pxe-core", None),
            ("pxe-server", "image-repo", Some("dev")),
        ]);
        expect![[r#"
            # Who depends on whom among our crates; (test) where only tests do. Written by `cargo xtask tidy --bless`.
            image-repo: 
            pxe-core: 
            pxe-server: image-repo (test), pxe-core
        "#]]
        .assert_eq(&graph.draw());
    }
}
