// SPDX-License-Identifier: Apache-2.0
//! Reads the site file. Every fault is told at once, each with the path of its field.

use anyhow::{Context as _, Result, bail};
use groundstate_api::site::Site;
use std::path::Path;

/// The site file, checked.
pub(crate) fn read(path: &Path) -> Result<Site> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the site file {} cannot be read", path.display()))?;
    parse(&text).with_context(|| format!("the site file {}", path.display()))
}

fn parse(text: &str) -> Result<Site> {
    let reader = toml::Deserializer::parse(text)?;
    let site: Site = serde_path_to_error::deserialize(reader).map_err(|error| {
        let inner = error.inner();
        let line = inner
            .span()
            .and_then(|span| text.get(..span.start))
            .map(|above| above.lines().count().max(1));
        let line = line
            .map(|line| format!("line {line}: "))
            .unwrap_or_default();
        anyhow::anyhow!("{line}{}: {}", error.path(), inner.message())
    })?;
    let faults = prov_core::site_check::check(&site);
    if faults.is_empty() {
        return Ok(site);
    }
    let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
    let word = if faults.len() == 1 { "fault" } else { "faults" };
    bail!("has {} {word}:\n{}", faults.len(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    const GOOD: &str = r#"
name = "lab"
[network]
address = "10.77.0.1"
prefix = 24
pool_first = "10.77.0.100"
pool_last = "10.77.0.200"
[policy]
image = "debian-host"
hand_over = "kexec"
[[policy.vhd]]
name = "vm"
size = "64MiB"
count = 2
[[node]]
name = "node-1"
mac = "52:54:00:00:00:01"
uuid = "564d1234-5678-9abc-def0-123456789abc"
serial = "GS1"
"#;

    fn fault(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from), "{from}");
        format!("{:#}", parse(&GOOD.replace(from, to)).unwrap_err())
    }

    #[test]
    fn a_good_file_is_read() {
        assert_eq!(parse(GOOD).unwrap().nodes.len(), 1);
    }

    #[test]
    fn every_fault_names_its_field() {
        for (from, to, wants) in [
            (
                "prefix = 24",
                "prefix = 31",
                "network.prefix: 31 should be 8 to 30",
            ),
            (
                "\"10.77.0.200\"",
                "\"10.78.0.200\"",
                "network.pool_last: 10.78.0.200 should be a host address inside 10.77.0.0/24",
            ),
            (
                "\"10.77.0.1\"",
                "\"10.77.0.150\"",
                "network.address: 10.77.0.150 should not be in the pool",
            ),
            ("64MiB", "64MB", "policy.vhd[0].size: \"64MB\" should be"),
            ("64MiB", "100KiB", "whole number of MiB"),
            ("serial = \"GS1\"", "serial = \"\"", "node[0].serial"),
            ("52:54:00", "53:54:00", "node[0].mac"),
            (
                "52:54:00:00:00:01",
                "52:54:00:00:00",
                "node[0].mac: a MAC address is six pairs",
            ),
            ("prefix = 24", "prefix = 24\nprefiks = 1", "prefiks"),
        ] {
            let said = fault(from, to);
            assert!(said.contains(wants), "{from} -> {to}: {said}");
        }
    }

    #[test]
    fn two_nodes_may_not_be_the_same_machine() {
        let again = GOOD.split("[[node]]").nth(1).unwrap();
        let said = format!(
            "{:#}",
            parse(&format!("{GOOD}[[node]]{again}")).unwrap_err()
        );
        for field in ["name", "mac", "uuid"] {
            assert!(said.contains(&format!("node[1].{field}")), "{said}");
        }
    }
}
