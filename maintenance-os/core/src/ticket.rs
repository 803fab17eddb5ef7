// SPDX-License-Identifier: Apache-2.0
//! The ticket of a held node, and its QR code in text: a technician points a telephone at the screen instead of copying
//! serial numbers.
//!
//! The code holds plain text, never an address to open: what a machine shows on its screen must not send anyone anywhere.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::{NodeId, Part, Reason};
use qrcodegen_no_heap::{QrCode, QrCodeEcc, Version};

/// The longest ticket in characters, so that the code stays small enough for a screen of 25 lines.
pub const TICKET_MAX: usize = 106;
/// The largest QR code: version 5 has 37 modules each way, 19 lines of text with half blocks and a narrow border.
const VERSION_MAX: Version = Version::new(5);
/// Quiet modules around the code. The standard asks for four; a black screen around a white border of two is read well.
const BORDER: i32 = 2;

/// The ticket in one line: `GS node-07 dimm-missing dimm:DIMM_B1 S/N D-0002`.
#[must_use]
pub fn ticket(node: Option<&NodeId>, machine_serial: &str, reason: &Reason) -> String {
    let mut words = vec![String::from("GS")];
    match node {
        Some(node) => words.push(node.to_string()),
        None => words.push(format!("serial {machine_serial}")),
    }
    words.push(reason.code.as_str().to_string());
    if let Some(part) = &reason.part {
        words.push(part.token());
        let serial = match part {
            Part::Dimm { serial, .. } => serial.clone(),
            Part::Disk { slot, .. } => Some(slot.clone()),
            Part::Image { .. } | Part::Machine { .. } | Part::Field { .. } => None,
        };
        words.extend(serial);
    }
    let text = words.join(" ");
    text.chars()
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .take(TICKET_MAX)
        .collect()
}

/// The QR code of `text` as lines of half blocks, light on dark as consoles are; `None` where the text is too long.
#[must_use]
pub fn qr(text: &str) -> Option<Vec<String>> {
    let mut work = vec![0u8; VERSION_MAX.buffer_len()];
    let mut out = vec![0u8; VERSION_MAX.buffer_len()];
    let code = QrCode::encode_text(
        text,
        &mut work,
        &mut out,
        QrCodeEcc::Low,
        Version::MIN,
        VERSION_MAX,
        None,
        true,
    )
    .ok()?;
    let light = |x, y| !code.get_module(x, y);
    let mut lines = Vec::new();
    let mut y = -BORDER;
    while y < code.size() + BORDER {
        let cell = |x| {
            // Below the last row of an odd number there is nothing to light.
            let lower = y + 1 < code.size() + BORDER && light(x, y + 1);
            match (light(x, y), lower) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            }
        };
        lines.push((-BORDER..code.size() + BORDER).map(cell).collect());
        y += 2;
    }
    Some(lines)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use groundstate_api::ReasonCode;

    #[test]
    fn the_ticket_names_node_code_and_part() {
        let reason = Reason::new(ReasonCode::DimmMissing, "a DIMM is missing", "reseat it").about(
            Part::Dimm {
                slot: "DIMM B1".into(),
                serial: Some("D-0002\u{1b}[31m".into()),
                size: None,
            },
        );
        let node = "node-07".parse().unwrap();
        let text = ticket(Some(&node), "SYS-1", &reason);
        assert_eq!(text, "GS node-07 dimm-missing dimm:DIMM_B1 D-0002?[31m");
        assert_eq!(
            ticket(None, "SYS-1", &Reason::new(ReasonCode::NoLink, "", "")),
            "GS serial SYS-1 no-link"
        );
    }

    /// The screen as a camera sees it: each half block is two squares of four dots.
    fn read_back(lines: &[String]) -> String {
        const DOT: usize = 4;
        let rows: Vec<Vec<bool>> = lines
            .iter()
            .flat_map(|line| {
                let upper = line.chars().map(|c| matches!(c, '█' | '▀')).collect();
                let lower = line.chars().map(|c| matches!(c, '█' | '▄')).collect();
                [upper, lower]
            })
            .collect();
        let margin = 4 * DOT;
        let (width, height) = (
            rows[0].len() * DOT + 2 * margin,
            rows.len() * DOT + 2 * margin,
        );
        let mut seen = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            let inside = x.checked_sub(margin).zip(y.checked_sub(margin));
            let light = inside.and_then(|(x, y)| rows.get(y / DOT)?.get(x / DOT).copied());
            if light.unwrap_or(false) { 255 } else { 0 }
        });
        let grids = seen.detect_grids();
        grids
            .first()
            .map(|grid| grid.decode().unwrap().1)
            .unwrap_or_default()
    }

    #[test]
    fn another_reader_reads_the_ticket_from_the_screen() {
        let text = "GS node-07 dimm-missing dimm:DIMM_B1 D-0002";
        assert_eq!(read_back(&qr(text).unwrap()), text);
    }

    #[test]
    fn the_code_fits_the_screen() {
        for length in [1, 20, TICKET_MAX] {
            let lines = qr(&"x".repeat(length)).unwrap();
            assert!(lines.len() <= 21, "{} lines", lines.len());
            let width = lines[0].chars().count();
            assert!(width <= 41 && lines.iter().all(|line| line.chars().count() == width));
        }
        assert!(qr(&"x".repeat(200)).is_none());
    }
}
