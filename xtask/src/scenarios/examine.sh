#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The examination of virtual hardware: runs in the place of PID 1 of the maintenance OS, in its initramfs. It says on the
# console what hw-diag and smartctl say of the same disks, a line each: `@NAME JSON`.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
export PATH=/bin:/sbin:/usr/sbin

# Drivers in the order of their dependencies: several rounds, as many as the deepest chain.
for round in 1 2 3 4 5 6; do
    while IFS="$($b printf '\t')" read -r name path needs; do
        $b insmod "$path" 2>/dev/null
    done < /lib/modules/list
done

# Disks appear when their drivers have looked.
rounds=0
while [ "$($b ls -d /sys/block/sd* /sys/block/nvme*n1 2>/dev/null | $b wc -l)" -lt DISKS ] && [ $rounds -lt 120 ]; do
    rounds=$((rounds + 1))
    $b sleep 0.5
done

line() {
    $b printf '@%s ' "$1"
    $b tr -d '\n' < "$2"
    $b printf '\n'
}

hw-diag collect --keep-serials > /tmp/collected 2> /tmp/errors
line collected /tmp/collected
hw-diag check --json > /tmp/check 2>> /tmp/errors
$b printf '@status %s\n' $?
while read -r report; do $b printf '@report %s\n' "$report"; done < /tmp/check
for i in 1 2 3; do
    $b time -v hw-diag check --json > /dev/null 2> /tmp/time
    $b grep -E 'Elapsed|Maximum resident' /tmp/time | while read -r figure; do $b printf '@time %s\n' "$figure"; done
done
for disk in /sys/block/sd* /sys/block/nvme*n1; do
    name=${disk##*/}
    # One path of several to an NVMe namespace: the kernel hides it, and so does hw-diag.
    [ "$($b cat "$disk/hidden" 2>/dev/null)" = 1 ] && continue
    smartctl --json=c -x /dev/$name > /tmp/smartctl 2>&1
    line "smartctl/$name" /tmp/smartctl
done
hw-diag self-test /dev/nvme0n1 --kind short --wait > /tmp/self-test 2>&1
$b printf '@self-test-status %s\n' $?
line self-test /tmp/self-test
hw-diag burn-in --time 5s --json > /tmp/burn 2>> /tmp/errors
$b printf '@burn-in-status %s\n' $?
while read -r report; do $b printf '@burn-in %s\n' "$report"; done < /tmp/burn
line errors /tmp/errors
$b printf '@done\n'
$b sleep 1
$b poweroff -f
