// SPDX-License-Identifier: Apache-2.0
//! What the machine must have, as data: where it is found, which Debian package brings it, and what it is for.

/// One needed thing.
#[derive(Debug)]
pub(super) struct Need {
    /// Programs (looked for in PATH) or files (absolute); any one of them will do.
    pub(super) any_of: &'static [&'static str],
    /// The Debian package.
    pub(super) package: &'static str,
    /// What it is for.
    pub(super) why: &'static str,
}

const fn need(any_of: &'static [&'static str], package: &'static str, why: &'static str) -> Need {
    Need {
        any_of,
        package,
        why,
    }
}

/// Makes what the guard must recognise as somebody else's.
const FOREIGN: &str = "makes foreign disks in tests";

/// Everything that building, the virtual rack and the tests need beyond cargo.
pub(super) const NEEDS: &[Need] = &[
    need(&["cc", "gcc"], "gcc", "links Rust programs"),
    need(
        &["/usr/lib/x86_64-linux-gnu/libc.a", "/usr/lib64/libc.a"],
        "libc6-dev",
        "static PID 1",
    ),
    need(&["git"], "git", "tidy lists the sources with it"),
    need(
        &["qemu-system-x86_64"],
        "qemu-system-x86",
        "virtual servers",
    ),
    need(&["qemu-img"], "qemu-utils", "virtual disks, VHD check"),
    need(
        &["/usr/share/OVMF/OVMF_CODE_4M.fd"],
        "ovmf",
        "UEFI firmware",
    ),
    need(
        &["/usr/share/seabios/bios-256k.bin"],
        "seabios",
        "BIOS firmware",
    ),
    need(
        &["/usr/lib/ipxe/undionly.kpxe"],
        "ipxe",
        "first boot stage over PXE",
    ),
    need(
        &[
            "/usr/lib/ipxe/qemu/efi-e1000e.rom",
            "/usr/lib/ipxe/qemu/efi-virtio.rom",
        ],
        "ipxe-qemu",
        "network ROMs of the virtual servers",
    ),
    need(
        &["/usr/lib/systemd/boot/efi/linuxx64.efi.stub"],
        "systemd-boot-efi",
        "stub of the unified kernel image",
    ),
    need(
        &["sbsign"],
        "sbsigntool",
        "signs the unified kernel image in tests, and checks it as firmware does",
    ),
    need(&["openssl"], "openssl", "keys for signatures in tests"),
    need(
        &["/usr/sbin/dropbear"],
        "dropbear-bin",
        "the boot image's SSH server in a rescue",
    ),
    need(
        &["/bin/busybox"],
        "busybox-static",
        "the boot image's shell in a rescue",
    ),
    need(&["ssh"], "openssh-client", "comes into a rescue in tests"),
    need(
        &["xorriso"],
        "xorriso",
        "looks into the boot image's ISO in tests",
    ),
    need(&["mmdebstrap"], "mmdebstrap", "host image"),
    need(
        &["newuidmap"],
        "uidmap",
        "host image without root (mmdebstrap's user namespace)",
    ),
    need(
        &["fakeroot"],
        "fakeroot",
        "owners in the host image without root",
    ),
    need(&["mcopy"], "mtools", "looks into the ESP in tests"),
    need(&["sgdisk"], "gdisk", "checks partition tables in tests"),
    need(
        &["mkfs.xfs"],
        "xfsprogs",
        "file systems on the node, and checks them in tests",
    ),
    need(&["fsck.vfat"], "dosfstools", "checks the ESP in tests"),
    need(
        &["mke2fs"],
        "e2fsprogs",
        "file systems, on the node and in the host image",
    ),
    need(&["zstd"], "zstd", "packs the initramfs"),
    need(&["cpio"], "cpio", "reads initramfs archives in tests"),
    need(
        &["bzip2"],
        "bzip2",
        "unpacks disk images of the corpus in tests",
    ),
    need(&["xz"], "xz-utils", "unpacks drivers of newer kernels"),
    need(&["modinfo"], "kmod", "second opinion on drivers in tests"),
    need(&["ip"], "iproute2", "the virtual rack's network"),
    need(
        &["unshare"],
        "util-linux",
        "the virtual rack's network namespace",
    ),
    need(
        &["losetup"],
        "mount",
        "block devices made of files in tests and benches",
    ),
    need(&["man"], "man-db", "reads our manual pages in tests"),
    need(&["objcopy"], "binutils", "sections of PE files in tests"),
    need(
        &["systemd-analyze"],
        "systemd",
        "checks units and passes sockets in tests",
    ),
    need(&["tcpdump"], "tcpdump", "packet capture of a demo"),
    need(&["curl"], "curl", "HTTP peer in tests"),
    need(
        &["/bin/busybox", "/usr/bin/busybox"],
        "busybox-static",
        "a shell in the examination of virtual hardware",
    ),
    need(&["tftp"], "tftp-hpa", "TFTP peer in tests"),
    need(&["dhclient"], "isc-dhcp-client", "DHCP peer in tests"),
    need(&["dhcpcd"], "dhcpcd-base", "DHCP peer in tests"),
    need(&["dnsmasq"], "dnsmasq-base", "another DHCP server in tests"),
    need(
        &["/lib/systemd/systemd-networkd"],
        "systemd",
        "DHCP peer in tests: systemd-networkd",
    ),
    need(&["nmap"], "nmap", "DHCP peer in tests: DHCPINFORM"),
    need(&["atftp"], "atftp", "TFTP peer in tests: windows"),
    need(&["vhdiinfo"], "libvhdi-utils", "VHD peer in tests"),
    need(
        &["/usr/share/doc/python3-libvhdi"],
        "python3-libvhdi",
        "VHD peer in tests: reads the bytes of differencing disks",
    ),
    need(
        &["smartctl"],
        "smartmontools",
        "disks behind RAID controllers, on the node; SMART peer in tests",
    ),
    need(&["dmidecode"], "dmidecode", "SMBIOS peer in tests"),
    need(
        &["blkid"],
        "util-linux",
        "second opinion on what disks hold, in tests",
    ),
    need(&["mkfs.xfs"], "xfsprogs", FOREIGN),
    need(&["mkfs.btrfs"], "btrfs-progs", FOREIGN),
    need(&["mkfs.f2fs"], "f2fs-tools", FOREIGN),
    need(&["mkfs.exfat"], "exfatprogs", FOREIGN),
    need(&["mkntfs"], "ntfs-3g", FOREIGN),
    need(&["mkfs.jfs"], "jfsutils", FOREIGN),
    need(&["mkreiserfs"], "reiserfsprogs", FOREIGN),
    need(&["mkfs.reiser4"], "reiser4progs", FOREIGN),
    need(&["hformat"], "hfsutils", FOREIGN),
    need(&["mkfs.nilfs2"], "nilfs-tools", FOREIGN),
    need(&["genromfs"], "genromfs", FOREIGN),
    need(&["mksquashfs"], "squashfs-tools", FOREIGN),
    need(&["mkfs.erofs"], "erofs-utils", FOREIGN),
    need(&["genisoimage"], "genisoimage", FOREIGN),
    need(&["mkudffs"], "udftools", FOREIGN),
    need(&["mkfs.ocfs2"], "ocfs2-tools", FOREIGN),
    need(&["makefs"], "makefs", FOREIGN),
    need(&["pvcreate"], "lvm2", FOREIGN),
    need(&["cryptsetup"], "cryptsetup-bin", FOREIGN),
    need(&["make-bcache"], "bcache-tools", FOREIGN),
    need(&["sfdisk"], "fdisk", FOREIGN),
    need(&["parted"], "parted", FOREIGN),
    need(&["perfdhcp"], "kea-admin", "DHCP peer in tests and benches"),
    need(&["minisign"], "minisign", "signature peer in tests"),
    need(
        &["wimlib-imagex"],
        "wimtools",
        "Windows images, and their peer in tests",
    ),
    need(&["umoci"], "umoci", "OCI layouts in tests"),
    need(
        &["mformat"],
        "mtools",
        "EFI system partitions of images that are made",
    ),
    need(
        &["/usr/bin/etcd"],
        "etcd-server",
        "the journal's peer in tests: several provisioners",
    ),
    need(
        &["/usr/bin/etcdctl"],
        "etcd-client",
        "users and roles of that peer",
    ),
    need(
        &["chromium"],
        "chromium",
        "the page in a real browser, in tests",
    ),
    need(
        &["chromedriver"],
        "chromium-driver",
        "drives that browser over WebDriver",
    ),
    need(&["ipmitool"], "ipmitool", "speaks IPMI to BMCs"),
    need(&["ipmi_sim"], "openipmi", "IPMI peer in tests"),
    need(
        &["/usr/share/doc/python3-venv"],
        "python3-venv",
        "peers in tests that Debian does not have: sushy-emulator, fakebmc",
    ),
    need(
        &["tmux"],
        "tmux",
        "a real terminal for `groundstate watch` in tests",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// What comes with a package of [`NEEDS`] beside the program that it is looked for by, with Debian's essential
    /// packages, or with a bench, which says itself what it misses.
    const BESIDE: &[&str] = &[
        "apt-get",
        "bash",
        "bzcat",
        "cp",
        "dd",
        "debugfs",
        "dpkg-deb",
        "dumpe2fs",
        "e2fsck",
        "gzip",
        "kill",
        "ldd",
        "mkfifo",
        "mkfs.ext4",
        "mmd",
        "mount",
        "nginx",
        "nice",
        "nsenter",
        "qemu-io",
        "renice",
        "setsid",
        "sh",
        "ssh-keygen",
        "systemctl",
        "systemd-socket-activate",
        "tar",
        "true",
        "xfs_db",
        "yes",
    ];
    /// Made up: there to be missing, or made by the test that starts them.
    const NOBODYS: &[&str] = &["nonexistent", "no-such-program", "python3"];

    fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                sources(&path, found);
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }

    #[test]
    fn what_tests_start_by_name_is_installed_by_set_up() {
        let mut files = Vec::new();
        sources(&Layout::find().unwrap().source(""), &mut files);
        assert!(files.len() > 500, "{} sources", files.len());
        let known: BTreeSet<&str> = NEEDS
            .iter()
            .flat_map(|need| need.any_of)
            .chain(BESIDE)
            .chain(NOBODYS)
            .map(|name| name.rsplit('/').next().unwrap_or(name))
            .collect();
        let mut missed = BTreeSet::new();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for start in ["Command::new(\"", " command(\""] {
                for after in text.split(start).skip(1) {
                    let program = after.split('"').next().unwrap_or_default();
                    let name = program.rsplit('/').next().unwrap_or(program);
                    if !name.is_empty() && !known.contains(name) {
                        missed.insert(format!("{name}, by {}", file.display()));
                    }
                }
            }
        }
        assert!(missed.is_empty(), "no package in NEEDS: {missed:#?}");
    }
}
