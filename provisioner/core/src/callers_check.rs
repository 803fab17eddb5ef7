// SPDX-License-Identifier: Apache-2.0
//! Checks what a site says of BMCs, profiles, callers, webhooks and rescue keys. It never sees a secret: it checks the names
//! that secrets are found by.

use crate::near::meant;
use crate::parts_check::{Names, no_such, too_many};
use crate::site_limits::{ACCESS_MAX, PARTS_MAX, PROFILES_MAX, RESCUE_KEYS_MAX, WEBHOOKS_MAX};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use core::net::{IpAddr, SocketAddr};
use groundstate_api::customise::HOSTS_PREFIX;
use groundstate_api::event::KINDS;
use groundstate_api::site::Site;
use groundstate_api::site_parts::{BmcProtocol, BmcSite};

type Add<'a> = &'a mut dyn FnMut(String, String);

/// The longest name of a credential: it is the name of a file.
const CREDENTIAL_MAX: usize = 64;
/// The longest name of a caller: it stands in a certificate.
const CALLER_MAX: usize = 64;
/// The longest host name.
const HOST_MAX: usize = 253;
/// Kinds of key that may open a rescue shell.
const KEY_KINDS: &[&str] = &[
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];

/// Names every fault through `add`.
pub(crate) fn check(site: &Site, add: Add<'_>) {
    profiles(site, add);
    bmcs(site, add);
    access(site, add);
    webhooks(site, add);
    too_many("rescue.keys", site.rescue.keys.len(), RESCUE_KEYS_MAX, add);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, key) in site.rescue.keys.iter().enumerate() {
        let path = format!("rescue.keys[{index}]");
        match key_body(key) {
            Err(should) => add(path, should),
            Ok(body) => {
                if let Some(first) = seen.insert(body, index) {
                    add(path, format!("the same key as rescue.keys[{first}]"));
                }
            }
        }
    }
}

fn profiles(site: &Site, add: Add<'_>) {
    too_many("profile", site.profiles.len(), PROFILES_MAX, add);
    let mut names = Names::default();
    let mut users: BTreeMap<&str, u32> = BTreeMap::new();
    let known: BTreeSet<&str> = site.profiles.iter().map(|p| p.name.as_str()).collect();
    for (index, node) in site.nodes.iter().enumerate() {
        let Some(profile) = &node.profile else {
            continue;
        };
        if known.contains(profile.as_str()) {
            *users.entry(profile).or_default() += 1;
        } else {
            let should = no_such("profile", profile, known.iter().copied());
            add(format!("node[{index}].profile"), should);
        }
    }
    for (index, profile) in site.profiles.iter().enumerate() {
        let path = format!("profile[{index}]");
        names.take(&path, &profile.name, add);
        crate::site_check::expected(&path, &profile.hardware, add);
        let parts = profile
            .hardware
            .dimms
            .len()
            .max(profile.hardware.disks.len());
        too_many(&format!("{path}.hardware"), parts, PARTS_MAX, add);
        if profile.model.as_ref().is_some_and(|m| m.trim().is_empty()) {
            let should = "a model should not be empty; * stands for any text".to_string();
            add(format!("{path}.model"), should);
        }
        if users.get(profile.name.as_str()).copied().unwrap_or(0) < 2 {
            continue;
        }
        let one = "a serial number is of one machine, and several nodes are of this profile: write it at the node";
        let dimms = profile.hardware.dimms.iter().enumerate();
        for (at, _) in dimms.filter(|(_, dimm)| dimm.serial.is_some()) {
            add(
                format!("{path}.hardware.dimm[{at}].serial"),
                one.to_string(),
            );
        }
        let disks = profile.hardware.disks.iter().enumerate();
        for (at, _) in disks.filter(|(_, disk)| !disk.serial.is_empty()) {
            add(
                format!("{path}.hardware.disk[{at}].serial"),
                one.to_string(),
            );
        }
    }
}

