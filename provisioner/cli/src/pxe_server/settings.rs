// SPDX-License-Identifier: Apache-2.0
//! Everything that the service is told: the command line over the configuration, checked as a whole.

use super::args::PxeServerArgs;
use super::document::{Bounds, Capture, Document, Six, Tls};
use super::interface::{self, Own};
use super::reader::{At, Fault};
use anyhow::{Context as _, Result, bail};
use pxe_core::dhcp::{BootNames, Reservation, Server, ServerConfig, SubnetConfig};
use pxe_core::names::HttpBase;
use pxe_core::rules::{Asker, Rules};
use pxe_core::script::CommandLine;
use pxe_server::AdminAddress;
use std::path::{Path, PathBuf};

/// How long a lease lasts where nobody says, in seconds: an hour.
pub(super) const LEASE_SECS: u32 = 3_600;
/// The file in the folder that holds the kernel command line.
const COMMAND_LINE_FILE: &str = "cmdline";

/// What is served.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) interface: String,
    pub(super) boot_dir: PathBuf,
    pub(super) state_dir: Option<PathBuf>,
    pub(super) dhcp: ServerConfig,
    pub(super) rules: Rules,
    pub(super) proxy: bool,
    pub(super) dhcp6: Option<Six>,
    pub(super) tls: Option<Tls>,
    pub(super) admin: Option<AdminAddress>,
    pub(super) capture: Option<Capture>,
    pub(super) bounds: Bounds,
}

impl Settings {
    /// Reads the configuration, where there is one, and the interface's address.
    pub(super) fn read(args: &PxeServerArgs) -> Result<Self> {
        let document = match &args.config {
            None => Document::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| {
                    format!("the configuration {} cannot be read", path.display())
                })?;
                Document::read(&text).map_err(|faults| told(path, &faults))?
            }
        };
        let settings = Self::of(args, document)?;
        let addresses = settings.addresses();
        match settings.bounds.leases {
            Some(most) if addresses > most => bail!(
                "limits.leases is {most}, and the pools have {addresses} addresses: make the pools smaller, or the limit larger"
            ),
            Some(_) | None => Ok(settings),
        }
    }

    fn of(args: &PxeServerArgs, document: Document) -> Result<Self> {
        let missing = |what: &str| format!("{what} is missing, on the command line or in --config");
        let interface = args.interface.clone().or(document.interface.clone());
        let interface = interface.with_context(|| missing("--interface"))?;
        let boot_dir = args.boot_dir.clone().or(document.boot_dir.clone());
        let boot_dir = boot_dir.with_context(|| missing("--boot-dir"))?;
        let own = own_network(args, &document);
        let proxy = args.proxy || document.proxy.unwrap_or(false);
        let first = own.pools.first().map(|pool| pool.0);
        if first.is_none() && document.subnets.is_empty() && !proxy {
            bail!(missing("--pool"));
        }
        let address = interface::own_address(&interface, first)?;
        let admin = args.admin.clone().or(document.admin.clone());
        let admin = admin.map(|text| {
            text.parse()
                .map_err(|error| anyhow::anyhow!("admin: {error}"))
        });
        let dhcp = dhcp(args, &document, own, &address)?;
        Ok(Self {
            rules: Rules {
                rules: document.rules,
                files: files(&args.boot_file, document.files),
                command_line: command_line(args, document.command_line, &boot_dir)?,
            },
            interface,
            boot_dir,
            state_dir: args.state_dir.clone().or(document.state_dir),
            dhcp,
            proxy,
            dhcp6: document.dhcp6.or_else(|| args.dhcp6.then(Six::default)),
            tls: document.tls,
            admin: admin.transpose()?,
            capture: document.capture,
            bounds: document.bounds,
        })
    }
}

