// SPDX-License-Identifier: Apache-2.0
//! PCI functions as sysfs shows them.

use crate::sysfs::{Tree, below};
use hw_core::machine::{
    Aer, PciFunction, PcieLink, aer_counters, matches_modalias, transfers_per_second, wants_driver,
};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};

const ROOT: &str = "sys/bus/pci/devices";
/// The most functions: eight sockets with 256 virtual functions on each of some cards stay below.
const FUNCTIONS_MAX: usize = 8_192;
/// The most bytes of a list of aliases: a distribution's kernel has 1.3 MB.
const ALIASES_MAX: u64 = 16 << 20;
/// The most modules that are named for one function.
const CLAIMS_MAX: usize = 8;

/// Every function by address.
pub(crate) fn functions(tree: &Tree, missed: &mut Vec<String>) -> Vec<PciFunction> {
    let mut names = match tree.names(ROOT) {
        Ok(names) => names,
        Err(error) => {
            missed.push(format!("PCI: /{ROOT}: {error}"));
            return Vec::new();
        }
    };
    if names.len() > FUNCTIONS_MAX {
        missed.push(format!(
            "PCI: more than {FUNCTIONS_MAX} functions; the rest was not looked at"
        ));
        names.truncate(FUNCTIONS_MAX);
    }
    let slots = slots(tree);
    let mut functions: Vec<PciFunction> =
        names.iter().map(|name| one(tree, name, &slots)).collect();
    claims(tree, &mut functions, missed);
    functions
}

/// `0x144d` and the like.
fn hex<N: TryFrom<u64>>(tree: &Tree, path: &str) -> Option<N> {
    let text = tree.text(path)?;
    let number = u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()?;
    N::try_from(number).ok()
}

/// Slot name by the address's domain, bus and device.
fn slots(tree: &Tree) -> Vec<(String, String)> {
    const SLOTS: &str = "sys/bus/pci/slots";
    let names = tree.names(SLOTS).unwrap_or_default();
    let named = names.into_iter().filter_map(|name| {
        let address = tree.text(&format!("{SLOTS}/{name}/address"))?;
        Some((address, hw_core::clean(name.as_bytes())))
    });
    named.collect()
}

fn one(tree: &Tree, address: &str, slots: &[(String, String)]) -> PciFunction {
    let file = |name: &str| below(&below(ROOT, address), name);
    let device = address
        .rsplit_once('.')
        .map_or(address, |(device, _)| device);
    let slot = slots.iter().find(|(at, _)| at == device);
    let suspended = tree.text(&file("power/runtime_status")).as_deref() == Some("suspended");
    PciFunction {
        address: hw_core::clean(address.as_bytes()),
        slot: slot.map(|(_, name)| name.clone()).unwrap_or_default(),
        vendor: hex(tree, &file("vendor")).unwrap_or_default(),
        device: hex(tree, &file("device")).unwrap_or_default(),
        subsystem_vendor: hex(tree, &file("subsystem_vendor")).unwrap_or_default(),
        subsystem_device: hex(tree, &file("subsystem_device")).unwrap_or_default(),
        class: hex(tree, &file("class")).unwrap_or_default(),
        driver: tree.link_name(&file("driver")),
        claimed_by: None,
        loaded: Vec::new(),
        virtual_function: tree.exists(&file("physfn")),
        suspended,
        link: link(tree, address),
        aer: aer(tree, &file),
    }
}

fn aer(tree: &Tree, file: &dyn Fn(&str) -> String) -> Option<Aer> {
    let read = |name: &str| {
        let bytes = tree.bytes(&file(name)).ok()?;
        Some(aer_counters(&String::from_utf8_lossy(&bytes)))
    };
    Some(Aer {
        corrected: read("aer_dev_correctable")?,
        nonfatal: read("aer_dev_nonfatal").unwrap_or_default(),
        fatal: read("aer_dev_fatal").unwrap_or_default(),
    })
}

