# SPDX-License-Identifier: Apache-2.0
# Run by mmdebstrap at the end, with the root of the tree as argument: makes the tree nobody's host yet. Whatever must
# differ between two hosts is removed here and made at first boot by the host's agent.
set -eu
root=$1

# Identity.
rm -f "$root"/etc/ssh/ssh_host_* "$root/var/lib/dbus/machine-id" "$root/var/lib/systemd/random-seed"
: >"$root/etc/machine-id"
echo unspecialised >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
echo '# The root is named on the kernel command line; data volumes are added at first boot.' >"$root/etc/fstab"

# Nobody logs in with a password.
chroot "$root" passwd --quiet --lock root
mkdir -p "$root/etc/ssh/sshd_config.d"
printf 'PasswordAuthentication no\nPermitRootLogin prohibit-password\n' >"$root/etc/ssh/sshd_config.d/groundstate.conf"

# Network: DHCP on every Ethernet interface.
rm -f "$root/etc/resolv.conf"
echo '# Filled by whoever runs a resolver on this host.' >"$root/etc/resolv.conf"
cat >"$root/etc/systemd/network/80-ethernet.network" <<'END'
[Match]
Type=ether

[Network]
DHCP=ipv4
LinkLocalAddressing=ipv6

[DHCPv4]
ClientIdentifier=mac
END
mkdir -p "$root/etc/systemd/system/systemd-networkd-wait-online.service.d"
cat >"$root/etc/systemd/system/systemd-networkd-wait-online.service.d/any.conf" <<'END'
[Service]
ExecStart=
ExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=60
END
chroot "$root" systemctl --quiet enable systemd-networkd.service serial-getty@ttyS0.service

# Timers that a freshly imaged host must not spend its first minutes on.
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer \
    e2scrub_reap.service dpkg-db-backup.timer

# Leftovers of the making.
rm -f "$root/vmlinuz.old" "$root/initrd.img.old"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/cache/debconf/*-old "$root"/tmp/*
find "$root/var/log" -type f -delete
