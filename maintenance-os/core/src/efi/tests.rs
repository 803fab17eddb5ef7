// SPDX-License-Identifier: Apache-2.0
//! The codecs against variables that OVMF wrote, the decisions against tables, and both against arbitrary bytes.
#![allow(clippy::indexing_slicing)] // a test may stop on a wrong length

use super::*;
use crate::guid::Guid;
use expect_test::expect;
use groundstate_api::MacAddr;
use groundstate_api::boot::Firmware;
use proptest::prelude::*;

const OVMF: &str = include_str!("ovmf_boot_variables.txt");

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
        .collect()
}

fn ovmf() -> (Vec<Existing>, Vec<u16>) {
    let (mut entries, mut order) = (Vec::new(), Vec::new());
    for line in OVMF.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (name, attributes, data) = (
            words.next().unwrap(),
            words.next().unwrap(),
            words.next().unwrap(),
        );
        assert_eq!(attributes, "7");
        if name == BOOT_ORDER {
            order = decode_order(&bytes(data)).unwrap();
        } else {
            let number = boot_number(&file_name(name)).unwrap();
            let option = LoadOption::decode(&bytes(data)).unwrap();
            assert_eq!(
                option.encode().unwrap(),
                bytes(data),
                "{name} did not survive"
            );
            entries.push(Existing {
                number,
                option: Some(option),
            });
        }
    }
    (entries, order)
}

fn ours() -> LoadOption {
    let guid = Guid::parse("C12A7328-F81F-11D2-BA4B-00A0C93EC93B").unwrap();
    our_option(
        1,
        2048,
        1_048_576,
        guid,
        "\\EFI\\systemd\\systemd-bootx64.efi",
    )
    .unwrap()
}

/// The list after `changes`, as the firmware would hold it.
fn apply(entries: &mut Vec<Existing>, order: &mut Vec<u16>, changes: &[BootChange]) {
    for change in changes {
        match change {
            BootChange::Write { number, option } => {
                entries.retain(|e| e.number != *number);
                entries.push(Existing {
                    number: *number,
                    option: Some(option.clone()),
                });
            }
            BootChange::Order(new) => *order = new.clone(),
            BootChange::Delete(number) => entries.retain(|e| e.number != *number),
        }
    }
}

