// SPDX-License-Identifier: Apache-2.0
//! The node's name becomes the host name: kernel, `/etc/hostname`, and a line in `/etc/hosts`.

use crate::error::AgentError;
use crate::host::Host;
use crate::root::Root;
use groundstate_api::NodeId;

const HOSTNAME: &str = "etc/hostname";
const HOSTS: &str = "etc/hosts";
/// Debian's address for a host's own name (Debian reference, section 5.1.1).
const OWN_ADDRESS: &str = "127.0.1.1";

pub(super) fn observe(root: &Root) -> Result<String, AgentError> {
    let text = root.read_text(HOSTNAME)?.unwrap_or_default();
    let name = text.trim();
    Ok(if name.is_empty() {
        "none".into()
    } else {
        name.into()
    })
}

pub(super) fn is_reached(root: &Root, node: &NodeId) -> Result<bool, AgentError> {
    let hosts = root.read_text(HOSTS)?.unwrap_or_default();
    Ok(observe(root)? == node.as_str() && with_own_name(&hosts, node) == hosts)
}

pub(super) fn act<H: Host>(root: &Root, host: &H, node: &NodeId) -> Result<(), AgentError> {
    host.set_host_name(node.as_str())
        .map_err(|error| AgentError::HostName {
            name: node.to_string(),
            error,
        })?;
    let hosts = root.read_text(HOSTS)?.unwrap_or_default();
    root.write(HOSTS, with_own_name(&hosts, node).as_bytes(), 0o644)?;
    root.write(HOSTNAME, format!("{node}\n").as_bytes(), 0o644)
}

/// `/etc/hosts` with the host's own name at 127.0.1.1; every other line stays as it is.
fn with_own_name(hosts: &str, node: &NodeId) -> String {
    let wanted = format!("{OWN_ADDRESS}\t{node}");
    let mut lines: Vec<&str> = hosts
        .lines()
        .filter(|line| line.split_whitespace().next() != Some(OWN_ADDRESS))
        .collect();
    let after_localhost = lines
        .iter()
        .position(|line| line.starts_with("127.0.0.1"))
        .map_or(0, |at| at + 1);
    lines.insert(after_localhost, &wanted);
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_line_of_hosts_changes() {
        let node: NodeId = "node1".parse().unwrap();
        let hosts =
            "# local\n127.0.0.1 localhost\n127.0.1.1 image.example image\n::1 ip6-localhost\n";
        let done = with_own_name(hosts, &node);
        assert_eq!(
            done,
            "# local\n127.0.0.1 localhost\n127.0.1.1\tnode1\n::1 ip6-localhost\n"
        );
        assert_eq!(with_own_name(&done, &node), done);
        assert_eq!(with_own_name("", &node), "127.0.1.1\tnode1\n");
    }
}
