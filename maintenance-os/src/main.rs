// SPDX-License-Identifier: Apache-2.0
//! PID 1 of the maintenance OS. Started by the kernel, it never ends; started by hand, it refuses.

fn main() {
    if std::process::id() != 1 {
        eprintln!(
            "maintenance-os is PID 1 of Groundstate's boot image and does nothing elsewhere. See maintenance-os/README.md."
        );
        std::process::exit(2);
    }
    maintenance_os::pid1::run();
}
