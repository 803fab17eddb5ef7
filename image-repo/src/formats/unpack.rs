// SPDX-License-Identifier: Apache-2.0
//! Unpacks one cluster or grain: bytes of a known length, out of bytes of a known length.

use super::limits::CLUSTER_WINDOW_LOG_MAX;
use flate2::{Decompress, FlushDecompress, Status};
use std::io;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation as _, OutBuffer};

/// A raw deflate stream, or one with zlib's header and sum. `wanted` bytes must come out, and no fewer than `least`.
pub(super) fn inflate(
    packed: &[u8],
    zlib_header: bool,
    least: usize,
    into: &mut [u8],
) -> Result<(), String> {
    let mut decompress = Decompress::new(zlib_header);
    loop {
        let (taken, given) = (
            position(decompress.total_in()),
            position(decompress.total_out()),
        );
        let (input, output) = (packed.get(taken..), into.get_mut(given..));
        let (Some(input), Some(output)) = (input, output) else {
            return Err("more came out than there is room for".into());
        };
        let status = decompress
            .decompress(input, output, FlushDecompress::Finish)
            .map_err(|error| error.to_string())?;
        let given = position(decompress.total_out());
        let full = given == into.len();
        match status {
            // A zlib stream that ends with its sum has ended; a raw one may be followed by the next cluster's.
            Status::StreamEnd if given >= least => {
                into[given..].fill(0);
                return Ok(());
            }
            Status::StreamEnd => return Err(format!("it ends after {given} bytes")),
            Status::Ok | Status::BufError if full && !zlib_header => return Ok(()),
            Status::Ok | Status::BufError if full => {
                // Only the sum may be left.
                let taken = position(decompress.total_in());
                let rest = packed.get(taken..).unwrap_or(&[]);
                return match decompress.decompress(rest, &mut [], FlushDecompress::Finish) {
                    Ok(Status::StreamEnd) => Ok(()),
                    Ok(Status::Ok | Status::BufError) => Err("it goes on beyond its length".into()),
                    Err(error) => Err(error.to_string()),
                };
            }
            Status::Ok | Status::BufError => {
                let ended = position(decompress.total_in()) >= packed.len();
                if ended || status == Status::BufError {
                    return Err(format!("it is cut off after {given} bytes"));
                }
            }
        }
    }
}

fn position(total: u64) -> usize {
    usize::try_from(total).unwrap_or(usize::MAX)
}

/// Zstandard frames; what follows the last one that is needed is not looked at.
pub(super) fn unzstd(packed: &[u8], into: &mut [u8]) -> Result<(), String> {
    let mut decoder = decoder().map_err(|error| error.to_string())?;
    let mut input = InBuffer::around(packed);
    let mut output = OutBuffer::around(into);
    loop {
        let (taken, given) = (input.pos(), output.pos());
        let hint = decoder
            .run(&mut input, &mut output)
            .map_err(|error| error.to_string())?;
        if output.pos() == output.capacity() {
            return Ok(());
        }
        if hint == 0 {
            decoder
                .reinit()
                .map_err(|error: io::Error| error.to_string())?;
        }
        if (input.pos(), output.pos()) == (taken, given) {
            return Err(format!("it ends after {given} bytes"));
        }
    }
}

fn decoder() -> io::Result<Decoder<'static>> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(CLUSTER_WINDOW_LOG_MAX))?;
    Ok(decoder)
}