/// The faults of a file as a person reads them.
fn told(path: &Path, faults: &[Fault]) -> anyhow::Error {
    let word = if faults.len() == 1 { "fault" } else { "faults" };
    let lines: Vec<_> = faults
        .iter()
        .map(|fault| match fault.line {
            0 => format!("  {}", fault.what),
            line => format!("  line {line}: {}", fault.what),
        })
        .collect();
    anyhow::anyhow!(
        "the configuration {} has {} {word}:\n{}",
        path.display(),
        faults.len(),
        lines.join("\n")
    )
}

/// What was named on the command line counts before what the file names.
fn files(args: &[(Asker, String)], file: Vec<(Asker, String)>) -> Vec<(Asker, String)> {
    args.iter().cloned().chain(file).collect()
}

fn own_network(args: &PxeServerArgs, document: &Document) -> SubnetConfig {
    let mut own = document.own.clone();
    if !args.pool.is_empty() {
        let value = |pool: &(_, _)| At {
            line: 0,
            value: *pool,
        };
        own.pools = args.pool.iter().map(value).collect();
    }
    own.router = args.router.or(own.router);
    own.lease_secs = args.lease_secs.or(own.lease_secs);
    if !args.dns.is_empty() {
        own.dns.clone_from(&args.dns);
    }
    own.subnet(std::net::Ipv4Addr::UNSPECIFIED, 0, LEASE_SECS)
}

/// What the DHCP server is told. Each subnet and reservation is tried by itself first, so that every fault is told.
fn dhcp(
    args: &PxeServerArgs,
    document: &Document,
    own: SubnetConfig,
    at: &Own,
) -> Result<ServerConfig> {
    let port = args.http_port.or(document.http_port).unwrap_or(80);
    let address = at.address;
    let own = SubnetConfig {
        network: address,
        prefix: at.prefix,
        ..own
    };
    let with = |subnets: Vec<SubnetConfig>, reservations: Vec<Reservation>| ServerConfig {
        address,
        http: HttpBase {
            address: address.into(),
            port,
        },
        subnets,
        reservations,
        boot: names(&files(&args.boot_file, document.files.clone())),
        probe: document.probe.unwrap_or(false),
    };
    let mut faults = Vec::new();
    let mut fault = |line, what| faults.push(Fault { line, what });
    let try_it = |config| Server::new(config, []).err().map(|error| error.to_string());
    if let Some(what) = try_it(with(vec![own.clone()], Vec::new())) {
        fault(0, what);
    }
    for each in &document.subnets {
        if let Some(what) = try_it(with(vec![each.value.clone()], Vec::new())) {
            fault(each.line, what);
        }
    }
    let all = subnets(own, document, at);
    let reservations: Vec<_> = document
        .reservations
        .iter()
        .map(|at| at.value.clone())
        .collect();
    if faults.is_empty() {
        for each in &document.reservations {
            if let Some(what) = try_it(with(all.clone(), vec![each.value.clone()])) {
                faults.push(Fault {
                    line: each.line,
                    what,
                });
            }
        }
    }
    let whole = with(all, reservations);
    if faults.is_empty()
        && let Some(what) = try_it(whole.clone())
    {
        faults.push(Fault { line: 0, what });
    }
    if faults.is_empty() {
        return Ok(whole);
    }
    match &args.config {
        Some(path) => Err(told(path, &faults)),
        None => bail!(
            "{}",
            faults
                .into_iter()
                .map(|f| f.what)
                .collect::<Vec<_>>()
                .join("\n")
        ),
    }
}

/// The interface's own subnet first, as the file tells it where the file tells it by its network; then the others.
fn subnets(own: SubnetConfig, document: &Document, at: &Own) -> Vec<SubnetConfig> {
    let mut all = vec![own];
    for each in &document.subnets {
        let ours = at.prefix == each.value.prefix && at.holds(each.value.network);
        match all.first_mut().filter(|_| ours) {
            Some(own) if own.pools.is_empty() => *own = each.value.clone(),
            Some(_) | None => all.push(each.value.clone()),
        }
    }
    all
}

