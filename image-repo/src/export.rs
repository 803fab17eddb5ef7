// SPDX-License-Identifier: Apache-2.0
//! Writes a stored image into a file, a block device or the standard output, each chunk proved on its way.
//!
//! A file appears under its name only when it is whole and durable; whoever is killed before leaves nothing behind. It
//! refuses to write over a file or onto a device unless it is told to, and never asks a file's name what format is meant.

use crate::error::RepoError;
use crate::export_file::NewFile;
use crate::export_sink::{Streamed, stream, vhdx, write_data, write_zeros};
use crate::reader::Unpacker;
use crate::repository::Repository;
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageRef, Manifest};
use mos_core::vhd::Footer;
use rustix::fs::{FallocateFlags, fallocate};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::num::NonZero;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

/// What is zeroed at once on a device, in bytes, so that progress can be told.
const ZEROS: u64 = 64 << 20;
/// The most threads that decompress.
const THREADS_MAX: usize = 8;

/// What to write where.
#[derive(Clone, Copy, Debug)]
pub struct ExportRequest<'a> {
    /// The image.
    pub image: &'a ImageRef,
    /// A file or a block device; `-`: the standard output.
    pub output: &'a Path,
    /// Raw, raw in zstd, fixed VHD or dynamic VHDX.
    pub format: ImageFormat,
    /// Replaces a file.
    pub force: bool,
    /// Writes onto a block device; raw only.
    pub device: bool,
}

/// Why a file is not written over.
pub(crate) const THERE_ALREADY: &str =
    "is there already: name another file, or ask for it to be replaced (--force)";

/// What the bytes of the output are that nothing was written to.
#[derive(Clone, Copy)]
enum Zeros {
    /// Zeros: a new file, in which holes stay holes.
    AreThere,
    /// Whatever was there before.
    AreNot,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The image.
    pub image: ImageRef,
    /// The format.
    pub format: ImageFormat,
    /// The length of the file, or what was written of the device.
    pub length: Bytes,
    /// Chunks that were read and proved.
    pub chunks: u64,
}

