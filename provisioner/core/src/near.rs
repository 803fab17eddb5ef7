// SPDX-License-Identifier: Apache-2.0
//! Which word of ours was meant where a person typed another one.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

/// Changes of letters between a word and the one that was meant.
const SLIPS_MAX: usize = 2;

/// ` (is braked meant?)` where a word of ours is near to what was typed, else nothing. Not for names that people give: those differ
/// by a digit.
pub fn meant<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> String {
    let near = known
        .map(|known| (slips(typed, known), known))
        // Half of a short word is another word.
        .filter(|(slips, known)| *slips <= SLIPS_MAX && slips.saturating_mul(2) < known.len())
        .min();
    near.map_or_else(String::new, |(_, known)| format!(" (is {known} meant?)"))
}

/// How many letters must be put in, taken out or changed, or neighbours swapped, to make one word of the other.
fn slips(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) > SLIPS_MAX {
        return usize::MAX;
    }
    let at = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    let mut above: Option<char> = None;
    for (i, a) in one.iter().enumerate() {
        let mut next = vec![i.saturating_add(1)];
        let mut left: Option<char> = None;
        for (j, b) in other.iter().enumerate() {
            let changed = at(&row, j).saturating_add(usize::from(a != b));
            let put_in = at(&row, j.saturating_add(1)).saturating_add(1);
            let taken_out = at(&next, j).saturating_add(1);
            let mut best = changed.min(put_in).min(taken_out);
            if above == Some(*b) && left == Some(*a) {
                best = best.min(at(&before, j.saturating_sub(1)).saturating_add(1));
            }
            next.push(best);
            left = Some(*b);
        }
        before = mem::replace(&mut row, next);
        above = Some(*a);
    }
    row.last().copied().unwrap_or(usize::MAX)
}
