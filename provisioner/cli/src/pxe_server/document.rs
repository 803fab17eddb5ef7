// SPDX-License-Identifier: Apache-2.0
//! The configuration file: what may stand in it, read into typed values.

use super::args::pool;
use super::reader::{At, Fault, Faults, Section};
use groundstate_api::boot::{BootRecipe, LocalBoot};
use groundstate_api::{MacAddr, Reason, ReasonCode, SystemUuid};
pub(super) use limits::Bounds;
use pxe_core::dhcp::{Reservation, Route, SubnetConfig, Who};
use pxe_core::names;
use pxe_core::recipe::Recipe;
use pxe_core::rules::{Asker, Offer, Rule, Then};
pub(super) use six::Six;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use toml::de::DeTable;

/// Seconds in a year: the longest lease.
const YEAR: u64 = 31_536_000;

/// What a network's clients are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) pools: Vec<At<(Ipv4Addr, Ipv4Addr)>>,
    pub(super) router: Option<Ipv4Addr>,
    pub(super) dns: Vec<Ipv4Addr>,
    pub(super) ntp: Vec<Ipv4Addr>,
    pub(super) domain: Option<String>,
    pub(super) mtu: Option<u16>,
    pub(super) routes: Vec<Route>,
    pub(super) lease_secs: Option<u32>,
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) interface: Option<At<String>>,
    pub(super) boot_dir: Option<At<PathBuf>>,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) http_port: Option<u16>,
    pub(super) admin: Option<At<String>>,
    pub(super) probe: Option<bool>,
    pub(super) proxy: Option<bool>,
    pub(super) dhcp6: Option<Six>,
    pub(super) tls: Option<At<Tls>>,
    pub(super) capture: Option<Capture>,
    /// How much at a time.
    pub(super) bounds: Bounds,
    /// The interface's own subnet.
    pub(super) own: Network,
    /// Further ones, behind relays.
    pub(super) subnets: Vec<At<SubnetConfig>>,
    pub(super) reservations: Vec<At<Reservation>>,
    pub(super) files: Vec<(Asker, String)>,
    pub(super) command_line: Option<String>,
    pub(super) rules: Vec<Rule>,
}

/// HTTPS beside HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) port: u16,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// Packets of booting machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Capture {
    pub(super) folder: PathBuf,
    pub(super) only: Vec<MacAddr>,
}

impl Document {
    /// Reads it as far as it can be read. What is no TOML in one place hides no fault of another line.
    pub(super) fn look(text: &str) -> Seen {
        let (table, errors) = DeTable::parse_recoverable(text);
        let faults = Faults::of(text, !errors.is_empty());
        let mut all: Vec<Fault> = errors
            .iter()
            .map(|error| Fault {
                line: error.span().map_or(1, |span| faults.line(span.start)),
                what: error.message().to_owned(),
            })
            .collect();
        let told: BTreeSet<usize> = all.iter().map(|fault| fault.line).collect();
        let document = read(&faults, Section::document(&faults, table.get_ref()));
        let more = faults.all().into_iter();
        all.extend(more.filter(|fault| !told.contains(&fault.line)));
        all.sort();
        Seen {
            document,
            faults: all,
            broken: !errors.is_empty(),
        }
    }

    /// Reads it, or tells every fault.
    #[cfg(test)]
    pub(super) fn read(text: &str) -> Result<Self, Vec<Fault>> {
        let seen = Self::look(text);
        if seen.faults.is_empty() {
            Ok(seen.document)
        } else {
            Err(seen.faults)
        }
    }
}

/// A file as far as it can be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) document: Document,
    pub(super) faults: Vec<Fault>,
    /// It is no TOML in some place, so that nobody knows what is missing.
    pub(super) broken: bool,
}

