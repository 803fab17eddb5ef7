// SPDX-License-Identifier: Apache-2.0
//! `groundstate pxe-server` as a person runs it: a cable between two network namespaces, the command at one end, and at
//! the other programs that nobody here wrote.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

#[path = "pxe_server/activated.rs"]
mod activated;
#[path = "pxe_server/explained.rs"]
mod explained;
mod network;
#[path = "pxe_server/readme.rs"]
mod readme;
#[path = "pxe_server/six.rs"]
mod six;
#[path = "pxe_server/world.rs"]
mod world;

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::time::Duration;
use world::{World, in_two_namespaces, run, text};

const OWN: &str = "10.55.0.1";

/// A DISCOVER of PXE firmware of this architecture, from this address.
fn discover(architecture: u8, from: [u8; 4]) -> Vec<u8> {
    let mut packet = vec![1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
    packet.extend_from_slice(&from);
    packet.resize(28, 0);
    packet.extend_from_slice(&[0x52, 0x54, 0, 9, 9, 9]);
    packet.resize(236, 0);
    packet.extend_from_slice(&[99, 130, 83, 99]);
    packet.extend_from_slice(&[53, 1, 1, 60, 9]);
    packet.extend_from_slice(b"PXEClient");
    packet.extend_from_slice(&[93, 2, 0, architecture, 255]);
    packet.resize(300, 0);
    packet
}

#[test]
fn a_folder_is_served_to_clients_that_nobody_here_wrote() {
    in_two_namespaces(|client| {
        let world = World::new(&[
            ("undionly.kpxe", b"bios".as_slice()),
            ("grub/grubx64.efi", &[7; 300_000]),
            ("a b+c", b"odd"),
            ("boot.ipxe", b"#!ipxe\nshell\n"),
        ]);
        let mut served = world.serve(&["--boot-file", "uefi-pxe=grub/grubx64.efi"]);
        let banner = served.said_until("iPXE ");
        for line in [
            "DHCP        0.0.0.0:67",
            "HTTP        10.55.0.1:80",
            "BIOS PXE             undionly.kpxe",
            "UEFI PXE             grub/grubx64.efi",
            "WARNING     UEFI HTTP Boot machines get nothing to boot: put groundstate.efi",
        ] {
            assert!(banner.contains(line), "{line:?} is not in {banner}");
        }
        // An operating system's client, and the address that it was given.
        let said = client.run(
            "busybox",
            &["udhcpc", "-i", "cli", "-n", "-q", "-f", "-s", "/bin/true"],
        );
        assert!(said.contains("lease of 10.55.0."), "{said}");
        let out = world.dir.path().join("got");
        let got = out.to_str().unwrap();
        run(&mut client.command("ip", &["addr", "add", "10.55.0.7/24", "dev", "cli"]));
        for (url, file) in [
            ("http://10.55.0.1/grub/grubx64.efi", "grub/grubx64.efi"),
            ("http://10.55.0.1/boot/grub/grubx64.efi", "grub/grubx64.efi"),
            (
                "http://10.55.0.1//boot//grub//grubx64.efi",
                "grub/grubx64.efi",
            ),
            ("http://10.55.0.1/a%20b+c", "a b+c"),
            ("tftp://10.55.0.1/grub/grubx64.efi", "grub/grubx64.efi"),
            ("tftp://10.55.0.1//undionly.kpxe", "undionly.kpxe"),
        ] {
            client.run(
                "curl",
                &["-sSf", "--path-as-is", "--max-time", "20", "-o", got, url],
            );
            assert_eq!(fs::read(&out).unwrap(), world.file(file), "{url}");
        }
        let tftp = ["-m", "binary", OWN, "-c", "get", "grub/grubx64.efi", got];
        client.run("tftp", &tftp);
        assert_eq!(fs::read(&out).unwrap(), world.file("grub/grubx64.efi"));
        for path in [
            "/../state/leases.log",
            "/%2e%2e/state/leases.log",
            "/grub",
            "/nothing",
            "/a%00",
        ] {
            let url = format!("http://10.55.0.1{path}");
            let code = ["-sS", "--path-as-is", "-o", got, "-w", "%{http_code}", &url];
            assert_eq!(client.run("curl", &code), "404", "{path}");
        }
        served.stop();
    });
}

#[test]
fn a_file_that_is_dropped_in_is_found_and_a_kept_copy_is_known() {
    in_two_namespaces(|client| {
        let world = World::new(&[]);
        let mut served = world.serve(&[]);
        served.said_until("iPXE ");
        run(&mut client.command("ip", &["addr", "add", "10.55.0.7/24", "dev", "cli"]));
        let out = world.dir.path().join("got");
        let got = out.to_str().unwrap();
        // A file that is dropped in is found, and a kept copy is known by its tag.
        fs::write(world.boot().join("late"), "late").unwrap();
        let late = [
            "-sf",
            "--retry",
            "5",
            "--retry-all-errors",
            "--retry-delay",
            "1",
            "http://10.55.0.1/late",
        ];
        assert_eq!(client.run("curl", &late), "late");
        let kept = world.dir.path().join("etag");
        let kept = kept.to_str().unwrap();
        let url = "http://10.55.0.1/late";
        client.run("curl", &["-sSf", "--etag-save", kept, "-o", got, url]);
        for (condition, code) in [
            (["--etag-compare", kept], "304"),
            (["-z", got], "304"),
            (["-z", "1 Jan 2001"], "200"),
            (["-H", "If-None-Match: \"other\", *"], "304"),
            (["-H", "If-None-Match: \"other\""], "200"),
            (["-H", "If-Match: \"other\""], "412"),
            (["-H", "If-Match: \"other\", *"], "200"),
            (
                ["-H", "If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT"],
                "412",
            ),
            (
                ["-H", "If-Unmodified-Since: Fri, 01 Jan 2100 00:00:00 GMT"],
                "200",
            ),
            // A header that is no date is none.
            (["-H", "If-Unmodified-Since: yesterday"], "200"),
            (["-H", "Range: Bytes=1-2"], "206"),
            (["-H", "Range: bytes=99999999999999999999-"], "416"),
        ] {
            let mut asked = vec!["-sS", "-o", "/dev/null", "-w", "%{http_code}"];
            asked.extend(condition);
            asked.push(url);
            assert_eq!(client.run("curl", &asked), code, "{condition:?}");
        }
        // The length of the whole file, whatever part is asked for.
        let head = client.run("curl", &["-sSI", "-H", "Range: bytes=1-2", url]);
        let head = head.to_ascii_lowercase();
        assert!(
            head.starts_with("http/1.1 200") && head.contains("content-length: 4\r"),
            "{head}"
        );
        served.stop();
    });
}

#[test]
fn a_relayed_request_from_our_own_subnet_is_leased_to() {
    in_two_namespaces(|client| {
        let world = World::new(&[]);
        let mut served = world.serve(&[]);
        served.said_until("iPXE ");
        run(&mut client.command("ip", &["addr", "add", "10.55.0.2/24", "dev", "cli"]));
        let offered = client.inside(|| {
            let socket = UdpSocket::bind("10.55.0.2:67").unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let mut packet = vec![1, 1, 6, 1, 1, 2, 3, 4];
            packet.resize(24, 0);
            packet.extend_from_slice(&[10, 55, 0, 2, 0, 0x0c, 1, 2, 3, 4]);
            packet.resize(236, 0);
            packet.extend_from_slice(&[99, 130, 83, 99, 53, 1, 1, 255]);
            packet.resize(300, 0);
            socket.send_to(&packet, (OWN, 67)).unwrap();
            let mut reply = [0; 1_500];
            let (length, from) = socket.recv_from(&mut reply).unwrap();
            assert_eq!(from.to_string(), "10.55.0.1:67");
            assert!(length >= 300, "{length}");
            Ipv4Addr::new(reply[16], reply[17], reply[18], reply[19])
        });
        assert!(world::pool().contains(&offered), "{offered}");
        served.stop();
    });
}

#[test]
fn a_reload_says_what_changed_and_a_broken_file_changes_nothing() {
    in_two_namespaces(|client| {
        let world = World::new(&[("undionly.kpxe", b"x")]);
        let config = world.dir.path().join("pxe.toml");
        fs::write(&config, "[boot]\n").unwrap();
        let mut served = world.serve(&["--config", config.to_str().unwrap()]);
        served.said_until("WARNING     iPXE");
        fs::write(
            &config,
            "[[reservation]]\nmac = \"52:54:00:00:00:01\"\naddress = \"10.55.0.9\"\n",
        )
        .unwrap();
        fs::write(world.boot().join("boot.ipxe"), "#!ipxe\n").unwrap();
        fs::write(world.boot().join("metrics"), "mine").unwrap();
        served.hang_up();
        let said = served.said_until("files that came");
        assert!(said.contains("RELOAD      10.55.0.9 is reserved"), "{said}");
        fs::write(&config, "reservatoin = 1\nmtu = \"x\"\n").unwrap();
        served.hang_up();
        let said = served.said_until("line 2");
        for part in [
            "RELOAD      metrics is not at /metrics by HTTP: that is the counters",
            "what was in force stays",
            "line 1: reservatoin: there is no such key",
        ] {
            assert!(said.contains(part), "{said}");
        }
        fs::remove_file(&config).unwrap();
        served.hang_up();
        served.said_until("cannot be read");
        // What was in force is.
        run(&mut client.command(
            "ip",
            &["link", "set", "cli", "address", "52:54:00:00:00:01"],
        ));
        let said = client.run(
            "busybox",
            &["udhcpc", "-i", "cli", "-n", "-q", "-f", "-s", "/bin/true"],
        );
        assert!(said.contains("lease of 10.55.0.9 "), "{said}");
        served.stop();
    });
}

#[test]
fn what_a_machine_would_get_is_told_while_the_service_runs() {
    in_two_namespaces(|client| {
        let world = World::new(&[
            ("pxelinux.0", b"0123456789"),
            ("vmlinuz", b"k"),
            ("initrd.img", b"i"),
            ("cmdline", b"quiet\n"),
        ]);
        let mut served = world.serve(&[]);
        served.said_until("iPXE ");
        run(&mut client.command(
            "ip",
            &["link", "set", "cli", "address", "52:54:00:00:00:02"],
        ));
        let said = client.run(
            "busybox",
            &["udhcpc", "-i", "cli", "-n", "-q", "-f", "-s", "/bin/true"],
        );
        let address = said
            .split("lease of ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned();
        let told = text(world.command(&["--explain", "52:54:00:00:00:02"]), 0);
        for part in [
            format!("{address}, its lease until"),
            "pxelinux.0 by TFTP from 10.55.0.1, 10 bytes".to_owned(),
            "kernel http://10.55.0.1/boot/vmlinuz initrd=initrd.img quiet".to_owned(),
            "none of snponly.efi, ".to_owned(),
        ] {
            assert!(told.contains(&part), "{part:?} is not in {told}");
        }
        let json = text(
            world.command(&[
                "--explain",
                "52:54:00:00:00:03",
                "--firmware",
                "bios",
                "--json",
            ]),
            0,
        );
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json[0]["boot_file"], "pxelinux.0");
        assert_eq!(json[0]["length"], 10);
        assert_ne!(json[0]["address"], address.as_str());
        served.stop();
        // Beside another DHCP server the address is that one's, and a machine without a file hears nothing.
        let beside = ["--proxy", "--explain", "52:54:00:00:00:02"];
        let told = text(world.command(&beside), 0);
        for part in [
            "bios\n  address    the other DHCP server's\n  boot file  pxelinux.0 by TFTP from 10.55.0.1, 10 bytes",
            "uefi-pxe\n  answer     none: there is nothing for this machine to boot\n",
        ] {
            assert!(told.contains(part), "{part:?} is not in {told}");
        }
        assert!(!told.contains("of the pool"), "{told}");
    });
}

#[test]
fn the_same_files_come_over_tls_and_the_configuration_is_checked_without_serving() {
    in_two_namespaces(|client| {
        let world = World::new(&[("vmlinuz", &[9; 700_000])]);
        let path = |name: &str| world.dir.path().join(name).to_str().unwrap().to_owned();
        let made = rcgen::generate_simple_self_signed(vec![OWN.to_owned()]).unwrap();
        fs::write(path("cert.pem"), made.cert.pem()).unwrap();
        fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let config = format!(
            "[tls]\nport = 8443\ncertificate = {:?}\nkey = {:?}\n",
            path("cert.pem"),
            path("key.pem")
        );
        fs::write(path("pxe.toml"), config).unwrap();
        let said = text(
            world.command(&["--config", &path("pxe.toml"), "--check"]),
            0,
        );
        assert!(said.contains("in order: 100 addresses on srv"), "{said}");
        let mut served = world.serve(&["--config", &path("pxe.toml")]);
        let banner = served.said_until("iPXE ");
        assert!(banner.contains("HTTPS       10.55.0.1:8443"), "{banner}");
        run(&mut client.command("ip", &["addr", "add", "10.55.0.7/24", "dev", "cli"]));
        let (cert, out) = (path("cert.pem"), path("got"));
        let url = "https://10.55.0.1:8443/boot/vmlinuz";
        client.run(
            "curl",
            &[
                "-sSf",
                "--max-time",
                "20",
                "--cacert",
                &cert,
                "-o",
                &out,
                url,
            ],
        );
        assert_eq!(fs::read(&out).unwrap(), world.file("vmlinuz"));
        served.stop();
        fs::write(path("key.pem"), "no key").unwrap();
        let said = text(
            world.command(&["--config", &path("pxe.toml"), "--check"]),
            1,
        );
        assert!(said.contains("cannot read a private key from"), "{said}");
    });
}

#[test]
fn a_port_that_is_taken_names_its_holder() {
    in_two_namespaces(|_| {
        let world = World::new(&[]);
        let holder = UdpSocket::bind("0.0.0.0:67").unwrap();
        let said = text(world.command(&[]), 1);
        let ours = format!("(process {}) has port 67: stop it", std::process::id());
        assert!(
            said.contains("DHCP on 0.0.0.0:67") && said.contains(&ours),
            "{said}"
        );
        assert_eq!(said.matches("os error").count(), 1, "{said}");
        drop(holder);
        let holder = TcpListener::bind("10.55.0.1:80").unwrap();
        let said = text(world.command(&[]), 1);
        assert!(
            said.contains("HTTP on 10.55.0.1:80") && said.contains("has port 80"),
            "{said}"
        );
        drop(holder);
        // The admin endpoint that nobody named stops no machine from booting; one that was named is missed.
        let holder = TcpListener::bind("127.0.0.1:6769").unwrap();
        let said = text(world.command(&["--admin", "127.0.0.1:6769"]), 1);
        assert!(said.contains("the admin endpoint 127.0.0.1:6769"), "{said}");
        let mut served = world.serve(&[]);
        let banner = served.said_until("iPXE ");
        let line = "admin       not served at 127.0.0.1:6769: ";
        let named = "; --admin names another place\n";
        assert!(banner.contains(line) && banner.contains(named), "{banner}");
        served.stop();
        drop(holder);
    });
}

#[test]
fn sockets_that_are_handed_over_need_no_rights() {
    in_two_namespaces(|client| {
        let world = World::new(&[("undionly.kpxe", b"bios"), ("vmlinuz", b"kernel")]);
        let udp = |port| UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)).unwrap();
        let (dhcp, tftp) = (udp(67), udp(69));
        let http = TcpListener::bind("0.0.0.0:80").unwrap();
        let fds = [dhcp.as_fd(), tftp.as_fd(), http.as_fd()];
        let mut served = world.serve_unprivileged(&fds, "dhcp:tftp:http", &[]);
        served.said_until("iPXE ");
        let said = client.run(
            "busybox",
            &["udhcpc", "-i", "cli", "-n", "-q", "-f", "-s", "/bin/true"],
        );
        assert!(said.contains("lease of 10.55.0."), "{said}");
        run(&mut client.command("ip", &["addr", "add", "10.55.0.7/24", "dev", "cli"]));
        for url in ["http://10.55.0.1/vmlinuz", "tftp://10.55.0.1/vmlinuz"] {
            assert_eq!(
                client.run("curl", &["-sSf", "--max-time", "20", url]),
                "kernel"
            );
        }
        assert_eq!(served.notified(), ["READY=1"]);
        served.stop();
        assert_eq!(served.notified(), ["STOPPING=1"]);
    });
}

