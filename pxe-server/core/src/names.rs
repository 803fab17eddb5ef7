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
const ROOT: &str = "boot/";
/// Scripts of one machine lie in this folder of it.
const SCRIPTS: &str = "ipxe/";
/// The ending of a script's name.
const SCRIPT_ENDING: &str = ".ipxe";
/// The counters.
const METRICS: &str = "metrics";
/// The longest name of a boot file, in bytes, its folders included: half of what a TFTP request carries.
pub const NAME_MAX: usize = 255;
/// The longest path of a boot file, in bytes: our own folder, and the longest name.
const FILE_PATH_MAX: usize = ROOT.len() + NAME_MAX;
/// The longest path that is looked at, in bytes: that with every byte escaped.
const PATH_MAX: usize = 3 * FILE_PATH_MAX + 16;

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
    let path = plain_within(&unescape(path)?, FILE_PATH_MAX)?;
    Some(match below_root(&path).and_then(machine_of) {
        Some(mac) => Wanted::Script(mac),
        None if path == METRICS => Wanted::Metrics,
        None => Wanted::File(path),
    })
}

/// The names that a path may mean, in this order: without our own folder, as our URLs have it, and as it is.
pub fn file_names(path: &str) -> impl Iterator<Item = &str> {
    [below_root(path), Some(path)].into_iter().flatten()
}

fn below_root(path: &str) -> Option<&str> {
    path.strip_prefix(ROOT)
}

/// Whose script a name in our own folder is.
fn machine_of(name: &str) -> Option<MacAddr> {
    let name = name.strip_prefix(SCRIPTS)?.strip_suffix(SCRIPT_ENDING)?;
    name.parse().ok()
}

/// Whether there is never a file of this name, because firmware asks for it in order to hear that: [`LOCAL_DISK`], by
/// TFTP and by our URL.
#[must_use]
pub fn is_no_file(name: &str) -> bool {
    below_root(name).unwrap_or(name) == LOCAL_DISK
}

/// What the name of a file in a boot folder means besides, so that the file is not had where one would look for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken<'n> {
    /// It is the name of no file ([`is_no_file`]).
    NoFile,
    /// By HTTP it is the counters.
    Counters,
    /// By HTTP a machine's script has its path.
    Script,
    /// By HTTP another file, of this name, has its path.
    Other(&'n str),
}

/// What a file's name means besides, where it means anything. `there` says whether the folder has a file of a name.
#[must_use]
pub fn taken<'n>(name: &'n str, there: &dyn Fn(&str) -> bool) -> Option<Taken<'n>> {
    let below = below_root(name);
    if is_no_file(name) {
        Some(Taken::NoFile)
    } else if name == METRICS {
        Some(Taken::Counters)
    } else if machine_of(below.unwrap_or(name)).is_some() {
        Some(Taken::Script)
    } else {
        below.filter(|below| there(below)).map(Taken::Other)
    }
}

impl Taken<'_> {
    /// In words, with what to do, for a file of this name.
    #[must_use]
    pub fn words(self, name: &str) -> String {
        let hidden = match (self, below_root(name)) {
            (Self::Script, None) => format!("{ROOT}{name}"),
            (Self::NoFile | Self::Counters | Self::Script | Self::Other(_), _) => {
                String::from(name)
            }
        };
        let has = match self {
            Self::NoFile => {
                return format!(
                    "{name} is never served: the name sends machines to their own disks; give the file another one"
                );
            }
            Self::Counters => String::from("the counters"),
            Self::Script => String::from("a machine's own script"),
            Self::Other(other) => format!("the file {other}"),
        };
        format!(
            "{name} is not at /{hidden} by HTTP: that is {has}; it is at /{}{name}, and by TFTP",
            folder_of(name)
        )
    }
}

/// The folder in our URL for a boot file: ours, but for a name that is a machine's script there.
fn folder_of(name: &str) -> &'static str {
    machine_of(name).map_or(ROOT, |_| "")
}

/// A name as a client may write it: slashes at the beginning and repeated ones mean nothing (firmware, GRUB and PXELINUX
/// double them). `None` where it is nobody's name.
#[must_use]
pub fn plain(name: &str) -> Option<String> {
    plain_within(name, NAME_MAX)
}