#[test]
fn ovmfs_variables_decode_to_what_its_menu_shows() {
    let (entries, order) = ovmf();
    let mut text = format!("order {order:?}\n");
    for Existing { number, option } in &entries {
        let option = option.as_ref().unwrap();
        let path: Vec<String> = option.paths[0]
            .0
            .iter()
            .filter(|n| !matches!(n, Node::Other { .. }))
            .map(ToString::to_string)
            .collect();
        text += &format!(
            "{} {:?} {}\n",
            boot_variable(*number),
            option.description,
            path.join("/")
        );
    }
    expect![[r#"
        order [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
        Boot0000 "UiApp" 
        Boot0001 "UEFI QEMU DVD-ROM QM00005 " 
        Boot0002 "UEFI QEMU NVMe Ctrl GS-OS-1 1" 
        Boot0003 "UEFI PXEv4 (MAC:525400123456)" MAC(52:54:00:12:34:56)
        Boot0004 "UEFI PXEv4 (MAC:525400123456) 2" MAC(52:54:00:12:34:56)/IPv4
        Boot0005 "UEFI PXEv6 (MAC:525400123456)" MAC(52:54:00:12:34:56)/IPv6
        Boot0006 "UEFI HTTPv4 (MAC:525400123456)" MAC(52:54:00:12:34:56)/IPv4/Uri()
        Boot0007 "UEFI HTTPv6 (MAC:525400123456)" MAC(52:54:00:12:34:56)/IPv6/Uri()
        Boot0008 "UEFI PXEv4 (MAC:525400ABCDEF)" MAC(52:54:00:ab:cd:ef)
        Boot0009 "UEFI PXEv4 (MAC:525400ABCDEF) 2" MAC(52:54:00:ab:cd:ef)/IPv4
        Boot000A "UEFI PXEv6 (MAC:525400ABCDEF)" MAC(52:54:00:ab:cd:ef)/IPv6
        Boot000B "UEFI HTTPv4 (MAC:525400ABCDEF)" MAC(52:54:00:ab:cd:ef)/IPv4/Uri()
        Boot000C "UEFI HTTPv6 (MAC:525400ABCDEF)" MAC(52:54:00:ab:cd:ef)/IPv6/Uri()
        Boot000D "EFI Internal Shell" 
    "#]]
    .assert_eq(&text);
}

#[test]
fn the_network_entry_is_the_one_of_the_mac_and_the_way() {
    let (entries, _) = ovmf();
    let find = |mac: &str, firmware| network_entry(&entries, mac.parse().unwrap(), firmware);
    assert_eq!(find("52:54:00:12:34:56", Firmware::UefiPxe), Some(4));
    assert_eq!(find("52:54:00:12:34:56", Firmware::UefiHttp), Some(6));
    assert_eq!(find("52:54:00:ab:cd:ef", Firmware::UefiPxe), Some(9));
    assert_eq!(find("52:54:00:ab:cd:ef", Firmware::UefiHttp), Some(11));
    assert_eq!(find("52:54:00:ab:cd:ef", Firmware::Bios), None);
    assert_eq!(find("52:54:00:00:00:00", Firmware::UefiPxe), None);
    let without_ipv4: Vec<_> = entries
        .iter()
        .filter(|e| !matches!(e.number, 4 | 9))
        .cloned()
        .collect();
    let mac: MacAddr = "52:54:00:12:34:56".parse().unwrap();
    assert_eq!(
        network_entry(&without_ipv4, mac, Firmware::UefiPxe),
        Some(3),
        "the option ROM's own entry"
    );
}

#[test]
fn a_vlan_is_another_network_and_an_inactive_entry_the_last_resort() {
    let mac = MacAddr([2, 0, 0, 0, 0, 1]);
    let entry = |number, attributes, nodes: Vec<Node>| Existing {
        number,
        option: Some(LoadOption {
            attributes,
            description: Ucs2::new("x").unwrap(),
            paths: vec![DevicePath(nodes)],
            optional_data: vec![],
        }),
    };
    let ip = || Node::Ipv4(vec![0; 23]);
    let vlan = entry(1, 1, vec![Node::Mac(mac), Node::Vlan(vec![5, 0]), ip()]);
    assert_eq!(
        network_entry(std::slice::from_ref(&vlan), mac, Firmware::UefiPxe),
        None
    );
    let inactive = entry(2, 0, vec![Node::Mac(mac), ip()]);
    assert_eq!(
        network_entry(&[vlan, inactive.clone()], mac, Firmware::UefiPxe),
        Some(2)
    );
    let active = entry(3, 1, vec![Node::Mac(mac), ip()]);
    assert_eq!(
        network_entry(&[inactive, active], mac, Firmware::UefiPxe),
        Some(3)
    );
}

#[test]
fn our_entry_goes_first_and_a_second_time_changes_nothing() {
    let (mut entries, mut order) = ovmf();
    let first = add_boot_entry(&entries, &order, ours()).unwrap();
    assert_eq!(first.number, 14);
    assert_eq!(
        first.changes[0],
        BootChange::Write {
            number: 14,
            option: ours()
        }
    );
    assert_eq!(
        first.changes[1],
        BootChange::Order(vec![14, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
    );
    apply(&mut entries, &mut order, &first.changes);
    assert_eq!(
        add_boot_entry(&entries, &order, ours()).unwrap(),
        EntryChanges {
            number: 14,
            changes: vec![]
        }
    );
}

#[test]
fn an_older_entry_of_ours_is_replaced_and_further_ones_go() {
    let (mut entries, _) = ovmf();
    let older = our_option(1, 4096, 1, Guid([7; 16]), "\\old.efi").unwrap();
    entries.push(Existing {
        number: 0x20,
        option: Some(older.clone()),
    });
    entries.push(Existing {
        number: 0x21,
        option: Some(older),
    });
    let mut order = vec![2, 0x21, 0x20, 3];
    let outcome = add_boot_entry(&entries, &order, ours()).unwrap();
    assert_eq!(
        outcome.changes,
        [
            BootChange::Write {
                number: 0x20,
                option: ours()
            },
            BootChange::Order(vec![0x20, 2, 3]),
            BootChange::Delete(0x21)
        ]
    );
    apply(&mut entries, &mut order, &outcome.changes);
    assert!(
        add_boot_entry(&entries, &order, ours())
            .unwrap()
            .changes
            .is_empty()
    );
}

#[test]
fn a_number_that_cannot_be_read_or_only_stands_in_the_order_stays_taken() {
    let unreadable = [Existing {
        number: 0,
        option: None,
    }];
    let outcome = add_boot_entry(&unreadable, &[1], ours()).unwrap();
    assert_eq!(outcome.number, 2);
    let all: Vec<u16> = (0..=u16::MAX).collect();
    assert_eq!(
        add_boot_entry(&[], &all, ours()),
        Err(EfiError::NoFreeNumber)
    );
}

#[test]
fn our_entrys_bytes_are_the_ones_of_the_specification() {
    let file = Variable::boot(ours().encode().unwrap()).encode();
    assert_eq!(file[..10], [7, 0, 0, 0, 1, 0, 0, 0, 116, 0]);
    let text = "Groundstate host"
        .encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect::<Vec<_>>();
    assert_eq!(file[10..44], text[..]);
    assert_eq!(
        file[44..52],
        [4, 1, 42, 0, 1, 0, 0, 0],
        "HD node, 42 bytes, partition 1"
    );
    assert_eq!(file[52..60], 2048u64.to_le_bytes());
    assert_eq!(file[60..68], 1_048_576u64.to_le_bytes());
    assert_eq!(file[84..86], [2, 2], "GPT, GUID signature");
    assert_eq!(file[86..88], [4, 4], "file path node");
    assert_eq!(file[file.len() - 4..], [0x7f, 0xff, 4, 0]);
    assert_eq!(
        Variable::decode(&file).unwrap(),
        Variable::boot(ours().encode().unwrap())
    );
    let shown = ours().paths[0].to_string();
    assert_eq!(
        shown,
        "HD(1,GPT,C12A7328-F81F-11D2-BA4B-00A0C93EC93B,0x800,0x100000)/\\EFI\\systemd\\systemd-bootx64.efi"
    );
}

#[test]
fn broken_bytes_say_what_is_broken() {
    let whole = ours().encode().unwrap();
    assert!(matches!(
        LoadOption::decode(&whole[..3]),
        Err(EfiError::Short {
            field: "attributes",
            ..
        })
    ));
    assert!(matches!(
        LoadOption::decode(&whole[..20]),
        Err(EfiError::Short {
            field: "description",
            ..
        })
    ));
    assert!(matches!(
        LoadOption::decode(&whole[..60]),
        Err(EfiError::Short {
            field: "file path list",
            ..
        })
    ));
    assert_eq!(
        DevicePath::decode(&[1, 1, 3, 0]),
        Err(EfiError::NodeLength {
            kind: 1,
            sub: 1,
            length: 3
        })
    );
    assert_eq!(DevicePath::decode(&[1, 1, 4, 0]), Err(EfiError::NoEnd));
    assert!(matches!(
        DevicePath::decode(&[1, 1, 9, 0]),
        Err(EfiError::Short { .. })
    ));
    assert_eq!(
        decode_order(&[1, 0, 2]),
        Err(EfiError::OddList { length: 3 })
    );
    assert_eq!(
        decode_number(&[1]),
        Err(EfiError::NumberLength { length: 1 })
    );
    assert_eq!(Ucs2::new("a\0b"), Err(EfiError::Nul));
    let long = DevicePath(vec![Node::Uri(vec![0; 0xffff])]);
    assert!(matches!(
        long.encode(&mut Vec::new()),
        Err(EfiError::TooLong { .. })
    ));
    assert_eq!(
        boot_number("Boot00aF-8be4df61-93ca-11d2-aa0d-00e098032b8c"),
        None
    );
    assert_eq!(
        boot_number("Boot00AF-8be4df61-93ca-11d2-aa0d-00e098032b8c"),
        Some(0xaf)
    );
    assert_eq!(boot_number("BootÄÄ-x"), None);
    assert_eq!(
        boot_number("BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c"),
        None
    );
}

proptest! {
    #[test]
    fn what_decodes_encodes_to_the_same_bytes(data in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(option) = LoadOption::decode(&data) {
            prop_assert_eq!(option.encode().unwrap(), data.clone());
        }
        if let Ok((path, rest)) = DevicePath::decode(&data) {
            let mut again = Vec::new();
            path.encode(&mut again).unwrap();
            prop_assert_eq!(&again[..], &data[..data.len() - rest.len()]);
        }
    }

    #[test]
    fn a_damaged_ovmf_variable_is_refused_or_survives(which in 0usize..14, at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let line = OVMF.lines().filter(|l| l.starts_with("Boot0")).nth(which).unwrap();
        let mut data = bytes(line.split(' ').nth(2).unwrap());
        let at = at.index(data.len());
        data[at] = to;
        if let Ok(option) = LoadOption::decode(&data) {
            prop_assert_eq!(option.encode().unwrap(), data);
        }
    }

    #[test]
    fn adding_twice_is_adding_once(numbers in prop::collection::btree_set(0u16..40, 0..20), mine in prop::collection::vec(any::<bool>(), 20), order in prop::collection::vec(0u16..40, 0..30)) {
        let mut order: Vec<u16> = order;
        let mut seen = std::collections::BTreeSet::new();
        order.retain(|n| seen.insert(*n));
        let mut entries: Vec<Existing> = numbers.iter().zip(mine).map(|(number, mine)| {
            let mut option = ours();
            option.optional_data = number.to_le_bytes().to_vec();
            if !mine { option.description = Ucs2::new("another").unwrap(); }
            Existing { number: *number, option: Some(option) }
        }).collect();
        let others = |list: &[Existing]| list.iter().filter(|e| e.option.as_ref().unwrap().description != ours().description).cloned().collect::<Vec<_>>();
        let before = others(&entries);
        let outcome = add_boot_entry(&entries, &order, ours()).unwrap();
        apply(&mut entries, &mut order, &outcome.changes);
        prop_assert_eq!(order[0], outcome.number);
        prop_assert_eq!(others(&entries), before);
        prop_assert!(add_boot_entry(&entries, &order, ours()).unwrap().changes.is_empty());
    }
}
