// SPDX-License-Identifier: Apache-2.0
//! The names of boot files, and the one reader of HTTP paths.
//!
//! A path is compared with names; it is never joined to a folder. Escapes are read once and repeated slashes are left out
//! (some firmware doubles them), and then it is still only compared, so there is nothing to traverse.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use groundstate_api::MacAddr;

/// First stage for BIOS, by TFTP.
pub const UNDIONLY: &str = "undionly.kpxe";
/// First stage for UEFI PXE, by TFTP.
pub const SNPONLY: &str = "snponly.efi";
/// The boot image as a unified kernel image, for UEFI HTTP Boot.
pub const UKI: &str = "groundstate.efi";
/// The kernel, for iPXE.
pub const KERNEL: &str = "vmlinuz";
/// The initramfs, for iPXE. iPXE offers it to the kernel's EFI stub under this very name.
pub const INITRD: &str = "initrd.img";
/// The name of no file: firmware that is to boot its own disk is sent for it, is told "not found" at once, and goes on to
/// its next boot entry. Given no file at all, UEFI asks for a minute before it goes on (measured with OVMF).
pub const LOCAL_DISK: &str = "local-disk";

/// The folder that our own URLs name; a path may leave it out.
const ROOT: &str = "boot";
/// Scripts of one machine lie below this.
const SCRIPTS: &str = "boot/ipxe/";
/// The ending of a script's name.
const SCRIPT_ENDING: &str = ".ipxe";
/// The counters.
const METRICS: &str = "metrics";
/// The longest name of a boot file, in bytes, its folders included: half of what a TFTP request carries.
pub const NAME_MAX: usize = 255;
/// The longest path that is looked at, in bytes: a name with every byte escaped.
const PATH_MAX: usize = 3 * NAME_MAX + 16;

/// What an HTTP path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A boot file, under one of the [`file_names`] of this, which are still to be looked up.
    File(String),
    /// The iPXE script of this machine.
    Script(MacAddr),
    /// The counters.
    Metrics,
}

/// Reads an HTTP path. `None` is "404": not a path of anything.
///
/// Escapes are read once, and what they spell is compared with names like everything else. One that spells a slash or a
/// control character spells no name. A backslash is a character like any other: a file may have one in its name.
#[must_use]
pub fn read_path(path: &str) -> Option<Wanted> {
    if path.len() > PATH_MAX || !path.starts_with('/') {
        return None;
    }
    let path = plain(&unescape(path)?)?;
    let machine = path
        .strip_prefix(SCRIPTS)
        .and_then(|name| name.strip_suffix(SCRIPT_ENDING))
        .and_then(|name| name.parse().ok());
    Some(match machine {
        Some(mac) => Wanted::Script(mac),
        None if path == METRICS => Wanted::Metrics,
        None => Wanted::File(path),
    })
}

/// The names that a path may mean, in this order: itself, and without our own folder.
pub fn file_names(path: &str) -> impl Iterator<Item = &str> {
    let below = path.strip_prefix(ROOT).and_then(|p| p.strip_prefix('/'));
    [Some(path), below].into_iter().flatten()
}

/// A name as a client may write it: slashes at the beginning and repeated ones mean nothing (firmware, GRUB and PXELINUX
/// double them). `None` where it is nobody's name.
#[must_use]
pub fn plain(name: &str) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    for part in name.split('/').filter(|part| !part.is_empty()) {
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(part);
    }
    let control = out.chars().any(char::is_control);
    (!out.is_empty() && out.len() <= NAME_MAX && !control).then_some(out)
}

fn unescape(path: &str) -> Option<String> {
    let mut bytes = path.bytes();
    let mut out = Vec::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let spelled = u8::try_from(digit()? << 4 | digit()?).ok()?;
        if matches!(spelled, b'/' | 0..0x20 | 0x7f) {
            return None;
        }
        out.push(spelled);
    }
    String::from_utf8(out).ok()
}

fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~+,:=@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Where our HTTP boot files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpBase {
    /// The address.
    pub address: IpAddr,
    /// The TCP port; it stands in a URL unless it is 80.
    pub port: u16,
}

