// SPDX-License-Identifier: Apache-2.0
//! A state directory belongs to one `groundstate up` at a time. Who starts locks it before the journal is opened or anything is
//! written: a second one would put its site into the journal of the one that runs, which then may not write any more.
//!
//! The lock (`flock`) ends with the process, however that ends. Commands that only read never ask for it.

use anyhow::{Context as _, Result, bail};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// The locked file in the state directory; it holds the process that locked it, as text.
const NAME: &str = "lock";
/// What is read of it, in bytes: a process number has at most ten digits.
const READ_MAX: u64 = 16;

/// A state directory that is ours, until this is dropped.
pub(super) struct Hold {
    _file: File,
}

impl Hold {
    /// Takes the state directory, and makes it where there is none. `site` is the site file, for the advice.
    ///
    /// # Errors
    /// Another `groundstate up` has it: which process, and what to do. Or it cannot be written to, or locked.
    pub(super) fn take(state_dir: &Path, site: &Path) -> Result<Self> {
        let path = state_dir.join(NAME);
        let cannot = |what: &str| format!("{}: the lock cannot be {what}", path.display());
        fs::create_dir_all(state_dir).with_context(|| {
            let dir = state_dir.display();
            if state_dir.exists() {
                format!("{dir} is no folder; --state-dir names the one for journal, certificates, images and leases")
            } else {
                format!("the state directory {dir} cannot be made")
            }
        })?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .with_context(|| cannot("opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(taken(state_dir, site, holder(&file))),
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| cannot("taken")),
        }
        write(&mut file).with_context(|| cannot("written"))?;
        Ok(Self { _file: file })
    }
}

fn write(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

/// The process that wrote itself down, where that one is still there: who has just taken the lock may not have done so yet.
fn holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(READ_MAX).read_to_string(&mut text).ok()?;
    let process = text.trim().parse().ok()?;
    let is_there = Path::new("/proc").join(text.trim()).exists();
    is_there.then_some(process)
}

fn taken(state_dir: &Path, site: &Path, holder: Option<u32>) -> String {
    let (dir, site) = (state_dir.display(), site.display());
    let (who, end) = match holder {
        Some(process) => (format!("process {process}"), format!(" (kill {process})")),
        None => ("another process".to_owned(), String::new()),
    };
    format!(
        "{dir} is the state directory of a groundstate up that runs: {who}. Nothing was opened or changed\n  do now: for another site file, groundstate apply {site}; to start again, end that one first{end}\n      or: give this one a state directory of its own: --state-dir DIR"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_at_a_time_and_the_other_is_told_who() {
        let dir = tempfile::tempdir().unwrap();
        let (state, site) = (dir.path().join("new/state"), Path::new("site.toml"));
        let first = Hold::take(&state, site).unwrap();
        let said = Hold::take(&state, site).err().unwrap().to_string();
        let process = std::process::id();
        for wants in [
            format!("{} is the state directory", state.display()),
            format!("process {process}. "),
            "groundstate apply site.toml".to_owned(),
            format!("(kill {process})"),
            "--state-dir DIR".to_owned(),
        ] {
            assert!(said.contains(&wants), "{wants}: {said}");
        }
        drop(first);
        let again = Hold::take(&state, site).unwrap();
        // What stands there is of nobody that can be: it is not named.
        fs::write(state.join(NAME), "4294967295\n").unwrap();
        let said = Hold::take(&state, site).err().unwrap().to_string();
        assert!(
            said.contains("another process") && !said.contains("(kill"),
            "{said}"
        );
        drop(again);
    }
}
