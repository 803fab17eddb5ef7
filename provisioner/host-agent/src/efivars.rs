// SPDX-License-Identifier: Apache-2.0
//! The boot variables that a running host needs: every `Boot####`, and `BootNext`. Nothing else is ever written.
//!
//! The maintenance OS has its own, wider access in `maintenance-os/src/handover/efivars.rs`: one shell never uses
//! another. What the bytes mean stands in `mos_core::efi` for both.

use mos_core::efi::{
    BOOT_CURRENT, BOOT_NEXT, Existing, LoadOption, Variable, boot_number, boot_variable,
    decode_number, encode_number, file_name,
};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
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
    pub fn entries(&self) -> io::Result<Vec<Existing>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            numbers.extend(entry?.file_name().to_str().and_then(boot_number));
        }
        numbers.sort_unstable();
        let read = |number| {
            let option = self.read(&boot_variable(number))?;
            let option = option.and_then(|variable| LoadOption::decode(&variable.data).ok());
            Ok(Existing { number, option })
        };
        numbers.into_iter().map(read).collect()
    }

    /// The option for the next boot only, if one is set.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn next(&self) -> io::Result<Option<u16>> {
        self.number(BOOT_NEXT)
    }

    fn number(&self, name: &str) -> io::Result<Option<u16>> {
        let broken = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let variable = self.read(name)?;
        variable
            .map(|variable| decode_number(&variable.data))
            .transpose()
            .map_err(|e| broken(e.to_string()))
    }

    /// The option that this boot came from, if the firmware says so.
    ///
    /// # Errors
    /// It cannot be read or understood.
    pub fn current(&self) -> io::Result<Option<u16>> {
        self.number(BOOT_CURRENT)
    }

    /// Sets the option for the next boot only, and reads it back.
    ///
    /// # Errors
    /// The firmware did not take it.
    pub fn set_next(&self, number: u16) -> io::Result<()> {
        let path = self.dir.join(file_name(BOOT_NEXT));
        unlock(&path)?;
        // One write call is one SetVariable; efivarfs replaces the whole variable without being truncated first.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        let bytes = Variable::boot(encode_number(number)).encode();
        if file.write(&bytes)? != bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        drop(file);
        match self.next()? {
            Some(back) if back == number => Ok(()),
            other => Err(io::Error::other(format!(
                "BootNext reads {other:?} after {number} was written"
            ))),
        }
    }

    fn read(&self, name: &str) -> io::Result<Option<Variable>> {
        let mut bytes = Vec::new();
        match File::open(self.dir.join(file_name(name))) {
            Ok(file) => file.take(VARIABLE_BYTES_MAX).read_to_end(&mut bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let broken = |error: mos_core::efi::EfiError| {
            io::Error::new(io::ErrorKind::InvalidData, error.to_string())
        };
        Variable::decode(&bytes).map(Some).map_err(broken)
    }
}

/// Takes the immutable flag away, with which Linux guards variables against `rm -rf`.
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
