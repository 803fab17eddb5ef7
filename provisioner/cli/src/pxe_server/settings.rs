// SPDX-License-Identifier: Apache-2.0
//! Everything that the service is told: the command line over the configuration, checked as a whole.

use super::args::PxeServerArgs;
use super::document::{Bounds, Capture, Document, Seen, Six, Tls};
use super::interface::{self, Own};
use super::reader::{At, Fault};
use anyhow::{Context as _, Result};
use pxe_core::dhcp::{BootNames, Reservation, Server, ServerConfig, SubnetConfig};
use pxe_core::names::HttpBase;
use pxe_core::rules::{Asker, Rules};
use pxe_core::script::CommandLine;
use pxe_server::{AdminAddress, BootDir, Https};
use std::net::Ipv4Addr;
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
    ///
    /// # Errors
    /// Every fault of both at once, those of the file with their lines.
    pub(super) fn read(args: &PxeServerArgs) -> Result<Self> {
        let mut looked = Looked::at(args)?;
        let settings = looked.settings();
        looked.told(settings)
    }

    /// The same, and looks whether folder, certificate and DHCPv6 can be served; for who begins to serve.
    ///
    /// # Errors
    /// Every fault of all at once.
    pub(super) fn read_with_files(args: &PxeServerArgs) -> Result<Self> {
        let mut looked = Looked::at(args)?;
        let settings = looked.settings();
        looked.files(settings.as_ref());
        looked.told(settings)
    }
}

/// What was read, and everything that is wrong with it.
struct Looked<'a> {
    args: &'a PxeServerArgs,
    document: Document,
    faults: Vec<Fault>,
    broken: bool,
}

impl<'a> Looked<'a> {
    fn at(args: &'a PxeServerArgs) -> Result<Self> {
        let seen = match &args.config {
            None => Seen::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| {
                    format!("the configuration {} cannot be read", path.display())
                })?;
                Document::look(&text)
            }
        };
        Ok(Self {
            args,
            document: seen.document,
            faults: seen.faults,
            broken: seen.broken,
        })
    }

    /// The value, or its error among the faults.
    fn take<T>(&mut self, read: Result<T>) -> Option<T> {
        self.take_at(0, read)
    }

    /// The same of what stands in this line of the file, 0 where on the command line.
    fn take_at<T>(&mut self, line: usize, read: Result<T>) -> Option<T> {
        read.map_err(|error| {
            let what = format!("{error:#}");
            // In the file it has no dashes.
            let written = what.strip_prefix("--").filter(|_| line > 0);
            self.fault(line, written.unwrap_or(&what));
        })
        .ok()
    }

    fn fault(&mut self, line: usize, what: impl Into<String>) {
        let what = what.into();
        self.faults.push(Fault { line, what });
    }

    /// Whether something is wrong with what stands at one of these paths.
    fn is_faulty(&self, paths: &[&str]) -> bool {
        let at = |fault: &Fault, path: &str| {
            let rest = fault.what.strip_prefix(path);
            rest.is_some_and(|rest| rest.starts_with([':', '[', '.']))
        };
        let mut faults = self.faults.iter();
        let is_meant = |fault: &Fault, path: &str| {
            let rest = fault.what.strip_suffix(" is probably meant");
            rest.is_some_and(|rest| rest.ends_with(&format!("no such key; {path}")))
        };
        let is_of = |fault: &Fault, path: &str| at(fault, path) || is_meant(fault, path);
        self.broken || faults.any(|fault| paths.iter().any(|path| is_of(fault, path)))
    }

    /// Tells what is missing, unless it is there and something is wrong with it.
    fn missing(&mut self, option: &str, paths: &[&str]) {
        if !self.is_faulty(paths) {
            self.fault(
                0,
                format!("{option} is missing, on the command line or in --config"),
            );
        }
    }

    fn boot_dir(&self) -> Option<At<PathBuf>> {
        given(self.args.boot_dir.clone(), self.document.boot_dir.as_ref())
    }

    /// The interface's address, for this pool.
    fn own(&mut self, interface: &At<String>, pool: Option<Ipv4Addr>) -> Option<Own> {
        let name = &interface.value;
        self.take_at(interface.line, interface::own_address(name, None))?;
        let of_file = self.document.own.pools.first();
        let of_file = of_file.filter(|_| self.args.pool.is_empty());
        let line = of_file.map_or(0, |pool| pool.line);
        self.take_at(line, interface::own_address(name, pool))
    }

    /// Everything together, as far as it can be made; what is wrong stands among the faults.
    fn settings(&mut self) -> Option<Settings> {
        let (args, document) = (self.args, self.document.clone());
        let interface = given(args.interface.clone(), document.interface.as_ref());
        if interface.is_none() {
            self.missing("--interface", &["interface"]);
        }
        let boot_dir = self.boot_dir();
        if boot_dir.is_none() {
            self.missing("--boot-dir", &["boot_dir"]);
        }
        let own = own_network(args, &document);
        let proxy = args.proxy || document.proxy.unwrap_or(false);
        let first = own.pools.first().map(|pool| pool.0);
        if first.is_none() && document.subnets.is_empty() && !proxy {
            self.missing("--pool", &["pools", "subnet"]);
        }
        let at = interface.as_ref().and_then(|name| self.own(name, first));
        let admin = given(args.admin.clone(), document.admin.as_ref());
        let admin = admin.and_then(|text| {
            let read = text.value.parse();
            let read = read.map_err(|error| anyhow::anyhow!("admin: {error}"));
            self.take_at(text.line, read)
        });
        let folder = boot_dir.as_ref().map(|at| at.value.as_path());
        let line = command_line(args, document.command_line.clone(), folder);
        let line = self.take(line);
        let dhcp = self.dhcp(own, at.as_ref());
        let settings = Settings {
            rules: Rules {
                rules: document.rules,
                files: files(&args.boot_file, document.files),
                command_line: line?,
            },
            interface: interface?.value,
            boot_dir: boot_dir?.value,
            state_dir: args.state_dir.clone().or(document.state_dir),
            dhcp: dhcp?,
            proxy,
            dhcp6: document.dhcp6.or_else(|| args.dhcp6.then(Six::default)),
            tls: document.tls.map(|at| at.value),
            admin,
            capture: document.capture,
            bounds: document.bounds,
        };
        let addresses = settings.addresses();
        if let Some(most) = settings.bounds.leases.filter(|most| addresses > *most) {
            self.fault(
                0,
                format!(
                    "limits.leases is {most}, and the pools have {addresses} addresses: make the pools smaller, or the limit larger"
                ),
            );
        }
        Some(settings)
    }

    /// Looks at the files that are served, and at what DHCPv6 is told.
    fn files(&mut self, settings: Option<&Settings>) {
        if let Some(boot_dir) = self.boot_dir()
            && let Err(error) = BootDir::open(&boot_dir.value)
        {
            self.fault(boot_dir.line, error.to_string());
        }
        if let Some(At { line, value: tls }) = self.document.tls.clone()
            && let Err(error) = Https::read(tls.port, &tls.certificate, &tls.key)
        {
            self.fault(line, error.to_string());
        }
        if let Some(settings) = settings
            && let Err(error) = settings.dhcp6_config()
        {
            self.fault(0, error.to_string());
        }
    }

    /// What can be served, or every fault as a person reads it.
    fn told(self, settings: Option<Settings>) -> Result<Settings> {
        match settings {
            Some(settings) if self.faults.is_empty() => Ok(settings),
            Some(_) | None => Err(told(self.args.config.as_deref(), &self.faults)),
        }
    }
}

