// SPDX-License-Identifier: Apache-2.0
//! What one machine would get, and why: the configuration, the folder and the kept leases are read, a DISCOVER as its
//! firmware or its operating system would send it is put to the real server, and a SOLICIT where DHCPv6 is on; and what
//! comes out is told. Nothing is sent and nothing is kept.

mod six;

use super::args::PxeServerArgs;
use super::settings::Settings;
use super::state_dir;
use crate::End;
use crate::up::say;
use anyhow::{Context as _, Result, bail};
use groundstate_api::boot::{BootAnswer, BootQuestion};
use groundstate_api::{MacAddr, Millis, SystemUuid};
use pxe_core::dhcp::{Action, Event, Lease, LeaseState, Request, Server, Who};
use pxe_core::names::{Wanted, file_names, read_path};
use pxe_core::proxy::{Port, Proxy, ProxyAction, ProxyEvent, ProxyRequest};
use pxe_core::rules::Asker;
use pxe_server::{BootDir, FolderPolicy, kept_leases, kept_leases6, script_text};
use serde::Serialize;
use six::{Six, Told6};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

const HEADER: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Where the address comes from beside another DHCP server.
const THEIRS: &str = "the other DHCP server's";

/// What one kind of client on this machine would get.
#[derive(Debug, Default, Serialize)]
struct Told {
    firmware: &'static str,
    /// The address, and where it comes from.
    address: Option<Ipv4Addr>,
    address_from: String,
    /// What it is sent for, and by what.
    boot_file: Option<String>,
    boot_server: Option<Ipv4Addr>,
    /// Bytes of that file; none where there is no such file.
    length: Option<u64>,
    script: Option<String>,
    because: Vec<String>,
    /// Why it gets no answer.
    no_answer: Option<String>,
    /// The same over IPv6, where that is served and such a client speaks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    dhcp6: Option<Told6>,
}

/// What a boot file's name or URL leads to.
enum Leads {
    /// A file of so many bytes; none where there is no such file.
    File(Option<u64>),
    /// The machine's own script.
    Script,
}

pub(super) fn run(args: &PxeServerArgs, mac: MacAddr) -> Result<End> {
    let settings = Settings::read(args)?;
    let folder = Arc::new(BootDir::open(&settings.boot_dir)?);
    let policy = FolderPolicy::new(settings.rules.clone(), Arc::clone(&folder));
    let state_dir = state_dir::find(settings.state_dir.as_deref());
    let kept = kept_leases(&state_dir).context("the kept leases")?;
    let six = six(args, &settings, &state_dir)?;
    let world = World {
        settings: &settings,
        folder: &folder,
        policy: &policy,
        kept: &kept,
        mac,
        uuid: args.uuid,
        relay: args.relay,
        six: six.as_ref(),
    };
    let askers: Vec<Option<Asker>> = match args.firmware {
        Some(one) => vec![Some(one)],
        None => Asker::ALL.into_iter().map(Some).chain([None]).collect(),
    };
    let told: Vec<Told> = askers
        .into_iter()
        .map(|a| world.tell(a))
        .collect::<Result<_>>()?;
    if args.json {
        say(&serde_json::to_string_pretty(&told)?);
        return Ok(End::Done);
    }
    say(&format!(
        "{mac}, by {}the folder {} and {} leases kept in {}",
        args.config
            .as_ref()
            .map(|path| format!("{}, ", path.display()))
            .unwrap_or_default(),
        settings.boot_dir.display(),
        kept.len(),
        state_dir.display()
    ));
    if let Some(url) = &args.provisioner {
        say(&format!(
            "NOTE: {url} decides what machines boot while it is there; this is what the rules and the folder say"
        ));
    }
    for each in told {
        for line in each.lines() {
            say(&line);
        }
    }
    Ok(End::Done)
}

