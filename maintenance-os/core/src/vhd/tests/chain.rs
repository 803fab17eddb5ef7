// SPDX-License-Identifier: Apache-2.0
//! Parents: the right one is taken, every wrong one refused by name.

use super::*;
use crate::random_access::ReadAt as _;
use groundstate_api::SystemUuid;

const SIZE: u64 = 3 << 20;

fn open(id: u8, parent: u8) -> Vhd<Vec<u8>> {
    Vhd::open(new(SIZE, [id; 16], child_of([parent; 16], false))).unwrap()
}

fn base(id: u8) -> Vhd<Vec<u8>> {
    Vhd::open(new(SIZE, [id; 16], Shape::Fixed)).unwrap()
}

#[test]
fn every_wrong_parent_is_refused_by_name() {
    let uuid = |id: u8| SystemUuid([id; 16]);
    let time = ParentTime::Modified(9);
    let mut child = open(2, 1);
    assert_eq!(
        child.attach(base(3), time),
        Err(Refusal::ParentId {
            said: uuid(1),
            found: uuid(3)
        })
    );
    let small = Vhd::open(new(SIZE - 512, [1; 16], Shape::Fixed)).unwrap();
    assert_eq!(
        child.attach(small, time),
        Err(Refusal::ParentSize {
            said: SIZE,
            found: SIZE - 512
        })
    );
    assert_eq!(
        child.attach(base(1), ParentTime::Modified(10)),
        Err(Refusal::ParentChanged { said: 9, found: 10 })
    );
    assert_eq!(
        base(2).attach(base(1), time),
        Err(Refusal::NotDifferencing("fixed"))
    );
    let alone = child.read_at(0, &mut [0; 16]).unwrap_err();
    assert_eq!(alone, Refusal::NoParent.into());
    assert_eq!(child.attach(base(1), ParentTime::Any), Ok(()));
}

#[test]
fn a_chain_neither_returns_nor_goes_on_for_ever() {
    let time = ParentTime::Any;
    let mut parent = open(1, 2);
    parent.attach(base(2), time).unwrap();
    let mut child = open(2, 1);
    assert_eq!(
        child.attach(parent, time),
        Err(Refusal::ParentLoop(SystemUuid([2; 16])))
    );
    let mut chain = base(0);
    for id in 1..u8::try_from(CHAIN_MAX).unwrap() {
        let mut child = open(id, id - 1);
        child.attach(chain, time).unwrap();
        chain = child;
    }
    let mut one_more = open(200, 63);
    assert_eq!(
        one_more.attach(chain, time),
        Err(Refusal::ChainTooLong(CHAIN_MAX))
    );
}

#[test]
fn the_parents_paths_are_in_the_file() {
    let mut child = open(2, 1);
    assert_eq!(
        child.locators().unwrap(),
        [Locator {
            platform: Platform::W2ru,
            path: ".\\parent.vhd".into()
        }]
    );
    let header = child.header().unwrap();
    assert_eq!(
        (header.parent_name.as_str(), header.parent_timestamp),
        ("parent.vhd", 9)
    );
}
