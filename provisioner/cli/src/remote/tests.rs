// SPDX-License-Identifier: Apache-2.0
//! A boot service whose provisioner comes and goes, over loopback TLS.

use super::*;
use groundstate_api::SCHEMA;
use groundstate_api::boot::{Firmware, LocalBoot};
use groundstate_api::plan::OrderTerms;
use groundstate_api::site::Site;
use prov_core::boot_mirror::STALE;
use provisioner::peer::NoImages;
use provisioner::{Options, Provisioner, serve};
use std::net::TcpListener;
use std::path::PathBuf;

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);

struct Served {
    ours: Provisioner,
    runtime: tokio::runtime::Runtime,
    _stop: tokio::sync::watch::Sender<bool>,
}

fn serve_at(state: &Path, port: u16) -> Served {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let site: Site = toml::from_str(
        r#"
        name = "lab"
        network = { address = "127.0.0.1", prefix = 24, pool_first = "127.0.0.100", pool_last = "127.0.0.200" }
        policy = { image = "debian-host", hand_over = "kexec", vhd = [] }
        [[node]]
        name = "node-1"
        mac = "52:54:00:00:00:01"
        uuid = "564d1234-5678-9abc-def0-123456789abc"
        serial = "GS1"
        local_disk = "exit"
        "#,
    )
    .unwrap();
    let ours = Provisioner::open(Options {
        site,
        state_dir: state.to_owned(),
        images: Arc::new(NoImages),
    })
    .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let router = ours.api(axum::Router::new());
    let tls = ours.pki().server_config().unwrap();
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(("127.0.0.1", port)))
        .unwrap();
    runtime.spawn(serve::serve_tls(listener, router, tls, stopped.clone()));
    runtime.spawn(ours.clone().run(stopped));
    Served {
        ours,
        runtime,
        _stop: stop,
    }
}

fn question() -> BootQuestion {
    BootQuestion {
        firmware: Some(Firmware::UefiPxe),
        ..BootQuestion::about(MAC)
    }
}

/// Waits until it is so; it comes within seconds or the test is stopped by its runner.
fn until(so: impl Fn() -> bool) {
    while !so() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn answers_are_mirrored_kept_and_safe_when_the_provisioner_is_away() {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let (state, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let served = serve_at(state.path(), port);
    let connect = Connect::to(
        &format!("https://127.0.0.1:{port}"),
        &served.ours.pki().operator_dir(),
    );
    let remote = Remote::start(&connect, own.path()).unwrap();
    let exit = BootAnswer::LocalDisk {
        how: LocalBoot::Exit,
    };
    until(|| remote.ask(&question()) == exit);
    assert!(remote.knows(MAC) && !remote.knows(MacAddr([2; 6])));
    let stranger = BootQuestion::about(MacAddr([2; 6]));
    assert!(matches!(remote.ask(&stranger), BootAnswer::Refuse { .. }));
    // An order is heard by the long poll, and a sighting comes back.
    let node = "node-1".parse().unwrap();
    served
        .ours
        .order(&node, None, false, OrderTerms::default())
        .unwrap();
    until(|| remote.ask(&question()) == BootAnswer::MaintenanceOs);
    remote.saw(MAC, BootSighting::SentToLocalDisk);
    until(|| {
        let events = served.ours.events(0, 100, None).unwrap();
        events
            .iter()
            .any(|event| format!("{event:?}").contains("SentToLocalDisk"))
    });
    // The provisioner goes, and the boot service is started again: the file says what it said.
    served.runtime.shutdown_background();
    remote.stop();
    let again = Remote::start(&connect, own.path()).unwrap();
    assert_eq!(again.ask(&question()), BootAnswer::MaintenanceOs);
    assert!(matches!(again.freshness(), Freshness::Fresh(_)));
    again.stop();
}

fn with_kept(age: Millis) -> (tempfile::TempDir, Remote) {
    let own = tempfile::tempdir().unwrap();
    let table: BootAnswers = serde_json::from_value(serde_json::json!({
        "schema": SCHEMA, "strangers": {"boot": "nothing"},
        "nodes": [{
            "node": "node-1", "mac": MAC, "uefi": {"boot": "maintenance-os"}, "bios": {"boot": "maintenance-os"},
            "unsaid": {"boot": "maintenance-os"}, "away": {"boot": "local-disk", "how": {"by": "exit"}},
        }],
    }))
    .unwrap();
    let clock = WallClock::start();
    let cache = Cache::new(own.path());
    let right_at = Millis(clock.now().0 - age.0);
    cache.write(right_at, &table).unwrap();
    let remote = Remote::of(clock);
    remote.take_kept(&cache);
    (own, remote)
}

#[test]
fn an_old_file_sends_machines_to_their_own_disks() {
    let (_own, fresh) = with_kept(Millis(STALE.0 - 60_000));
    assert_eq!(fresh.ask(&question()), BootAnswer::MaintenanceOs);
    let (_own, stale) = with_kept(STALE);
    assert!(matches!(stale.freshness(), Freshness::Stale(_)));
    let exit = BootAnswer::LocalDisk {
        how: LocalBoot::Exit,
    };
    assert_eq!(stale.ask(&question()), exit);
    let stranger = BootQuestion::about(MacAddr([2; 6]));
    assert_eq!(stale.ask(&stranger), BootAnswer::LOCAL_DISK);
}

#[test]
fn no_file_or_a_broken_one_sends_machines_to_their_own_disks() {
    let own = tempfile::tempdir().unwrap();
    let cache = Cache::new(own.path());
    let remote = Remote::of(WallClock::start());
    remote.take_kept(&cache);
    assert_eq!(remote.freshness(), Freshness::Absent);
    let path: PathBuf = own.path().join("boot-answers.json");
    for broken in ["", "{}", "{\"schema\": 9, \"right_at\": 1, \"table\": 1}"] {
        std::fs::write(&path, broken).unwrap();
        assert!(cache.read().is_err(), "{broken:?}");
        remote.take_kept(&cache);
        assert_eq!(remote.ask(&question()), BootAnswer::LOCAL_DISK);
    }
}
