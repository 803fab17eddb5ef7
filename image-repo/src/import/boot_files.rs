// SPDX-License-Identifier: Apache-2.0
//! What boots a root file system, brought in beside it: each file is looked at before it is taken, because nobody sees on a
//! node's screen which of three files was mixed up.

use super::BootPaths;
use crate::error::RepoError;
use crate::repository::Repository;
use crate::store::{Importing, Kind};
use groundstate_api::image::{Architecture, Blob, BootFiles};
use groundstate_api::{Bytes, Digest};
use image_core::boot_file::{BootFile, HEAD};
use image_core::facts::{FactsError, Machine};
use image_core::limits::BLOB_MAX;
use sha2::Digest as _;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

/// What is read of a blob at once.
const PIECE: usize = 1 << 20;

impl Repository {
    /// Stores the three files. Kernel and boot loader must be for the same machine, and for the stated one.
    pub(super) fn import_boot(
        &self,
        importing: &Importing,
        boot: &BootPaths<'_>,
        stated: Option<Architecture>,
    ) -> Result<BootFiles, RepoError> {
        let (kernel, of_kernel) = self.import_blob(importing, boot.kernel, BootFile::Kernel)?;
        let (initrd, _) = self.import_blob(importing, boot.initrd, BootFile::Initrd)?;
        let (boot_loader, of_loader) =
            self.import_blob(importing, boot.boot_loader, BootFile::BootLoader)?;
        if let (Some(of_kernel), Some(of_loader)) = (of_kernel, of_loader)
            && of_kernel != of_loader
        {
            return Err(RepoError::BootMachines {
                kernel: boot.kernel.to_path_buf(),
                of_kernel,
                loader: boot.boot_loader.to_path_buf(),
                of_loader,
            });
        }
        if let (Some(stated), Some(found)) = (stated, of_loader)
            && found.architecture() != Some(stated)
        {
            let stated = Machine::from(stated);
            return Err(FactsError::Architecture { stated, found }.into());
        }
        Ok(BootFiles {
            kernel,
            initrd,
            boot_loader,
            cmdline: boot.cmdline.into(),
        })
    }

    fn import_blob(
        &self,
        importing: &Importing,
        path: &Path,
        file: BootFile,
    ) -> Result<(Blob, Option<Machine>), RepoError> {
        let mut from = File::open(path).map_err(RepoError::file("opened", path))?;
        let mut draft = importing.draft()?;
        let mut hash = sha2::Sha256::new();
        let mut piece = vec![0; PIECE];
        let mut head = Vec::with_capacity(HEAD);
        let mut length = 0u64;
        loop {
            let count = match from.read(&mut piece) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.map_err(RepoError::file("read", path))?,
            };
            if count == 0 {
                break;
            }
            length += count as u64;
            if length > BLOB_MAX.0 {
                return Err(RepoError::BlobTooLarge {
                    path: path.to_path_buf(),
                    max: BLOB_MAX,
                });
            }
            head.extend(piece[..count].iter().take(HEAD - head.len()));
            hash.update(&piece[..count]);
            draft.write(&piece[..count])?;
        }
        let machine = file
            .check(&head, length)
            .map_err(|source| RepoError::BootFile {
                path: path.to_path_buf(),
                source,
            })?;
        let digest = Digest(hash.finalize().into());
        let place = self.store.path(Kind::Blob, &digest);
        // One that is there and right stays: an image that was proved with it stays proved.
        let there = crate::verify::hash(&place, Bytes(length));
        if !there.is_ok_and(|found| found == (Bytes(length), digest)) {
            draft.replace(&place)?;
        }
        let blob = Blob {
            length: Bytes(length),
            digest,
        };
        Ok((blob, machine))
    }
}
