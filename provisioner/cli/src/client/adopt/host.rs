// SPDX-License-Identifier: Apache-2.0
//! The host's side: looks, says what will be done, asks, enrols, and leaves the agent.
//!
//! Disks are only read. Nothing is written before a person has agreed, nothing but what was shown, and nothing stays where the
//! provisioner refuses.

use super::call::{self, Checked};
use crate::End;
use crate::client::Refused;
use crate::client::action::agreed;
use crate::client::paper::{Paper, Tone};
use crate::client::said::{say, tell};
use crate::client::table::{Cell, Table};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use groundstate_api::adopt::{ADOPTED_RUN, AdoptReply, AdoptRequest};
use groundstate_api::host::{HostSeed, SEED_PATH};
use groundstate_api::inventory::{Gravity, Inventory};
use groundstate_api::text::counted;
use groundstate_api::{Digest, MacAddr, SCHEMA};
use host_agent::{AGENT_PATH, BootFacts, KEY_PATH, Placed, Root};
use maintenance_os::disk::{Look, fill_contents};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The largest token file.
const TOKEN_FILE_MAX: u64 = 4 * 1024;
/// Where the agent's program is looked for, beside this program's own folder.
const AGENT_PLACES: [&str; 2] = ["/usr/lib/groundstate/host-agent", "/usr/sbin/host-agent"];
/// What systemd makes where it runs.
const SYSTEMD_RUNS: &str = "/run/systemd/system";

#[derive(Args)]
pub(crate) struct HostArgs {
    /// The provisioner, for example https://10.0.0.1:8443.
    #[arg(long)]
    url: String,
    /// SHA-256 of the site CA's certificate, as `groundstate node adopt-token` prints it.
    #[arg(long, value_name = "SHA256")]
    ca_fingerprint: Digest,
    /// The file with the token.
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Look and ask the provisioner what would come of it; write nothing and leave the token good.
    #[arg(long)]
    dry_run: bool,
    /// Leave no agent: the hardware is made known, and nobody hears whether the host runs. Nothing at all is written.
    #[arg(long)]
    no_agent: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// The agent's program; it is looked for beside this one where absent.
    #[arg(long, value_name = "FILE")]
    agent: Option<PathBuf>,
    /// The root directory of the host: what is read of it and written to it is below.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

pub(super) fn run(args: &HostArgs) -> Result<End> {
    let root = Root::new(args.root.clone());
    let here = args.root == Path::new("/");
    if here && !args.dry_run && !nix::unistd::geteuid().is_root() {
        bail!("only root can look at a host's disks and leave an agent on it");
    }
    let token = token(&args.token_file)?;
    refuse_what_is_ours_or_theirs(&root, args.no_agent)?;
    let agent = if args.no_agent {
        None
    } else {
        Some(agent_program(args)?)
    };
    let mut there = call::check(&args.url, args.ca_fingerprint)?;
    let facts = BootFacts::read(&root)?;
    tell("looking at the machine; nothing is written");
    let inventory = look(&args.root, here, &facts);
    let mut request = request(&args.root, here, &facts, inventory, &there.url)?;
    request.dry_run = true;
    if let (Some(_), Some(key)) = (&agent, kept_key(&root)?) {
        // Whose token it was may ask again.
        request.csr_pem = Some(signing(&key)?);
    }
    let would = there.adopt(&token, &request)?;
    tell(&page(
        &request,
        &would,
        agent.is_some(),
        Paper::of_terminal(),
    ));
    if args.dry_run {
        say("nothing was written, nothing was changed, and the token is still good")?;
        return Ok(End::Done);
    }
    if !args.yes {
        agreed("adopt this host", would.node.as_str())?;
    }
    request.dry_run = false;
    let Some(agent) = agent else {
        let done = there.adopt(&token, &request)?;
        say(&format!(
            "{} is adopted without an agent; its hardware is known now",
            done.node
        ))?;
        return Ok(End::Done);
    };
    let done = enrol(&root, &mut there, &token, request)?;
    place(&root, &there, &done, &agent)?;
    start(here, &done)?;
    Ok(End::Done)
}

fn token(file: &Path) -> Result<String> {
    let said = || format!("{}: the token", file.display());
    let size = std::fs::metadata(file).with_context(said)?.len();
    if size > TOKEN_FILE_MAX {
        bail!("{} is too large for a token", file.display());
    }
    let text = std::fs::read_to_string(file).with_context(said)?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("{} holds no token", file.display());
    }
    Ok(token.to_owned())
}

/// A host that a run of ours made is refused, and so is a program of somebody else where ours would go.
fn refuse_what_is_ours_or_theirs(root: &Root, no_agent: bool) -> Result<()> {
    let seed: Option<HostSeed> = root.read_json(SEED_PATH)?;
    match &seed {
        Some(seed) if !seed.adopted => bail!(
            "this host is {} already, made by run {} of Groundstate: there is nothing to adopt",
            seed.node,
            seed.run
        ),
        Some(_) => {}
        None if no_agent => {}
        None => {
            if let Some(path) = host_agent::foreign(root)? {
                bail!(
                    "{} is there and is not of Groundstate; nothing of a host is replaced. Move it away, and try again",
                    path.display()
                );
            }
        }
    }
    Ok(())
}

