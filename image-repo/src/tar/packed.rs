// SPDX-License-Identifier: Apache-2.0
//! An archive as it comes: plain, or compressed by gzip, zstd or xz. Which, its first bytes say; a tar archive cannot
//! begin with any of these marks, because its first bytes are a name.

use crate::roots::RootsError;
use std::cell::Cell;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::rc::Rc;

/// The largest zstd window that is taken, as a power of two: 128 MiB, as `zstd -d` takes.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// The most memory that an xz dictionary may take, in KiB: that of `xz -9` and a little.
const XZ_MEMORY_MAX_KIB: u32 = 80 * 1024;
/// What is read of the input at once, in bytes.
const BUFFER: usize = 1 << 18;
/// How many bytes are looked at.
const MARK: usize = 6;

/// Counts what is read of the input.
#[derive(Clone, Debug, Default)]
pub(super) struct Count(Rc<Cell<u64>>);

impl Count {
    pub(super) fn value(&self) -> u64 {
        self.0.get()
    }
}

struct Counted<R> {
    inner: R,
    count: Count,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.0.set(self.count.0.get() + count as u64);
        Ok(count)
    }
}

type Input<'a> = Chain<Cursor<Vec<u8>>, Counted<&'a mut dyn Read>>;

/// The archive's plain bytes, and how many bytes of the input were read for them so far.
pub(super) fn open<'a>(input: &'a mut dyn Read) -> Result<(Box<dyn Read + 'a>, Count), RootsError> {
    let count = Count::default();
    let mut counted = Counted {
        inner: input,
        count: count.clone(),
    };
    let mut mark = Vec::with_capacity(MARK);
    let failed = |source| RootsError::Archive {
        at: groundstate_api::Bytes(0),
        source,
    };
    counted
        .by_ref()
        .take(MARK as u64)
        .read_to_end(&mut mark)
        .map_err(failed)?;
    let is = |magic: &[u8]| mark.starts_with(magic);
    let how = (
        is(&[0x1f, 0x8b]),
        is(&[0x28, 0xb5, 0x2f, 0xfd]),
        is(&[0xfd, b'7', b'z', b'X', b'Z', 0]),
    );
    if is(b"BZh") {
        return Err(RootsError::Compression { how: "bzip2" });
    }
    if is(&[0x04, 0x22, 0x4d, 0x18]) {
        return Err(RootsError::Compression { how: "lz4" });
    }
    let chained: Input<'a> = Cursor::new(mark).chain(counted);
    let buffered = BufReader::with_capacity(BUFFER, chained);
    let plain: Box<dyn Read + 'a> = match how {
        (true, _, _) => Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        (_, true, _) => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(buffered).map_err(failed)?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(failed)?;
            Box::new(decoder)
        }
        (_, _, true) => Box::new(lzma_rust2::XzReader::new_mem_limit(
            buffered,
            true,
            XZ_MEMORY_MAX_KIB,
        )),
        _ => Box::new(buffered),
    };
    Ok((plain, count))
}
