// SPDX-License-Identifier: Apache-2.0
//! Where a resource lives: a path on the same BMC. A link to another host is refused here, so that a credential never goes there.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

/// The longest path that is followed, in bytes: real ones have under 200.
const PATH_MAX: usize = 1_024;

/// A path that begins with `/`, holds visible ASCII only, and stays on the BMC.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(String);

impl Link {
    /// The one path that is known beforehand (DSP0266, 6.2): the service root.
    #[must_use]
    pub fn root() -> Self {
        Self("/redfish/v1/".to_owned())
    }

    /// Reads `@odata.id`, an action's `target`, a `Location`. `host` is the BMC's own authority as it was asked (`10.0.0.9:443`), for
    /// answers with whole URLs.
    #[must_use]
    pub fn parse(text: &str, host: &str) -> Option<Self> {
        let text = text.trim();
        let path = match text.split_once("://") {
            Some((scheme, rest)) if !text.starts_with('/') => {
                let at = rest.find('/')?;
                let (authority, path) = rest.split_at(at);
                let known =
                    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
                if !known || !same_host(authority, host) {
                    return None;
                }
                path
            }
            _ => text,
        };
        // A fragment names a part of the resource (`/Power#/PowerSupplies/0`).
        let path = path.split('#').next().unwrap_or_default();
        let inside = |segment: &str| segment != ".." && segment != ".";
        let plain = path
            .bytes()
            .all(|b| (0x21..0x7f).contains(&b) && b != b'\\');
        let good = path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= PATH_MAX
            && plain
            && path.split(['/', '?']).all(inside);
        good.then(|| Self(path.to_owned()))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part of the path: a resource's id, as every service writes it.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0
            .trim_end_matches('/')
            .rsplit('/')
            .next()
            .unwrap_or_default()
    }
}

/// Whether two authorities name the same host; the port is not compared, because services behind a forwarded port name their own.
fn same_host(one: &str, other: &str) -> bool {
    host_of(one).eq_ignore_ascii_case(host_of(other))
}

fn host_of(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => {
            host
        }
        _ => authority,
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_on_its_host() {
        let host = "10.0.0.9:8443";
        for (text, path) in [
            ("/redfish/v1/Systems/1", Some("/redfish/v1/Systems/1")),
            (
                "/redfish/v1/Chassis/1/Power#/PowerSupplies/0",
                Some("/redfish/v1/Chassis/1/Power"),
            ),
            ("https://10.0.0.9/redfish/v1/T/1", Some("/redfish/v1/T/1")),
            ("https://10.0.0.9:8443/x?$skip=5", Some("/x?$skip=5")),
            ("https://10.0.0.10/redfish/v1", None),
            ("https://10.0.0.9@evil.example/redfish/v1", None),
            ("https://10.0.0.9", None),
            ("ftp://10.0.0.9/x", None),
            ("//evil.example/x", None),
            ("redfish/v1", None),
            ("/redfish/../etc", None),
            ("/redfish/v1/\r\nHost: evil", None),
            ("/a b", None),
            ("", None),
        ] {
            assert_eq!(
                Link::parse(text, host).as_ref().map(Link::as_str),
                path,
                "{text:?}"
            );
        }
        assert!(Link::parse(&("/".to_owned() + &"x".repeat(PATH_MAX)), host).is_none());
        assert_eq!(
            Link::parse("/redfish/v1/Systems/1/", host).unwrap().id(),
            "1"
        );
        assert!(Link::parse("https://[fd00::9]:443/x", "[fd00::9]").is_some());
        assert!(Link::parse("https://[fd00::8]:443/x", "[fd00::9]").is_none());
    }
}