/// The link with what both its ends can do: this function's and that of the port above it.
fn link(tree: &Tree, address: &str) -> Option<PcieLink> {
    let here = below(ROOT, address);
    let speed = |dir: &str, name: &str| {
        let text = tree.text(&below(dir, name))?;
        Some(transfers_per_second(&text)).filter(|speed| *speed > 0)
    };
    // 255 and 0 lanes are the kernel's words for "not known".
    let width = |dir: &str, name: &str| {
        let lanes: Option<u32> = tree.number(&below(dir, name));
        lanes.filter(|lanes| (1..=32).contains(lanes))
    };
    let above = tree.device_path(&here).and_then(|path| {
        let (parent, _) = path.rsplit_once('/')?;
        Some(below("sys", parent))
    });
    let smaller = |mine: u32, theirs: Option<u32>| theirs.map_or(mine, |theirs| mine.min(theirs));
    let of_port = |read: &dyn Fn(&str) -> Option<u32>| above.as_deref().and_then(read);
    let speed_max = speed(&here, "max_link_speed")?;
    let width_max = width(&here, "max_link_width")?;
    Some(PcieLink {
        speed: speed(&here, "current_link_speed").unwrap_or(0),
        speed_max: smaller(speed_max, of_port(&|dir| speed(dir, "max_link_speed"))),
        width: width(&here, "current_link_width").unwrap_or(0),
        width_max: smaller(width_max, of_port(&|dir| width(dir, "max_link_width"))),
    })
}

/// Which modules claim the functions that want a driver and have none.
fn claims(tree: &Tree, functions: &mut [PciFunction], missed: &mut Vec<String>) {
    let mut bare: Vec<(&mut PciFunction, String)> = functions
        .iter_mut()
        .filter(|f| f.driver.is_none() && !f.virtual_function && wants_driver(f.class))
        .filter_map(|function| {
            let path = format!("{ROOT}/{}/modalias", function.address);
            let modalias = tree.text(&path)?;
            Some((function, modalias))
        })
        .collect();
    if bare.is_empty() {
        return;
    }
    let Some(file) = alias_file(tree) else {
        missed.push("PCI: no list of the kernel's modules: which one claims a function without a driver is not known".into());
        return;
    };
    for (function, _) in &mut bare {
        function.claimed_by = Some(Vec::new());
    }
    for line in BufReader::new(file.take(ALIASES_MAX))
        .split(b'\n')
        .map_while(Result::ok)
    {
        let line = String::from_utf8_lossy(&line);
        let Some((pattern, module)) = alias(&line) else {
            continue;
        };
        for (function, modalias) in &mut bare {
            let claimed = function.claimed_by.get_or_insert_default();
            let module = module.replace('-', "_");
            let new = claimed.len() < CLAIMS_MAX && !claimed.contains(&module);
            if new && matches_modalias(pattern, modalias) {
                if tree.exists(&format!("sys/module/{module}")) {
                    function.loaded.push(module.clone());
                }
                claimed.push(module);
            }
        }
    }
}

/// A line of `modules.alias` (`alias PATTERN MODULE`) or of the boot image's list (`PATTERN<TAB>MODULE`).
fn alias(line: &str) -> Option<(&str, &str)> {
    let (pattern, module) = match line.strip_prefix("alias ") {
        Some(rest) => rest.rsplit_once(' ')?,
        None => line.split_once('\t')?,
    };
    pattern.starts_with("pci:").then_some((pattern, module))
}

