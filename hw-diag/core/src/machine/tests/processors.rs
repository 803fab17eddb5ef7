// SPDX-License-Identifier: Apache-2.0
//! Processors.

use super::lines;
use crate::machine::*;

fn package(id: u32) -> Package {
    Package {
        id,
        vendor: "GenuineIntel".into(),
        model: "Xeon X".into(),
        cores: 8,
        threads: 16,
        microcode: vec!["0x2b000603".into()],
        flags: vec!["vmx".into(), "aes".into()],
        package_throttles: Some(0),
        core_throttles: Some(0),
    }
}

fn socket(name: &str) -> Socket {
    Socket {
        name: name.into(),
        populated: true,
        status: SocketStatus::Enabled,
        cores: Some(8),
        cores_enabled: Some(8),
        serial: format!("SER-{name}"),
        ..Socket::default()
    }
}

pub(super) fn with_cpu(change: impl FnOnce(&mut CpuFacts)) -> MachineFacts {
    let mut cpu = CpuFacts {
        packages: vec![package(0), package(1)],
        present: (0..32).collect(),
        online: (0..32).collect(),
        smt: "on".into(),
        sockets: vec![socket("CPU1"), socket("CPU2")],
        ..CpuFacts::default()
    };
    change(&mut cpu);
    MachineFacts {
        cpu: Some(cpu),
        ..MachineFacts::default()
    }
}

#[test]
fn healthy_processors_are_named_with_their_sockets() {
    let healthy = with_cpu(|_| {});
    assert_eq!(lines(&healthy), [""; 0]);
    let reports = judge(&healthy);
    assert_eq!(
        (reports[1].device.as_str(), reports[1].place.slot.as_str()),
        ("cpu1", "CPU2")
    );
    assert_eq!(reports[1].place.serial, "SER-CPU2");
}

#[test]
fn what_is_wrong_with_processors() {
    for (facts, wanted) in [
        (
            with_cpu(|c| c.online.retain(|n| *n != 5)),
            "warn cpus cpu-thread-offline: the logical processor cpu5 is there and does not run",
        ),
        (
            with_cpu(|c| {
                c.online.truncate(16);
                c.smt = "off".into();
            }),
            "ok cpus cpu-smt-off: 16 logical processors are there and do not run",
        ),
        (
            with_cpu(|c| {
                c.packages.truncate(1);
                c.present.truncate(16);
                c.online.truncate(16);
            }),
            "fail cpus cpu-missing: the firmware has 2 processors in their sockets, and the kernel runs on 1",
        ),
        (
            with_cpu(|c| {
                c.packages.truncate(1);
                c.sockets[1].status = SocketStatus::DisabledByFirmware;
            }),
            "fail CPU2 cpu-socket-failed: the firmware has switched off the processor in CPU2 after an error in its self-test",
        ),
        (
            with_cpu(|c| {
                c.packages.truncate(1);
                c.sockets[1].status = SocketStatus::DisabledByUser;
            }),
            "warn CPU2 cpu-socket-off: the processor in CPU2 is switched off in the firmware's setup",
        ),
        (
            with_cpu(|c| c.packages[1].microcode = vec!["0x2b0001b0".into()]),
            "warn cpu1 cpu-microcode-differs: its microcode 0x2b0001b0 is older than 0x2b000603, which its like in this machine has",
        ),
        (
            with_cpu(|c| c.packages[1].model = "Xeon Y".into()),
            "warn cpu1 cpu-model-differs: the processors of this machine are not of one model",
        ),
        (
            with_cpu(|c| c.packages[0].core_throttles = Some(u64::MAX)),
            "warn cpu0 cpu-throttled: the processor was slowed down by heat",
        ),
        (
            with_cpu(|c| c.packages[0].cores = 7),
            "warn cpu0 cpu-cores-missing: fewer cores run than the firmware has enabled",
        ),
        (
            with_cpu(|c| {
                c.sockets[0].cores_enabled = Some(4);
                c.packages[0].cores = 4;
            }),
            "ok cpu0 cpu-cores-off: the firmware has enabled only some of its cores",
        ),
        (
            with_cpu(|c| c.packages[0].flags = vec!["aes".into()]),
            "ok cpu0 cpu-no-virtualisation: virtualisation is switched off",
        ),
    ] {
        assert_eq!(lines(&facts), [wanted]);
    }
}

#[test]
fn a_hypervisor_that_lists_empty_sockets_is_a_hint_only() {
    let facts = with_cpu(|c| {
        c.packages.truncate(1);
        c.packages[0].flags.push("hypervisor".into());
    });
    let what = "the firmware has 2 processors in their sockets, and the kernel runs on 1";
    assert_eq!(lines(&facts), [format!("warn cpus cpu-missing: {what}")]);
}

#[test]
fn lists_of_processors() {
    assert_eq!(cpu_list("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
    assert_eq!(cpu_list(""), Some(vec![]));
    for bad in ["3-1", "0-99999999", "x", "0-8191,0-8191"] {
        assert_eq!(cpu_list(bad), None, "{bad}");
    }
}
