// SPDX-License-Identifier: Apache-2.0
//! Clients that fetch one file by TFTP or HTTP.

use super::ground::{Client, Ground, SERVER, read, run};
use super::row::{Outcome, Row};
use crate::rack::Parts;
use anyhow::{Result, ensure};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::process::Command;

/// The file that they fetch: no multiple of any block size.
pub(super) const FILE: &str = "rack/one.bin";
/// Its length in bytes: enough blocks of 512 for a client to go astray.
pub(super) const LENGTH: usize = 3_000_001;
/// What each of them is given as its own address.
const ADDRESS: &str = "10.77.0.20/24";

/// A program that fetches.
struct Fetcher {
    client: &'static str,
    package: &'static str,
    program: &'static str,
    did: &'static str,
    arguments: fn() -> Vec<String>,
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

const ALL: [Fetcher; 7] = [
    Fetcher {
        client: "tftp-hpa",
        package: "tftp-hpa",
        program: "tftp",
        did: "TFTP, no options",
        arguments: || words(&format!("-m binary {SERVER} -c get {FILE} out")),
    },
    Fetcher {
        client: "atftp",
        package: "atftp",
        program: "atftp",
        did: "TFTP, blksize 1428, windowsize 8",
        arguments: || {
            let mut all = words("--option");
            all.push("blksize 1428".into());
            all.push("--option".into());
            all.push("windowsize 8".into());
            all.extend(words(&format!("-g -r {FILE} -l out {SERVER}")));
            all
        },
    },
    Fetcher {
        client: "curl",
        package: "curl",
        program: "curl",
        did: "TFTP, blksize 1468, tsize",
        arguments: || {
            words(&format!(
                "-sS --tftp-blksize 1468 -o out tftp://{SERVER}/{FILE}"
            ))
        },
    },
    Fetcher {
        client: "busybox tftp",
        package: "busybox-static",
        program: "busybox",
        did: "TFTP, blksize 1400",
        arguments: || words(&format!("tftp -g -b 1400 -r {FILE} -l out {SERVER}")),
    },
    Fetcher {
        client: "curl",
        package: "curl",
        program: "curl",
        did: "HTTP/1.1",
        arguments: || words(&format!("-sS -f -o out http://{SERVER}/{FILE}")),
    },
    Fetcher {
        client: "curl",
        package: "curl",
        program: "curl",
        did: "HTTP/1.0, doubled slashes",
        arguments: || words(&format!("-sS -f --http1.0 -o out http://{SERVER}//{FILE}")),
    },
    Fetcher {
        client: "busybox wget",
        package: "busybox-static",
        program: "busybox",
        did: "HTTP/1.1",
        arguments: || words(&format!("wget -q -O out http://{SERVER}/{FILE}")),
    },
];

/// The file's bytes: the same at every run.
pub(super) fn bytes() -> Vec<u8> {
    (0u64..)
        .flat_map(|n| Sha256::digest(n.to_le_bytes()))
        .take(LENGTH)
        .collect()
}

/// Every fetcher's row.
pub(super) fn rows(ground: &mut Ground) -> Result<Vec<Row>> {
    ground.serve(&["--pool", super::ground::POOL])?;
    let mut rows = Vec::new();
    for (number, fetcher) in ALL.iter().enumerate() {
        rows.push(row(ground, number, fetcher)?);
    }
    Ok(rows)
}

fn row(ground: &mut Ground, number: usize, fetcher: &Fetcher) -> Result<Row> {
    let Ok(program) = Parts::program(fetcher.program, fetcher.package) else {
        let why = format!("install the Debian package {}", fetcher.package);
        return Ok(Row::bare(
            fetcher.client,
            fetcher.did,
            Outcome::NotTried(why),
        ));
    };
    let client = ground.client()?;
    client.address("eth0", ADDRESS)?;
    let folder = ground.folder.join(format!("fetch-{number}"));
    fs::create_dir_all(&folder)?;
    let out = folder.join("out");
    if out.exists() {
        fs::remove_file(&out)?;
    }
    let capture = ground.capture(&client.port(), &format!("fetch-{number}"))?;
    let mut command = command(&client, &program.display().to_string());
    command.args((fetcher.arguments)()).current_dir(&folder);
    let ran = run(&mut command);
    let wire = read(capture)?;
    let checked = ran.and_then(|_| {
        let expected = bytes();
        let got = fs::read(&out)?;
        ensure!(
            got.len() == LENGTH,
            "it has {} bytes of {LENGTH}",
            got.len()
        );
        ensure!(got == expected, "what it has differs from the file");
        let sha256 = groundstate_api::Digest::of(&expected).hex();
        ensure!(
            wire.fetched
                .last()
                .is_some_and(|file| file.sha256 == sha256 && file.length == LENGTH),
            "the packets show {:?}",
            wire.fetched
        );
        Ok(())
    });
    let outcome = match checked {
        Ok(()) => Outcome::Well(format!("{LENGTH} bytes")),
        Err(error) => Outcome::Failed(format!("{error:#}")),
    };
    Ok(Row::new(fetcher.client, fetcher.did, &wire, outcome))
}

fn command(client: &Client, program: &str) -> Command {
    client.command(program)
}
