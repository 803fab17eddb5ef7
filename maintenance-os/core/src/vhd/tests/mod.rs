// SPDX-License-Identifier: Apache-2.0
//! Whole VHDs in memory: against a model, against damage, against a loss of power.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test may panic, and its patterns may be cut to a byte"
)]

mod chain;
mod damage;
mod model;
mod power;

use super::*;
use crate::random_access::WriteAt as _;
use alloc::vec::Vec;

pub(super) const ID: [u8; 16] = [7; 16];

/// A new VHD in memory, with its space as the shell would have reserved it.
pub(super) fn new(size: u64, id: [u8; 16], shape: Shape) -> Vec<u8> {
    let layout = Layout::of(&New {
        size: Bytes(size),
        id,
        timestamp: 5,
        shape,
    })
    .unwrap();
    let mut file = vec![0; usize::try_from(layout.length()).unwrap()];
    layout.write(&mut file).unwrap();
    file
}

pub(super) fn child_of(id: [u8; 16], preallocated: bool) -> Shape {
    Shape::Differencing {
        parent: Parent {
            id,
            modified: 9,
            name: "parent.vhd".into(),
            paths: vec![Locator {
                platform: Platform::W2ru,
                path: ".\\parent.vhd".into(),
            }],
        },
        preallocated,
    }
}

/// Every kind of new VHD of this size, with the sound parent that differencing ones need.
pub(super) fn every_kind(size: u64) -> Vec<Vhd<Vec<u8>>> {
    let parent = || {
        let file = new(
            size,
            [1; 16],
            Shape::Dynamic {
                preallocated: false,
            },
        );
        let mut parent = Vhd::open(file).unwrap();
        let bytes: Vec<u8> = (0..size / 2).map(|at| (at % 251) as u8 | 1).collect();
        parent.write_at(size / 4, &bytes).unwrap();
        parent.flush().unwrap();
        Vhd::open(parent.into_source()).unwrap()
    };
    let mut all = Vec::new();
    for shape in [
        Shape::Fixed,
        Shape::Dynamic {
            preallocated: false,
        },
        Shape::Dynamic { preallocated: true },
        child_of([1; 16], false),
        child_of([1; 16], true),
    ] {
        let differs = matches!(shape, Shape::Differencing { .. });
        let mut vhd = Vhd::open(new(size, ID, shape)).unwrap();
        if differs {
            vhd.attach(parent(), ParentTime::Modified(9)).unwrap();
        }
        all.push(vhd);
    }
    all
}
