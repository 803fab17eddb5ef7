// SPDX-License-Identifier: Apache-2.0
//! Why a boot stopped or ended, one row per way.

use super::play::Play;
use expect_test::{Expect, expect};
use pxe_core::session::Limits;

fn check(script: &str, told: Expect) {
    let mut play = Play::new(Limits::default());
    play.script(script);
    told.assert_eq(&play.told);
}

#[test]
fn a_boot_that_never_gets_an_address_says_why() {
    check(
        "0 1 asks BIOS PXE
         0 1 unanswered every address of the pool is leased
         4 1 asks BIOS PXE
         4 1 unanswered every address of the pool is leased
         12 1 asks BIOS PXE
         12 1 unanswered every address of the pool is leased
         28 1 asks BIOS PXE
         28 1 unanswered every address of the pool is leased
         60 1 asks BIOS PXE
         60 1 unanswered every address of the pool is leased
         200 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            105.000 02:00:00:00:00:01 stopped: it asked 5 times and got no answer: every address of the pool is leased. Next: enlarge the pool, or shorten the lease time, so that addresses come back
        "#]],
    );
    check(
        "0 1 asks UEFI PXE
         0 1 unanswered the boot policy refuses this machine
         100 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            45.000 02:00:00:00:00:01 stopped: it asked once and got no answer: the boot policy refuses this machine. Next: put the machine into the site file, or look why its node is refused: `groundstate node list`
        "#]],
    );
    check(
        "0 1 asks UEFI PXE
         3 1 asks UEFI PXE
         100 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            48.000 02:00:00:00:00:01 stopped: it asked twice and got no answer. Next: see the boot service's log, and `groundstate pxe-server --explain MAC`
        "#]],
    );
}

#[test]
fn an_offer_that_is_not_taken_names_the_other_server() {
    check(
        "0 1 asks UEFI PXE
         0 1 offer 10.0.0.5 snponly.efi
         3 1 asks UEFI PXE
         3 1 offer 10.0.0.5 snponly.efi
         100 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            48.000 02:00:00:00:00:01 stopped: it asked twice, was offered 10.0.0.5 and never took it: our answer does not reach it, or another DHCP server's was taken. Next: check the switch port's VLAN, spanning tree (set it to edge) and DHCP snooping
        "#]],
    );
    check(
        "0 1 asks UEFI PXE
         0 1 offer 10.0.0.5 snponly.efi
         1 foreign 10.0.0.9
         100 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            1.000 ALARM 10.0.0.9
            45.000 02:00:00:00:00:01 stopped: it asked once, was offered 10.0.0.5 and never took it: the DHCP server 10.0.0.9, which is not ours, was probably taken. Next: check the switch port's VLAN, spanning tree (set it to edge) and DHCP snooping
        "#]],
    );
}

#[test]
fn a_file_that_is_never_asked_for() {
    check(
        "0 1 asks UEFI PXE
         0 1 offer 10.0.0.5 snponly.efi
         1 1 bound 10.0.0.5 snponly.efi
         100 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            46.000 02:00:00:00:00:01 stopped: it was given snponly.efi but never asked for it by TFTP: a firewall, a wrong VLAN, or another DHCP server answered. Next: let UDP port 69 and the UDP ports of its transfers through to this server, and look for other DHCP servers on this VLAN
        "#]],
    );
    check(
        "0 1 asks UEFI HTTP Boot
         0 1 offer 10.0.0.5 http://10.0.0.1/boot/groundstate.efi
         1 1 bound 10.0.0.5 http://10.0.0.1/boot/groundstate.efi
         100 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            46.000 02:00:00:00:00:01 stopped: it was given http://10.0.0.1/boot/groundstate.efi but never asked for it by HTTP: a firewall, a wrong VLAN, or another DHCP server answered. Next: let the TCP port of the boot files (80 where nothing else is said) through to this server, and look for other DHCP servers on this VLAN
        "#]],
    );
    check(
        "0 1 asks architecture 11
         0 1 offer 10.0.0.5
         1 1 bound 10.0.0.5
         100 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            46.000 02:00:00:00:00:01 stopped: there is no boot file for architecture 11. Next: name a boot file for this architecture in the boot service's configuration, or switch its firmware to x86-64 PXE
        "#]],
    );
    check(
        "0 1 asks iPXE
         1 1 bound 10.0.0.5
         100 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            61.000 02:00:00:00:00:01 stopped: it was given an address and nothing to boot. Next: where that is not what the boot policy should say: `groundstate pxe-server --explain MAC`
        "#]],
    );
}