impl HttpBase {
    /// The URL of a boot file.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        let (port, name) = (self.port_part(), escape(name));
        format!("http://{}{port}/{ROOT}/{name}", host(self.address))
    }

    /// The URL of a machine's iPXE script.
    #[must_use]
    pub fn script(&self, mac: MacAddr) -> String {
        let [a, b, c, d, e, f] = mac.0;
        let name = format!("{a:02x}-{b:02x}-{c:02x}-{d:02x}-{e:02x}-{f:02x}{SCRIPT_ENDING}");
        format!(
            "http://{}{}/{SCRIPTS}{name}",
            host(self.address),
            self.port_part()
        )
    }

    fn port_part(&self) -> String {
        if self.port == 80 {
            String::new()
        } else {
            format!(":{}", self.port)
        }
    }
}

/// The URL of a boot file by TFTP (RFC 3617): DHCPv6 names files by URLs only.
#[must_use]
pub fn tftp_url(address: IpAddr, name: &str) -> String {
    format!("tftp://{}/{}", host(address), escape(name))
}

/// An address as it stands in a URL: of IPv6 in brackets.
fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}"),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn paths_that_we_hand_out_are_read_back() {
        let base = HttpBase {
            address: Ipv4Addr::new(10, 77, 0, 1).into(),
            port: 80,
        };
        assert_eq!(base.file(UKI), "http://10.77.0.1/boot/groundstate.efi");
        assert_eq!(
            base.script(MAC),
            "http://10.77.0.1/boot/ipxe/52-54-00-12-34-56.ipxe"
        );
        assert_eq!(
            HttpBase { port: 8080, ..base }.file(KERNEL),
            "http://10.77.0.1:8080/boot/vmlinuz"
        );
        for path in [
            "/boot/ipxe/52-54-00-12-34-56.ipxe",
            "/boot/ipxe/52:54:00:12:34:56.ipxe",
            "//boot///ipxe/52:54:00:12:34:56.ipxe",
        ] {
            assert_eq!(read_path(path), Some(Wanted::Script(MAC)), "{path}");
        }
        for (path, names) in [
            (
                "//boot//groundstate.efi",
                vec!["boot/groundstate.efi", "groundstate.efi"],
            ),
            ("/pxelinux.cfg/default", vec!["pxelinux.cfg/default"]),
            ("/a%20b%2Bc", vec!["a b+c"]),
            ("/boot/", vec!["boot"]),
            ("/%C3%A9", vec!["\u{e9}"]),
        ] {
            let Some(Wanted::File(path)) = read_path(path) else {
                panic!("{path}");
            };
            assert_eq!(file_names(&path).collect::<Vec<_>>(), names);
        }
        assert_eq!(read_path("/metrics"), Some(Wanted::Metrics));
        let odd = base.file("a b/${net0}%#?.efi");
        assert_eq!(
            odd,
            "http://10.77.0.1/boot/a%20b/%24%7Bnet0%7D%25%23%3F.efi"
        );
        let path = odd.strip_prefix("http://10.77.0.1").unwrap();
        assert_eq!(
            read_path(path),
            Some(Wanted::File("boot/a b/${net0}%#?.efi".into()))
        );
    }

    #[test]
    fn what_spells_no_name_is_not_found() {
        for path in [
            "",
            "/",
            "//",
            "boot/vmlinuz",
            "/boot/..%2f..%2fetc",
            "/a%00",
            "/a%0ab",
            "/a%",
            "/a%4",
            "/a%zz",
            "/%ff",
        ] {
            assert_eq!(read_path(path), None, "{path}");
        }
        assert_eq!(read_path(&format!("/{}", "x".repeat(256))), None);
        // These are names like any other, and no file has them.
        for (path, name) in [
            ("/boot/..", "boot/.."),
            ("/%2e%2e/%2e%2e/etc/passwd", "../../etc/passwd"),
            ("/..\\..\\etc", "..\\..\\etc"),
            ("/..%5c..%5Cetc", "..\\..\\etc"),
            ("/boot/ipxe/x.ipxe", "boot/ipxe/x.ipxe"),
            (
                "/boot/ipxe/52:54:00:12:34:56",
                "boot/ipxe/52:54:00:12:34:56",
            ),
        ] {
            assert_eq!(read_path(path), Some(Wanted::File(name.into())), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_breaks_the_reader(path in ".{0,300}", tail in "[/a-z0-9:.%-]{0,80}") {
            let _ = read_path(&path);
            let _ = read_path(&format!("/boot/{tail}"));
            let _ = read_path(&format!("/boot/ipxe/{tail}.ipxe"));
        }
    }
}