fn read(faults: &Faults<'_>, top: Section<'_, '_>) -> Document {
    let offers = recipes(faults, &top);
    let boot = top.table("boot");
    let document = Document {
        interface: text_at(&top, "interface"),
        boot_dir: text_at(&top, "boot_dir").map(|at| At {
            line: at.line,
            value: at.value.into(),
        }),
        state_dir: text(&top, "state_dir").map(PathBuf::from),
        http_port: port(&top, "http_port"),
        admin: text_at(&top, "admin"),
        probe: top.flag("probe"),
        proxy: top.flag("proxy"),
        dhcp6: six(&top),
        tls: top.table("tls").and_then(tls),
        capture: top.table("capture").and_then(capture),
        bounds: top.table("limits").map(Bounds::read).unwrap_or_default(),
        own: network(&top),
        subnets: top
            .tables("subnet")
            .into_iter()
            .filter_map(subnet)
            .collect(),
        reservations: top
            .tables("reservation")
            .into_iter()
            .filter_map(reservation)
            .collect(),
        command_line: boot.as_ref().and_then(|boot| {
            let read = |text: &str| {
                pxe_core::script::CommandLine::parse(text).map(|line| line.as_str().to_owned())
            };
            boot.by("command_line", read).map(|at| at.value)
        }),
        files: boot.as_ref().map(files).unwrap_or_default(),
        rules: top
            .tables("machine")
            .into_iter()
            .filter_map(|machine| rule(machine, &offers, faults.is_broken()))
            .collect(),
    };
    if let Some(boot) = boot {
        boot.end();
    }
    top.end();
    document
}

fn text(section: &Section<'_, '_>, key: &'static str) -> Option<String> {
    text_at(section, key).map(|at| at.value)
}

fn text_at(section: &Section<'_, '_>, key: &'static str) -> Option<At<String>> {
    let read = |text: &str| match text {
        "" => Err("it is empty"),
        text => Ok(text.to_owned()),
    };
    section.by(key, read)
}

/// `dhcp6 = true`, or a table of it.
fn six(top: &Section<'_, '_>) -> Option<Six> {
    if top.is_flag("dhcp6") {
        return top.flag("dhcp6").filter(|on| *on).map(|_| Six::default());
    }
    top.table("dhcp6").map(Six::read)
}

fn port(section: &Section<'_, '_>, key: &'static str) -> Option<u16> {
    section.number(key, 1..65_536).map(|at| at.value)
}

fn values<T>(all: Vec<At<T>>) -> Vec<T> {
    all.into_iter().map(|at| at.value).collect()
}

fn file_name(text: &str) -> Result<String, &'static str> {
    names::plain(text)
        .ok_or("this is no name of a boot file: at most 255 bytes without control characters")
}

fn files(boot: &Section<'_, '_>) -> Vec<(Asker, String)> {
    Asker::ALL
        .into_iter()
        .filter_map(|asker| Some((asker, boot.by(asker.as_str(), file_name)?.value)))
        .collect()
}

fn tls(section: Section<'_, '_>) -> Option<At<Tls>> {
    let port = port(&section, "port").unwrap_or(443);
    let (certificate, key) = (text(&section, "certificate"), text(&section, "key"));
    if section.count(&["certificate", "key"]) != 2 {
        section.fault("certificate and key are needed, each the path of a PEM file");
    }
    let line = section.line;
    section.end();
    let value = Tls {
        port,
        certificate: certificate?.into(),
        key: key?.into(),
    };
    Some(At { line, value })
}

fn capture(section: Section<'_, '_>) -> Option<Capture> {
    let folder = text(&section, "folder");
    let only = values(section.all("only"));
    if !section.has("folder") {
        section.fault("folder is needed");
    }
    section.end();
    Some(Capture {
        folder: folder?.into(),
        only,
    })
}

