// SPDX-License-Identifier: Apache-2.0
//! A provisioner's way to a member of etcd, which can be cut: what is under way stays so, nothing comes through, and nobody is
//! told, as on a network that drops packets.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a quiet connection looks whether it is cut.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Relay {
    port: u16,
    is_cut: Arc<AtomicBool>,
}

impl Relay {
    /// To this port on loopback. Its threads end with the test.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Self {
            port: listener.local_addr().unwrap().port(),
            is_cut: Arc::new(AtomicBool::new(false)),
        };
        let is_cut = Arc::clone(&relay.is_cut);
        std::thread::spawn(move || {
            for from in listener.incoming().flatten() {
                let is_cut = Arc::clone(&is_cut);
                std::thread::spawn(move || connect(&from, port, &is_cut));
            }
        });
        relay
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

fn connect(from: &TcpStream, port: u16, is_cut: &Arc<AtomicBool>) {
    while is_cut.load(Ordering::SeqCst) {
        std::thread::sleep(LOOK);
    }
    // A member that is gone hangs up, which the caller sees.
    let Ok(to) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return;
    };
    for stream in [from, &to] {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LOOK)).unwrap();
    }
    let (back_from, back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
    let back_cut = Arc::clone(is_cut);
    std::thread::spawn(move || carry(back_from, back_to, &back_cut));
    carry(from.try_clone().unwrap(), to, is_cut);
}

fn carry(mut from: TcpStream, mut to: TcpStream, is_cut: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        if is_cut.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK);
            continue;
        }
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                while is_cut.load(Ordering::SeqCst) {
                    std::thread::sleep(LOOK);
                }
                if to.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => break,
        }
    }
    // Either side may be gone.
    drop(to.shutdown(Shutdown::Both));
    drop(from.shutdown(Shutdown::Both));
}
