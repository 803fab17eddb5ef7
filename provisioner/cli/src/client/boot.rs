// SPDX-License-Identifier: Apache-2.0
//! `groundstate boot`: what the boot services saw of each boot, from a provisioner or from a boot service that runs alone.

use super::boot_picture::{Paper, sessions, table};
use super::{ANSWER_BYTES_MAX, Client, Connect, Refused};
use crate::End;
use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use groundstate_api::boot_session::BootSessions;
use groundstate_api::{MacAddr, Reason, ReasonCode, paths};
use pxe_server::{ADMIN_ADDRESS, AdminAddress};
use std::io::{IsTerminal as _, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// How often a picture that is watched is made anew.
const LOOK: Duration = Duration::from_secs(1);
/// How long a boot service on this machine may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Home, and clear to the end of the screen.
const CLEAR: &str = "\x1b[H\x1b[J";

/// Look at boots: how far each machine came, when, and why it stopped.
#[derive(Subcommand)]
pub(crate) enum BootCommand {
    /// List the newest boot of each machine.
    Ls(LsArgs),
    /// Show the boots of one machine, step by step.
    Show(ShowArgs),
}

#[derive(Args)]
pub(crate) struct LsArgs {
    /// List every boot that is remembered.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    look: Look,
}

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The machine's MAC address.
    mac: MacAddr,
    #[command(flatten)]
    look: Look,
}

#[derive(Args)]
struct Look {
    /// Print the document as JSON.
    #[arg(long)]
    json: bool,
    /// Look again each second, until interrupted.
    #[arg(long)]
    watch: bool,
    /// Address of a provisioner's API, for example https://192.0.2.1:8443. Without it the boot service on this machine is asked.
    #[arg(long, env = "GROUNDSTATE_SERVER")]
    server: Option<String>,
    /// Folder with ca.crt, operator.crt and operator.key, for a provisioner.
    #[arg(
        long,
        env = "GROUNDSTATE_CREDENTIAL",
        default_value = "/var/lib/groundstate/pki/operator"
    )]
    credential: PathBuf,
    /// Where the boot service on this machine is asked: ADDRESS:PORT, or unix:PATH.
    #[arg(long, env = "GROUNDSTATE_ADMIN", default_value = ADMIN_ADDRESS, conflicts_with = "server")]
    admin: AdminAddress,
}

pub(crate) fn run(command: &BootCommand) -> Result<End> {
    match command {
        BootCommand::Ls(args) => args
            .look
            .follow(None, |boots, paper| table(boots, args.all, paper)),
        BootCommand::Show(args) => args.look.follow(Some(args.mac), |boots, paper| {
            sessions(boots, args.mac, paper)
        }),
    }
}

impl Look {
    fn follow(
        &self,
        mac: Option<MacAddr>,
        picture: impl Fn(&BootSessions, &Paper) -> String,
    ) -> Result<End> {
        let source = self.source()?;
        let terminal = std::io::stdout().is_terminal();
        let mut before = None;
        loop {
            let boots = source.boots(mac)?;
            if let (Some(mac), false) = (mac, self.watch) {
                must_be_remembered(&boots, mac)?;
            }
            let text = if self.json {
                serde_json::to_string(&boots)?
            } else {
                picture(&boots, &Paper::of_terminal())
            };
            if before.as_ref() != Some(&text) {
                let clear = if self.watch && terminal && !self.json {
                    CLEAR
                } else {
                    ""
                };
                crate::out::write(format!("{clear}{}\n", text.trim_end()).as_bytes())?;
                before = Some(text);
            }
            if !self.watch {
                return Ok(End::Done);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn source(&self) -> Result<Source> {
        let Some(server) = &self.server else {
            return Ok(Source::Here(self.admin.clone()));
        };
        let connect = Connect {
            server: server.clone(),
            credential: self.credential.clone(),
            verbose: false,
        };
        Ok(Source::Provisioner(Client::new(&connect)?))
    }
}

/// Refuses a machine of which no boot is remembered, as one that is not there.
fn must_be_remembered(boots: &BootSessions, mac: MacAddr) -> Result<()> {
    if !boots.sessions.is_empty() {
        return Ok(());
    }
    let reason = Reason::new(
        ReasonCode::UnknownMachine,
        format!("no boots of {mac} are remembered"),
        "groundstate boot ls names the machines that booted; --watch waits for this one",
    )
    .then("nothing: nothing was sent");
    Err(Refused { reason }.into())
}

/// Who is asked.
enum Source {
    Provisioner(Client),
    Here(AdminAddress),
}

impl Source {
    fn boots(&self, mac: Option<MacAddr>) -> Result<BootSessions> {
        let query = mac.map(|mac| format!("?mac={mac}")).unwrap_or_default();
        let path = format!("{}{query}", paths::BOOTS);
        match self {
            Self::Provisioner(client) => client.get(&path),
            Self::Here(address) => {
                let text = ask(address, &path).with_context(|| {
                    format!(
                        "no boot service answers at {address}; is `groundstate pxe-server` running here? For a provisioner's \
                         boots say --server or GROUNDSTATE_SERVER"
                    )
                })?;
                serde_json::from_str(&text).context("the boot service's answer")
            }
        }
    }
}

/// GET from the endpoint of a boot service on this machine.
fn ask(address: &AdminAddress, path: &str) -> Result<String> {
    match address {
        AdminAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, ANSWER_MAX)?;
            stream.set_read_timeout(Some(ANSWER_MAX))?;
            talk(stream, path)
        }
        AdminAddress::Unix(socket) => {
            let stream = UnixStream::connect(socket)?;
            stream.set_read_timeout(Some(ANSWER_MAX))?;
            talk(stream, path)
        }
    }
}

fn talk(mut stream: impl Read + Write, path: &str) -> Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer).context("it answered with something that is no text")?;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        bail!("it answered with something that is not HTTP");
    };
    let status = head.split(' ').nth(1).unwrap_or_default();
    let length = head.lines().filter_map(|line| line.split_once(": "));
    let length = length
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, value)| value.parse::<usize>().ok());
    if status != "200" {
        bail!("it answered {status}: {}", body.trim());
    }
    if length.is_some_and(|length| length != body.len()) {
        bail!("its answer was cut off");
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    struct Answers(Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Answers {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Answers {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_answer_is_taken_whole_or_not_at_all() {
        let talk = |answer: &str| talk(Answers(Cursor::new(answer.into()), vec![]), "/x");
        let whole = talk("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        assert_eq!(whole.unwrap(), "{}");
        for (answer, why) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "cut off"),
            ("HTTP/1.1 400 Bad Request\r\n\r\nmac: no\n", "400: mac: no"),
            ("SSH-2.0-x\r\n", "not HTTP"),
        ] {
            let said = talk(answer).unwrap_err().to_string();
            assert!(said.contains(why), "{said}");
        }
    }
}