impl Repository {
    /// Writes an image out. `progress` hears how many bytes of the image are done, of how many.
    ///
    /// # Errors
    /// The output is not what may be written to, the format cannot be written, a chunk is damaged, or a file cannot be
    /// used. A file that is not whole does not appear.
    pub fn export(
        &self,
        request: &ExportRequest<'_>,
        progress: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<Exported, RepoError> {
        let format = request.format;
        if !matches!(
            format,
            ImageFormat::Raw | ImageFormat::RawZstd | ImageFormat::Vhd | ImageFormat::Vhdx
        ) {
            return Err(RepoError::ExportFormat { format });
        }
        let manifest = self.manifest(&request.image.manifest)?;
        let _looking = self.store.looking()?;
        let length = if request.output == Path::new("-") {
            let streamed = Streamed::of(format).ok_or(RepoError::Output {
                path: "-".into(),
                why: "is a stream, into which only raw and raw-zstd can be written",
            })?;
            stream(
                self,
                &manifest,
                streamed,
                (&mut io::stdout().lock(), Path::new("the standard output")),
                progress,
            )?
        } else {
            self.export_to(request, &manifest, progress)?
        };
        Ok(Exported {
            image: request.image.clone(),
            format,
            length,
            chunks: manifest.chunks.len() as u64,
        })
    }

    fn export_to(
        &self,
        request: &ExportRequest<'_>,
        manifest: &Manifest,
        progress: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<Bytes, RepoError> {
        let path = request.output;
        let refused = |why| {
            Err(RepoError::Output {
                path: path.to_path_buf(),
                why,
            })
        };
        match fs::metadata(path) {
            Ok(found) if found.file_type().is_block_device() => {
                if !request.device {
                    return refused("is a block device: writing onto it must be asked for");
                }
                if request.format != ImageFormat::Raw {
                    return refused("is a block device: only raw bytes are written onto one");
                }
                return self.export_to_device(path, manifest, progress);
            }
            Ok(found) if !found.is_file() => {
                return refused("is neither a file nor a block device");
            }
            Ok(_) if !request.force => {
                return refused(THERE_ALREADY);
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(RepoError::file("looked at", path)(error)),
        }
        let new = NewFile::beside(path)?;
        let length = match request.format {
            ImageFormat::Raw | ImageFormat::Vhd => {
                new.file
                    .set_len(manifest.size.0)
                    .map_err(RepoError::output("made as long as the image", path))?;
                self.scatter(manifest, &new.file, path, Zeros::AreThere, progress)?;
                end_raw(&new.file, request, manifest)?
            }
            format => match Streamed::of(format) {
                Some(streamed) => {
                    let mut file = &new.file;
                    stream(self, manifest, streamed, (&mut file, path), progress)?
                }
                None => {
                    let identity = &request.image.manifest.0;
                    vhdx(self, manifest, identity, &new.file, path, progress)?
                }
            },
        };
        new.named(path, request.force)?;
        Ok(length)
    }

    fn export_to_device(
        &self,
        path: &Path,
        manifest: &Manifest,
        progress: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<Bytes, RepoError> {
        // Nobody may have it mounted.
        let exclusive = i32::try_from(rustix::fs::OFlags::EXCL.bits()).unwrap_or(0);
        let mut file = File::options()
            .read(true)
            .write(true)
            .custom_flags(exclusive)
            .open(path)
            .map_err(RepoError::file("opened for this alone", path))?;
        let room = file
            .seek(SeekFrom::End(0))
            .map_err(RepoError::file("measured", path))?;
        if room < manifest.size.0 {
            return Err(RepoError::Output {
                path: path.to_path_buf(),
                why: "is smaller than the image",
            });
        }
        for (at, length) in holes(manifest) {
            zero(&file, at, length).map_err(RepoError::file("zeroed", path))?;
        }
        self.scatter(manifest, &file, path, Zeros::AreNot, progress)?;
        file.sync_all()
            .map_err(RepoError::file("made durable", path))?;
        Ok(manifest.size)
    }

    /// Writes every chunk to its place, several at a time.
    fn scatter(
        &self,
        manifest: &Manifest,
        file: &File,
        path: &Path,
        zeros: Zeros,
        progress: &mut dyn FnMut(Bytes, Bytes),
    ) -> Result<(), RepoError> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = threads.min(THREADS_MAX);
        let next = AtomicUsize::new(0);
        let stop = AtomicBool::new(false);
        let (done, ends) = mpsc::channel::<u64>();
        let work = |done: &mpsc::Sender<u64>| -> Result<(), RepoError> {
            let mut unpacker = Unpacker::new(self)?;
            let mut plain = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let Some(chunk) = manifest.chunks.get(next.fetch_add(1, Ordering::Relaxed)) else {
                    break;
                };
                unpacker.unpack(chunk, &mut plain)?;
                let written = match zeros {
                    Zeros::AreThere => write_data(file, chunk.offset.0, &plain),
                    Zeros::AreNot => file.write_all_at(&plain, chunk.offset.0),
                };
                written.map_err(RepoError::output("written", path))?;
                // Nobody listens when progress itself has failed; the work goes on.
                let _ = done.send(chunk.offset.0 + chunk.length.0);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|_| {
                    let (work, stop, done) = (&work, &stop, done.clone());
                    scope.spawn(move || {
                        let end = work(&done);
                        stop.fetch_or(end.is_err(), Ordering::Relaxed);
                        end
                    })
                })
                .collect();
            drop(done);
            let mut furthest = 0;
            for end in ends {
                furthest = end.max(furthest);
                progress(Bytes(furthest), manifest.size);
            }
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().expect("a writer does not panic"))
        })?;
        progress(manifest.size, manifest.size);
        Ok(())
    }
}

/// What comes after the image's bytes; how long the file is then.
fn end_raw(
    file: &File,
    request: &ExportRequest<'_>,
    manifest: &Manifest,
) -> Result<Bytes, RepoError> {
    if request.format == ImageFormat::Raw {
        return Ok(manifest.size);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&request.image.manifest.0[..16]);
    let footer = Footer::new(manifest.size, id, 0).map_err(|error| RepoError::ExportSize {
        format: request.format,
        said: error.to_string(),
    })?;
    let footer = footer.encode();
    file.write_all_at(&footer, manifest.size.0)
        .map_err(RepoError::output("written", request.output))?;
    Ok(Bytes(manifest.size.0 + footer.len() as u64))
}

/// What no chunk covers: offsets and lengths.
pub(crate) fn holes(manifest: &Manifest) -> Vec<(u64, u64)> {
    let mut holes = Vec::new();
    let mut end = 0;
    for chunk in &manifest.chunks {
        if chunk.offset.0 > end {
            holes.push((end, chunk.offset.0 - end));
        }
        end = chunk.offset.0 + chunk.length.0;
    }
    if end < manifest.size.0 {
        holes.push((end, manifest.size.0 - end));
    }
    holes
}

/// Makes bytes of a device zero: by the device's own means, or by writing zeros where it has none.
fn zero(file: &File, at: u64, length: u64) -> io::Result<()> {
    let mut done = 0;
    while done < length {
        let now = (length - done).min(ZEROS);
        match fallocate(file, FallocateFlags::ZERO_RANGE, at + done, now) {
            Ok(()) => {}
            Err(_) => write_zeros(file, at + done, now)?,
        }
        done += now;
    }
    Ok(())
}
