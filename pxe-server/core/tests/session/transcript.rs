// SPDX-License-Identifier: Apache-2.0
//! A morning of a rack, and what it looks like afterwards.

use super::play::Play;
use expect_test::expect_file;
use pxe_core::session::Limits;

const MORNING: &str = "
0 1 asks UEFI PXE
0.01 1 offer 10.77.0.100 snponly.efi
0.2 2 asks BIOS PXE
0.2 2 offer 10.77.0.101 undionly.kpxe
3.1 1 asks UEFI PXE
3.11 1 offer 10.77.0.100 snponly.efi
3.2 1 bound 10.77.0.100 snponly.efi
3.3 1 get tftp snponly.efi
3.3 1 lost tftp snponly.efi the client ended it: User aborted the transfer
3.31 1 get tftp snponly.efi
3.9 1 got tftp snponly.efi
4.2 2 asks BIOS PXE
4.2 2 offer 10.77.0.101 undionly.kpxe
5 3 asks architecture 11
5 3 offer 10.77.0.102
6 3 bound 10.77.0.102
8 1 asks iPXE
8 1 offer 10.77.0.100 http://10.77.0.1/boot/ipxe/02-00-00-00-00-01.ipxe
8.1 1 bound 10.77.0.100 http://10.77.0.1/boot/ipxe/02-00-00-00-00-01.ipxe
8.2 1 get http 02-00-00-00-00-01.ipxe
8.2 1 got http 02-00-00-00-00-01.ipxe
8.3 1 get http vmlinuz
9 1 got http vmlinuz
9 1 get http initrd.img
11 foreign 10.77.0.9
12.2 2 asks BIOS PXE
12.2 2 offer 10.77.0.101 undionly.kpxe
13 1 got http initrd.img
17 1 asks an operating system
17 1 offer 10.77.0.100
17 1 bound 10.77.0.100
28.2 2 asks BIOS PXE
28.2 2 offer 10.77.0.101 undionly.kpxe
300 wait
900 1 asks UEFI PXE
900 1 bound 10.77.0.100 local-disk
900.2 1 local
901 1 get tftp local-disk
901 1 lost tftp local-disk no such file
2000 wait
";

#[test]
fn a_morning_of_a_rack() {
    let mut play = Play::new(Limits::default());
    play.script(MORNING);
    let text = format!("{}\n{}", play.told, play.picture());
    expect_file!["morning.txt"].assert_eq(&text);
}
