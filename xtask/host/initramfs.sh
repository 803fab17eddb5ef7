# SPDX-License-Identifier: Apache-2.0
# Run by mmdebstrap before the kernel is installed: what the host's initrd shall hold.
# Arguments: the root of the tree, then the module names. The initrd has the disk drivers of the boot image and loads
# only what the machine's devices ask for: a host can start from whatever the maintenance OS could write to.
set -eu
root=$1
shift
mkdir -p "$root/etc/initramfs-tools/conf.d" "$root/etc/initramfs-tools/hooks"
printf 'MODULES=list\nCOMPRESS=zstd\n' >"$root/etc/initramfs-tools/conf.d/groundstate"
cat >"$root/etc/initramfs-tools/hooks/groundstate" <<END
#!/bin/sh
[ "\$1" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules $*
END
chmod 755 "$root/etc/initramfs-tools/hooks/groundstate"
