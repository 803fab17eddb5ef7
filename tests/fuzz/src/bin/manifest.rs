// SPDX-License-Identifier: Apache-2.0
//! An image's manifest.
#![no_main]

use groundstate_api::Digest;
use groundstate_api::units::Bytes;
use groundstate_fuzz::{MIB, bounded};
use image_core::deploy::{Deploy, Seed};
use image_core::manifest;
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes, for an input of 64 KiB at most.
const HEAP_MAX: usize = 4 * MIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        let max = Bytes::mib(8);
        match manifest::parse(input, max) {
            Ok(read) => {
                assert_eq!(manifest::canonical(&read), input);
                assert_eq!(
                    manifest::parse_as(input, &Digest::of(input), max).as_ref(),
                    Ok(&read)
                );
                let end = |at: Bytes, length: Bytes| at.0.checked_add(length.0);
                let mut before = 0;
                for chunk in &read.chunks {
                    assert!(chunk.offset.0 >= before, "chunks overlap");
                    before = end(chunk.offset, chunk.length).expect("a chunk ends");
                    assert!(before <= read.size.0, "a chunk lies beyond the image");
                }
                assert!(manifest::data(&read) <= read.size);
                let _ = manifest::title(&read);
                let _ = Deploy::new(&read, None, Seed::Auto, 7);
            }
            Err(error) => {
                let _ = error.field();
                assert!(error.reason("image").lines().len() <= 32);
            }
        }
    });
});