fn bmcs(site: &Site, add: Add<'_>) {
    let mut taken: BTreeMap<(String, Option<&str>), usize> = BTreeMap::new();
    for (index, node) in site.nodes.iter().enumerate() {
        let Some(bmc) = &node.bmc else { continue };
        let path = format!("node[{index}].bmc");
        match endpoint(bmc) {
            Err(should) => add(format!("{path}.address"), should),
            Ok((host, port)) => {
                let key = (format!("{host} {port}"), bmc.system.as_deref());
                if let Some(first) = taken.get(&key) {
                    let should = format!(
                        "{} is taken by node[{first}].bmc; nodes that share a BMC say each its system",
                        bmc.address
                    );
                    add(format!("{path}.address"), should);
                } else {
                    taken.insert(key, index);
                }
                let held = match host.parse() {
                    Ok(IpAddr::V4(at)) => crate::pool_check::holds(site, at),
                    Ok(IpAddr::V6(_)) | Err(_) => None,
                };
                if let Some(pool) = held {
                    let should = format!("{host} should not be in {pool}");
                    add(format!("{path}.address"), should);
                }
            }
        }
        credential(&format!("{path}.credential"), &bmc.credential, add);
        if bmc
            .certificate
            .as_ref()
            .is_some_and(|text| !is_digest(text))
        {
            let should = "should be sha256: and 64 hexadecimal digits".to_string();
            add(format!("{path}.certificate"), should);
        }
        let segment = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
        if let Some(system) = &bmc.system
            && (system.is_empty()
                || system == "."
                || system == ".."
                || !system.chars().all(segment))
        {
            let should = format!("{system:?} should be of A-Z, a-z, 0-9 and . _ - :");
            add(format!("{path}.system"), should);
        }
    }
}

/// Host and port that a BMC is called at.
fn endpoint(bmc: &BmcSite) -> Result<(String, u16), String> {
    let usual = match bmc.protocol {
        None | Some(BmcProtocol::Redfish) => 443,
        Some(BmcProtocol::RedfishHttp) => 80,
        Some(BmcProtocol::Ipmi) => 623,
    };
    let text = bmc.address.as_str();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok((address.to_string(), usual));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return match address.port() {
            0 => Err(format!("{text:?} should have a port of 1 to 65535")),
            port => Ok((address.ip().to_string(), port)),
        };
    }
    let should = format!(
        "{text:?} should be an address or a host name, and a port where it is not the usual one: 10.9.0.7, bmc-7.example.net:8443, [fd00::7]:443"
    );
    let (host, port) = match text.rsplit_once(':') {
        None => (text, usual),
        Some((host, port)) => match port.parse() {
            Ok(port) if port > 0 => (host, port),
            Ok(_) | Err(_) => return Err(should),
        },
    };
    if is_host(host) {
        Ok((host.to_ascii_lowercase(), port))
    } else {
        Err(should)
    }
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // What looks like an address and is none is no name either.
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = !last.is_empty() && last.chars().all(|c| c.is_ascii_digit());
    text.len() <= HOST_MAX && text.split('.').all(label) && !is_number
}

fn is_digest(text: &str) -> bool {
    let hex = text.strip_prefix("sha256:");
    hex.is_some_and(|hex| hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit()))
}

fn credential(path: &str, name: &str, add: Add<'_>) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !(1..=CREDENTIAL_MAX).contains(&name.len())
        || !name.chars().all(allowed)
        || name.starts_with('.')
    {
        let should = format!(
            "{name:?} should be the name of a credential: 1 to {CREDENTIAL_MAX} of A-Z, a-z, 0-9 and . _ -, not beginning with a dot; never the secret itself"
        );
        add(path.to_string(), should);
    } else if name.starts_with(HOSTS_PREFIX) {
        let should = format!(
            "{name:?} begins with {HOSTS_PREFIX:?}, as what systemd hands over for hosts does, which opens no BMC and signs no webhook; name the credential otherwise"
        );
        add(path.to_string(), should);
    }
}

fn access(site: &Site, add: Add<'_>) {
    too_many("access", site.access.len(), ACCESS_MAX, add);
    let racks: BTreeSet<&str> = site.racks.iter().map(|rack| rack.name.as_str()).collect();
    let nodes: BTreeSet<&str> = site.nodes.iter().map(|node| node.name.as_str()).collect();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, entry) in site.access.iter().enumerate() {
        let path = format!("access[{index}]");
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
        let name = &entry.name;
        if !(1..=CALLER_MAX).contains(&name.len()) || !name.chars().all(allowed) {
            let should = format!(
                "{name:?} should be the name in a certificate, without its role: 1 to {CALLER_MAX} of A-Z, a-z, 0-9 and . _ @ -"
            );
            add(format!("{path}.name"), should);
        } else if let Some(first) = names.insert(name, index) {
            add(
                format!("{path}.name"),
                format!("{name} is taken by access[{first}]"),
            );
        }
        for (at, rack) in entry.racks.iter().enumerate() {
            if !racks.contains(rack.as_str()) {
                let should = no_such("rack", rack, racks.iter().copied());
                add(format!("{path}.racks[{at}]"), should);
            }
        }
        for (at, node) in entry.nodes.iter().enumerate() {
            if !nodes.contains(node.as_str()) {
                let should = no_such("node", node, nodes.iter().copied());
                add(format!("{path}.nodes[{at}]"), should);
            }
        }
    }
}