/// What the command line says, else the file; of the command line in no line.
fn given<T: Clone>(args: Option<T>, file: Option<&At<T>>) -> Option<At<T>> {
    let of_args = args.map(|value| At { line: 0, value });
    of_args.or_else(|| file.cloned())
}

/// The faults as a person reads them. One that stands in no file is told alone.
fn told(config: Option<&Path>, faults: &[Fault]) -> anyhow::Error {
    let word = if faults.len() == 1 { "fault" } else { "faults" };
    let mut faults = faults.to_vec();
    // In the order of the file, and then what stands in none.
    faults.sort_by_key(|fault| fault.line.checked_sub(1).unwrap_or(usize::MAX));
    let lines: Vec<_> = faults
        .iter()
        .map(|fault| match fault.line {
            0 => format!("  {}", fault.what),
            line => format!("  line {line}: {}", fault.what),
        })
        .collect();
    let (count, lines) = (faults.len(), lines.join("\n"));
    match (faults.as_slice(), config) {
        ([Fault { line: 0, what }], _) => anyhow::anyhow!("{what}"),
        (_, Some(path)) => anyhow::anyhow!(
            "the configuration {} has {count} {word}:\n{lines}",
            path.display()
        ),
        (_, None) => anyhow::anyhow!("there are {count} {word}:\n{lines}"),
    }
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
    own.subnet(Ipv4Addr::UNSPECIFIED, 0, LEASE_SECS)
}

/// An address that is nobody's (RFC 5737), and a subnet of nobody: for looking at other subnets where our own is not known.
const NOBODYS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