fn plain_within(name: &str, most: usize) -> Option<String> {
    let mut out = String::with_capacity(name.len());
    for part in name.split('/').filter(|part| !part.is_empty()) {
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(part);
    }
    let control = out.chars().any(char::is_control);
    (!out.is_empty() && out.len() <= most && !control).then_some(out)
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
    /// The URL of a boot file: it leads to this file, whatever other names there are.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        let (port, folder) = (self.port_part(), folder_of(name));
        format!(
            "http://{}{port}/{folder}{}",
            host(self.address),
            escape(name)
        )
    }

    /// The URL of a machine's iPXE script.
    #[must_use]
    pub fn script(&self, mac: MacAddr) -> String {
        let [a, b, c, d, e, f] = mac.0;
        let name = format!("{a:02x}-{b:02x}-{c:02x}-{d:02x}-{e:02x}-{f:02x}{SCRIPT_ENDING}");
        format!(
            "http://{}{}/{ROOT}{SCRIPTS}{name}",
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
                vec!["groundstate.efi", "boot/groundstate.efi"],
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
        assert_eq!(read_path(&format!("/{}", "x".repeat(261))), None);
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

    /// The names that a URL of ours leads to.
    fn led_to(name: &str) -> Vec<String> {
        let base = HttpBase {
            address: Ipv4Addr::new(10, 77, 0, 1).into(),
            port: 80,
        };
        let url = base.file(name);
        match read_path(url.strip_prefix("http://10.77.0.1").unwrap()) {
            Some(Wanted::File(path)) => file_names(&path).map(String::from).collect(),
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn a_name_that_means_something_else_is_told_with_where_the_file_is() {
        let script = "ipxe/52-54-00-12-34-56.ipxe";
        let below = format!("boot/{script}");
        let there = |name: &str| ["x", "metrics"].contains(&name);
        let cases = [
            (
                LOCAL_DISK,
                Some(
                    "local-disk is never served: the name sends machines to their own disks; give the file another one",
                ),
            ),
            (
                "boot/local-disk",
                Some(
                    "boot/local-disk is never served: the name sends machines to their own disks; give the file another one",
                ),
            ),
            (
                "metrics",
                Some(
                    "metrics is not at /metrics by HTTP: that is the counters; it is at /boot/metrics, and by TFTP",
                ),
            ),
            (
                script,
                Some(
                    "ipxe/52-54-00-12-34-56.ipxe is not at /boot/ipxe/52-54-00-12-34-56.ipxe by HTTP: that is a machine's own script; it is at /ipxe/52-54-00-12-34-56.ipxe, and by TFTP",
                ),
            ),
            (
                below.as_str(),
                Some(
                    "boot/ipxe/52-54-00-12-34-56.ipxe is not at /boot/ipxe/52-54-00-12-34-56.ipxe by HTTP: that is a machine's own script; it is at /boot/boot/ipxe/52-54-00-12-34-56.ipxe, and by TFTP",
                ),
            ),
            (
                "boot/x",
                Some(
                    "boot/x is not at /boot/x by HTTP: that is the file x; it is at /boot/boot/x, and by TFTP",
                ),
            ),
            (
                "boot/metrics",
                Some(
                    "boot/metrics is not at /boot/metrics by HTTP: that is the file metrics; it is at /boot/boot/metrics, and by TFTP",
                ),
            ),
            ("boot/y", None),
            ("x", None),
            ("sub/metrics", None),
            ("sub/local-disk", None),
            ("ipxe/boot.ipxe", None),
            ("boot", None),
        ];
        for (name, says) in cases {
            let words = taken(name, &there).map(|taken| taken.words(name));
            assert_eq!(words.as_deref(), says, "{name}");
            // What is said holds: at this path the file is the first that is meant.
            let shown = words
                .as_deref()
                .and_then(|words| words.split("it is at ").nth(1));
            if let Some(path) = shown.and_then(|rest| rest.split(',').next()) {
                let Some(Wanted::File(path)) = read_path(path) else {
                    panic!("{path}");
                };
                assert_eq!(file_names(&path).next(), Some(name));
            }
        }
    }

    #[test]
    fn the_longest_name_has_a_url() {
        let longest = "%".repeat(NAME_MAX);
        assert_eq!(led_to(&longest)[0], longest);
    }

    proptest::proptest! {
        #[test]
        fn our_url_of_a_file_leads_to_it_first(name in "(boot/|ipxe/|metrics|local-disk|52-54-00-12-34-56\\.ipxe|/|%|\\PC){1,9}") {
            if let Some(name) = plain(&name) {
                let led = led_to(&name);
                proptest::prop_assert_eq!(led.first(), Some(&name));
            }
        }

        #[test]
        fn no_path_breaks_the_reader(path in ".{0,300}", tail in "[/a-z0-9:.%-]{0,80}") {
            let _ = read_path(&path);
            let _ = read_path(&format!("/boot/{tail}"));
            let _ = read_path(&format!("/boot/ipxe/{tail}.ipxe"));
        }
    }
}
