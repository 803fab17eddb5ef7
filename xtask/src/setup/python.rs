// SPDX-License-Identifier: Apache-2.0
//! Peers of the tests that are Python packages and that Debian does not have: in a folder of their own below `target/groundstate/`.
//!
//! Nothing else needs them: where they cannot be fetched, the tests against them are skipped and say so.

use crate::command::{command, run};
use crate::layout::Layout;
use crate::progress::note;
use std::fs;
use std::path::Path;

/// The packages, each in the version that was tried.
const PACKAGES: &[&str] = &[
    // sushy-emulator: a Redfish service.
    "sushy-tools==2.2.0",
    // fakebmc: an IPMI 2.0 BMC.
    "pyghmi==1.6.19",
    // Calls the API by its description, with what nobody would send in good faith.
    "schemathesis==4.32.5",
    // Judges the description.
    "openapi-spec-validator==0.9.0",
    // moto_server: an object store that checks signatures.
    "moto[s3]==5.2.1",
    "flask-cors==6.0.5",
];
/// Holds the list that was installed last.
const STAMP: &str = "groundstate-peers.txt";

/// Makes the folder, or brings it up to the list.
pub(crate) fn peers(layout: &Layout) {
    let folder = layout.made("peers/python");
    let list = PACKAGES.join("\n");
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|installed| installed == list) {
        return;
    }
    match install(&folder).and_then(|()| Ok(fs::write(folder.join(STAMP), list)?)) {
        Ok(()) => note(&format!(
            "set-up: Python peers of the tests are in {}",
            folder.display()
        )),
        Err(error) => note(&format!(
            "set-up: no Python peers ({error:#}); tests against sushy-emulator, fakebmc and moto are skipped"
        )),
    }
}

fn install(folder: &Path) -> anyhow::Result<()> {
    run(command("python3", ["-m", "venv"]).arg(folder))?;
    run(command(
        folder.join("bin/pip"),
        ["install", "--quiet", "--disable-pip-version-check"],
    )
    .args(PACKAGES))
}
