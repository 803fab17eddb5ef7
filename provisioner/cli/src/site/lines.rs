// SPDX-License-Identifier: Apache-2.0
//! Where each field of a file stands, by its path.

use std::collections::BTreeMap;

/// Lines by path: `node[3].mac` is in line 41. The first of a list and what stands alone in its place are the same.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    pub(super) fn put(&mut self, path: &str, line: usize) {
        self.0.insert(path.replace("[0]", ""), line);
    }

    /// The line of a field, or of the nearest thing that it stands in.
    pub(super) fn of(&self, path: &str) -> Option<usize> {
        let path = path.replace("[0]", "");
        let mut path = path.as_str();
        loop {
            if let Some(line) = self.0.get(path) {
                return Some(*line);
            }
            let end = path.rfind(['.', '['])?;
            path = path.get(..end)?;
        }
    }
}

/// Turns positions in a text into lines, which count from 1.
pub(super) struct Counter {
    ends: Vec<usize>,
}

impl Counter {
    pub(super) fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            ends: ends.map(|(at, _)| at).collect(),
        }
    }

    pub(super) fn line(&self, at: usize) -> usize {
        self.ends.partition_point(|end| *end < at) + 1
    }
}