#[test]
fn a_file_that_does_not_arrive() {
    for (file, why) in [
        ("tftp snponly.efi", "no such file"),
        ("tftp snponly.efi", "the client ended it: out of memory"),
        ("tftp snponly.efi", "the client stopped answering"),
    ] {
        let mut play = Play::new(Limits::default());
        play.script(&format!(
            "0 1 asks UEFI PXE
             1 1 bound 10.0.0.5 snponly.efi
             2 1 get {file}
             3 1 lost {file} {why}
             100 wait"
        ));
        let next = match why {
            "no such file" => {
                "put snponly.efi into the boot folder, or correct the name in the boot recipe"
            }
            "the client stopped answering" => "check the cable",
            _ => "too big",
        };
        assert!(
            play.told.contains(why) && play.told.contains(next),
            "{}",
            play.told
        );
    }
    check(
        "0 1 asks UEFI PXE
         2 1 get tftp snponly.efi
         2000 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            902.000 02:00:00:00:00:01 stopped: it asked for snponly.efi by TFTP, and the transfer never came to an end. Next: look at the machine's screen, then at its cable and the switch port's error counters
        "#]],
    );
}

#[test]
fn a_first_stage_that_is_never_heard_of_again() {
    check(
        "0 1 asks UEFI PXE
         1 1 bound 10.0.0.5 snponly.efi
         2 1 get tftp snponly.efi
         3 1 got tftp snponly.efi
         200 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            93.000 02:00:00:00:00:01 stopped: it fetched snponly.efi, then nothing: iPXE has no driver or no link, or Secure Boot refused to start it. Next: look at its screen: "access denied" or "security violation" means Secure Boot (switch it off, or use UEFI HTTP Boot); else try another network card, or let the switch port come up at once (edge port)
        "#]],
    );
    check(
        "0 1 asks BIOS PXE
         1 1 bound 10.0.0.5 pxelinux.0
         2 1 got tftp pxelinux.0
         3 1 lost tftp pxelinux.cfg/default no such file
         200 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            93.000 02:00:00:00:00:01 stopped: it did not get pxelinux.cfg/default by TFTP: no such file. Next: put pxelinux.cfg/default into the boot folder, or correct the name in the boot recipe
        "#]],
    );
}

#[test]
fn ipxe_that_goes_no_further() {
    let ipxe = "0 1 asks iPXE
                1 1 bound 10.0.0.5 http://10.0.0.1/boot/ipxe/02-00-00-00-00-01.ipxe";
    let script = "http 02-00-00-00-00-01.ipxe";
    check(
        &format!("{ipxe}\n200 wait"),
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            61.000 02:00:00:00:00:01 stopped: iPXE was given http://10.0.0.1/boot/ipxe/02-00-00-00-00-01.ipxe but never asked for it by HTTP: a firewall, a wrong VLAN, or another DHCP server answered. Next: let the TCP port of the boot files (80 where nothing else is said) through to this server, and look for other DHCP servers on this VLAN
        "#]],
    );
    check(
        &format!("{ipxe}\n2 1 get {script}\n2 1 got {script}\n200 wait"),
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            62.000 02:00:00:00:00:01 stopped: iPXE has its script and asked for no kernel. Next: look at its screen: iPXE names an error and a link to its meaning
        "#]],
    );
    check(
        &format!(
            "{ipxe}\n2 1 got {script}\n3 1 get http vmlinuz\n4 1 lost http vmlinuz the connection ended after 3 of 9 bytes\n200 wait"
        ),
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            64.000 02:00:00:00:00:01 stopped: it did not get vmlinuz by HTTP: the connection ended after 3 of 9 bytes. Next: check the cable, the link speed and the MTU on the way (a TFTP block size of 512 avoids fragments)
        "#]],
    );
}

