// SPDX-License-Identifier: Apache-2.0
//! What the site file says about booting, over each phase; and the same as a boot service elsewhere mirrors it.

use crate::world::*;
use groundstate_api::boot::{BootRecipe, LocalBoot};
use groundstate_api::boot_rules::{BootRules, LocalDisk, ModelBoot};
use groundstate_api::image::{BootEntry, RequiredFirmware, WholeDisk};
use prov_core::boot_mirror::{BootMirror, Freshness, STALE};

fn recipe(name: &str) -> BootRecipe {
    BootRecipe {
        name: name.into(),
        kernel: Some("rescue/vmlinuz".into()),
        ..BootRecipe::default()
    }
}

fn local(how: LocalBoot) -> BootAnswer {
    BootAnswer::LocalDisk { how }
}

/// What the world's node boots under another site file, by firmware.
fn boot(world: &World, site: &site::Site, firmware: Firmware) -> BootAnswer {
    let fleet = fold(world, site);
    let question = BootQuestion {
        firmware: Some(firmware),
        ..BootQuestion::about(MAC)
    };
    let answer = fleet.boot(&question);
    // The table for boot services elsewhere says the same.
    let mut mirror = BootMirror::default();
    assert!(mirror.take(Millis(1), Millis(1), fleet.boot_answers()));
    assert_eq!(mirror.ask(Millis(2), &question), answer);
    answer
}

fn fold(world: &World, site: &site::Site) -> Fleet {
    let mut fleet = Fleet::new(site, Millis(0));
    world.journal.iter().for_each(|event| fleet.apply(event));
    fleet
}

fn with(change: impl FnOnce(&mut site::Site)) -> site::Site {
    let mut site = site();
    site.boot.recipes = vec![recipe("rescue"), recipe("installer")];
    change(&mut site);
    site
}

#[test]
fn a_run_boots_the_maintenance_os_whatever_the_site_file_says() {
    let site = with(|site| {
        site.nodes[0].boot = Some("rescue".into());
        site.nodes[0].local_disk = Some(LocalDisk(LocalBoot::NoAnswer));
    });
    let (mut world, plan) = World::deploying(1);
    for firmware in [Firmware::Bios, Firmware::UefiPxe, Firmware::UefiHttp] {
        assert_eq!(boot(&world, &site, firmware), BootAnswer::MaintenanceOs);
    }
    // The host starts for the first time: no rescue system comes between.
    world.hand_over(&plan);
    assert_eq!(world.phase(), Phase::HandedOver);
    assert_eq!(
        boot(&world, &site, Firmware::Bios),
        BootAnswer::MaintenanceOs
    );
    assert_eq!(
        boot(&world, &site, Firmware::UefiPxe),
        local(LocalBoot::NoAnswer)
    );
    // Then the site file may ask for something else than the host, on BIOS too.
    world.put(register(&plan, BOOT_B));
    for firmware in [Firmware::Bios, Firmware::UefiPxe] {
        let answer = boot(&world, &site, firmware);
        assert_eq!(
            answer,
            BootAnswer::Recipe {
                recipe: recipe("rescue")
            }
        );
    }
}