fn webhooks(site: &Site, add: Add<'_>) {
    too_many("webhook", site.webhooks.len(), WEBHOOKS_MAX, add);
    let mut names = Names::default();
    for (index, hook) in site.webhooks.iter().enumerate() {
        let path = format!("webhook[{index}]");
        names.take(&path, &hook.name, add);
        if let Err(should) = url(&hook.url) {
            add(format!("{path}.url"), should);
        }
        credential(&format!("{path}.credential"), &hook.credential, add);
        let mut told = BTreeSet::new();
        for (at, event) in hook.events.iter().enumerate() {
            let path = format!("{path}.events[{at}]");
            if !KINDS.contains(&event.as_str()) {
                let should = no_such("kind of event", event, KINDS.iter().copied());
                let meant = meant(event, KINDS.iter().copied());
                let all = "(docs/api.md, section Events, has all)";
                add(path, format!("{should} {all}{meant}"));
            } else if !told.insert(event) {
                add(path, format!("{event} stands there already"));
            }
        }
    }
}

/// `https://host[:port]/…`; `http://` to loopback only. No user, no fragment: a URL is shown, and a secret is none of it.
fn url(text: &str) -> Result<(), String> {
    let should = |what: &str| format!("{text:?} {what}");
    let (is_plain, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err(should("should begin with https://")),
    };
    let allowed = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}#".contains(c);
    if !rest.chars().all(allowed) {
        return Err(should(
            "should be of the characters of a URL, without a fragment",
        ));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, _) = rest.split_at(end);
    if authority.contains('@') {
        return Err(
            "a URL should not hold a user or a password: the signature says who calls".to_string(),
        );
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((host, port)) if host.parse::<core::net::Ipv6Addr>().is_ok() => (host, port),
            Some(_) | None => return Err(should("should name a host")),
        },
        None => match authority.find(':') {
            Some(at) => authority.split_at(at),
            None => (authority, ""),
        },
    };
    let port_is_good = match port.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok_and(|port| port > 0),
        None => port.is_empty(),
    };
    let address = host.parse::<IpAddr>();
    if (address.is_err() && !is_host(host)) || !port_is_good {
        return Err(should(
            "should name a host, and a port where it is not the usual one",
        ));
    }
    let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if is_plain && !is_here {
        return Err(should(
            "should begin with https://: http:// goes to this machine only",
        ));
    }
    Ok(())
}

/// The key without its comment, where it is one as `ssh-keygen` writes it.
fn key_body(line: &str) -> Result<&str, String> {
    let mut words = line.split(' ');
    let (kind, body) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    if !KEY_KINDS.contains(&kind) {
        return Err(format!(
            "should be a public key in one line, as ssh-keygen writes it: one of {} and its text",
            KEY_KINDS.join(", ")
        ));
    }
    // The text is base64 of, first, the length and the name of its kind.
    let bytes = base64(body).ok_or_else(|| "the text of the key is not base64".to_string())?;
    let named = bytes
        .get(..4)
        .and_then(|length| <[u8; 4]>::try_from(length).ok())
        .map(u32::from_be_bytes)
        .and_then(|length| bytes.get(4..usize::try_from(length).ok()?.checked_add(4)?));
    if named != Some(kind.as_bytes()) {
        return Err(format!(
            "the text of the key is of another kind than {kind}"
        ));
    }
    Ok(body)
}

fn base64(text: &str) -> Option<alloc::vec::Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.is_empty() || !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut out = alloc::vec::Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in digits.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(digit)) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            let [.., low] = (held >> bits).to_be_bytes();
            out.push(low);
        }
    }
    Some(out)
}
