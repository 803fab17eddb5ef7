// SPDX-License-Identifier: Apache-2.0
//! IPMI through the real `ipmitool`, against pyghmi's `fakebmc` and OpenIPMI's `ipmi_sim`.

use crate::peer::{Peer, python, skipped, udp};
use crate::{settings, target};
use bmc::ladder::{Action, Event};
use bmc::{Bmcs, Ladder, Learned, PowerState, Rung, Secret, Settings, Target, Trouble};
use groundstate_api::Millis;
use groundstate_api::action::{NextBoot, PowerTo};
use groundstate_api::site_parts::BmcProtocol;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

struct Sim {
    target: Target,
    dir: TempDir,
    _peer: Peer,
}

fn ipmitool() -> bool {
    let there = Command::new("ipmitool").arg("-V").output().is_ok();
    if !there {
        skipped("ipmitool");
    }
    there
}

/// Whether a session comes about: the simulators say nothing when they are ready.
fn ready(peer: &mut Peer, target: &Target, password: &str) -> bool {
    let port = target.address.port().unwrap().to_string();
    peer.until(|| {
        let fixed = [
            "-I",
            "lanplus",
            "-H",
            "127.0.0.1",
            "-p",
            &port,
            "-U",
            "admin",
            "-P",
            password,
            "-C",
            "3",
            "-N",
            "1",
            "-R",
            "1",
        ];
        let out = Command::new("ipmitool")
            .args(fixed)
            .args(["mc", "info"])
            .output()
            .unwrap();
        out.status.success()
    })
}

/// The chassis: a script that keeps power and boot device in files.
const CHASSIS: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
op=$2
shift 2
while [ $# -gt 0 ]; do
    case $op in
    get) [ "$1" = identify ] || echo "$1:$(cat "$1")"; shift ;;
    set)
        [ -e "stuck-$1" ] || echo "$2" >"$1"
        echo "$1 $2" >>orders
        shift 2 ;;
    *) shift ;;
    esac
done
"#;

fn ipmi_sim() -> Option<Sim> {
    if !ipmitool() {
        return None;
    }
    let (dir, address) = (tempfile::tempdir().unwrap(), udp());
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("power"), "0\n").unwrap();
    std::fs::write(path("boot"), "none\n").unwrap();
    std::fs::write(path("chassis"), CHASSIS).unwrap();
    std::fs::set_permissions(path("chassis"), Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(path("state")).unwrap();
    let lan = format!(
        "name \"gs\"\nset_working_mc 0x20\n  chassis_control \"{} 0x20\"\n  startlan 1\n    addr 127.0.0.1 {}\n    priv_limit admin\n    \
         allowed_auths_admin none md2 md5 straight\n    guid a123456789abcdefa123456789abcdef\n  endlan\n  \
         user 2 true \"{}\" \"{}\" admin 10 none md2 md5 straight\n",
        path("chassis").display(),
        address.port(),
        crate::USER,
        crate::PASSWORD
    );
    std::fs::write(path("lan.conf"), lan).unwrap();
    let emu = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nsel_enable 0x20 1000 0x0a\nmc_enable 0x20\n";
    std::fs::write(path("sim.emu"), emu).unwrap();
    let arguments = ["-c", "lan.conf", "-f", "sim.emu", "-n", "-s", "state"];
    let Some(mut peer) = Peer::start(Path::new("ipmi_sim"), &arguments, dir.path()) else {
        skipped("ipmi_sim (OpenIPMI)");
        return None;
    };
    let target = target(address, BmcProtocol::Ipmi);
    assert!(
        ready(&mut peer, &target, crate::PASSWORD),
        "{}",
        std::fs::read_to_string(path("peer.log")).unwrap()
    );
    Some(Sim {
        target,
        dir,
        _peer: peer,
    })
}

fn fakebmc() -> Option<Sim> {
    if !ipmitool() {
        return None;
    }
    let (dir, address) = (tempfile::tempdir().unwrap(), udp());
    let port = address.port().to_string();
    let Some(mut peer) = Peer::start(&python("fakebmc"), &["--port", &port], dir.path()) else {
        skipped("fakebmc (Python's pyghmi)");
        return None;
    };
    let mut target = target(address, BmcProtocol::Ipmi);
    target.secret = Secret::parse("admin:password").unwrap();
    if !ready(&mut peer, &target, "password") {
        skipped("fakebmc that runs");
        return None;
    }
    Some(Sim {
        target,
        dir,
        _peer: peer,
    })
}

