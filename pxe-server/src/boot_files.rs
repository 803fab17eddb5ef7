// SPDX-License-Identifier: Apache-2.0
//! The boot image of this site: the build's parts with the site's `boot.json` in the initramfs, as kernel and initramfs
//! for iPXE and as one unified kernel image for UEFI HTTP Boot.
//!
//! Same parts and same site: same bytes. A copy lies in a folder so that a person can look; what is served is in memory.

use crate::assets::Assets;
use crate::boot_dir::BootDir;
use crate::boot_iso::{BootIsoError, ISO, boot_iso};
use crate::content::Content;
use groundstate_api::boot::{BOOT_CONFIG_PATH, BootConfig};
use hyper::body::Bytes;
use pxe_core::cpio::{self, Archive, CpioError};
use pxe_core::names::{INITRD, KERNEL, SNPONLY, UKI, UNDIONLY, plain};
use pxe_core::script::CommandLine;
use pxe_core::uki::{self, Section, UkiError};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What systemd's stub shows of the image (os-release(5)).
const OS_RELEASE: &str =
    "ID=groundstate\nNAME=\"Groundstate\"\nPRETTY_NAME=\"Groundstate maintenance OS\"\n";

/// The files that are served, by exact name; cheap to clone.
#[derive(Clone, Debug)]
pub struct BootFiles {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: BTreeMap<&'static str, Bytes>,
    folder: Option<Arc<BootDir>>,
    command_line: CommandLine,
}

impl BootFiles {
    /// The files of a folder; the command line is for the maintenance OS, where that lies in the folder.
    #[must_use]
    pub fn of_folder(folder: Arc<BootDir>, command_line: CommandLine) -> Self {
        let folder = Some(folder);
        Self {
            inner: Arc::new(Inner {
                files: BTreeMap::new(),
                folder,
                command_line,
            }),
        }
    }

    /// The same, with the files of a folder beside them. The boot image's own names stay its own.
    #[must_use]
    pub fn with_folder(&self, folder: Arc<BootDir>) -> Self {
        let folder = Some(folder);
        Self {
            inner: Arc::new(Inner {
                files: self.inner.files.clone(),
                folder,
                command_line: self.inner.command_line.clone(),
            }),
        }
    }

    /// The same, with the boot image as an ISO beside it, for the virtual drives of BMCs. It is kept in memory.
    ///
    /// # Errors
    /// Where there is no boot image, or it does not fit.
    pub fn with_iso(&self) -> Result<Self, BootIsoError> {
        let uki = self.inner.files.get(UKI).map_or(&[][..], |uki| uki);
        let mut files = self.inner.files.clone();
        files.insert(ISO, boot_iso(uki)?.into());
        Ok(Self {
            inner: Arc::new(Inner {
                files,
                folder: self.inner.folder.clone(),
                command_line: self.inner.command_line.clone(),
            }),
        })
    }

    /// What is served under a name, as a client may write it (slashes at its beginning and repeated ones mean nothing),
    /// if there is a file of that name.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<Content> {
        if let Some(bytes) = self.inner.files.get(name) {
            return Some(Content::Memory(bytes.clone()));
        }
        if let Some(bytes) = plain(name).and_then(|name| self.inner.files.get(name.as_str())) {
            return Some(Content::Memory(bytes.clone()));
        }
        self.inner.folder.as_ref()?.file(name)
    }

    /// What lies in the folder and is not had where one would look for it: by a name of the boot image, or by one that
    /// means something else besides. In words, each with what to do.
    #[must_use]
    pub fn hidden(&self) -> Vec<String> {
        let Some(folder) = &self.inner.folder else {
            return Vec::new();
        };
        let ours = |name: &str| self.inner.files.contains_key(name);
        let names = self.inner.files.keys().filter(|name| folder.has(name));
        let lost = names.map(|name| {
            format!("{name} is never served: the boot image has a file of this name; give the other one another name")
        });
        lost.chain(folder.hidden_among(&ours)).collect()
    }

    /// The kernel command line of the boot image.
    #[must_use]
    pub fn command_line(&self) -> &CommandLine {
        &self.inner.command_line
    }
}

