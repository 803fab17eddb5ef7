// SPDX-License-Identifier: Apache-2.0
//! The TFTP servers that are compared, each set up to serve as many clients as are measured.

use super::client::NAME;
use super::floor::TFTP_FLOOR;
use crate::compare::ground::text;
use crate::compare::wire::{self, CLIENT, SERVER, Server, THEIR_END, Wire};
use anyhow::{Context as _, Result};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

/// Transfers at a time that a server is told to allow.
const TRANSFERS: &str = "2048";

/// A TFTP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Ours,
    /// tftpd-hpa: a process for each transfer.
    Hpa,
    /// atftpd: a thread for each.
    Atftpd,
    Dnsmasq,
    /// The crate tftpd: a thread for each.
    Crate,
    /// No server: what the kernel's path takes by itself.
    Floor,
}

impl Who {
    /// Everybody else.
    pub(super) const PEERS: [Self; 4] = [Self::Crate, Self::Hpa, Self::Atftpd, Self::Dnsmasq];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "groundstate pxe-server",
            Self::Hpa => "tftpd-hpa",
            Self::Atftpd => "atftpd",
            Self::Dnsmasq => "dnsmasq",
            Self::Crate => "crate tftpd",
            Self::Floor => "the kernel's path alone",
        }
    }

    /// Starts it over `folder/boot`, and waits until it answers.
    pub(super) fn start(self, folder: &Path, wire: &Wire) -> Result<Server> {
        let boot = folder.join("boot");
        let boot = text(&boot)?;
        let (program, arguments) = match self {
            Self::Ours => ours(folder, boot)?,
            Self::Hpa => (
                "in.tftpd".to_owned(),
                words(&["--foreground", "--listen", "--user", "root", "--address"])
                    .chain([
                        format!("{SERVER}:69"),
                        "--secure".to_owned(),
                        boot.to_owned(),
                    ])
                    .collect(),
            ),
            Self::Atftpd => (
                "atftpd".to_owned(),
                words(&[
                    "--daemon",
                    "--no-fork",
                    "--user",
                    "root.root",
                    "--logfile",
                    "-",
                ])
                .chain(words(&[
                    "--verbose=3",
                    "--maxthread",
                    TRANSFERS,
                    "--bind-address",
                ]))
                .chain([SERVER.to_string(), boot.to_owned()])
                .collect(),
            ),
            Self::Dnsmasq => (
                "dnsmasq".to_owned(),
                words(&[
                    "--no-daemon",
                    "--port=0",
                    "--conf-file=/dev/null",
                    "--user=root",
                ])
                .chain(words(&["--pid-file=", "--enable-tftp", "--quiet-tftp"]))
                .chain([
                    format!("--tftp-max={TRANSFERS}"),
                    format!("--tftp-root={boot}"),
                    format!("--interface={THEIR_END}"),
                ])
                .collect(),
            ),
            Self::Crate => (
                "tftpd".to_owned(),
                words(&["-i", &SERVER.to_string(), "-p", "69", "-r", "-d", boot]).collect(),
            ),
            Self::Floor => {
                let program = std::env::current_exe()?;
                let file = format!("{boot}/{NAME}");
                let arguments = words(&[TFTP_FLOOR, &file, &SERVER.to_string()]).collect();
                (text(&program)?.to_owned(), arguments)
            }
        };
        let mut server = wire.start(folder, &program, &arguments)?;
        server
            .wait_until(answers)
            .with_context(|| self.name().to_owned())?;
        Ok(server)
    }
}

fn words<'a>(words: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
    words.iter().map(|word| (*word).to_owned())
}

fn ours(folder: &Path, boot: &str) -> Result<(String, Vec<String>)> {
    let state = folder.join("state");
    let _gone = fs::remove_dir_all(&state);
    wire::ours(Path::new(boot), &state, "10.65.0.0-10.65.0.255")
}

/// Whether somebody sends the first block of the file; it is told that nobody wants the second.
fn answers() -> Result<bool> {
    let socket = UdpSocket::bind((CLIENT, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let request = format!("\0\u{1}{NAME}\0octet\0");
    socket.send_to(request.as_bytes(), (SERVER, 69))?;
    let mut buffer = [0; 1_500];
    let Ok((length, from)) = socket.recv_from(&mut buffer) else {
        return Ok(false);
    };
    socket.send_to(b"\0\x05\0\0only a look\0", from)?;
    Ok(buffer
        .get(..length)
        .unwrap_or_default()
        .starts_with(&[0, 3]))
}
