// SPDX-License-Identifier: Apache-2.0
//! Where the leases are kept, where nobody says.

use crate::up::say;
use anyhow::{Context as _, Result};
use std::env::var_os;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a service of the system keeps its state.
const SYSTEM: &str = "/var/lib/groundstate";

/// The folder that was named; else the system's; else, for somebody who may not write there, their own, which is said.
pub(super) fn choose(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        make(named)?;
        return Ok(named.to_owned());
    }
    let system = Path::new(SYSTEM);
    let Err(error) = make(system) else {
        return Ok(system.to_owned());
    };
    let own = own();
    make(&own)?;
    say(&format!(
        "NOTE        leases are kept in {} ({error:#}); --state-dir says another place",
        own.display()
    ));
    Ok(own)
}

/// The folder that `--explain` reads: as [`choose`], without making any.
pub(super) fn find(named: Option<&Path>) -> PathBuf {
    let system = PathBuf::from(SYSTEM);
    let readable = |path: &Path| path.is_dir();
    match named {
        Some(named) => named.to_owned(),
        None if !readable(&system) && readable(&own()) => own(),
        None => system,
    }
}

fn own() -> PathBuf {
    let below = |name: &str| {
        var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state =
        below("XDG_STATE_HOME").or_else(|| below("HOME").map(|home| home.join(".local/state")));
    let user = nix::unistd::getuid();
    state.map_or_else(
        || std::env::temp_dir().join(format!("groundstate-{user}")),
        |state| state.join("groundstate"),
    )
}

/// A folder that files can be made in.
fn make(path: &Path) -> Result<()> {
    let what = || format!("cannot write to {}", path.display());
    fs::create_dir_all(path).with_context(what)?;
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).with_context(what)
}
