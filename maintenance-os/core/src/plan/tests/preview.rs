// SPDX-License-Identifier: Apache-2.0
//! The preview is the plan that the order then makes, but for what follows from the run; and its picture.

use super::*;
use groundstate_api::plan::DECIDED_AT_THE_ORDER;
use proptest::prelude::*;

const PLAIN: Look = Look {
    colour: false,
    columns: 80,
};

#[test]
fn a_preview_reads_like_this() {
    let mut case = used_rack();
    case.node.keep = vec!["DATA-1".to_string()];
    case.policy.disks = DiskPolicy::default();
    case.inventory.disks[2].contents = vec![signature("disk", "linux_raid", Some("md0"))];
    case.inventory.disks[2].layout = None;
    let preview = preview(&case.request()).unwrap();
    let page = preview_page(&preview, PLAIN);
    expect![[r#"
        node-1: debian-host 12.11-1 (2 GiB), UEFI, hand-over by kexec
        Nothing is ordered and nothing happens by this. GUIDs and UUIDs are decided at the order.

        SLOT        SERIAL  SIZE   ROLE   HAPPENS     WHY; WHAT GOES
        bay-DATA-1  DATA-1  4 GiB  data   kept        the site says to keep it, and it holds a data volume of ours
        bay-DATA-2  DATA-2  6 GiB  data   WIPED       every disk that is not for the OS holds a data volume; linux_raid "md0" goes
        bay-OS-1    OS-1    5 GiB  os     WIPED       it is the smallest healthy solid-state disk that is large enough; gpt goes
        bay-STICK   STICK   8 GiB  spare  left alone  it is connected by USB and the site does not name it

        bay-DATA-1  DATA-1  4 GiB, 512-byte sectors  data  kept
          +----------------------------------------------------------------------------+
          |/data/DATA-1                                                                |
          |3.9 GiB                                                                     |
          |[vm-0.vhd=========][vm-1.vhd=========]......................................|
          +----------------------------------------------------------------------------+
          ext4 "gs-data-1" at /data/DATA-1: vm-0.vhd 1 GiB, vm-1.vhd 1 GiB

        bay-DATA-2  DATA-2  6 GiB, 4096-byte sectors  data  WIPED
          +----------------------------------------------------------------------------+
          |/data/DATA-2                                                                |
          |5.9 GiB                                                                     |
          |[vm-0.vhd==][vm-1.vhd==]....................................................|
          +----------------------------------------------------------------------------+
          ext4 "gs-data-2" at /data/DATA-2: vm-0.vhd 1 GiB, vm-1.vhd 1 GiB

        bay-OS-1  OS-1  5 GiB, 512-byte sectors  os  WIPED
          +-------+--------------------------------------------------------------------+
          |esp    |root                                                                |
          |512 MiB|4.4 GiB                                                             |
          +-------+--------------------------------------------------------------------+

        bay-STICK  STICK  8 GiB, 512-byte sectors  spare  left alone
          |nothing is read or written..................................................|

        NOT CONFIRMED: these disks hold something that is not this node's. An order as it is would be refused.
          DATA-2 in bay-DATA-2: linux_raid "md0"
        To let them go, order with: --confirm DATA-2
    "#]].assert_eq(&page);
    for line in page
        .lines()
        .filter(|line| line.starts_with("  +") || line.starts_with("  |"))
    {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // Colours add nothing that is not said in words.
    let look = Look {
        colour: true,
        columns: 80,
    };
    let mut plain = preview_page(&preview, look);
    for code in [
        "\u{1b}[31m",
        "\u{1b}[32m",
        "\u{1b}[34m",
        "\u{1b}[36m",
        "\u{1b}[90m",
        "\u{1b}[0m",
    ] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, page);
}

#[test]
fn hardware_does_not_steer_the_terminal_of_a_preview() {
    let mut disks = rack();
    disks[1].slot = "\u{1b}[2Jbay\r\n".to_string();
    disks[1].contents = vec![signature("disk", "ext4", Some("\u{7}bell"))];
    let page = preview_page(&preview(&Case::new(disks).request()).unwrap(), PLAIN);
    assert!(!page.contains(['\u{1b}', '\r', '\u{7}']), "{page}");
}

proptest! {
    #[test]
    fn a_preview_is_the_plan_of_the_order_that_follows(
        sizes in proptest::collection::vec(1u64..4_000, 1..6),
        seed in any::<u8>(),
        run in 1u16..999,
        columns in 0usize..300,
    ) {
        let disks = sizes.iter().enumerate();
        let disks = disks.map(|(at, gib)| disk(&format!("S-{at}"), *gib, Transport::Nvme)).collect();
        let mut case = Case::new(disks);
        case.policy.vhds[0].size = "300MiB".to_string();
        let before = preview(&case.request());
        case.seed = Digest::of(&[seed]);
        case.run = format!("r-{run}").parse().unwrap();
        let Ok(before) = before else {
            prop_assert!(case.plan().is_err());
            return Ok(());
        };
        let after = case.plan().unwrap();
        prop_assert_eq!(canonical_bytes(&without_identities(&after)), canonical_bytes(&before.plan));
        let json = serde_json::to_string(&before).unwrap();
        prop_assert!(!json.contains(after.run.as_str()) && json.contains(DECIDED_AT_THE_ORDER));
        // Whatever the width, every line of the picture is as wide as the next.
        let page = picture(&after, Look { colour: false, columns });
        let widths: std::collections::BTreeSet<usize> = page.lines()
            .filter(|line| line.starts_with("  +") || line.starts_with("  |"))
            .map(|line| line.chars().count())
            .collect();
        prop_assert_eq!(widths.len(), 1, "{}", page);
    }
}
