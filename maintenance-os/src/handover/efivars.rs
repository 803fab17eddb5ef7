// SPDX-License-Identifier: Apache-2.0
//! The firmware's global boot variables through Linux's `efivarfs`, or a directory of the same form.
//!
//! It reads and writes whole variables and decides nothing; `mos_core::efi` does.

use groundstate_api::{Reason, ReasonCode};
use mos_core::efi::{
    BOOT_ORDER, Existing, LoadOption, Variable, boot_number, boot_variable, decode_order, file_name,
};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The largest variable that is read; firmware variables end at 64 KiB at the latest.
const VARIABLE_BYTES_MAX: u64 = 64 * 1024;

/// A mounted efivarfs.
#[derive(Debug)]
pub struct EfiVars {
    dir: PathBuf,
}

impl EfiVars {
    /// The variables in `dir`.
    #[must_use]
    pub fn at(dir: &Path) -> Self {
        Self {
            dir: dir.to_path_buf(),
        }
    }

    /// Every `Boot####` variable, by number.
    ///
    /// # Errors
    /// The directory or a variable cannot be read.
    pub fn entries(&self) -> Result<Vec<Existing>, Reason> {
        let list = || -> io::Result<Vec<u16>> {
            let mut numbers = Vec::new();
            for entry in fs::read_dir(&self.dir)? {
                numbers.extend(entry?.file_name().to_str().and_then(boot_number));
            }
            numbers.sort_unstable();
            Ok(numbers)
        };
        let numbers = list().map_err(|error| refused("listed", &self.dir, &error))?;
        let mut entries = Vec::new();
        for number in numbers {
            let variable = self.read(&boot_variable(number))?;
            let option = variable.and_then(|variable| LoadOption::decode(&variable.data).ok());
            entries.push(Existing { number, option });
        }
        Ok(entries)
    }

    /// The boot order; empty where the firmware has none.
    ///
    /// # Errors
    /// It cannot be read, or is not a list of numbers.
    pub fn order(&self) -> Result<Vec<u16>, Reason> {
        let Some(variable) = self.read(BOOT_ORDER)? else {
            return Ok(Vec::new());
        };
        decode_order(&variable.data).map_err(|error| {
            let broken = io::Error::new(io::ErrorKind::InvalidData, error.to_string());
            refused("understood", &self.path(BOOT_ORDER), &broken)
        })
    }

    /// The variable `name`; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Variable>, Reason> {
        let path = self.path(name);
        let mut bytes = Vec::new();
        match File::open(&path)
            .and_then(|file| file.take(VARIABLE_BYTES_MAX).read_to_end(&mut bytes))
        {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refused("read", &path, &error)),
        }
        Variable::decode(&bytes).map(Some).map_err(|error| {
            refused(
                "understood",
                &path,
                &io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
            )
        })
    }

    /// Writes the variable `name` unless it says so already, and reads it back.
    ///
    /// # Errors
    /// The firmware did not take it, or says something else afterwards.
    pub fn write(&self, name: &str, variable: &Variable) -> Result<(), Reason> {
        if self.read(name)?.as_ref() == Some(variable) {
            return Ok(());
        }
        let path = self.path(name);
        let write = || -> io::Result<()> {
            unlock(&path)?;
            // One write call is one SetVariable; efivarfs replaces the whole variable without being truncated first.
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644)
                .open(&path)?;
            let bytes = variable.encode();
            let written = file.write(&bytes)?;
            if written == bytes.len() {
                Ok(())
            } else {
                Err(io::ErrorKind::WriteZero.into())
            }
        };
        write().map_err(|error| refused("written", &path, &error))?;
        if self.read(name)?.as_ref() == Some(variable) {
            return Ok(());
        }
        let other = io::Error::new(
            io::ErrorKind::InvalidData,
            "the firmware says something else when read back",
        );
        Err(refused("written", &path, &other))
    }

    /// Deletes the variable `name`; one that is not there is fine.
    ///
    /// # Errors
    /// The firmware did not delete it.
    pub fn delete(&self, name: &str) -> Result<(), Reason> {
        let path = self.path(name);
        match unlock(&path).and_then(|()| fs::remove_file(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(refused("deleted", &path, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(file_name(name))
    }
}

/// Takes the immutable flag away, with which Linux guards variables against `rm -rf`. Boot variables usually have none.
fn unlock(path: &Path) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // A directory of the same form on another file system may know no flags: then there is none to take away.
    let Ok(flags) = ioctl_getflags(&file) else {
        return Ok(());
    };
    if flags.contains(IFlags::IMMUTABLE) {
        ioctl_setflags(&file, flags.difference(IFlags::IMMUTABLE))?;
    }
    Ok(())
}

fn refused(what: &str, path: &Path, error: &io::Error) -> Reason {
    let next = match error.kind() {
        io::ErrorKind::StorageFull => {
            "free space in the firmware's variable storage: delete old boot entries in its set-up, then order the run again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "allow the operating system to write boot entries in the firmware's set-up, then order the run again"
        }
        _ => {
            "look at the firmware's set-up and its version; the disk itself also starts by its fallback path"
        }
    };
    Reason::new(
        ReasonCode::HandOverFailed,
        format!(
            "the firmware's variable {} could not be {what}",
            path.display()
        ),
        next,
    )
    .seen(error.to_string())
}
