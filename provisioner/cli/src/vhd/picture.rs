// SPDX-License-Identifier: Apache-2.0
//! A disk as a bar and a table of what lies where. The bar tells by its letters; colour only helps.

use super::show;
use crate::client::paper::Paper;
use groundstate_api::Bytes;
use maintenance_os::virtual_disk::{Holds, Map, Range};

/// Cells of the bar.
const CELLS: u64 = 64;
/// Ranges that are listed; `--json` has all of them.
const LISTED: usize = 40;

pub(super) fn map(map: &Map) -> String {
    let colour = Paper::of_terminal().is_coloured();
    let mut lines = vec![
        format!("[{}]", bar(map, colour)),
        " # data  + data and zeros  r zeros with space reserved  . zeros  p in the parent"
            .to_owned(),
    ];
    lines.push(format!(
        "{:>16} {:>16} {:<8} {:>16}",
        "offset", "length", "holds", "in the file"
    ));
    lines.extend(map.ranges.iter().take(LISTED).map(line));
    if map.ranges.len() > LISTED {
        lines.push(format!(
            "… and {} more ranges (--json)",
            map.ranges.len() - LISTED
        ));
    }
    lines.push(totals(map));
    lines.extend(
        map.physical
            .map(|found| format!("on the device: {}", show::physical(found))),
    );
    lines.join("\n")
}

const fn word(holds: Holds) -> &'static str {
    match holds {
        Holds::Data => "data",
        Holds::Zero => "zero",
        Holds::Parent => "parent",
    }
}

fn line(range: &Range) -> String {
    let place = range
        .file_offset
        .map_or_else(|| "-".to_owned(), |at| at.to_string());
    format!(
        "{:>16} {:>16} {:<8} {place:>16}",
        range.offset,
        range.length,
        word(range.holds)
    )
}

fn totals(map: &Map) -> String {
    let sum = |holds| {
        let ranges = map.ranges.iter().filter(|range| range.holds == holds);
        Bytes(ranges.map(|range| range.length).sum())
    };
    format!(
        "{} in all: {} data, {} zero, {} in the parent; {} ranges",
        Bytes(map.size),
        sum(Holds::Data),
        sum(Holds::Zero),
        sum(Holds::Parent),
        map.ranges.len()
    )
}

/// What of a cell is data, reserved, zero, in the parent.
#[derive(Clone, Copy, Default)]
struct Cell {
    data: u64,
    reserved: u64,
    zero: u64,
    parent: u64,
}

impl Cell {
    const fn letter(self) -> char {
        if self.data > 0 {
            if self.reserved + self.zero + self.parent == 0 {
                '#'
            } else {
                '+'
            }
        } else if self.parent > 0 {
            'p'
        } else if self.reserved > 0 {
            'r'
        } else {
            '.'
        }
    }
}

fn bar(map: &Map, colour: bool) -> String {
    let width = map.size.div_ceil(CELLS).max(1);
    let count = usize::try_from(map.size.div_ceil(width)).unwrap_or(1);
    let mut cells = vec![Cell::default(); count];
    for range in &map.ranges {
        let end = range.offset + range.length;
        let first = range.offset / width;
        for (number, cell) in (first..end.div_ceil(width)).zip(
            cells
                .iter_mut()
                .skip(usize::try_from(first).unwrap_or(usize::MAX)),
        ) {
            let begin = range.offset.max(number * width);
            let part = end.min((number + 1) * width) - begin;
            match (range.holds, range.file_offset) {
                (Holds::Data, _) => cell.data += part,
                (Holds::Parent, _) => cell.parent += part,
                (Holds::Zero, Some(_)) => cell.reserved += part,
                (Holds::Zero, None) => cell.zero += part,
            }
        }
    }
    let letters = cells.iter().map(|cell| cell.letter());
    if !colour {
        return letters.collect();
    }
    let coloured = letters.map(|letter| {
        let number = match letter {
            '#' | '+' => 32,
            'p' => 36,
            'r' => 33,
            _ => 90,
        };
        format!("\x1b[{number}m{letter}\x1b[0m")
    });
    coloured.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use maintenance_os::virtual_disk::Format;

    fn range(offset: u64, length: u64, holds: Holds, file_offset: Option<u64>) -> Range {
        Range {
            offset,
            length,
            holds,
            file_offset,
        }
    }

    #[test]
    fn each_cell_tells_what_it_holds() {
        let map = Map {
            format: Format::Vhd,
            size: 64 * 512,
            ranges: vec![
                range(0, 512 * 4, Holds::Data, Some(0)),
                range(512 * 4, 256, Holds::Data, Some(4_096)),
                range(512 * 4 + 256, 512 * 10 - 256, Holds::Zero, None),
                range(512 * 14, 512 * 20, Holds::Parent, None),
                range(512 * 34, 512 * 30, Holds::Zero, Some(9_000)),
            ],
            physical: None,
        };
        assert_eq!(
            bar(&map, false),
            "####+.........pppppppppppppppppppprrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
        );
        assert!(bar(&map, true).contains("\x1b[32m#\x1b[0m"));
        let tiny = Map {
            size: 512,
            ranges: vec![range(0, 512, Holds::Zero, None)],
            ..map
        };
        assert_eq!(bar(&tiny, false), ".".repeat(64));
    }
}
