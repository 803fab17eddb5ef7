// SPDX-License-Identifier: Apache-2.0
//! Sizes as a person types them.

use groundstate_api::Bytes;

/// For clap: `64KiB`, `4GiB`, or a number of bytes.
pub(super) fn size(text: &str) -> Result<Bytes, String> {
    Bytes::parse(text)
        .ok_or_else(|| "a size is a number of bytes, or one with KiB, MiB, GiB or TiB".to_owned())
}
