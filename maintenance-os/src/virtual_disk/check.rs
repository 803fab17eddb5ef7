// SPDX-License-Identifier: Apache-2.0
//! Looks at all of a virtual disk's file, and at its chain of parents, and lists what is wrong.

use super::chain::{self, Parents};
use super::disk::Format;
use super::error::VirtualDiskError;
use super::file::DiskFile;
use super::vhdx_chain;
use mos_core::vhd;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaultLine {
    /// A stable word for programs.
    pub code: String,
    /// A sentence for people.
    pub what: String,
    /// Every byte of the disk is read the same in spite of it, by whoever reads it.
    pub harmless: bool,
}

/// What was looked at and found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// What is wrong; nothing where it is sound.
    pub faults: Vec<FaultLine>,
}

impl Checked {
    /// Whether nothing is wrong, or only what harms nothing.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        are_harmless(&self.faults)
    }
}

fn are_harmless(faults: &[FaultLine]) -> bool {
    faults.iter().all(|fault| fault.harmless)
}

/// Checks the file. A parent that is missing or wrong is a fault, too.
///
/// # Errors
/// Where the file is no virtual disk at all or cannot be read.
pub fn check(
    path: &Path,
    stated: Option<Format>,
    parents: &Parents,
) -> Result<Checked, VirtualDiskError> {
    let format = Format::of(path, stated)?;
    let mut faults = Vec::new();
    match format {
        Format::Raw => {
            return Err(VirtualDiskError::Usage {
                what: "a raw disk has nothing to check: any bytes are one",
            });
        }
        Format::Vhd => {
            let file = DiskFile::open(path, false);
            let file = file
                .map_err(VirtualDiskError::io("opening", path))?
                .ok_or_else(|| VirtualDiskError::NotAFile {
                    path: path.to_path_buf(),
                })?;
            match vhd::check(file).map_err(VirtualDiskError::vhd("reading", path)) {
                Ok(found) => faults.extend(found.iter().map(|fault| FaultLine {
                    code: fault.code().to_owned(),
                    what: fault.to_string(),
                    harmless: matches!(fault, vhd::Fault::Surplus { .. }),
                })),
                Err(error) => faults.push(refusal(error)?),
            }
            if are_harmless(&faults)
                && let Err(error) = chain::open_chain(path, parents)
            {
                faults.push(chain_fault(error)?);
            }
        }
        Format::Vhdx => match vhdx_chain::open_alone(path) {
            Ok(mut disk) => {
                let found = disk.check().map_err(VirtualDiskError::vhdx(path))?;
                faults.extend(found.iter().map(|fault| {
                    FaultLine {
                        code: if fault.is_harmless() {
                            "vhdx-harmless"
                        } else {
                            "vhdx"
                        }
                        .to_owned(),
                        what: fault.to_string(),
                        harmless: fault.is_harmless(),
                    }
                }));
                if are_harmless(&faults)
                    && let Err(error) = vhdx_chain::open_chain(path, parents)
                {
                    faults.push(chain_fault(error)?);
                }
            }
            Err(error) => faults.push(refusal(error)?),
        },
    }
    Ok(Checked {
        path: path.to_path_buf(),
        format,
        faults,
    })
}

/// What is refused by name is a fault of the file; what the kernel says is not.
fn refusal(error: VirtualDiskError) -> Result<FaultLine, VirtualDiskError> {
    let what = match &error {
        VirtualDiskError::Vhd { why, .. } => why.to_string(),
        VirtualDiskError::Vhdx { why, .. } => why.to_string(),
        _ => return Err(error),
    };
    let code = "not-readable".to_owned();
    Ok(FaultLine {
        code,
        what,
        harmless: false,
    })
}

fn chain_fault(error: VirtualDiskError) -> Result<FaultLine, VirtualDiskError> {
    if matches!(error, VirtualDiskError::Io { .. }) {
        return Err(error);
    }
    Ok(FaultLine {
        code: "parent".to_owned(),
        what: error.to_string(),
        harmless: false,
    })
}
