// SPDX-License-Identifier: Apache-2.0
//! Decoders of compressed streams. Each takes whole streams to the end of the file: several frames, members or streams one
//! after the other, and nothing else behind them. Memory is bounded whatever a header says.

use super::limits::{XZ_MEMORY_MAX_KIB, ZSTD_WINDOW_LOG_MAX};
use std::io::{self, BufReader, Read};

/// Bytes that are read of the file at once.
const INPUT: usize = 1 << 20;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    /// As it is.
    None,
    /// Zstandard frames, also skippable ones.
    Zstd,
    /// gzip members.
    Gzip,
    /// .xz streams with padding.
    Xz,
}

impl Codec {
    /// The plain bytes of `from`.
    pub(super) fn reader(
        self,
        from: impl Read + Send + 'static,
    ) -> io::Result<Box<dyn Read + Send>> {
        let from = BufReader::with_capacity(INPUT, from);
        Ok(match self {
            Self::None => Box::new(from),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
                from,
                true,
                XZ_MEMORY_MAX_KIB,
            )),
        })
    }
}