fn network(section: &Section<'_, '_>) -> Network {
    Network {
        pools: section.all_by("pools", pool),
        router: section.parsed("router").map(|at| at.value),
        dns: values(section.all("dns")),
        ntp: values(section.all("ntp")),
        domain: text(section, "domain"),
        mtu: section.number("mtu", 68..65_536).map(|at| at.value),
        routes: values(section.all_by("routes", route)),
        lease_secs: section
            .number("lease_secs", 60..YEAR + 1)
            .map(|at| at.value),
    }
}

impl Network {
    /// As the DHCP server takes it.
    pub(super) fn subnet(self, network: Ipv4Addr, prefix: u8, lease_secs: u32) -> SubnetConfig {
        SubnetConfig {
            network,
            prefix,
            pools: values(self.pools),
            router: self.router,
            dns: self.dns,
            ntp: self.ntp,
            domain: self.domain,
            mtu: self.mtu,
            routes: self.routes,
            lease_secs: self.lease_secs.unwrap_or(lease_secs),
        }
    }
}

fn cidr(text: &str) -> Result<(Ipv4Addr, u8), String> {
    let wanted = || "a network is written 10.0.0.0/24".to_owned();
    let (network, prefix) = text.split_once('/').ok_or_else(wanted)?;
    let network = network.trim().parse().map_err(|_| wanted())?;
    let prefix = prefix.trim().parse().ok().filter(|prefix| *prefix <= 32);
    Ok((network, prefix.ok_or_else(wanted)?))
}

/// `10.9.0.0/16 via 10.0.0.254`
fn route(text: &str) -> Result<Route, String> {
    let wanted = || "a route is written 10.9.0.0/16 via 10.0.0.254".to_owned();
    let (to, via) = text.split_once(" via ").ok_or_else(wanted)?;
    let (to, prefix) = cidr(to)?;
    let via = via.trim().parse().map_err(|_| wanted())?;
    Ok(Route { to, prefix, via })
}

fn subnet(section: Section<'_, '_>) -> Option<At<SubnetConfig>> {
    let at = section.by("network", cidr);
    let network = network(&section);
    if !section.has("network") {
        section.fault("network is needed, for example \"10.0.0.0/24\"");
    }
    let line = section.line;
    section.end();
    let (address, prefix) = at?.value;
    let value = network.subnet(address, prefix, super::settings::LEASE_SECS);
    Some(At { line, value })
}

fn reservation(section: Section<'_, '_>) -> Option<At<Reservation>> {
    let mac = section
        .parsed::<MacAddr>("mac")
        .map(|at| Who::Mac(at.value));
    let uuid = section
        .parsed::<SystemUuid>("uuid")
        .map(|at| Who::Uuid(at.value));
    let circuit = section.by("relay_circuit", reservation_bytes);
    let remote = section
        .by("relay_remote", reservation_bytes)
        .map(|at| at.value);
    let port = circuit.map(|circuit| Who::RelayPort {
        circuit: circuit.value,
        remote,
    });
    let mut who: Vec<Who> = [mac, uuid, port].into_iter().flatten().collect();
    let address = section.parsed::<Ipv4Addr>("address");
    let host_name = text(&section, "host_name");
    if section.count(&["mac", "uuid", "relay_circuit"]) != 1 {
        section.fault("exactly one of mac, uuid and relay_circuit says whose it is");
    }
    if !section.has("address") {
        section.fault("address is needed");
    }
    let line = section.line;
    section.end();
    let value = Reservation {
        who: who.pop()?,
        address: address?.value,
        host_name,
    };
    Some(At { line, value })
}

/// Text as it is, or `0x` and hexadecimal digits.
fn reservation_bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    let Some(digits) = text.strip_prefix("0x") else {
        return match text {
            "" => Err("it is empty"),
            text => Ok(text.as_bytes().to_vec()),
        };
    };
    let pairs: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(pair, 16).ok()
        })
        .collect();
    pairs.ok_or("after 0x there must be pairs of hexadecimal digits")
}