/// DHCPv6, where it is on and asked for; an IPv4 relay agent passes on none of it.
fn six(args: &PxeServerArgs, settings: &Settings, state_dir: &Path) -> Result<Option<Six>> {
    let link = match args.relay {
        Some(IpAddr::V4(_)) => return Ok(None),
        Some(IpAddr::V6(link)) => Some(link),
        None => None,
    };
    // Its words name the system's error already.
    let config = settings
        .dhcp6_config()
        .map_err(|error| anyhow::anyhow!("{error}"))?;
    let Some(config) = config else {
        if let Some(link) = link {
            bail!(
                "--relay {link} is of IPv6, and DHCPv6 is not on: add --dhcp6, or [dhcp6] to the configuration"
            );
        }
        return Ok(None);
    };
    let kept = kept_leases6(state_dir).context("the kept leases of DHCPv6")?;
    Ok(Some(Six { config, kept, link }))
}

struct World<'w> {
    settings: &'w Settings,
    folder: &'w BootDir,
    policy: &'w FolderPolicy,
    kept: &'w [Lease],
    mac: MacAddr,
    uuid: Option<SystemUuid>,
    relay: Option<IpAddr>,
    six: Option<&'w Six>,
}

impl World<'_> {
    /// What such a client is told; `None` is an operating system.
    fn tell(&self, asker: Option<Asker>) -> Result<Told> {
        let mut told = Told {
            firmware: asker.map_or("operating-system", Asker::as_str),
            ..Told::default()
        };
        match self.relay {
            Some(IpAddr::V6(_)) => {}
            Some(IpAddr::V4(relay)) => self.tell_by_4(asker, Some(relay), &mut told)?,
            None => self.tell_by_4(asker, None, &mut told)?,
        }
        if let Some(six) = self.six {
            six.tell(self, asker, &mut told)?;
        }
        Ok(told)
    }

    fn tell_by_4(
        &self,
        asker: Option<Asker>,
        relay: Option<Ipv4Addr>,
        told: &mut Told,
    ) -> Result<()> {
        let packet = discover(self.mac, self.uuid, asker, relay);
        let request = Request::parse(&packet)?;
        let question = BootQuestion {
            uuid: request.uuid.or(self.uuid),
            ..request.question()
        };
        let decision = self.policy.explain(&question);
        told.because = decision.because;
        if self.settings.proxy {
            self.ask_beside(&packet, decision.answer.clone(), told)?;
        } else {
            self.ask(request, decision.answer.clone(), told)?;
        }
        match told.boot_file.as_deref().map(|file| self.leads(file)) {
            Some(Leads::File(length)) => told.length = length,
            Some(Leads::Script) => {
                let base = self.settings.dhcp.http;
                let text = script_text(&decision.answer, base, None);
                told.script = Some(text.unwrap_or_else(|why| why.to_string()));
            }
            None => {}
        }
        Ok(())
    }

    fn leads(&self, file: &str) -> Leads {
        let Some((scheme, rest)) = file.split_once("://") else {
            return Leads::File(self.length([file]));
        };
        let path = rest.split_once('/').map_or("", |(_, path)| path);
        let by_tftp = scheme == "tftp";
        match read_path(&format!("/{path}")) {
            Some(Wanted::Script(_)) if !by_tftp => Leads::Script,
            // TFTP knows no other names than the files' own.
            Some(Wanted::File(path)) if by_tftp => Leads::File(self.length([path.as_str()])),
            Some(Wanted::File(path)) => Leads::File(self.length(file_names(&path))),
            Some(Wanted::Script(_) | Wanted::Metrics) | None => Leads::File(self.length([path])),
        }
    }

    fn length<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Option<u64> {
        let found = names.into_iter().find_map(|name| self.folder.file(name));
        found.map(|content| content.length())
    }

    /// Puts it to the DHCP server.
    fn ask(&self, request: Request, answer: BootAnswer, told: &mut Told) -> Result<()> {
        let mut server = Server::new(self.settings.dhcp.clone(), self.kept.iter().cloned())?;
        let mut out = Vec::new();
        let request = Box::new(request);
        server.handle(now(), Event::Asked { request, answer }, &mut out);
        for action in out {
            match action {
                Action::Send { bytes, .. } => self.read(&bytes, told),
                Action::Dropped { why, .. } => told.no_answer = Some(why.to_string()),
                Action::Keep(_)
                | Action::Saw { .. }
                | Action::Step { .. }
                | Action::Foreign { .. }
                | Action::Probe { .. } => {}
            }
        }
        Ok(())
    }

    /// Puts it to proxyDHCP, which gives no address.
    fn ask_beside(&self, packet: &[u8], answer: BootAnswer, told: &mut Told) -> Result<()> {
        let mut proxy = Proxy::new(self.settings.proxy_config())?;
        let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 68);
        let asked = Box::new(ProxyRequest::parse(packet, Port::Dhcp, nobody)?);
        let mut out = Vec::new();
        proxy.handle(now(), ProxyEvent::Asked { asked, answer }, &mut out);
        for action in out {
            match action {
                ProxyAction::Send { bytes, .. } => self.read(&bytes, told),
                ProxyAction::Dropped { why, .. } => told.no_answer = Some(why.to_string()),
                ProxyAction::Saw { .. } | ProxyAction::Step { .. } => {}
            }
        }
        THEIRS.clone_into(&mut told.address_from);
        Ok(())
    }

    /// The reply as the client would read it.
    fn read(&self, reply: &[u8], told: &mut Told) {
        let address = |at: usize| {
            let four: Option<[u8; 4]> = reply.get(at..at + 4)?.try_into().ok();
            four.map(Ipv4Addr::from).filter(|a| !a.is_unspecified())
        };
        let text = |bytes: &[u8]| {
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
            (!text.is_empty()).then(|| text.into_owned())
        };
        told.address = address(16);
        told.address_from = told.address.map(|a| self.origin(a)).unwrap_or_default();
        let file = option(reply, 67).and_then(text);
        told.boot_file = file.or_else(|| text(reply.get(108..HEADER).unwrap_or_default()));
        told.boot_server = address(20).filter(|_| told.boot_file.is_some());
    }

    fn origin(&self, address: Ipv4Addr) -> String {
        let reserved = self
            .settings
            .dhcp
            .reservations
            .iter()
            .find(|r| r.address == address);
        if let Some(reserved) = reserved {
            return match &reserved.who {
                Who::Mac(_) => "reserved by its MAC address",
                Who::Uuid(_) => "reserved by its UUID",
                Who::RelayPort { .. } => "reserved by its relay port",
            }
            .to_owned();
        }
        let own = |lease: &&Lease| lease.mac == self.mac && lease.state == LeaseState::Bound;
        match self
            .kept
            .iter()
            .filter(own)
            .find(|lease| lease.address == address)
        {
            Some(lease) if lease.holds(now()) => {
                format!("its lease until {}", provisioner::clock::words(lease.until))
            }
            Some(_) => "the one that it had before".to_owned(),
            None => "a free one of the pool".to_owned(),
        }
    }
}