async fn powers(bmcs: &Bmcs, target: &Target) {
    for (to, state) in [
        (PowerTo::On, PowerState::On),
        (PowerTo::ForceOff, PowerState::Off),
        (PowerTo::On, PowerState::On),
        (PowerTo::Cycle, PowerState::On),
    ] {
        bmcs.power(target, to, Millis::secs(600)).await.unwrap();
        assert_eq!(bmcs.power_state(target).await, Ok(state));
    }
}

#[tokio::test]
async fn a_simulator_of_openipmi() {
    let Some(sim) = ipmi_sim() else { return };
    let bmcs = Bmcs::new(settings());
    powers(&bmcs, &sim.target).await;
    let report = bmcs.inventory(&sim.target, Millis(3)).await.unwrap();
    assert_eq!(
        (
            report.protocol.as_str(),
            report.power.as_str(),
            report.bmc_firmware.as_str()
        ),
        ("ipmi", "on", "9.08")
    );
    let facts = bmcs.identify(&sim.target, true).await.unwrap();
    assert!(facts[0].contains("does not show it"), "{facts:?}");
    assert_eq!(
        bmcs.console_log(&sim.target).await.unwrap(),
        [] as [String; 0]
    );
    let orders = std::fs::read_to_string(sim.dir.path().join("orders")).unwrap();
    assert!(orders.contains("identify"), "{orders}");
    // Its boot flags are never valid when they are read back: it said yes to PXE, and that is not so.
    let lie = bmcs
        .set_next_boot(&sim.target, NextBoot::Network, Rung::Ipmi)
        .await
        .unwrap_err();
    assert!(
        matches!(&lie, Trouble::Ignored { seen, .. } if seen.ends_with("not valid")),
        "{lie}"
    );
    assert!(
        std::fs::read_to_string(sim.dir.path().join("orders"))
            .unwrap()
            .contains("boot pxe")
    );
    for media in [
        bmcs.insert_media(&sim.target, "http://h/x.iso").await,
        bmcs.eject_media(&sim.target).await,
    ] {
        assert!(matches!(media, Err(Trouble::NotOffered { .. })));
    }
}

#[tokio::test]
async fn power_that_is_stuck_is_late() {
    let Some(sim) = ipmi_sim() else { return };
    std::fs::write(sim.dir.path().join("stuck-power"), "").unwrap();
    let trouble = Bmcs::new(settings())
        .power(&sim.target, PowerTo::On, Millis::secs(60))
        .await
        .unwrap_err();
    assert_eq!(
        trouble.to_string(),
        "it said yes to On, and 60.0 s later there is power off"
    );
}

#[tokio::test]
async fn a_wrong_password_is_tried_once_and_with_one_cipher_suite() {
    let Some(mut sim) = ipmi_sim() else { return };
    let bmcs = Bmcs::new(settings());
    bmcs.power_state(&sim.target).await.unwrap();
    let right = std::mem::replace(
        &mut sim.target.secret,
        Secret::parse("admin:wrong").unwrap(),
    );
    for _ in 0..5 {
        let trouble = bmcs.power_state(&sim.target).await.unwrap_err();
        assert!(
            matches!(&trouble, Trouble::CredentialRefused { user, .. } if user == "admin"),
            "{trouble}"
        );
    }
    sim.target.secret = Secret::parse("nobody:wrong").unwrap();
    assert!(matches!(
        bmcs.power_state(&sim.target).await,
        Err(Trouble::CredentialRefused { .. })
    ));
    sim.target.secret = right;
    assert_eq!(bmcs.power_state(&sim.target).await, Ok(PowerState::Off));
    sim.target.secret = Secret::parse("admin:a-password-of-more-than-20").unwrap();
    assert!(matches!(
        bmcs.power_state(&sim.target).await,
        Err(Trouble::CredentialUnfit { .. })
    ));
}