#[test]
fn the_node_comes_before_the_model_and_the_model_before_the_site() {
    let (world, _) = World::ready();
    let model = |model: &str, how: Option<LocalBoot>, boot: Option<&str>| ModelBoot {
        model: model.into(),
        local_disk: how.map(LocalDisk),
        boot: boot.map(Into::into),
    };
    let site = |models: Vec<ModelBoot>| {
        with(|site| {
            site.boot.models = models;
            site.boot.local_disk = Some(LocalDisk(LocalBoot::NoAnswer));
        })
    };
    let uefi = |site: &site::Site| boot(&world, site, Firmware::UefiPxe);
    // The machine of this world is a "p" of "m".
    assert_eq!(uefi(&site(vec![])), local(LocalBoot::NoAnswer));
    let exit = Some(LocalBoot::Exit);
    for fits in ["p", "m p", "*", "m *", "*p"] {
        let site = site(vec![model(fits, exit, None)]);
        assert_eq!(uefi(&site), local(LocalBoot::Exit), "{fits}");
    }
    for other in ["m", "q*", "P", "p p"] {
        let site = site(vec![model(other, exit, None)]);
        assert_eq!(uefi(&site), local(LocalBoot::NoAnswer), "{other}");
    }
    // The first rule that fits counts, and only that one.
    let both = vec![
        model("p", None, Some("nothing")),
        model("*", exit, Some("rescue")),
    ];
    let mut site = site(both);
    assert_eq!(uefi(&site), BootAnswer::Nothing);
    site.nodes[0].boot = Some("installer".into());
    assert_eq!(
        uefi(&site),
        BootAnswer::Recipe {
            recipe: recipe("installer")
        }
    );
    site.nodes[0].boot = Some("local-disk".into());
    assert_eq!(uefi(&site), local(LocalBoot::NoAnswer));
    site.nodes[0].local_disk = Some(LocalDisk(LocalBoot::Sanboot { drive: 0x81 }));
    assert_eq!(uefi(&site), local(LocalBoot::Sanboot { drive: 0x81 }));
}

#[test]
fn a_machine_that_has_never_reported_has_no_model() {
    let site = with(|site| {
        site.boot.models = vec![ModelBoot {
            model: "*".into(),
            local_disk: Some(LocalDisk(LocalBoot::Exit)),
            boot: Some("rescue".into()),
        }];
    });
    let world = World::new();
    assert_eq!(boot(&world, &site, Firmware::Bios), BootAnswer::LOCAL_DISK);
}

#[test]
fn strangers_of_an_open_site_get_into_the_waiting_room_and_without_the_provisioner_to_their_disk() {
    let site = with(|site| {
        site.policy.closed = false;
        site.boot.local_disk = Some(LocalDisk(LocalBoot::Exit));
    });
    let fleet = Fleet::new(&site, Millis(0));
    let stranger = BootQuestion::about(MacAddr([2, 0, 0, 0, 0, 9]));
    assert_eq!(fleet.boot(&stranger), BootAnswer::MaintenanceOs);
    let mut mirror = BootMirror::default();
    mirror.take(Millis(5), Millis(5), fleet.boot_answers());
    assert_eq!(mirror.ask(Millis(5), &stranger), BootAnswer::MaintenanceOs);
    let late = Millis(5).plus(STALE);
    assert_eq!(mirror.ask(late, &stranger), BootAnswer::LOCAL_DISK);
    let closed = Fleet::new(&with(|_| {}), Millis(0));
    mirror.take(Millis(6), Millis(6), closed.boot_answers());
    let BootAnswer::Refuse { reason } = mirror.ask(Millis(6), &stranger) else {
        panic!("a closed site refuses");
    };
    assert!(reason.to_string().contains("02:00:00:00:00:09"), "{reason}");
}

#[test]
fn without_the_provisioner_a_machine_boots_its_own_disk() {
    let question = BootQuestion {
        firmware: Some(Firmware::UefiPxe),
        ..BootQuestion::about(MAC)
    };
    let mut mirror = BootMirror::default();
    assert_eq!(mirror.freshness(Millis(9)), Freshness::Absent);
    assert_eq!(mirror.ask(Millis(9), &question), BootAnswer::LOCAL_DISK);
    let site = with(|site| site.nodes[0].local_disk = Some(LocalDisk(LocalBoot::Exit)));
    let (world, _) = World::deploying(1);
    let table = fold(&world, &site).boot_answers();
    let at = Millis::secs(1_000_000);
    // From the future, as after a clock was set back; and of a schema that nobody here knows.
    assert!(!mirror.take(at, at.plus(Millis(1)), table.clone()));
    let mut other = table.clone();
    other.schema = SCHEMA + 1;
    assert!(!mirror.take(at, at, other));
    assert!(mirror.take(at, at, table));
    assert!(mirror.knows(MAC) && !mirror.knows(MacAddr([2; 6])));
    let ask = |mirror: &BootMirror, age: u64| mirror.ask(at.plus(Millis(age)), &question);
    assert_eq!(ask(&mirror, STALE.0 - 1), BootAnswer::MaintenanceOs);
    assert_eq!(ask(&mirror, STALE.0), local(LocalBoot::Exit));
    assert_eq!(mirror.ask(Millis(0), &question), local(LocalBoot::Exit));
    mirror.still_right(at.plus(STALE));
    assert_eq!(ask(&mirror, 2 * STALE.0 - 1), BootAnswer::MaintenanceOs);
}

