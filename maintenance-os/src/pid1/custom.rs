// SPDX-License-Identifier: Apache-2.0
//! Puts what the host gets of its own into the file systems that were just written, and reads it back.
//!
//! A secret is fetched with the run's key when it is put there, is held in memory until then, and is told to nobody.

use super::call::Refusal;
use super::workshop::Workshop;
use crate::customise::{Expected, Extent, prove, put};
use crate::disk::{FILES_MAX, on_os_disk};
use groundstate_api::customise::{Encoded, FileBytes, PlannedContent, PlannedFile, SITE_FILE_MAX};
use groundstate_api::plan::Plan;
use groundstate_api::{Digest, Reason, ReasonCode, paths};
use mos_core::customise::{Fs, NewFile, Placement, names_no_old_guid, new_file};
use mos_core::guid::Guid;
use mos_core::phases::Event;
use std::path::Path;
use std::time::Duration;

/// Bytes that are held before they are put: eight of the largest files, in a process that has 64 MiB.
const HELD_MAX: usize = 8 << 20;
/// Between two tries to get a file: the report that the step began may still be on its way to the provisioner.
const RETRY: Duration = Duration::from_secs(1);

impl Workshop {
    /// Puts the plan's files into the partitions of `disk`, whose extents are given, and proves them. For a root file system
    /// `disk` is its partition, and the only extent has number 0. A file that names one of the `old` GUIDs, which the disk
    /// does not have any more, is refused.
    pub(super) fn place_files(
        &self,
        plan: &Plan,
        disk: &Path,
        (extents, old): (&[Extent], &[Guid]),
    ) -> Result<Vec<String>, Reason> {
        let (mut facts, mut expected) = (Vec::new(), Vec::new());
        let mut held: Vec<Placement> = Vec::new();
        let mut bytes = 0;
        for (index, planned) in plan.files.iter().enumerate() {
            let file = new_file(planned, self.contents(planned)?).map_err(|why| why.reason())?;
            names_no_old_guid(old.iter().copied(), &file).map_err(|why| why.reason())?;
            let fs = Fs::from(planned.fs);
            expected.push(Expected::of(planned.partition, fs, &file));
            bytes += file.contents.len();
            hold(&mut held, planned.partition, fs, file);
            if bytes >= HELD_MAX || index + 1 == plan.files.len() {
                let (disk, extents) = (disk.to_owned(), extents.to_vec());
                let now = std::mem::take(&mut held);
                bytes = 0;
                facts.extend(on_os_disk(
                    plan,
                    FILES_MAX,
                    "putting the host's own files",
                    move || put(&disk, &extents, &now),
                )?);
            }
        }
        if !expected.is_empty() {
            let (disk, extents) = (disk.to_owned(), extents.to_vec());
            facts.push(on_os_disk(
                plan,
                FILES_MAX,
                "reading the host's own files back",
                move || prove(&disk, &extents, &expected),
            )?);
        }
        Ok(facts)
    }

    /// A file's bytes, as the plan says: here, or at the provisioner, which is waited for.
    fn contents(&self, file: &PlannedFile) -> Result<Vec<u8>, Reason> {
        let (path, wanted) = match &file.content {
            PlannedContent::Inline { text } => return Ok(text.clone().into_bytes()),
            PlannedContent::Stored { digest, .. } => {
                let path = paths::RUN_FILE.replace("{digest}", &digest.hex());
                (path, Some(*digest))
            }
            PlannedContent::Credential { from } => {
                (paths::RUN_CREDENTIAL.replace("{name}", from), None)
            }
        };
        let bytes = loop {
            match self.provisioner.get::<FileBytes>(&path) {
                Ok(FileBytes {
                    base64: Encoded(bytes),
                }) => break bytes,
                Err(Refusal::Said(reason)) => return Err(reason),
                Err(Refusal::NoAnswer(reason)) => self.tell(Event::StepWaiting { reason }),
            }
            std::thread::sleep(RETRY);
        };
        check(file, wanted, &bytes)?;
        Ok(bytes)
    }
}

fn hold(held: &mut Vec<Placement>, number: u32, fs: Fs, file: NewFile) {
    match held.iter_mut().find(|one| one.number == number) {
        Some(one) => one.files.push(file),
        None => held.push(Placement {
            number,
            fs,
            files: vec![file],
        }),
    }
}

/// Whether these are the bytes that the plan names.
fn check(file: &PlannedFile, wanted: Option<Digest>, bytes: &[u8]) -> Result<(), Reason> {
    let refused = |seen: String| {
        Reason::new(
            ReasonCode::PlanRefused,
            format!(
                "what the provisioner gave for {} is not what the plan names",
                file.path
            ),
            "apply the site again (groundstate apply), then order again",
        )
        .seen(seen)
    };
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length > SITE_FILE_MAX.0 {
        return Err(refused(format!(
            "{length} bytes; {SITE_FILE_MAX} is the most"
        )));
    }
    match wanted {
        Some(digest) if Digest::of(bytes) != digest => Err(refused(format!(
            "the plan says {digest}, and came {}",
            Digest::of(bytes)
        ))),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::Bytes;
    use groundstate_api::customise::FileFs;

    #[test]
    fn other_bytes_than_the_plan_names_are_put_nowhere() {
        let digest = Digest::of(b"right");
        let file = PlannedFile {
            partition: 0,
            fs: FileFs::Ext4,
            path: "/etc/motd".to_owned(),
            mode: 0o644,
            owner: 0,
            group: 0,
            folder_mode: 0o755,
            content: PlannedContent::Stored {
                digest,
                size: Bytes(5),
            },
        };
        check(&file, Some(digest), b"right").unwrap();
        let reason = check(&file, Some(digest), b"wrong").unwrap_err();
        assert!(reason.lines().join(" ").contains("/etc/motd"), "{reason}");
        let large = vec![0; usize::try_from(SITE_FILE_MAX.0).unwrap() + 1];
        check(&file, None, &large).unwrap_err();
    }
}