#[tokio::test]
async fn the_fakebmc_of_pyghmi() {
    let Some(sim) = fakebmc() else { return };
    let bmcs = Bmcs::new(settings());
    powers(&bmcs, &sim.target).await;
    let facts = bmcs
        .set_next_boot(&sim.target, NextBoot::Network, Rung::Ipmi)
        .await
        .unwrap();
    assert_eq!(
        facts,
        [
            "read back: pxe, once, legacy, valid",
            "the flag for UEFI was not kept"
        ]
    );
    assert_eq!(
        bmcs.inventory(&sim.target, Millis(1))
            .await
            .unwrap()
            .next_boot
            .as_deref(),
        Some("pxe, once, legacy, valid")
    );
    bmcs.set_next_boot(&sim.target, NextBoot::Disk, Rung::Ipmi)
        .await
        .unwrap();
    let http = bmcs
        .set_next_boot(&sim.target, NextBoot::HttpBoot, Rung::Ipmi)
        .await
        .unwrap_err();
    assert!(matches!(http, Trouble::NotOffered { .. }));
}

#[tokio::test]
async fn without_redfish_it_is_ipmi_and_the_ladder_finds_it() {
    let Some(mut sim) = fakebmc() else { return };
    let port = sim.target.address.port().unwrap();
    sim.target.protocol = None;
    let bmcs = Bmcs::new(Settings {
        ipmi_port: port,
        ..settings()
    });
    assert_eq!(bmcs.open(&sim.target).await.unwrap().protocol(), "ipmi");
    bmcs.forgive(&sim.target.address);
    let mut ladder = Ladder::new(NextBoot::Network, &Rung::ALL, &Learned::default(), None);
    let wanted = bmcs
        .climb(&sim.target, &mut ladder, Millis(0), Event::Begin)
        .await;
    assert!(
        matches!(
            wanted.as_slice(),
            [Action::Ready {
                rung: Rung::Ipmi,
                ..
            }]
        ),
        "{wanted:?}"
    );
    assert!(
        ladder.tried()[0].starts_with("redfish-once: it does not answer"),
        "{:?}",
        ladder.tried()
    );
}

#[tokio::test]
async fn without_the_program_it_says_so() {
    let mut settings = settings();
    settings.ipmitool = "no-such-ipmitool".into();
    let trouble = Bmcs::new(settings)
        .power_state(&target(udp(), BmcProtocol::Ipmi))
        .await
        .unwrap_err();
    assert!(
        matches!(&trouble, Trouble::NoTool { what } if what.contains("no-such-ipmitool")),
        "{trouble}"
    );
}

#[tokio::test]
async fn a_program_that_hangs_or_never_stops_talking_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    for (script, what) in [
        ("exec sleep 600", "hangs"),
        ("yes x", "talks"),
        ("cat >/dev/null; exit 1", "fails"),
    ] {
        let path = dir.path().join(what);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        let settings = Settings {
            ipmitool: path,
            ipmi_answer: Millis(700),
            ..settings()
        };
        let trouble = Bmcs::new(settings)
            .power_state(&target(udp(), BmcProtocol::Ipmi))
            .await
            .unwrap_err();
        match what {
            "fails" => assert!(matches!(trouble, Trouble::Refused { .. }), "{trouble}"),
            _ => assert!(
                matches!(trouble, Trouble::TimedOut { .. } | Trouble::Refused { .. }),
                "{what}: {trouble}"
            ),
        }
    }
}

/// The password is in no argument and no environment of the program.
#[tokio::test]
async fn the_password_goes_through_the_pipe_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ipmitool");
    let script = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho \"$@\" >arguments\nenv >environment\ncat >password\necho Chassis Power is on\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let settings = Settings {
        ipmitool: path,
        ..settings()
    };
    assert_eq!(
        Bmcs::new(settings)
            .power_state(&target(udp(), BmcProtocol::Ipmi))
            .await,
        Ok(PowerState::On)
    );
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("password"), format!("{}\n", crate::PASSWORD));
    assert!(
        !read("arguments").contains(crate::PASSWORD)
            && read("arguments").contains("-f /dev/stdin -C 17")
    );
    assert!(!read("environment").contains(crate::PASSWORD));
}