/// The list of the running kernel's modules; in the maintenance OS, the boot image's.
fn alias_file(tree: &Tree) -> Option<File> {
    let release = tree.text("proc/sys/kernel/osrelease").unwrap_or_default();
    let paths = [
        format!("lib/modules/{release}/modules.alias"),
        "lib/modules/alias".to_owned(),
    ];
    paths
        .iter()
        .find_map(|path| File::open(tree.path(path)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    /// A port, and below it a card without a driver.
    fn fixture() -> Fixture {
        let fixture = Fixture::new();
        let port = "sys/devices/pci0000:3a/0000:3a:00.0";
        let card = &format!("{port}/0000:3b:00.0");
        for (path, content) in [
            ("vendor", "0x14e4\n"),
            ("device", "0x168e\n"),
            ("class", "0x020000\n"),
            (
                "modalias",
                "pci:v000014E4d0000168Esv0000103Csd00003382bc02sc00i00\n",
            ),
            ("current_link_speed", "5.0 GT/s PCIe\n"),
            ("max_link_speed", "8.0 GT/s PCIe\n"),
            ("current_link_width", "4\n"),
            ("max_link_width", "8\n"),
            (
                "aer_dev_correctable",
                "RxErr 7\nBadTLP 0\nTOTAL_ERR_COR 7\n",
            ),
            ("aer_dev_fatal", "SDES 0\n"),
        ] {
            fixture.file(&format!("{card}/{path}"), content);
        }
        fixture.file(&format!("{port}/max_link_speed"), "5.0 GT/s PCIe\n");
        fixture.file(&format!("{port}/max_link_width"), "16\n");
        fixture.file(&format!("{port}/class"), "0x060400\n");
        fixture.file(&format!("{port}/max_link_speed"), "5.0 GT/s PCIe\n");
        fixture.link(&format!("{ROOT}/0000:3a:00.0"), port);
        fixture.link(&format!("{ROOT}/0000:3b:00.0"), card);
        fixture.file("sys/bus/pci/slots/4/address", "0000:3b:00\n");
        fixture.file("proc/sys/kernel/osrelease", "6.1.0-9-test\n");
        fixture
    }

    #[test]
    fn a_card_is_read_with_its_link_slot_and_errors() {
        let fixture = fixture();
        fixture.file(
            "lib/modules/6.1.0-9-test/modules.alias",
            "# comment\nalias pci:v000014E4d0000168Esv*sd*bc*sc*i* bnx2x\nalias pci:v00008086d* igb\nalias usb:x y\n",
        );
        let mut missed = Vec::new();
        let seen = functions(&fixture.tree(), &mut missed);
        assert_eq!(missed, [""; 0]);
        let card = &seen[1];
        assert_eq!(
            (card.vendor, card.device, card.class),
            (0x14e4, 0x168e, 0x02_00_00)
        );
        assert_eq!((card.slot.as_str(), card.driver.as_deref()), ("4", None));
        assert_eq!(
            card.claimed_by.as_deref(),
            Some(["bnx2x".to_owned()].as_slice())
        );
        assert_eq!(card.loaded, [""; 0]);
        // The port above does 5 GT/s only, so the card's 8 are no measure.
        let link = PcieLink {
            speed: 5_000,
            speed_max: 5_000,
            width: 4,
            width_max: 8,
        };
        assert_eq!(card.link, Some(link));
        assert_eq!(
            card.aer.as_ref().map(|aer| aer.corrected.clone()),
            Some(vec![("RxErr".into(), 7)])
        );
    }

    #[test]
    fn the_boot_image_has_a_list_of_its_own_and_a_loaded_module_is_told() {
        let fixture = fixture();
        fixture.file(
            "lib/modules/alias",
            "pci:v000014E4d0000168Esv*sd*bc*sc*i*\tbnx2x\n",
        );
        fixture.file("sys/module/bnx2x/refcnt", "0\n");
        let seen = functions(&fixture.tree(), &mut Vec::new());
        assert_eq!(seen[1].loaded, ["bnx2x"]);
        let mut missed = Vec::new();
        let without = functions(&self::fixture().tree(), &mut missed);
        assert_eq!((without[1].claimed_by.as_ref(), missed.len()), (None, 1));
    }
}
