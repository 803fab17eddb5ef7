// SPDX-License-Identifier: Apache-2.0
//! What a plan must know of an image of a whole disk and its manifest does not say: by what its own table is known again.
//! An image whose table cannot be fitted to any disk is refused here, before there is a plan. Each image is looked into once.

use super::looks::{Look, Looks};
use crate::image::volumes;
use groundstate_api::image::{ImageRef, ImageTable, Manifest};
use groundstate_api::{Bytes, Digest, Part, Reason, ReasonCode};
use image_core::deploy::limits::HEAD;
use image_core::facts::facts;
use image_repo::{ImageReader, Repository};
use maintenance_os::whole_disk::{Inside, head_size, inside};
use mos_core::customise::Volume;
use mos_core::guid::Guid;
use mos_core::random_access::ReadAt;
use mos_core::whole_disk::{LookError, Table, look};
use std::io;

/// The same reference, with what its first sectors tell. A root file system has nothing to tell.
pub(super) fn looked_into(
    repository: &Repository,
    looks: &Looks,
    mut image: ImageRef,
) -> Result<ImageRef, Reason> {
    if image.whole.is_none() {
        return Ok(image);
    }
    let seen = looks.of(image.manifest, || look_into(repository, &image))?;
    let table = seen.table.clone()?;
    if let Some(whole) = &mut image.whole {
        whole.table = Some(table);
    }
    Ok(image)
}

/// Which file systems it has, so that a plan says where a host's own files go.
pub(super) fn volumes_of(
    repository: &Repository,
    looks: &Looks,
    image: &ImageRef,
) -> Result<Vec<Volume>, Reason> {
    let seen = looks.of(image.manifest, || look_into(repository, image))?;
    Ok(seen.volumes.clone())
}

/// The GUIDs of its own partition table, of the disk and of its partitions; a disk that it goes to gets other ones.
pub(super) fn guids_of(
    repository: &Repository,
    looks: &Looks,
    image: &ImageRef,
) -> Result<Vec<Guid>, Reason> {
    let seen = looks.of(image.manifest, || look_into(repository, image))?;
    Ok(seen.guids.clone())
}

fn look_into(repository: &Repository, image: &ImageRef) -> Result<Look, Reason> {
    let title = format!("{} {}", image.name, image.version);
    let next = if repository.is_before_bucket() {
        "see that the object store answers, and publish the image again from the repository that has it (groundstate image publish \
         NAME VERSION --s3 FILE), then order again"
    } else {
        "repair the repository or import the image again, then order again"
    };
    let unread = |error: String| {
        Reason::new(
            ReasonCode::ImageMissing,
            format!("the first sectors of image {title} cannot be read"),
            next,
        )
        .about(Part::Image {
            image: title.clone(),
            digest: None,
        })
        .seen(error)
    };
    let manifest = repository
        .manifest(&image.manifest)
        .map_err(|error| unread(error.to_string()))?;
    let mut reader = repository
        .reader(&manifest)
        .map_err(|error| unread(error.to_string()))?;
    let seen = facts(&mut reader).map_err(|error| unread(error.to_string()))?;
    let mut guids = Vec::new();
    let table = match root_in_head(&inside(&seen), head_size(&manifest), &title) {
        Some(refusal) => Err(refusal),
        None => match table(reader, &manifest, &mut guids) {
            Ok(table) => Ok(table),
            Err(LookError::Read(error)) => return Err(unread(error.to_string())),
            Err(LookError::Refused(refusal)) => Err(refusal.reason(&title)),
        },
    };
    Ok(Look {
        table,
        volumes: volumes(&seen).0,
        guids,
    })
}

/// What a node puts into the host's root is put there while the image's head is not on the disk yet: a root that begins
/// within the head could not be mounted then, and the disk would have been wiped for nothing.
fn root_in_head(inside: &Inside, head: Bytes, title: &str) -> Option<Reason> {
    let root = inside.root?;
    let extent = inside.extents.iter().find(|one| one.number == root)?;
    if extent.start >= head {
        return None;
    }
    let next = if extent.start >= HEAD {
        "import it again with --chunk-size 1MiB, then order again"
    } else {
        "make the image with its root behind the first MiB, import it, then order again"
    };
    Some(
        Reason::new(
            ReasonCode::PlanRefused,
            format!("image {title} cannot go to a fleet: its root begins in its head, which is written last"),
            next,
        )
        .about(Part::Image {
            image: title.to_owned(),
            digest: None,
        })
        .seen(format!("the root, partition {root}, begins at {}; the head ends at {head}", extent.start)),
    )
}