fn recipes(faults: &Faults<'_>, top: &Section<'_, '_>) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    for section in top.tables("recipe") {
        let recipe = BootRecipe {
            name: text(&section, "name").unwrap_or_default(),
            file: section.by("file", file_name).map(|at| at.value),
            kernel: section.by("kernel", file_name).map(|at| at.value),
            initrd: values(section.all_by("initrd", file_name)),
            command_line: text(&section, "command_line").unwrap_or_default(),
        };
        let script = section.by("script", file_name).map(|at| at.value);
        let starts = [&recipe.file, &recipe.kernel, &script];
        let is_known = starts.into_iter().flatten().count() == 1;
        if !section.has("name") {
            section.fault("name is needed");
        }
        if section.count(&["file", "kernel", "script"]) != 1 {
            section.fault("exactly one of file, kernel and script says what is started");
        } else if is_known
            && script.is_none()
            && let Err(error) = Recipe::read(&recipe)
        {
            section.fault(&error.to_string());
        }
        if offers.iter().any(|other| other.recipe.name == recipe.name) {
            faults.add(
                section.line,
                format!("two recipes have the name {:?}", recipe.name),
            );
        }
        section.end();
        offers.push(Offer { recipe, script });
    }
    offers
}

fn rule(section: Section<'_, '_>, offers: &[Offer], broken: bool) -> Option<Rule> {
    let named = text(&section, "name");
    let rule = Rule {
        name: named.unwrap_or_else(|| format!("line {}", section.line)),
        macs: values(section.all("mac")),
        mac_prefixes: values(section.all_by("mac_prefix", mac_prefix)),
        uuids: values(section.all("uuid")),
        firmware: values(section.all("firmware")),
        then: Then::Files,
    };
    let drive = section.number("drive", 0..256).map(|at| at.value);
    let read = |text: &str| match then(text, drive, offers) {
        // Its recipe may stand where the text is broken.
        Err(_) if broken => Ok(Then::Files),
        then => then,
    };
    let then = section.by("boot", read).map(|at| at.value);
    if !section.has("boot") {
        section.fault("boot is needed: files, a recipe's name, local-disk, exit, sanboot, no-answer, nothing or refuse");
    }
    section.end();
    Some(Rule {
        then: then?,
        ..rule
    })
}

/// The first bytes of a MAC address: the maker, and often the model.
fn mac_prefix(text: &str) -> Result<Vec<u8>, &'static str> {
    let bytes: Option<Vec<u8>> = text
        .split([':', '-'])
        .map(|pair| {
            u8::from_str_radix(pair, 16)
                .ok()
                .filter(|_| pair.len() == 2)
        })
        .collect();
    bytes
        .filter(|bytes| (1..=5).contains(&bytes.len()))
        .ok_or("the beginning of a MAC address is written 52:54:00")
}

fn then(text: &str, drive: Option<u8>, offers: &[Offer]) -> Result<Then, String> {
    let local = |how| Ok(Then::LocalDisk(how));
    match text {
        "files" => Ok(Then::Files),
        "local-disk" => local(LocalBoot::Usual),
        "exit" => local(LocalBoot::Exit),
        "sanboot" => local(LocalBoot::Sanboot {
            drive: drive.unwrap_or(0x80),
        }),
        "no-answer" => local(LocalBoot::NoAnswer),
        "nothing" => Ok(Then::Nothing),
        "refuse" => Ok(Then::Refuse(Reason::new(
            ReasonCode::UnknownMachine,
            "the configuration says that this machine is not served",
            "change its [[machine]] in the configuration, then send SIGHUP",
        ))),
        name => offers
            .iter()
            .find(|offer| offer.recipe.name == name)
            .map(|offer| Then::Offer(offer.clone()))
            .ok_or_else(|| {
                "there is no recipe of this name; and there are files, local-disk, exit, sanboot, no-answer, nothing and refuse".to_owned()
            }),
    }
}

mod limits;
mod six;
#[cfg(test)]
mod tests;
