// SPDX-License-Identifier: Apache-2.0
//! The service on sockets that were bound by somebody else, on loopback: needs no root.

use crate::room::{Ear, Policy, boot_files, bytes, run};
use groundstate_api::boot::BootAnswer;
use groundstate_api::site::Network;
use pxe_server::{Config, Sockets, serve_on};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, mpsc};
use tokio::sync::watch;

#[test]
#[allow(clippy::too_many_lines, reason = "one story, told once")]
fn handed_over_sockets_are_served_on_loopback_until_told_to_stop() {
    let dir = tempfile::tempdir().unwrap();
    let files = boot_files(dir.path());
    let udp = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (dhcp, tftp) = (udp(), udp());
    let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (tftp_port, http_port) = (
        tftp.local_addr().unwrap().port(),
        http.local_addr().unwrap().port(),
    );
    let network = Network {
        address: Ipv4Addr::LOCALHOST,
        prefix: 8,
        pool_first: [127, 0, 1, 1].into(),
        pool_last: [127, 0, 1, 9].into(),
        router: None,
        dns: Vec::new(),
        lease_secs: 3_600,
        http_port,
        https_port: 8_443,
        pools: Vec::new(),
    };
    let config = Config::of_site("lo", &network, &dir.path().join("state"));
    let sockets = Sockets {
        dhcp: Some(dhcp),
        tftp: Some(tftp),
        http: Some(http),
        https: None,
    };
    let (stop, stopped) = watch::channel(false);
    let served = files.clone();
    let thread = std::thread::spawn(move || {
        let policy = Arc::new(Policy(Mutex::new(BootAnswer::MaintenanceOs)));
        let ear = Arc::new(Ear(Mutex::new(mpsc::channel().0)));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(serve_on(config, sockets, served, policy, ear, stopped))
    });
    let out = dir.path().join("got");
    let path = out.to_str().unwrap();
    for (url, name) in [
        (
            format!("tftp://127.0.0.1:{tftp_port}/undionly.kpxe"),
            "undionly.kpxe",
        ),
        (
            format!("http://127.0.0.1:{http_port}/boot/initrd.img"),
            "initrd.img",
        ),
    ] {
        run("curl", &["-sS", "--max-time", "20", "-o", path, &url]);
        assert_eq!(std::fs::read(&out).unwrap(), bytes(&files, name), "{url}");
    }
    let script = run(
        "curl",
        &[
            "-sS",
            &format!("http://127.0.0.1:{http_port}/boot/ipxe/02-00-00-00-00-07.ipxe"),
        ],
    );
    assert!(
        script.contains(&format!("http://127.0.0.1:{http_port}/boot/vmlinuz")),
        "{script}"
    );
    stop.send(true).unwrap();
    thread.join().unwrap().unwrap();
}