/// The agent's program, whole, once it has shown that it runs here.
fn agent_program(args: &HostArgs) -> Result<Vec<u8>> {
    let own = std::env::current_exe().ok();
    let beside = own.map(|own| own.with_file_name("host-agent"));
    let places: Vec<PathBuf> = match &args.agent {
        Some(file) => vec![file.clone()],
        None => beside
            .into_iter()
            .chain(AGENT_PLACES.iter().map(PathBuf::from))
            .collect(),
    };
    let Some(file) = places.iter().find(|file| file.is_file()) else {
        let places: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        bail!(
            "the agent's program is not at {}; --agent FILE says where it is, --no-agent does without",
            places.join(", ")
        );
    };
    let ran = Command::new(file).arg("--version").output();
    let ran = ran.with_context(|| format!("{} does not run here", file.display()))?;
    if !ran.status.success() || !ran.stdout.starts_with(b"host-agent ") {
        bail!("{} is no agent that runs here", file.display());
    }
    std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// What hw-diag sees, and what the disks hold, as far as that is read by looking.
fn look(root: &Path, here: bool, facts: &BootFacts) -> Inventory {
    let boot = hw_diag::BootFacts {
        boot_id: facts.boot_id.clone(),
        firmware: None,
    };
    let mut inventory = hw_diag::look_below(root, &boot);
    if here {
        let problems = fill_contents(&mut inventory.disks, &Look::Contents);
        inventory.could_not_look.extend(problems);
    }
    inventory
}

fn request(
    root: &Path,
    here: bool,
    facts: &BootFacts,
    inventory: Inventory,
    url: &str,
) -> Result<AdoptRequest> {
    let macs = macs(root, &inventory);
    let outward = if here { outward(url) } else { None };
    let linked = inventory.nics.iter().find(|nic| nic.link);
    let boot_mac = outward
        .filter(|mac| macs.contains(mac))
        .or(linked.map(|nic| nic.mac))
        .or(macs.first().copied());
    let Some(boot_mac) = boot_mac else {
        bail!("this machine has no Ethernet interface by which it could be known");
    };
    Ok(AdoptRequest {
        schema: SCHEMA,
        boot_mac,
        macs,
        uuid: inventory.system.uuid,
        serial: inventory.system.serial.clone(),
        boot_id: facts.boot_id.clone(),
        uefi: inventory.system.uefi,
        os: format!("{}, Linux {}", facts.os, facts.kernel),
        inventory: Box::new(inventory),
        csr_pem: None,
        dry_run: false,
    })
}

/// Its MAC addresses; of an interface in a bond, which shows the bond's, its own too.
fn macs(root: &Path, inventory: &Inventory) -> Vec<MacAddr> {
    let mut macs = Vec::new();
    for nic in &inventory.nics {
        let file = root
            .join("sys/class/net")
            .join(&nic.name)
            .join("bonding_slave/perm_hwaddr");
        let own = std::fs::read_to_string(file).ok();
        let own = own.and_then(|text| text.trim().parse().ok());
        for mac in own.into_iter().chain([nic.mac]) {
            if !macs.contains(&mac) {
                macs.push(mac);
            }
        }
    }
    macs
}

/// The MAC address of the interface over which the provisioner is reached. Nothing is sent for that.
fn outward(url: &str) -> Option<MacAddr> {
    let host = url.strip_prefix("https://")?;
    let host = if host.rsplit(']').next()?.contains(':') {
        host.to_owned()
    } else {
        format!("{host}:443")
    };
    let to: SocketAddr = host.to_socket_addrs().ok()?.next()?;
    let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(from).ok()?;
    socket.connect(to).ok()?;
    let own = socket.local_addr().ok()?.ip();
    let all: Vec<_> = nix::ifaddrs::getifaddrs().ok()?.collect();
    let name = all.iter().find_map(|one| {
        let address = one.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let v6 = address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip()));
        (v4.or(v6) == Some(own)).then(|| one.interface_name.clone())
    })?;
    all.iter()
        .filter(|one| one.interface_name == name)
        .find_map(|one| one.address?.as_link_addr()?.addr())
        .map(MacAddr)
}

