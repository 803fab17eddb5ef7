// SPDX-License-Identifier: Apache-2.0
//! DHCPv6 in the configuration: `dhcp6 = true` for what the interface's own address says, or a table `[dhcp6]`.

use super::{reservation_bytes, text, values};
use crate::pxe_server::changes::{all, moved, on, one};
use crate::pxe_server::reader::Section;
use groundstate_api::{MacAddr, SystemUuid};
use pxe_core::dhcp6::{Dhcp6Config, Reservation6, Subnet6, Who6};
use std::net::Ipv6Addr;

/// What is said of DHCPv6; what is not said comes from the interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::pxe_server) struct Six {
    subnets: Vec<Subnet6>,
    reservations: Vec<Reservation6>,
    dns: Vec<Ipv6Addr>,
    domain: Option<String>,
    lease_secs: Option<u32>,
    rapid_commit: Option<bool>,
    preference: Option<u8>,
    parameters: Vec<String>,
    strangers: Option<bool>,
}

impl Six {
    pub(super) fn read(section: Section<'_, '_>) -> Self {
        let six = Self {
            subnets: section
                .tables("subnet")
                .into_iter()
                .filter_map(subnet)
                .collect(),
            reservations: section
                .tables("reservation")
                .into_iter()
                .filter_map(reservation)
                .collect(),
            dns: values(section.all("dns")),
            domain: text(&section, "domain"),
            lease_secs: section
                .number("lease_secs", 300..604_801)
                .map(|at| at.value),
            rapid_commit: section.flag("rapid_commit"),
            preference: section.number("preference", 0..256).map(|at| at.value),
            parameters: values(section.all("parameters")),
            strangers: section.flag("strangers"),
        };
        section.end();
        six
    }

    /// What is said in another way than in `was`, part by part.
    pub(in crate::pxe_server) fn changes(&self, was: &Self) -> Vec<String> {
        let subnets = |six: &Self| {
            let each = six.subnets.iter();
            all(each.map(|one| format!("{} with {}-{}", one.prefix, one.first, one.last)))
        };
        let flag = |said: Option<bool>| one(said.map(on));
        let mut parts: Vec<String> = [
            moved("subnet", &subnets(was), &subnets(self)),
            moved("dns", &all(&was.dns), &all(&self.dns)),
            moved(
                "domain",
                &one(was.domain.as_ref()),
                &one(self.domain.as_ref()),
            ),
            moved("lease_secs", &one(was.lease_secs), &one(self.lease_secs)),
            moved(
                "rapid_commit",
                &flag(was.rapid_commit),
                &flag(self.rapid_commit),
            ),
            moved("preference", &one(was.preference), &one(self.preference)),
            moved("parameters", &all(&was.parameters), &all(&self.parameters)),
            moved("strangers", &flag(was.strangers), &flag(self.strangers)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let came = self
            .reservations
            .iter()
            .filter(|one| !was.reservations.contains(one));
        parts.extend(came.map(|one| format!("{} is reserved", one.address)));
        let went = was
            .reservations
            .iter()
            .filter(|one| !self.reservations.contains(one));
        parts.extend(went.map(|one| format!("{} is not reserved as it was", one.address)));
        parts
    }

    /// The interface's own configuration with what was said over it.
    pub(in crate::pxe_server) fn over(&self, own: Dhcp6Config) -> Dhcp6Config {
        Dhcp6Config {
            subnets: match self.subnets.as_slice() {
                [] => own.subnets,
                named => named.to_vec(),
            },
            reservations: self.reservations.clone(),
            dns: self.dns.clone(),
            domain: self.domain.clone(),
            lease_secs: self.lease_secs.unwrap_or(own.lease_secs),
            rapid_commit: self.rapid_commit.unwrap_or(own.rapid_commit),
            preference: self.preference.or(own.preference),
            parameters: self.parameters.clone(),
            // Whoever asks is served where nobody says otherwise, and so is one whose MAC address cannot be seen.
            nameless: self.strangers.unwrap_or(true),
            ..own
        }
    }
}

/// `fd77::/64`
fn network(text: &str) -> Result<Ipv6Addr, &'static str> {
    let wanted = "a network of IPv6 is written fd77::/64, and has the length 64";
    let (network, prefix) = text.split_once('/').ok_or(wanted)?;
    let network = network.trim().parse().map_err(|_| wanted)?;
    (prefix.trim() == "64").then_some(network).ok_or(wanted)
}

/// `fd77::100-fd77::1ff`
fn pool(text: &str) -> Result<(Ipv6Addr, Ipv6Addr), &'static str> {
    let wanted = "a pool of IPv6 is written fd77::100-fd77::1ff";
    let (first, last) = text.split_once('-').ok_or(wanted)?;
    let first: Ipv6Addr = first.trim().parse().map_err(|_| wanted)?;
    let last: Ipv6Addr = last.trim().parse().map_err(|_| wanted)?;
    Ok((first, last))
}

fn subnet(section: Section<'_, '_>) -> Option<Subnet6> {
    let prefix = section.by("network", network).map(|at| at.value);
    let pool = section.by("pool", pool).map(|at| at.value);
    if !section.has("network") {
        section.fault("network is needed, for example \"fd77::/64\"");
    }
    section.end();
    let prefix = prefix?;
    Some(match pool {
        Some((first, last)) => Subnet6 {
            prefix,
            first,
            last,
        },
        None => Subnet6::around(prefix),
    })
}

fn reservation(section: Section<'_, '_>) -> Option<Reservation6> {
    let mac = section.parsed::<MacAddr>("mac");
    let uuid = section.parsed::<SystemUuid>("uuid");
    let duid = section.by("duid", reservation_bytes);
    let who = [
        mac.map(|at| Who6::Mac(at.value)),
        uuid.map(|at| Who6::Uuid(at.value)),
        duid.map(|at| Who6::Duid(at.value)),
    ];
    let mut who: Vec<Who6> = who.into_iter().flatten().collect();
    let address = section.parsed::<Ipv6Addr>("address");
    if section.count(&["mac", "uuid", "duid"]) != 1 {
        section.fault("exactly one of mac, uuid and duid says whose it is");
    }
    if !section.has("address") {
        section.fault("address is needed");
    }
    section.end();
    Some(Reservation6 {
        who: who.pop()?,
        address: address?.value,
    })
}