#[test]
fn a_foreign_dhcp_server_is_an_alarm_once_an_hour() {
    use groundstate_api::boot_session::ForeignServer;
    let mut fleet = Fleet::new(&site(), Millis(0));
    let server = |n: u32| ForeignServer {
        server: format!("192.0.2.{n}"),
        first: Millis(1),
        last: Millis(2),
        packets: 3,
        client: Some(MAC),
    };
    let mut heard = |at, n| {
        let mut out = Vec::new();
        fleet.foreign_dhcp(at, server(n), &mut out);
        out
    };
    let told = heard(Millis(0), 1);
    let [Wish::Append(what @ Happened::ForeignDhcp { reason, .. })] = &told[..] else {
        panic!("{told:?}");
    };
    let line = groundstate_api::headline::headline(what);
    assert!(
        line.starts_with("ALARM: another DHCP server answers"),
        "{line}"
    );
    assert!(line.contains("192.0.2.1"), "{line}");
    assert!(reason.to_string().contains("switch it off"), "{reason}");
    assert_eq!(heard(Millis::secs(3_599), 1), []);
    assert_eq!(heard(Millis::secs(3_599), 2).len(), 1);
    assert_eq!(heard(Millis::secs(3_600), 1).len(), 1);
    let flood = (0..500).map(|n| heard(Millis::secs(3_601), 100 + n).len());
    assert!(flood.sum::<usize>() <= prov_core::deadline::FOREIGN_MAX);
}

#[test]
fn rules_that_say_nothing_are_not_written() {
    assert!(BootRules::default().is_empty());
    let text = toml::to_string(&site()).unwrap();
    assert!(!text.contains("[boot]"), "{text}");
    let text = toml::to_string(&with(|_| {})).unwrap();
    assert!(text.contains("[[boot.recipe]]"), "{text}");
}

#[test]
fn a_host_on_an_image_of_a_whole_disk_starts_from_its_disk_on_either_firmware() {
    let site = with(|_| ());
    let mut world = World::checking();
    world.take_inventory();
    let mut plan = plan(&run_id(1));
    plan.image.kind = groundstate_api::image::ImageKind::WholeDisk;
    plan.image.whole = Some(WholeDisk {
        minimum_size: plan.image.size,
        firmware: RequiredFirmware::Any,
        boot: BootEntry::BootCode,
        table: None,
    });
    world.put(Input::PlanMade {
        run: plan.run.clone(),
        plan: Ok(Box::new(plan.clone())),
    });
    world.hand_over(&plan);
    let at_the_disk = |world: &World| {
        for firmware in [Firmware::Bios, Firmware::UefiPxe, Firmware::UefiHttp] {
            assert_eq!(boot(world, &site, firmware), BootAnswer::LOCAL_DISK);
        }
    };
    at_the_disk(&world);
    world.put(register(&plan, BOOT_B));
    assert_eq!(world.phase(), Phase::Ready);
    at_the_disk(&world);
    // Who comes as the maintenance OS all the same is not told to start what it cannot load.
    let reply = world.put(enrol(BOOT_A, "key-2"));
    assert!(
        matches!(reply, Some(Reply::NotEnrolled { .. })),
        "{reply:?}"
    );
    world.check_replay();
}