/// First stages, for machines that are brought to iPXE in order to go on to their disk.
fn names(files: &[(Asker, String)]) -> BootNames {
    let mut names = BootNames::default();
    for (asker, name) in files.iter().rev() {
        let place = match asker {
            Asker::Bios | Asker::UefiPxe | Asker::Arm64Pxe => &mut names.pxe,
            Asker::UefiHttp | Asker::Arm64Http => &mut names.http,
            Asker::Ipxe => continue,
        };
        place.insert(asker.architecture(), name.clone());
    }
    names
}

fn command_line(args: &PxeServerArgs, file: Option<String>, boot_dir: &Path) -> Result<String> {
    let (from, text) = match (&args.command_line, file) {
        (Some(given), _) => ("--command-line".to_owned(), given.clone()),
        (None, Some(checked)) => return Ok(checked),
        (None, None) => {
            let path = boot_dir.join(COMMAND_LINE_FILE);
            let text = match std::fs::read_to_string(&path) {
                // Where the folder is none, that is told when it is opened.
                Err(error) if is_missing(&error) => return Ok(String::new()),
                read => read.with_context(|| format!("cannot read {}", path.display()))?,
            };
            (path.display().to_string(), text)
        }
    };
    let line = CommandLine::parse(text.trim()).with_context(|| from)?;
    Ok(line.as_str().to_owned())
}

fn is_missing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lo(config: &str) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pxe.toml");
        std::fs::write(&path, config).unwrap();
        Settings::read(&PxeServerArgs {
            interface: Some("lo".to_owned()),
            boot_dir: Some(dir.path().to_owned()),
            config: Some(path),
            ..PxeServerArgs::default()
        })
    }

    #[test]
    fn every_subnet_and_reservation_that_cannot_be_served_is_told_with_its_line() {
        let error = lo("pools = [\"127.0.1.1-127.0.1.9\"]
[[subnet]]
network = \"10.9.0.0/24\"
pools = [\"10.8.0.1-10.8.0.9\"]
[[subnet]]
network = \"10.7.0.0/31\"
")
        .unwrap_err()
        .to_string();
        assert!(error.contains("has 2 faults"), "{error}");
        assert!(
            error.contains("line 2: ") && error.contains("line 5: "),
            "{error}"
        );
        let error = lo("pools = [\"127.0.1.1-127.0.1.9\"]
[[reservation]]
mac = \"52:54:00:00:00:01\"
address = \"192.0.2.1\"
[[reservation]]
mac = \"52:54:00:00:00:02\"
address = \"127.0.0.1\"
")
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("line 2: ") && error.contains("line 5: "),
            "{error}"
        );
    }

    #[test]
    fn pools_that_are_larger_than_the_limit_of_leases_are_refused() {
        let pools = "pools = [\"127.0.1.1-127.0.1.9\"]\n[limits]\nleases = ";
        assert!(lo(&format!("{pools}9\n")).is_ok());
        let error = lo(&format!("{pools}8\n")).unwrap_err().to_string();
        assert!(
            error.contains("limits.leases is 8") && error.contains("9 addresses"),
            "{error}"
        );
    }

    #[test]
    fn our_own_address_is_not_counted_and_a_pool_of_nothing_else_is_refused() {
        let settings = lo("pools = [\"127.0.0.1-127.0.0.9\"]\n").unwrap();
        assert_eq!(settings.addresses(), 8);
        let error = lo("pools = [\"127.0.0.1-127.0.0.1\"]\n").unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("the pool 127.0.0.1-127.0.0.1 has no address to lease"),
            "{error}"
        );
    }

    #[test]
    fn the_command_line_counts_before_the_file() {
        let settings =
            lo("pools = [\"127.0.1.1-127.0.1.9\"]\nhttp_port = 8080\nlease_secs = 600\n").unwrap();
        assert_eq!(settings.dhcp.http.port, 8_080);
        assert_eq!(settings.dhcp.subnets[0].lease_secs, 600);
        let error = lo("router = \"127.0.0.1\"\n").unwrap_err().to_string();
        assert!(error.contains("--pool is missing"), "{error}");
    }
}
