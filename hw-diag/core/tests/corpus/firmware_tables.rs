// SPDX-License-Identifier: Apache-2.0
//! Firmware, board, chassis and processor sockets of real tables, as `dmidecode` reads them.

use crate::smbios_tables::{Said, absent, dmidecode, dump, load, parse, tables, theirs};
use groundstate_api::health::Verdict;
use hw_core::machine::{FirmwareFacts, MachineFacts, SocketStatus, judge};

/// Name, model, cores, and whether a processor is in the socket and runs.
type SocketWords = (String, String, String, bool);

fn sockets(facts: &FirmwareFacts) -> Vec<SocketWords> {
    let each = facts.sockets.iter().map(|s| {
        let cores = s.cores.map_or_else(String::new, |n| n.to_string());
        let runs = s.populated && s.status == SocketStatus::Enabled;
        (s.name.clone(), s.model.clone(), cores, runs)
    });
    each.collect()
}

fn their_sockets(said: &[Said]) -> Vec<SocketWords> {
    let all = said.iter().filter(|s| s.title == "Processor Information");
    let each = all.map(|s| {
        let field = |name: &str| absent(s.fields.get(name).map_or("", String::as_str));
        let runs = field("Status") == "Populated, Enabled";
        (
            field("Socket Designation"),
            field("Version"),
            field("Core Count"),
            runs,
        )
    });
    each.collect()
}

#[test]
fn boards_and_sockets_of_real_machines_are_read_and_none_is_blamed() {
    for path in tables() {
        let (table, version) = load(&path);
        let Some(text) = dmidecode(dump(&table, version).path()) else {
            return;
        };
        let said = parse(&text);
        let facts = FirmwareFacts::decode(&table);
        let name = path.display();
        let bios = |field| theirs(&said, "BIOS Information", field);
        assert_eq!(facts.date, bios("Release Date"), "{name}");
        assert_eq!(facts.version, bios("Version"), "{name}");
        assert_eq!(facts.release, bios("BIOS Revision"), "{name}");
        let board = facts.board.clone().unwrap_or_default();
        let theirs_of = |field| theirs(&said, "Base Board Information", field);
        assert_eq!(board.product, theirs_of("Product Name"), "{name}");
        assert_eq!(board.serial, theirs_of("Serial Number"), "{name}");
        let chassis = facts.chassis.clone().unwrap_or_default();
        let theirs_of = |field| theirs(&said, "Chassis Information", field);
        assert_eq!(chassis.serial, theirs_of("Serial Number"), "{name}");
        assert_eq!(
            chassis.thermal == 3,
            theirs_of("Thermal State") == "Safe",
            "{name}"
        );
        assert_eq!(sockets(&facts), their_sockets(&said), "{name}");
        let supplies = said.iter().filter(|s| s.title == "System Power Supply");
        assert_eq!(facts.supplies.len(), supplies.count(), "{name}");
        // Machines that ran when their tables were taken: nothing of them is called broken.
        let machine = MachineFacts {
            firmware: Some(facts),
            ..MachineFacts::default()
        };
        for report in judge(&machine) {
            assert!(report.verdict != Verdict::Fail, "{name}: {report:?}");
        }
    }
}
