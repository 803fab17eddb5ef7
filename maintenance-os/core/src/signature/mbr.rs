// SPDX-License-Identifier: Apache-2.0
//! Reads a DOS partition table with its chain of logical partitions.

use super::window::{Window, le32};
use alloc::vec::Vec;

/// The most links of a chain that are followed: a chain may be a loop.
const LOGICAL_MAX: usize = 64;

/// A partition of a DOS table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MbrPartition {
    /// Its number: 1 to 4 are primary, from 5 on logical.
    pub number: u32,
    /// Its type byte; `0xee` protects a GPT.
    pub kind: u8,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub length: u64,
}

impl MbrPartition {
    const fn is_extended(self) -> bool {
        matches!(self.kind, 0x05 | 0x0f | 0x85)
    }
}

/// The partitions, if the first sector is a DOS partition table.
///
/// # Errors
/// What the window's reader fails with.
pub fn read_mbr<E>(window: &mut Window<'_, E>) -> Result<Option<Vec<MbrPartition>>, E> {
    let Some(mut found) = table(window, 0, 0)? else {
        return Ok(None);
    };
    let extended = found.iter().copied().find(|one| one.is_extended());
    if let Some(extended) = extended {
        follow(window, extended.start, &mut found)?;
    }
    Ok((!found.is_empty()).then_some(found))
}

fn follow<E>(
    window: &mut Window<'_, E>,
    base: u64,
    found: &mut Vec<MbrPartition>,
) -> Result<(), E> {
    let mut at = base;
    for number in (5u32..).take(LOGICAL_MAX) {
        let Some(entries) = table(window, at, at)? else {
            return Ok(());
        };
        if let Some(logical) = entries.iter().find(|one| !one.is_extended()) {
            found.push(MbrPartition { number, ..*logical });
        }
        // A link counts from the start of the extended partition, not from its own table.
        let link = entries.iter().find(|one| one.is_extended());
        match link.and_then(|link| (link.start - at).checked_add(base)) {
            Some(next) if next > at => at = next,
            Some(_) | None => return Ok(()),
        }
    }
    Ok(())
}

/// The used entries of the table at `at`, with starts counted from `base`.
fn table<E>(
    window: &mut Window<'_, E>,
    at: u64,
    base: u64,
) -> Result<Option<Vec<MbrPartition>>, E> {
    let sector = u64::from(window.sector());
    let Some(bytes) = window.at(at, 512)? else {
        return Ok(None);
    };
    if bytes.get(510..512) != Some(&[0x55, 0xaa]) {
        return Ok(None);
    }
    let mut found = Vec::new();
    for (entry, number) in bytes
        .get(446..510)
        .unwrap_or(&[])
        .chunks_exact(16)
        .zip(1u32..)
    {
        let &[boot, _, _, _, kind, ..] = entry else {
            continue;
        };
        if !matches!(boot, 0 | 0x80) {
            return Ok(None);
        }
        let (first, sectors) = (le32(entry, 8).unwrap_or(0), le32(entry, 12).unwrap_or(0));
        if kind != 0 && sectors != 0 {
            found.push(MbrPartition {
                number,
                kind,
                start: base.saturating_add(u64::from(first) * sector),
                length: u64::from(sectors) * sector,
            });
        }
    }
    Ok(Some(found))
}
