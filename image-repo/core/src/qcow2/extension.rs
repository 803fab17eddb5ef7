// SPDX-License-Identifier: Apache-2.0
//! Header extensions. Only those are read that say why the file is refused; the others may be ignored by the format.

use super::error::Qcow2Error;
use super::field::{index, u32_at};
use alloc::string::String;
use alloc::vec::Vec;

const FEATURE_NAMES: u32 = 0x6803_f857;
const CRYPT: u32 = 0x0537_be77;
const DATA_FILE: u32 = 0x4441_5441;
/// Bytes of an entry of the table of feature names.
const NAME_ENTRY: usize = 48;
/// How many names are kept: a number has so many bits.
const NAMES_MAX: usize = 64;

/// What extensions say.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    /// The external data file's name.
    pub(super) data_file: Option<String>,
    /// Whether there is a header for encryption.
    pub(super) crypt: bool,
    /// The names of incompatible features, by bit.
    pub(super) incompatible: Vec<(u32, String)>,
}

/// Reads the extensions that follow the header in the first cluster, up to the backing file's name.
pub(super) fn read(first: &[u8], header: u64, backing: u64) -> Result<Extensions, Qcow2Error> {
    let mut found = Extensions::default();
    let mut at = index(header);
    let end = first.len();
    let end = if backing > header {
        end.min(index(backing))
    } else {
        end
    };
    while at.checked_add(8).is_some_and(|next| next <= end) {
        let (kind, length) = (u32_at(first, at), u32_at(first, at + 4));
        if kind == 0 {
            break;
        }
        let start = at + 8;
        let data = start
            .checked_add(index(length.into()))
            .filter(|after| *after <= end)
            .and_then(|after| first.get(start..after));
        let data = data.ok_or(Qcow2Error::Extension {
            kind,
            at: at as u64,
            length,
        })?;
        match kind {
            FEATURE_NAMES => names(data, &mut found.incompatible),
            CRYPT => found.crypt = true,
            DATA_FILE => found.data_file = Some(String::from_utf8_lossy(data).into_owned()),
            _ => {}
        }
        at = start + data.len().next_multiple_of(8);
    }
    Ok(found)
}

fn names(data: &[u8], into: &mut Vec<(u32, String)>) {
    for entry in data.chunks_exact(NAME_ENTRY) {
        let [0, bit, name @ ..] = entry else {
            continue;
        };
        if into.len() < NAMES_MAX {
            let name = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
            into.push((u32::from(*bit), String::from_utf8_lossy(name).into_owned()));
        }
    }
}
