// SPDX-License-Identifier: Apache-2.0
//! Proposes a format, for a person to confirm. Nothing is ever imported by a proposal alone.

use super::codec::Codec;
use super::counted::read_full;
use super::host_file::HostFile;
use super::mark::{HEAD, Marked, TAIL, disk_evidence, mark};
use super::name::name;
use groundstate_api::image::ImageFormat;
use std::path::Path;

/// Which format the file or folder seems to have, and what says so; `None` where nothing does, or it cannot be read.
#[must_use]
pub fn propose(path: &Path) -> Option<(ImageFormat, String)> {
    if path.is_dir() {
        let layout = path.join("oci-layout").is_file();
        let evidence = || "the folder has a file oci-layout".to_owned();
        return layout.then(|| (ImageFormat::Oci, evidence()));
    }
    let file = HostFile::open(path).ok()?;
    let head = file.head(HEAD).ok()?;
    let tail = file.tail(TAIL).ok()?;
    let Some(found) = mark(&head, &tail) else {
        let evidence = disk_evidence(&head)?;
        return Some((ImageFormat::Raw, evidence.to_owned()));
    };
    let Marked::Ours(format) = found.what else {
        return None;
    };
    let codec = match format {
        ImageFormat::RawZstd => Codec::Zstd,
        ImageFormat::RawGzip => Codec::Gzip,
        ImageFormat::RawXz => Codec::Xz,
        ImageFormat::Raw
        | ImageFormat::Qcow2
        | ImageFormat::Vhd
        | ImageFormat::Vhdx
        | ImageFormat::Vmdk
        | ImageFormat::Tar
        | ImageFormat::Oci
        | ImageFormat::Wim => return Some((format, found.evidence.to_owned())),
    };
    Some(within(format, found.evidence, codec, file))
}

/// What a compressed stream holds: a tar is one whether compressed or not.
fn within(
    format: ImageFormat,
    outside: &str,
    codec: Codec,
    file: HostFile,
) -> (ImageFormat, String) {
    let mut plain = vec![0; HEAD];
    let count = codec
        .reader(file.into_reader())
        .and_then(|mut reader| read_full(&mut *reader, &mut plain));
    let Ok(count) = count else {
        return (format, outside.to_owned());
    };
    plain.truncate(count);
    match mark(&plain, &[]).map(|found| (found.what, found.evidence)) {
        Some((Marked::Ours(ImageFormat::Tar), evidence)) => (
            ImageFormat::Tar,
            format!("{outside}, and unpacked {evidence}"),
        ),
        Some((Marked::Ours(inside), evidence)) => (
            format,
            format!(
                "{outside}, but unpacked {evidence}; unpack it first and import it as {}",
                name(inside)
            ),
        ),
        Some((Marked::Foreign(inside), evidence)) => (
            format,
            format!("{outside}, but unpacked {evidence}, and {inside} is not read"),
        ),
        None => match disk_evidence(&plain) {
            Some(evidence) => (format, format!("{outside}, and unpacked {evidence}")),
            None => (format, outside.to_owned()),
        },
    }
}
