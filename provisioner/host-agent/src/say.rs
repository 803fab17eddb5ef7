// SPDX-License-Identifier: Apache-2.0
//! Tells people at the host: every line goes to the journal (standard output), a few also to the console.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

const CONSOLE: &str = "/dev/console";

/// A line for the journal.
pub(crate) fn journal(line: &str) {
    println!("{line}");
}

/// A line for the journal and for whoever stands before the machine.
pub(crate) fn console(line: &str) {
    journal(line);
    // Where nobody can read a console there is none to write to; the journal has the line.
    if let Ok(mut console) = OpenOptions::new().write(true).open(CONSOLE) {
        let _written = console.write_all(format!("\r\ngroundstate: {line}\r\n").as_bytes());
    }
}

/// Tells systemd that the service has started (sd_notify(3)): what waits for us, such as the SSH server, may start.
pub(crate) fn ready() {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let name = name.as_encoded_bytes();
    let address = match name.strip_prefix(b"@") {
        Some(hidden) => SocketAddr::from_abstract_name(hidden),
        None => SocketAddr::from_pathname(std::path::Path::new(&*String::from_utf8_lossy(name))),
    };
    let sent =
        address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address));
    if let Err(error) = sent {
        journal(&format!(
            "systemd could not be told that the agent is ready: {error}"
        ));
    }
}