/// What will be done, in a table.
fn page(request: &AdoptRequest, would: &AdoptReply, agent: bool, paper: Paper) -> String {
    let inventory = &request.inventory;
    let dimms = inventory.memory.dimms.iter().filter(|dimm| dimm.populated);
    let mut table = Table::new(&["WHAT", "IS"]);
    let mut row = |what: &str, is: String| table.row([what.into(), is.as_str().into()]);
    let as_new = if would.new {
        "a new node of the site"
    } else {
        "the site knows this machine"
    };
    row("becomes", format!("{} ({as_new})", would.node));
    let system = &inventory.system;
    row(
        "machine",
        format!("{} {}", system.manufacturer, system.product),
    );
    row("serial number", request.serial.clone());
    row(
        "UUID",
        request
            .uuid
            .map_or_else(String::new, |uuid| uuid.to_string()),
    );
    row("MAC", request.boot_mac.to_string());
    row("runs", request.os.clone());
    row(
        "hardware",
        format!(
            "{}, {}, {}; not looked at: {}",
            counted(inventory.disks.len(), "disk"),
            counted(dimms.count(), "DIMM"),
            counted(inventory.nics.len(), "interface"),
            inventory.could_not_look.len()
        ),
    );
    row("how it boots", "stays as it is".to_owned());
    row(
        "its disks",
        "were read; no data of them is written".to_owned(),
    );
    let mut lines = vec![table.page(paper)];
    for finding in &would.findings {
        let grave = match finding.gravity {
            Gravity::Stop => "would stop a run",
            Gravity::Warn => "warning",
        };
        lines.push(format!("{grave}: {}", finding.reason));
    }
    if agent {
        let mut table = Table::new(&["WILL BE WRITTEN", "WHAT IT IS"]);
        for (path, what) in host_agent::written() {
            table.row([Cell::new(Tone::Bold, format!("/{path}")), what.into()]);
        }
        lines.push(table.page(paper));
    } else {
        lines.push("nothing will be written to this host".to_owned());
    }
    lines.join("\n\n")
}

/// The key of an adoption before, or of one whose answer was lost.
fn kept_key(root: &Root) -> Result<Option<KeyPair>> {
    let kept = root.read_text(KEY_PATH)?;
    let key = kept.as_deref().map(KeyPair::from_pem);
    key.transpose()
        .with_context(|| format!("{}: the agent's key", root.at(KEY_PATH).display()))
}

/// The request by which it is signed: its name is the provisioner's to say.
fn signing(key: &KeyPair) -> Result<String> {
    let request = CertificateParams::default().serialize_request(key);
    request
        .and_then(|request| request.pem())
        .context("a signing request")
}

/// Takes the key of before, or makes one, and has it signed. The key is on disk before it is shown to anybody: an answer can be
/// lost, and the same command then goes on with the same key.
fn enrol(
    root: &Root,
    there: &mut Checked,
    token: &str,
    mut request: AdoptRequest,
) -> Result<(AdoptReply, String)> {
    let (key, made) = match kept_key(root)? {
        Some(key) => (key, false),
        None => {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("a key")?;
            root.write(KEY_PATH, key.serialize_pem().as_bytes(), 0o600)?;
            (key, true)
        }
    };
    request.csr_pem = Some(signing(&key)?);
    match there.adopt(token, &request) {
        Ok(done) => Ok((done, key.serialize_pem())),
        Err(error) => {
            // Refused: nothing of us stays. Not heard: the key may be known there already.
            if made && error.downcast_ref::<Refused>().is_some() {
                host_agent::remove(root)?;
            }
            Err(error)
        }
    }
}

fn place(
    root: &Root,
    there: &Checked,
    (done, key_pem): &(AdoptReply, String),
    agent: &[u8],
) -> Result<()> {
    let (Some(adoption), Some(certificate)) = (&done.adoption, &done.certificate_pem) else {
        bail!(
            "{} has taken this host in and signed no certificate",
            there.url
        );
    };
    let run = ADOPTED_RUN.parse();
    let others = [done.provisioner.clone()];
    let seed = HostSeed {
        schema: SCHEMA,
        node: done.node.clone(),
        run: run.map_err(|error| anyhow::anyhow!("{error}"))?,
        plan: adoption.clone(),
        provisioner: there.url.clone(),
        others: others.into_iter().filter(|url| *url != there.url).collect(),
        ca_pem: there.ca_pem.clone(),
        certificate_pem: certificate.clone(),
        key_pem: key_pem.clone(),
        root_guid: String::new(),
        volumes: Vec::new(),
        network_boot: done.network_boot,
        same_host: false,
        epoch: done.epoch,
        adopted: true,
    };
    host_agent::place(root, Placed { agent, seed })?;
    Ok(())
}

/// Has systemd start the agent, where it runs.
fn start(here: bool, (done, _): &(AdoptReply, String)) -> Result<()> {
    if !(here && Path::new(SYSTEMD_RUNS).is_dir()) {
        return say(&format!(
            "{} is adopted; its agent is at /{AGENT_PATH} and starts with the host",
            done.node
        ));
    }
    for arguments in [&["daemon-reload"][..], &["restart", "host-agent.service"]] {
        let ran = Command::new("systemctl").args(arguments).status();
        let ran = ran.context("systemctl")?;
        if !ran.success() {
            bail!(
                "{} is adopted, and `systemctl {}` failed ({ran}); its agent is at /{AGENT_PATH}: journalctl -u host-agent",
                done.node,
                arguments.join(" ")
            );
        }
    }
    say(&format!(
        "{} is adopted and its agent runs; `host-agent status` says how it stands",
        done.node
    ))
}
