// SPDX-License-Identifier: Apache-2.0
//! Finds the footer of a file: at its end, or the copy at its start where the end is torn.

use super::error::{Refusal, VhdError};
use super::fault::Fault;
use super::footer::{COOKIE, FOOTER_LEN, Footer, FooterError, Kind};
use crate::random_access::ReadAt;
use alloc::vec;
use alloc::vec::Vec;

const LEN: u64 = FOOTER_LEN as u64;
/// How far from the end a misplaced footer is looked for, only to name it in the refusal.
const STRAY_WITHIN: u64 = 64 << 10;

/// The footer that holds, and what was wrong beside it.
pub(super) struct Found {
    pub(super) footer: Footer,
    /// The bytes as they stand in the file, with what they keep in reserved places.
    pub(super) bytes: [u8; FOOTER_LEN],
    /// Where the footer at the end begins, where there is one.
    pub(super) tail_at: Option<u64>,
    /// Whether the copy at the start is sound.
    pub(super) copy: bool,
    pub(super) faults: Vec<Fault>,
}

/// Whether the bytes bear the mark of a VHD: a whole footer at the end, or the copy of a dynamic one at the start.
/// Nothing else is ever taken for one.
///
/// # Errors
/// Where the source cannot be read.
pub fn recognise<S: ReadAt>(source: &mut S) -> Result<bool, S::Error> {
    match locate(source) {
        Ok(_) => Ok(true),
        Err(VhdError::Io(error)) => Err(error),
        // A footer that is there but broken is still the mark: the file is then refused as a VHD, not taken as raw.
        Err(VhdError::Refused(refusal)) => {
            Ok(!matches!(refusal, Refusal::NoFooter | Refusal::TooShort(_)))
        }
    }
}

pub(super) fn locate<S: ReadAt>(source: &mut S) -> Result<Found, VhdError<S::Error>> {
    let length = source.len();
    if length < LEN {
        return Err(Refusal::TooShort(length).into());
    }
    let at = length - LEN;
    let tail_bytes = bytes_at(source, at)?;
    let head_bytes = bytes_at(source, 0)?;
    let copy = Footer::decode(&head_bytes);
    match (Footer::decode(&tail_bytes), copy) {
        (Ok(footer), copy) => Ok(Found {
            footer,
            bytes: tail_bytes,
            tail_at: Some(at),
            copy: copy.is_ok(),
            faults: judge_copy(&footer, copy, tail_bytes == head_bytes)?,
        }),
        (Err(_), Ok(copy)) if copy.kind == Kind::Fixed => {
            Err(Refusal::FooterInTheMiddle { at: 0 }.into())
        }
        (Err(why), Ok(footer)) => Ok(Found {
            footer,
            bytes: head_bytes,
            tail_at: None,
            copy: true,
            faults: vec![Fault::TrailingFooter { why }],
        }),
        (Err(why), Err(copy)) => Err(nowhere(source, &why, &copy)?.into()),
    }
}

/// Compares the copy at the start with the footer at the end.
fn judge_copy(
    tail: &Footer,
    copy: Result<Footer, FooterError>,
    same_bytes: bool,
) -> Result<Vec<Fault>, Refusal> {
    let mut faults = Vec::new();
    match copy {
        // The disk in a fixed VHD may hold anything, but QEMU would open what looks like a dynamic VHD as that.
        Ok(copy) if tail.kind == Kind::Fixed && copy.kind != Kind::Fixed => {
            return Err(Refusal::CopiesDiffer { what: "their kind" });
        }
        Ok(_) | Err(_) if tail.kind == Kind::Fixed => {}
        Ok(copy) => {
            if let Some(what) = essential_difference(tail, &copy) {
                return Err(Refusal::CopiesDiffer { what });
            }
            if copy != *tail {
                let what = "a field that is not the disk's size or identity";
                faults.push(Fault::CopiesDiffer { what });
            } else if !same_bytes {
                let what = "their reserved bytes";
                faults.push(Fault::CopiesDiffer { what });
            }
        }
        Err(why) => faults.push(Fault::FooterCopy { why }),
    }
    Ok(faults)
}

fn essential_difference(tail: &Footer, head: &Footer) -> Option<&'static str> {
    if tail.kind != head.kind {
        Some("their kind")
    } else if tail.size != head.size {
        Some("the disk's size")
    } else if tail.next != head.next {
        Some("the place of the dynamic header")
    } else if tail.id != head.id {
        Some("the disk's id")
    } else {
        None
    }
}

fn bytes_at<S: ReadAt>(source: &mut S, at: u64) -> Result<[u8; FOOTER_LEN], VhdError<S::Error>> {
    let mut bytes = [0; FOOTER_LEN];
    source.read_at(at, &mut bytes).map_err(VhdError::Io)?;
    Ok(bytes)
}

/// Neither end has a sound footer: says what is nearest to one.
fn nowhere<S: ReadAt>(
    source: &mut S,
    tail: &FooterError,
    head: &FooterError,
) -> Result<Refusal, VhdError<S::Error>> {
    for why in [tail, head] {
        if *why != FooterError::Cookie {
            return Ok(Refusal::Footer(why.clone()));
        }
    }
    let length = source.len();
    let window = length.min(STRAY_WITHIN);
    let begin = length - window;
    let mut bytes = vec![0u8; usize::try_from(window).unwrap_or_default()];
    source.read_at(begin, &mut bytes).map_err(VhdError::Io)?;
    let cookie = |place: usize| {
        bytes
            .get(place..)
            .is_some_and(|rest| rest.starts_with(COOKIE))
    };
    if cookie(bytes.len().saturating_sub(FOOTER_LEN - 1)) {
        return Ok(Refusal::ShortFooter);
    }
    let stray = (0..bytes.len()).rev().find(|place| {
        let footer = bytes.get(*place..*place + FOOTER_LEN);
        cookie(*place) && footer.is_some_and(|footer| Footer::decode(footer).is_ok())
    });
    Ok(
        stray.map_or(Refusal::NoFooter, |place| Refusal::FooterInTheMiddle {
            at: begin + place as u64,
        }),
    )
}