/// Why the boot image cannot be assembled.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// The site's `boot.json` cannot be written.
    #[error("the boot configuration cannot be written as JSON: {0}")]
    Config(#[from] serde_json::Error),
    /// The initramfs cannot be extended.
    #[error("the initramfs cannot be extended: {0}")]
    Initrd(#[from] CpioError),
    /// The unified kernel image cannot be made.
    #[error("the unified kernel image cannot be made: {0}")]
    Uki(#[from] UkiError),
    /// The copy cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Assembles the site's boot image, and leaves a copy of `groundstate.efi` and `initrd.img` in `out_dir` (written only
/// where it differs).
///
/// # Errors
/// A stub without room, or a folder that cannot be written.
pub fn assemble(
    assets: &Assets,
    config: &BootConfig,
    out_dir: &Path,
) -> Result<BootFiles, AssembleError> {
    let mut json = serde_json::to_vec_pretty(config)?;
    json.push(b'\n');
    let mut archive = Archive::new();
    archive.file(BOOT_CONFIG_PATH.trim_start_matches('/'), 0o644, &json)?;
    // The kernel takes one archive after the other where each begins at a multiple of four bytes.
    let mut initrd = assets.initrd_base.clone();
    cpio::pad(&mut initrd);
    initrd.extend_from_slice(&archive.write());
    let image = uki::assemble(
        &assets.stub,
        &[
            Section {
                name: ".osrel",
                bytes: OS_RELEASE.as_bytes(),
            },
            Section {
                name: ".cmdline",
                bytes: assets.command_line.as_str().as_bytes(),
            },
            Section {
                name: ".uname",
                bytes: assets.uname.as_bytes(),
            },
            Section {
                name: ".initrd",
                bytes: &initrd,
            },
            Section {
                name: ".linux",
                bytes: &assets.kernel,
            },
        ],
    )?;
    for (name, bytes) in [(UKI, &image), (INITRD, &initrd)] {
        let path = out_dir.join(name);
        write_copy(&path, bytes).map_err(|source| AssembleError::Write { path, source })?;
    }
    let files = BTreeMap::from([
        (UKI, image.into()),
        (INITRD, initrd.into()),
        (KERNEL, assets.kernel.clone()),
        (UNDIONLY, assets.undionly.clone()),
        (SNPONLY, assets.snponly.clone()),
    ]);
    Ok(BootFiles {
        inner: Arc::new(Inner {
            files,
            folder: None,
            command_line: assets.command_line.clone(),
        }),
    })
}

/// Writes beside the file and renames over it, so that the file is the old one or the new one, whole.
fn write_copy(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, bytes)?;
    std::fs::rename(&fresh, path)
}

#[cfg(test)]
mod signed;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_of_the_folder_that_the_boot_image_hides_is_told_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in [KERNEL, "boot/vmlinuz", "metrics", "own.efi"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "the folder's").unwrap();
        }
        let folder = Arc::new(BootDir::open(dir.path()).unwrap());
        let ours = BootFiles {
            inner: Arc::new(Inner {
                files: BTreeMap::from([(KERNEL, Bytes::from_static(b"ours"))]),
                folder: None,
                command_line: CommandLine::default(),
            }),
        };
        assert_eq!(ours.hidden(), Vec::<String>::new());
        let both = ours.with_folder(folder);
        let told = both.hidden();
        let told: Vec<_> = told
            .iter()
            .filter_map(|line| line.split(':').next())
            .collect();
        let expected = [
            "vmlinuz is never served",
            "boot/vmlinuz is not at /boot/vmlinuz by HTTP",
            "metrics is not at /metrics by HTTP",
        ];
        assert_eq!(told, expected);
        let bytes = |name| match both.file(name) {
            Some(Content::Memory(bytes)) => bytes,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(bytes(KERNEL), "ours");
        assert!(matches!(
            both.file("boot/vmlinuz"),
            Some(Content::Disk { .. })
        ));
    }

    #[test]
    fn a_copy_that_cannot_be_written_whole_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(UKI);
        let fresh = path.with_extension("new");
        write_copy(&path, b"old").unwrap();
        // What a write that was cut short has left does not matter,
        fs::write(&fresh, b"ne").unwrap();
        write_copy(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert!(!fresh.exists());
        // and one that fails leaves the file as it was.
        fs::create_dir(&fresh).unwrap();
        write_copy(&path, b"newer").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
