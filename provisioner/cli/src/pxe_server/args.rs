// SPDX-License-Identifier: Apache-2.0
//! What the command line says, read into typed values.

use clap::Args;
use groundstate_api::{MacAddr, SystemUuid};
use pxe_core::rules::Asker;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  groundstate pxe-server --interface eth1 --pool 10.0.0.100-10.0.0.199 --boot-dir /srv/boot
  groundstate pxe-server --config pxe.toml --check
  groundstate pxe-server --config pxe.toml --explain 52:54:00:12:34:56 --firmware uefi-pxe

Into the folder: undionly.kpxe for BIOS, snponly.efi for UEFI PXE, an EFI program groundstate.efi for UEFI HTTP Boot;
then boot.ipxe, or vmlinuz with initrd.img (and cmdline). Other names: --boot-file.

Exit status: 0 done, 1 an error, 2 wrong usage.";

/// Serve DHCP, TFTP and HTTP boot files from a folder, without a provisioner.
///
/// Leases addresses to any client, and sends every machine for the file of its firmware. Every regular file below the
/// folder is served by TFTP and HTTP under its relative name. The ports 67, 69 and 80 need root, CAP_NET_BIND_SERVICE and
/// CAP_NET_RAW, or socket activation.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("asked").args(["check", "explain"]))]
pub(crate) struct PxeServerArgs {
    /// The interface to serve, for example eth1; its own IPv4 address and prefix are the subnet.
    #[arg(long, value_name = "IF")]
    pub(crate) interface: Option<String>,
    /// Addresses to lease, first and last. May be given several times.
    #[arg(long, value_name = "FIRST-LAST", value_parser = pool)]
    pub(crate) pool: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// The folder with the boot files.
    #[arg(long, value_name = "DIR")]
    pub(crate) boot_dir: Option<PathBuf>,
    /// A file for a kind of client, in place of the usual one: bios, uefi-pxe, uefi-http, arm64-pxe, arm64-http, or
    /// ipxe for a script. May be given several times.
    #[arg(long, value_name = "FIRMWARE=NAME", value_parser = boot_file)]
    pub(crate) boot_file: Vec<(Asker, String)>,
    /// Where the leases are kept. [default: /var/lib/groundstate, or the user's own state folder]
    #[arg(long, env = "GROUNDSTATE_STATE_DIR", value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// A configuration in TOML; what is also on the command line counts from there. Read again on SIGHUP.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Check configuration and folder, tell every fault at once, and do nothing else.
    #[arg(long)]
    pub(crate) check: bool,
    /// The default gateway that clients are told.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) router: Option<Ipv4Addr>,
    /// A name server that clients are told. May be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) dns: Vec<Ipv4Addr>,
    /// How long a lease lasts, in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) lease_secs: Option<u32>,
    /// The TCP port of HTTP boot files. [default: 80]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) http_port: Option<u16>,
    /// The kernel command line for vmlinuz. [default: what the file cmdline in the folder says]
    #[arg(long, value_name = "TEXT")]
    pub(crate) command_line: Option<String>,
    /// Print what this machine would get and why, and send nothing. Works while the service runs.
    #[arg(long, value_name = "MAC")]
    pub(crate) explain: Option<MacAddr>,
    /// Explain it for this firmware alone; otherwise for each, and for an operating system.
    #[arg(long, value_name = "FIRMWARE", requires = "explain")]
    pub(crate) firmware: Option<Asker>,
    /// The machine's UUID, for the rules that ask for one.
    #[arg(long, value_name = "UUID", requires = "explain")]
    pub(crate) uuid: Option<SystemUuid>,
    /// Explain it for a machine behind the relay agent with this address; of IPv6, for one on this link, by DHCPv6.
    #[arg(long, value_name = "ADDRESS", requires = "explain")]
    pub(crate) relay: Option<IpAddr>,
    /// Print JSON; with --check or --explain.
    #[arg(long, requires = "asked")]
    pub(crate) json: bool,
    /// Ask this provisioner what machines boot, in place of rules; the folder then holds the boot image.
    #[arg(long, value_name = "URL", requires = "credential")]
    pub(crate) provisioner: Option<String>,
    /// Folder with ca.crt, operator.crt and operator.key for the provisioner.
    #[arg(long, value_name = "DIR", requires = "provisioner")]
    pub(crate) credential: Option<PathBuf>,
    /// Where to answer `groundstate boot ls`. It asks nobody who they are: keep it on loopback.
    #[arg(long, value_name = "ADDR:PORT|unix:PATH")]
    pub(crate) admin: Option<String>,
    /// Answer beside another DHCP server that leases the addresses.
    #[arg(long)]
    pub(crate) proxy: bool,
    /// Serve DHCPv6 for network boot, too.
    #[arg(long)]
    pub(crate) dhcp6: bool,
}

/// `10.0.0.100-10.0.0.199`; also with a comma, or with the last address shortened to its last number.
pub(super) fn pool(text: &str) -> Result<(Ipv4Addr, Ipv4Addr), String> {
    let wanted = || "a pool is written 10.0.0.100-10.0.0.199".to_owned();
    let (first, last) = text.split_once(['-', ',']).ok_or_else(wanted)?;
    let first: Ipv4Addr = first.trim().parse().map_err(|_| wanted())?;
    let last = last.trim();
    let last = match last.parse::<u8>() {
        Ok(number) => {
            let [a, b, c, _] = first.octets();
            Ipv4Addr::new(a, b, c, number)
        }
        Err(_) => last.parse().map_err(|_| wanted())?,
    };
    if last < first {
        return Err(format!("{last} lies before {first}"));
    }
    Ok((first, last))
}

fn boot_file(text: &str) -> Result<(Asker, String), String> {
    let (asker, name) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} should be FIRMWARE=NAME, for example bios=pxelinux.0"))?;
    let asker = asker.parse::<Asker>().map_err(|error| error.to_string())?;
    let name = pxe_core::names::plain(name)
        .ok_or_else(|| format!("{name:?} is no name of a boot file"))?;
    Ok((asker, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_are_read_as_people_write_them() {
        let ip = |last| Ipv4Addr::new(10, 0, 0, last);
        for text in [
            "10.0.0.5-10.0.0.9",
            "10.0.0.5,10.0.0.9",
            "10.0.0.5 - 10.0.0.9",
            "10.0.0.5-9",
        ] {
            assert_eq!(pool(text), Ok((ip(5), ip(9))), "{text}");
        }
        assert_eq!(pool("10.0.0.5-10.0.0.5"), Ok((ip(5), ip(5))));
        for text in ["", "10.0.0.5", "10.0.0.9-10.0.0.5", "10.0.0.5-300", "a-b"] {
            assert!(pool(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_boot_file_is_for_a_firmware() {
        assert_eq!(
            boot_file("bios=/sub//pxelinux.0"),
            Ok((Asker::Bios, "sub/pxelinux.0".to_owned()))
        );
        for text in ["pxelinux.0", "amiga=x", "bios="] {
            assert!(boot_file(text).is_err(), "{text}");
        }
    }
}
