// SPDX-License-Identifier: Apache-2.0
//! Clients that ask for an address, straight and through a relay agent.

use super::ground::{Client, Ground, LEASED, Ours, POLL, POOL, SERVER, read, run};
use super::row::{Outcome, Row};
use crate::rack::Parts;
use anyhow::{Context as _, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// How long a client may take to get its address: several of its own retries.
const LIMIT: Duration = Duration::from_secs(40);
/// A DHCP client of an operating system.
struct Asker {
    client: &'static str,
    package: &'static str,
    program: &'static str,
    start: fn(&Client, &Path, &Path) -> Result<Command>,
}

/// What tells us the address: each client's own hook, called with its own words in the environment.
const HOOK: &str = r#"#!/bin/sh
case "$1$reason" in
  bound*|BOUND*|renew*|RENEW*) echo "${ip:-$new_ip_address}" > "$0.address";;
esac
exit 0
"#;

const ALL: [Asker; 4] = [
    Asker {
        client: "busybox udhcpc",
        package: "busybox-static",
        program: "busybox",
        start: |client, program, folder| {
            let mut command = client.command(&program.display().to_string());
            command.args(["udhcpc", "-f", "-q", "-n", "-i", "eth0", "-s"]);
            command.arg(folder.join("hook"));
            Ok(command)
        },
    },
    Asker {
        client: "dhclient",
        package: "isc-dhcp-client",
        program: "dhclient",
        start: |client, program, folder| {
            let mut command = client.command(&program.display().to_string());
            command
                .args(["-4", "-1", "-d", "-sf"])
                .arg(folder.join("hook"));
            command.arg("-lf").arg(folder.join("leases"));
            command.arg("-pf").arg(folder.join("pid")).arg("eth0");
            Ok(command)
        },
    },
    Asker {
        client: "dhcpcd",
        package: "dhcpcd-base",
        program: "dhcpcd",
        start: |client, program, folder| {
            // It keeps its state in fixed folders: it gets empty ones of its own.
            let mut command = client.command("unshare");
            command.args(["--mount", "sh", "-c"]);
            command.arg(format!(
                "mount -t tmpfs none /run && mount -t tmpfs none /var/lib && mkdir /run/dhcpcd /var/lib/dhcpcd && exec {} -4 -1 -B -L --noarp -c {} eth0",
                program.display(),
                folder.join("hook").display()
            ));
            Ok(command)
        },
    },
    Asker {
        client: "systemd-networkd",
        package: "systemd",
        program: "systemd-networkd",
        start: |client, program, folder| {
            // With a /sys that it may write to it waits for udev, which nobody runs in this namespace.
            let unit = folder.join("10-eth0.network");
            fs::write(
                &unit,
                "[Match]\nName=eth0\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
            )?;
            fs::set_permissions(&unit, fs::Permissions::from_mode(0o644))?;
            let mut command = client.command("unshare");
            command.args(["--mount", "sh", "-c"]);
            command.arg(format!(
                "mount -t tmpfs none /run && mount -t sysfs -o ro none /sys && mkdir -p /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp && cp {} /run/systemd/network/ && chown -R systemd-network:systemd-network /run/systemd/netif && exec {}",
                unit.display(),
                program.display()
            ));
            Ok(command)
        },
    },
];

/// Every asker's row.
pub(super) fn rows(ground: &mut Ground) -> Result<Vec<Row>> {
    ground.serve(&["--pool", POOL])?;
    let mut rows = Vec::new();
    for asker in &ALL {
        let Some(program) = program(asker.program, asker.package) else {
            rows.push(Row::bare(
                asker.client,
                "an address",
                missing(asker.package),
            ));
            continue;
        };
        let client = ground.client()?;
        let capture = ground.capture(&client.port(), &format!("lease-{}", asker.program))?;
        let got = address(ground, &client, asker, &program, LEASED);
        let wire = read(capture)?;
        rows.push(Row::new(asker.client, "an address", &wire, outcome(got)));
    }
    rows.push(nmap(ground)?);
    Ok(rows)
}