#[test]
fn what_is_fetched_is_fetched() {
    check(
        "0 1 asks UEFI HTTP Boot
         1 1 get http groundstate.efi
         9 1 got http groundstate.efi
         9.5 1 asks an operating system
         9.6 1 bound 10.0.0.6
         200 wait",
        expect![[r#"
               0.000 02:00:00:00:00:01 begins
               9.000 02:00:00:00:00:01 fetched
        "#]],
    );
    check(
        "0 1 asks iPXE
         1 1 got http vmlinuz
         2 1 got http initrd.img
         200 wait",
        expect![[r#"
               0.000 02:00:00:00:00:01 begins
               2.000 02:00:00:00:00:01 fetched
        "#]],
    );
    check(
        "0 1 asks iPXE
         1 1 got http vmlinuz
         200 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            11.000 02:00:00:00:00:01 fetched
        "#]],
    );
}

#[test]
fn firmware_and_ipxe_are_sent_to_the_local_disk() {
    check(
        "0 1 asks UEFI PXE
         0 1 offer 10.0.0.5 local-disk
         1 1 bound 10.0.0.5 local-disk
         2 1 get tftp local-disk
         2 1 lost tftp local-disk no such file
         6 1 asks UEFI HTTP Boot
         6 1 bound 10.0.0.5 http://10.0.0.1/boot/local-disk
         300 wait",
        expect![[r#"
               0.000 02:00:00:00:00:01 begins
               1.000 02:00:00:00:00:01 own disk
               6.000 02:00:00:00:00:01 own disk
        "#]],
    );
    check(
        "0 1 asks iPXE
         1 1 bound 10.0.0.5 http://10.0.0.1/boot/ipxe/x.ipxe
         2 1 local
         2 1 got http x.ipxe
         300 wait",
        expect![[r#"
               0.000 02:00:00:00:00:01 begins
               2.000 02:00:00:00:00:01 own disk
        "#]],
    );
}

#[test]
fn a_power_cycle_begins_a_new_session_and_a_retry_does_not() {
    // Firmware asks after iPXE had asked: it was started again, a second later or not.
    check(
        "0 1 asks BIOS PXE
         1 1 got tftp undionly.kpxe
         5 1 asks iPXE
         6 1 asks BIOS PXE
         200 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            6.000 02:00:00:00:00:01 stopped: it asked once and got no answer; then it was started again. Next: see the boot service's log, and `groundstate pxe-server --explain MAC`
            6.000 02:00:00:00:00:01 begins
            51.000 02:00:00:00:00:01 stopped: it asked once and got no answer. Next: see the boot service's log, and `groundstate pxe-server --explain MAC`
        "#]],
    );
    // The first stage is fetched again without a power cycle: firmware asks by DHCP before it, so it was one.
    check(
        "0 1 asks BIOS PXE
         1 1 got tftp undionly.kpxe
         3 1 asks BIOS PXE
         4 1 got tftp undionly.kpxe
         9 1 asks iPXE
         10 1 got http vmlinuz
         11 1 got http initrd.img
         12 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            3.000 02:00:00:00:00:01 stopped: it fetched undionly.kpxe, then nothing: iPXE has no driver or no link, or Secure Boot refused to start it; then it was started again. Next: look at its screen: "access denied" or "security violation" means Secure Boot (switch it off, or use UEFI HTTP Boot); else try another network card, or let the switch port come up at once (edge port)
            3.000 02:00:00:00:00:01 begins
            11.000 02:00:00:00:00:01 fetched
        "#]],
    );
    // A program of the user's own that turns out to be iPXE goes on.
    check(
        "0 1 asks UEFI PXE
         1 1 got tftp netboot.efi
         9 1 asks iPXE
         10 1 got http vmlinuz
         11 1 got http initrd.img
         12 wait",
        expect![[r#"
            0.000 02:00:00:00:00:01 begins
            1.000 02:00:00:00:00:01 fetched
            11.000 02:00:00:00:00:01 fetched
        "#]],
    );
}