#[test]
fn the_second_port_of_proxy_dhcp_is_handed_over_like_the_others() {
    in_two_namespaces(|_| {
        let world = World::new(&[("undionly.kpxe", b"bios")]);
        let udp = |port| UdpSocket::bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)).unwrap();
        let (dhcp, tftp, proxy) = (udp(67), udp(69), udp(4_011));
        let http = TcpListener::bind("0.0.0.0:80").unwrap();
        let fds = [dhcp.as_fd(), tftp.as_fd(), http.as_fd(), proxy.as_fd()];
        let names = "dhcp:tftp:http:proxy";
        let mut served = world.serve_unprivileged(&fds, names, &["--proxy"]);
        let banner = served.said_until("iPXE ");
        assert!(
            banner.contains("proxyDHCP on ports 67 and 4011"),
            "{banner}"
        );
        served.stop();
        // Without proxyDHCP the port would be bound and never answered.
        let mut refused = world.serve_unprivileged(&fds, names, &[]);
        let said = refused.said_until("proxy = true");
        assert!(said.contains("UDP 4011"), "{said}");
    });
}

#[test]
fn wrong_usage_and_faults_are_told_before_anything_is_opened() {
    let command = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        command.arg("pxe-server").args(args);
        command
    };
    for (args, status, says) in [
        (vec!["--pool", "10.0.0.1"], 2, "10.0.0.100-10.0.0.199"),
        (vec!["--boot-file", "amiga=x"], 2, "uefi-http"),
        (vec!["--explain", "x"], 2, "six pairs"),
        (vec![], 1, "--interface is missing"),
        (vec!["--interface", "lo"], 1, "--boot-dir is missing"),
        (
            vec!["--interface", "lo", "--boot-dir", "/"],
            1,
            "--pool is missing",
        ),
        (
            vec![
                "--interface",
                "nope0",
                "--boot-dir",
                "/",
                "--pool",
                "10.0.0.1-9",
            ],
            1,
            "no such interface; it has lo",
        ),
        (
            vec![
                "--interface",
                "lo",
                "--boot-dir",
                "/",
                "--pool",
                "10.0.0.1-9",
            ],
            1,
            "10.0.0.1 lies in no subnet of lo, which has 127.0.0.1/8",
        ),
        (vec!["--help"], 0, "Examples:"),
    ] {
        let said = text(command(&args), status);
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn a_folder_that_is_none_and_a_file_that_is_not_there_are_told() {
    let check = |boot_dir: &str, more: &str, status| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        let usual = format!(
            "pxe-server --interface lo --pool 127.0.0.5-9 --boot-dir {boot_dir} {more} --check"
        );
        command.args(usual.split_whitespace());
        text(command, status)
    };
    let said = check("/sys/class/net", "--http-port 0", 2);
    assert!(said.contains("1..=65535"), "{said}");
    let said = check("/etc/passwd", "", 1);
    let wants = "cannot read the boot folder /etc/passwd: Not a directory";
    assert!(said.contains(wants), "{said}");
    let said = check("/sys/class/net", "--boot-file bios=own.0", 0);
    let wants = "BIOS PXE machines get nothing to boot: \"own.0\" is named for bios, and there is no such file";
    assert!(said.contains(wants), "{said}");
}

#[test]
fn the_units_are_in_order() {
    let units = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/systemd");
    let verify = Command::new("systemd-analyze").arg("--version").output();
    if verify.is_err() {
        eprintln!("skipped: no systemd-analyze");
        return;
    }
    let files: Vec<_> = fs::read_dir(units)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(files.len() >= 5, "{files:?}");
    let out = Command::new("systemd-analyze")
        .arg("verify")
        .args(&files)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    // The program is not installed here, and other units of this machine are not ours.
    let ours: Vec<_> = said
        .lines()
        .filter(|line| line.contains("groundstate") && !line.contains("is not executable"))
        .collect();
    assert!(ours.is_empty(), "{ours:#?}");
}