/// The row of a client behind isc-dhcp-relay, in a subnet of its own.
pub(super) fn relayed(ground: &mut Ground) -> Result<Row> {
    const CLIENT: &str = "dhclient by isc-dhcp-relay";
    const DID: &str = "an address of the subnet behind it";
    let relay_program = program("dhcrelay", "isc-dhcp-relay");
    let asker = &ALL[1];
    let (Some(relay_program), Some(program)) =
        (relay_program, program(asker.program, asker.package))
    else {
        return Ok(Row::bare(CLIENT, DID, missing("isc-dhcp-relay")));
    };
    let config = ground.folder.join("two-subnets.toml");
    fs::write(&config, TWO_SUBNETS)?;
    ground.serve(&["--config", &config.display().to_string()])?;
    let relay = ground.client()?;
    relay.address("eth0", "10.77.0.2/24")?;
    let client = ground.loose()?;
    ground.cable(&relay, "below", &client)?;
    relay.address("below", "10.78.0.1/24")?;
    run(Command::new("ip").args(["route", "replace", "10.78.0.0/24", "via", "10.77.0.2"]))?;
    let mut command = relay.command(&relay_program.display().to_string());
    command.args([
        "-4", "-d", "--no-pid", "-iu", "eth0", "-id", "below", SERVER,
    ]);
    let running = Ours::start(&mut command, &ground.folder.join("dhcrelay.log"))?;
    let capture = ground.capture(&relay.port(), "relay")?;
    let got = address(ground, &client, asker, &program, "10.78.0.");
    drop(running);
    let wire = read(capture)?;
    Ok(Row::new(CLIENT, DID, &wire, outcome(got)))
}

const TWO_SUBNETS: &str = r#"
[[subnet]]
network = "10.77.0.0/24"
pools = ["10.77.0.100-10.77.0.199"]

[[subnet]]
network = "10.78.0.0/24"
pools = ["10.78.0.100-10.78.0.199"]
router = "10.78.0.1"
"#;

fn address(
    ground: &Ground,
    client: &Client,
    asker: &Asker,
    program: &Path,
    begins: &str,
) -> Result<String> {
    let folder = ground
        .folder
        .join(format!("lease-{}-{begins}", asker.program));
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let hook = folder.join("hook");
    fs::write(&hook, HOOK)?;
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))?;
    let log = folder.join("log");
    let mut running = Ours::start(&mut (asker.start)(client, program, &folder)?, &log)?;
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let until = Instant::now() + LIMIT;
    loop {
        // Two ways to know: its hook, or the address on its interface.
        let ended = running.has_ended();
        let told = fs::read_to_string(folder.join("hook.address")).unwrap_or_default();
        let set = on_interface(client)?;
        if let Some(address) = [told.trim().to_owned(), set]
            .into_iter()
            .find(|a| !a.is_empty())
        {
            ensure!(
                address.starts_with(begins),
                "it has {address}, which is of no pool here"
            );
            return Ok(address);
        }
        ensure!(
            !ended,
            "it ended without an address: {}",
            last_line(&said())
        );
        ensure!(
            Instant::now() < until,
            "no address in {} s: {}",
            LIMIT.as_secs(),
            last_line(&said())
        );
        thread::sleep(POLL);
    }
}

fn on_interface(client: &Client) -> Result<String> {
    let words = run(client
        .command("ip")
        .args(["-4", "-o", "addr", "show", "dev", "eth0"]))?;
    let mut words = words.split_whitespace().skip_while(|word| *word != "inet");
    let address = words.nth(1).unwrap_or_default();
    Ok(address.split('/').next().unwrap_or_default().to_owned())
}

/// nmap sends a DHCPINFORM and prints what it is told.
fn nmap(ground: &mut Ground) -> Result<Row> {
    const CLIENT: &str = "nmap dhcp-discover";
    const DID: &str = "DHCPINFORM";
    let Some(program) = program("nmap", "nmap") else {
        return Ok(Row::bare(CLIENT, DID, missing("nmap")));
    };
    let client = ground.client()?;
    client.address("eth0", "10.77.0.21/24")?;
    let capture = ground.capture(&client.port(), "nmap")?;
    let mut command = client.command(&program.display().to_string());
    command.args([
        "-n",
        "-Pn",
        "-sU",
        "-p",
        "67",
        "--script",
        "dhcp-discover",
        SERVER,
    ]);
    let said = run(&mut command);
    let wire = read(capture)?;
    let got = said.and_then(|said| {
        let server = said
            .lines()
            .find(|line| line.contains("Server Identifier"))
            .with_context(|| format!("it shows no answer: {}", last_line(&said)))?;
        ensure!(server.contains(SERVER), "it shows {server:?}");
        Ok("the server's options".to_owned())
    });
    Ok(Row::new(CLIENT, DID, &wire, outcome(got)))
}

fn program(name: &'static str, package: &'static str) -> Option<PathBuf> {
    let systemd = Path::new("/lib/systemd").join(name);
    let found = Parts::program(name, package).ok();
    found.or_else(|| systemd.is_file().then_some(systemd))
}

fn missing(package: &str) -> Outcome {
    Outcome::NotTried(format!("install the Debian package {package}"))
}

fn outcome(got: Result<String>) -> Outcome {
    match got {
        Ok(said) => Outcome::Well(said),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

fn last_line(text: &str) -> &str {
    text.lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("nothing was said")
}
