// SPDX-License-Identifier: Apache-2.0
//! The names of boot files, and the one reader of HTTP paths.
//!
//! A path is compared with names; it is never joined to a folder, never percent-decoded and never normalised beyond
//! repeated slashes (some firmware doubles them), so there is nothing to traverse.

use alloc::format;
use alloc::string::String;
use core::net::Ipv4Addr;
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

/// Every HTTP path begins with this.
const ROOT: &str = "boot";
/// Scripts of one machine lie below this.
const SCRIPTS: &str = "ipxe";
/// The ending of a script's name.
const SCRIPT_ENDING: &str = ".ipxe";
/// The longest path that is looked at, in bytes: three times the longest that we hand out.
const PATH_MAX: usize = 256;

/// What an HTTP path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// A boot file by its name, which is still to be looked up.
    File(&'a str),
    /// The iPXE script of this machine.
    Script(MacAddr),
}

/// Reads an HTTP path. `None` is "404": not a path that we hand out.
#[must_use]
pub fn read_path(path: &str) -> Option<Wanted<'_>> {
    if path.len() > PATH_MAX || !path.starts_with('/') {
        return None;
    }
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    if parts.next() != Some(ROOT) {
        return None;
    }
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, None) => Some(Wanted::File(name)),
        (Some(SCRIPTS), Some(name), None) => {
            let mac = name.strip_suffix(SCRIPT_ENDING)?.parse().ok()?;
            Some(Wanted::Script(mac))
        }
        _ => None,
    }
}

/// Where our HTTP boot files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpBase {
    /// The address.
    pub address: Ipv4Addr,
    /// The TCP port; it stands in a URL unless it is 80.
    pub port: u16,
}

impl HttpBase {
    /// The URL of a boot file.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        format!("http://{}{}/{ROOT}/{name}", self.address, self.port_part())
    }

    /// The URL of a machine's iPXE script.
    #[must_use]
    pub fn script(&self, mac: MacAddr) -> String {
        let [a, b, c, d, e, f] = mac.0;
        let name = format!("{a:02x}-{b:02x}-{c:02x}-{d:02x}-{e:02x}-{f:02x}{SCRIPT_ENDING}");
        self.file(&format!("{SCRIPTS}/{name}"))
    }

    fn port_part(&self) -> String {
        if self.port == 80 {
            String::new()
        } else {
            format!(":{}", self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn paths_that_we_hand_out_are_read_back() {
        let base = HttpBase {
            address: Ipv4Addr::new(10, 77, 0, 1),
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
        assert_eq!(
            read_path("//boot//groundstate.efi"),
            Some(Wanted::File("groundstate.efi"))
        );
    }

    #[test]
    fn everything_else_is_not_found() {
        for path in [
            "",
            "/",
            "boot/vmlinuz",
            "/boot",
            "/boot/",
            "/etc/passwd",
            "/boot/ipxe/x.ipxe",
            "/boot/ipxe/52:54:00:12:34:56",
            "/boot/a/b",
            "/boot/ipxe/52:54:00:12:34:56.ipxe/x",
            "/Boot/vmlinuz",
        ] {
            assert_eq!(read_path(path), None, "{path}");
        }
        // These are file names like any other, and no file has them.
        assert_eq!(read_path("/boot/.."), Some(Wanted::File("..")));
        assert_eq!(
            read_path("/boot/..%2f..%2fetc"),
            Some(Wanted::File("..%2f..%2fetc"))
        );
        assert_eq!(read_path(&format!("/boot/{}", "x".repeat(300))), None);
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