/// The table, and the GUIDs in it.
fn table(
    reader: ImageReader,
    manifest: &Manifest,
    guids: &mut Vec<Guid>,
) -> Result<ImageTable, LookError<io::Error>> {
    let mut plain = Plain {
        reader,
        size: manifest.size.0,
    };
    if let Table::Gpt(gpt) = look(&mut plain, manifest.sector_size)? {
        guids.extend(gpt.partitions().iter().map(|one| one.guid));
        guids.push(gpt.disk_guid());
        return Ok(ImageTable::Gpt {
            disk_guid: gpt.disk_guid().upper(),
        });
    }
    let mut first = vec![0; usize::try_from(manifest.sector_size).unwrap_or(0)];
    plain.read_at(0, &mut first).map_err(LookError::Read)?;
    Ok(ImageTable::Dos {
        first_sector: Digest::of(&first),
    })
}

/// The image's plain bytes.
struct Plain {
    reader: ImageReader,
    size: u64,
}

impl ReadAt for Plain {
    type Error = io::Error;
    fn len(&self) -> u64 {
        self.size
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), io::Error> {
        self.reader.fill(at, into).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::image::BootEntry;
    use maintenance_os::customise::Extent;

    #[test]
    fn a_root_within_the_head_is_refused_before_there_is_a_plan() {
        let of = |start: Bytes| Inside {
            extents: vec![Extent {
                number: 1,
                start,
                length: Bytes::mib(64),
            }],
            root: Some(1),
            boot: BootEntry::None,
            found: Vec::new(),
        };
        let said =
            |start, head| root_in_head(&of(start), head, "lab 1").map(|reason| reason.next_step);
        assert_eq!(said(Bytes::mib(1), Bytes::mib(1)), None);
        assert_eq!(said(Bytes::mib(65), Bytes::mib(4)), None);
        let again = said(Bytes::mib(1), Bytes::mib(2)).unwrap();
        assert!(again.contains("--chunk-size 1MiB"), "{again}");
        let other = said(Bytes(63 * 512), Bytes::mib(1)).unwrap();
        assert!(other.contains("behind the first MiB"), "{other}");
        let no_root = Inside {
            root: None,
            ..of(Bytes(0))
        };
        assert!(root_in_head(&no_root, Bytes::mib(1), "lab 1").is_none());
    }

    /// Every GUID of the table, and no other, is known before a plan; a root file system is not looked into.
    #[test]
    fn the_guids_of_an_image_are_those_of_its_table() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk.raw");
        std::fs::File::create(&disk)
            .and_then(|file| file.set_len(8 << 20))
            .unwrap();
        let given = [
            "0f9a3c5e-1111-4222-8333-444455556661",
            "0f9a3c5e-1111-4222-8333-444455556662",
            "0f9a3c5e-1111-4222-8333-444455556663",
        ];
        let made = std::process::Command::new("sgdisk")
            .args(["-a1", "-n1:2048:4095", "-n2:4096:6143", "-u"])
            .arg(format!("1:{}", given[0]))
            .args(["-u", &format!("2:{}", given[1]), "-U", given[2]])
            .arg(&disk)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let repository = Repository::open(&dir.path().join("images")).unwrap();
        let request = image_repo::ImportRequest {
            name: "lab",
            version: "1",
            kind: groundstate_api::image::ImageKind::WholeDisk,
            format: groundstate_api::image::ImageFormat::Raw,
            sector_size: 512,
            chunk_size: None,
            boot: None,
        };
        let mut content = image_repo::RawFile::open(&disk).unwrap();
        let image = repository
            .import(&request, &mut content, &mut |_, _| {})
            .unwrap();
        let found = guids_of(&repository, &Looks::default(), &image).unwrap();
        let found: Vec<String> = found.iter().map(|guid| guid.lower()).collect();
        assert_eq!(found, given);
    }
}