impl Told {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![String::new(), self.firmware.to_owned()];
        let mut say = |what: &str, text: &str| lines.push(format!("  {what:<10} {text}"));
        if let Some(why) = &self.no_answer {
            say("answer", &format!("none: {why}"));
        }
        match self.address {
            Some(address) => say("address", &format!("{address}, {}", self.address_from)),
            None if self.address_from.is_empty() => {}
            None => say("address", &self.address_from),
        }
        let is_url = self
            .boot_file
            .as_deref()
            .is_some_and(|file| file.contains("://"));
        match (&self.boot_file, self.boot_server, self.length) {
            (Some(file), Some(server), Some(length)) if !is_url => {
                say(
                    "boot file",
                    &format!("{file} by TFTP from {server}, {length} bytes"),
                );
            }
            (Some(file), _, Some(length)) => say("boot file", &format!("{file}, {length} bytes")),
            (Some(file), _, None) if self.script.is_some() => say("boot file", file),
            (Some(file), _, None) => {
                say("boot file", &format!("{file}, and there is no such file"))
            }
            (None, ..) if self.address.is_some() => say("boot file", "none"),
            (None, ..) => {}
        }
        for (n, line) in self
            .script
            .iter()
            .flat_map(|script| script.lines())
            .enumerate()
        {
            say(if n == 0 { "script" } else { "" }, line);
        }
        for (what, text) in self.dhcp6.iter().flat_map(Told6::lines) {
            say(what, &text);
        }
        // A reason for people has several lines.
        let because = self.because.iter().flat_map(|text| text.lines());
        for (n, line) in because.enumerate() {
            say(if n == 0 { "because" } else { "" }, line);
        }
        lines
    }
}

fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// An option's bytes, pieces joined.
fn option(reply: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = reply.get(HEADER + COOKIE.len()..)?;
    loop {
        match rest {
            [0, after @ ..] => rest = after,
            [255, ..] | [] | [_] => return None,
            [code, length, after @ ..] => {
                let (value, after) = after.split_at_checked(usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                rest = after;
            }
        }
    }
}

/// A DISCOVER as such a client sends it, and a relay agent passes it on.
fn discover(
    mac: MacAddr,
    uuid: Option<SystemUuid>,
    asker: Option<Asker>,
    relay: Option<Ipv4Addr>,
) -> Vec<u8> {
    let mut packet = vec![1, 1, 6, 0, 0x47, 0x53, 0, 1, 0, 0, 0x80, 0];
    packet.resize(24, 0);
    packet.extend_from_slice(&relay.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
    packet.extend_from_slice(&mac.0);
    packet.resize(HEADER, 0);
    packet.extend_from_slice(&COOKIE);
    let mut put = |code: u8, value: &[u8]| {
        packet.push(code);
        packet.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
        packet.extend_from_slice(value);
    };
    put(53, &[1]);
    put(
        55,
        &[1, 3, 6, 15, 43, 51, 54, 60, 66, 67, 97, 128, 150, 175],
    );
    if let Some(asker) = asker {
        say_firmware(asker, uuid, &mut put);
    }
    packet.push(255);
    packet.resize(packet.len().max(300), 0);
    packet
}

/// What firmware and iPXE say of themselves.
fn say_firmware(asker: Asker, uuid: Option<SystemUuid>, put: &mut impl FnMut(u8, &[u8])) {
    let architecture = asker.architecture();
    let class = match asker {
        Asker::UefiHttp | Asker::Arm64Http => "HTTPClient",
        Asker::Bios | Asker::UefiPxe | Asker::Arm64Pxe | Asker::Ipxe => "PXEClient",
    };
    put(
        60,
        format!("{class}:Arch:{architecture:05}:UNDI:003016").as_bytes(),
    );
    put(93, &architecture.to_be_bytes());
    put(94, &[1, 3, 16]);
    if let Some(uuid) = uuid {
        // The first three fields travel with their low byte first (SMBIOS 2.6).
        let [a, b, c, d, e, f, g, h, rest @ ..] = uuid.0;
        let mut value = vec![0, d, c, b, a, f, e, h, g];
        value.extend_from_slice(&rest);
        put(97, &value);
    }
    if asker == Asker::Ipxe {
        put(77, b"iPXE");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pxe_core::dhcp::Client;

    #[test]
    fn what_is_put_to_the_server_is_what_such_a_client_sends() {
        let mac = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
        let uuid: SystemUuid = "564d1234-5678-9abc-def0-123456789abc".parse().unwrap();
        let relay = Ipv4Addr::new(10, 9, 0, 1);
        for (asker, relay) in Asker::ALL
            .into_iter()
            .zip([None, Some(relay)].into_iter().cycle())
        {
            let packet = discover(mac, Some(uuid), Some(asker), relay);
            let request = Request::parse(&packet).unwrap();
            assert_eq!(Asker::of(&request.question()), Some(asker));
            assert_eq!((request.mac, request.uuid), (mac, Some(uuid)));
            assert_eq!(request.relay_agent(), relay);
        }
        let request = Request::parse(&discover(mac, Some(uuid), None, None)).unwrap();
        assert_eq!(request.client, Client::Plain);
    }
}