impl Looked<'_> {
    /// What the DHCP server is told. Each subnet and reservation is tried by itself first, so that every fault is told; without an
    /// address of our own, those behind relay agents.
    fn dhcp(&mut self, own: SubnetConfig, at: Option<&Own>) -> Option<ServerConfig> {
        let (args, document) = (self.args, self.document.clone());
        let port = args.http_port.or(document.http_port).unwrap_or(80);
        let address = at.map_or(NOBODYS, |at| at.address);
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
        let try_it = |config| Server::new(config, []).err().map(|error| error.to_string());
        let before = self.faults.len();
        let own = at.map(|at| SubnetConfig {
            network: at.address,
            prefix: at.prefix,
            ..own
        });
        // What a reservation is compared with: where one of these is not known, nothing is said of what may lie in it.
        let mut good = Vec::new();
        let mut is_whole = at.is_some() && !self.is_faulty(&["subnet", "pools"]);
        let all = match (&own, at) {
            (Some(own), Some(at)) => subnets(own.clone(), &document, at),
            (Some(_) | None, _) => document.subnets.iter().map(|at| at.value.clone()).collect(),
        };
        if let Some(what) = own.and_then(|own| try_it(with(vec![own], Vec::new()))) {
            self.fault(0, what);
            is_whole = false;
        }
        for each in &document.subnets {
            match try_it(with(vec![each.value.clone()], Vec::new())) {
                None => good.push(each.value.clone()),
                Some(what) => {
                    self.fault(each.line, what);
                    is_whole = false;
                }
            }
        }
        for each in &document.reservations {
            let within = if is_whole { &all } else { &good };
            let lies = |subnet: &SubnetConfig| holds(subnet, each.value.address);
            if !is_whole && !within.iter().any(lies) {
                continue;
            }
            if let Some(what) = try_it(with(within.clone(), vec![each.value.clone()])) {
                self.fault(each.line, what);
            }
        }
        let reservations = document.reservations.iter().map(|at| at.value.clone());
        let whole = with(all, reservations.collect());
        if self.faults.len() == before
            && is_whole
            && let Some(what) = try_it(whole.clone())
        {
            self.fault(0, what);
        }
        at.is_some().then_some(whole)
    }
}

/// Whether the address lies in this subnet.
fn holds(subnet: &SubnetConfig, address: Ipv4Addr) -> bool {
    let bits = 32_u32.saturating_sub(subnet.prefix.into());
    let mask = u32::MAX.checked_shl(bits).unwrap_or(0);
    u32::from(subnet.network) & mask == u32::from(address) & mask
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

fn command_line(
    args: &PxeServerArgs,
    file: Option<String>,
    boot_dir: Option<&Path>,
) -> Result<String> {
    let (from, text) = match (&args.command_line, file, boot_dir) {
        (Some(given), _, _) => ("--command-line".to_owned(), given.clone()),
        (None, Some(checked), _) => return Ok(checked),
        (None, None, None) => return Ok(String::new()),
        (None, None, Some(boot_dir)) => {
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
    fn a_fault_in_one_place_hides_none_in_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pxe.toml");
        let text = "interface = \"nonesuch0\"
boot_dir = \"/nowhere\"
pools = [\"127.0.1.1-127.0.1.9\"]
mtu = 20
admin = \"here\"
[boot]
command_line = \"a\\u0007b\"
[[subnet]]
network = \"10.7.0.0/31\"
[[subnet]]
network = \"10.9.0.0/24\"
[[reservation]]
mac = \"52:54:00:00:00:01\"
address = \"10.9.0.255\"
[[reservation]]
mac = \"52:54:00:00:00:02\"
address = \"127.0.0.9\"
[tls]
certificate = \"/nowhere/cert\"
key = \"/nowhere/key\"
";
        std::fs::write(&path, text).unwrap();
        let args = PxeServerArgs {
            config: Some(path.clone()),
            ..PxeServerArgs::default()
        };
        let error = Settings::read_with_files(&args).unwrap_err().to_string();
        for said in [
            "has 8 faults",
            "line 4: mtu: should be",
            "line 7: boot.command_line: ",
            "line 8: subnet 10.7.0.0/31: prefix is 31",
            "line 12: reservation of 10.9.0.255: ",
            "line 1: interface nonesuch0: this machine has no such interface",
            "line 5: admin: ",
            "line 2: cannot read the boot folder /nowhere",
            "line 18: cannot read a certificate from /nowhere/cert",
        ] {
            assert!(error.contains(said), "{said:?} is not in {error}");
        }
        // Nobody knows where the second reservation lies, and nothing that is there is called missing.
        assert!(
            !error.contains("127.0.0.9") && !error.contains("is missing"),
            "{error}"
        );
        std::fs::write(&path, text.replace("mtu = 20", "mtu = = 20\ncolour = 1")).unwrap();
        let error = Settings::read_with_files(&args).unwrap_err().to_string();
        for said in [
            "line 4: ",
            "line 5: colour: there is no such key",
            "line 9: subnet",
        ] {
            assert!(error.contains(said), "{said:?} is not in {error}");
        }
        std::fs::write(&path, "pools = 5\n").unwrap();
        let error = Settings::read(&args).unwrap_err().to_string();
        for said in [
            "has 3 faults",
            "line 1: pools",
            "--interface is missing",
            "--boot-dir is missing",
        ] {
            assert!(error.contains(said), "{said:?} is not in {error}");
        }
        assert!(!error.contains("--pool is missing"), "{error}");
        // What follows from a name that is not right is not another fault.
        std::fs::write(&path, "pool = [\"127.0.1.1-127.0.1.9\"]\n").unwrap();
        let error = Settings::read(&args).unwrap_err().to_string();
        assert!(error.contains("pools is probably meant"), "{error}");
        assert!(!error.contains("--pool is missing"), "{error}");
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
