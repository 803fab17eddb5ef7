// SPDX-License-Identifier: Apache-2.0
//! Findings on memory and its modules, explained.

use super::Entry;
use groundstate_api::health::DeviceKind::{self, Dimm, Memory};

const fn entry(
    code: &'static str,
    kind: DeviceKind,
    title: &'static str,
    meaning: &'static str,
    to_do: &'static str,
) -> Entry {
    Entry {
        code,
        kind,
        title,
        meaning,
        to_do,
    }
}

/// The findings.
pub(super) const ENTRIES: &[Entry] = &[
    entry(
        "dimm-missing",
        Dimm,
        "A memory module is missing",
        "The site file or the node's last good report has a module in this slot, and the firmware's SMBIOS tables say that the slot is empty or do not list it. The module may be dead, badly seated, mapped out by the firmware after errors, or in another slot; where its serial number turns up elsewhere, the evidence says so.",
        "Power the machine off and reseat the module. When the slot stays empty, try a module that is known to be good in it: then it is the module, else the slot, the board or the processor's pins.",
    ),
    entry(
        "dimm-wrong-size",
        Dimm,
        "A memory module has another size than expected",
        "A module is in the slot, and its size is not what the site file or the last good report has there. Somebody put in another one, or the firmware uses a part of it only (a failed rank).",
        "Look at the module's label. If the size on it is the expected one, reseat and then replace the module; else put the right one in, or change the expectation.",
    ),
    entry(
        "dimm-size-unknown",
        Dimm,
        "The size of a memory module is unknown",
        "The firmware says that a module is in the slot and does not know its size. It happens with firmware that could not read the module's data (SPD), which a bad contact causes as well.",
        "Reseat the module, read its label, and update the firmware if it stays so.",
    ),
    entry(
        "dimm-replaced",
        Dimm,
        "Another memory module is in the slot",
        "The module's serial number is not the one that the site file or the last good report has for this slot. It is no fault by itself; the evidence says where the expected one sits now, if it sits anywhere.",
        "If it was replaced on purpose, write the new serial number into the site file; else find out who was at the machine.",
    ),
    entry(
        "dimm-uncorrected-errors",
        Dimm,
        "Memory errors that could not be corrected",
        "The memory controller found more wrong bits in a word than its code corrects. The data was lost; the kernel kills the process that used it or stops the machine. One is enough.",
        "Replace the module. If the new one shows the same, it is the slot, the board or the processor.",
    ),
    entry(
        "dimm-corrected-errors",
        Dimm,
        "Many corrected memory errors",
        "The memory controller corrected errors on this module, more than chance explains: from 10 in 24 hours on it is a warning, from 1000 on the module should be replaced. Nothing was lost yet. A bad contact, heat and a failing module look alike.",
        "Reseat the module and look at its cooling. When the count goes on growing, replace it.",
    ),
    entry(
        "dimm-few-corrected-errors",
        Dimm,
        "A few corrected memory errors",
        "The memory controller corrected single errors on this module. Particles flip bits in good modules too, and the code is there for that.",
        "Nothing; look whether the count grows.",
    ),
    entry(
        "dimm-test-failed",
        Dimm,
        "A memory module failed the memory test",
        "A word that the test wrote read back differently, and the firmware's address tables give its physical address to this module alone. Good memory never does that.",
        "Replace the module and test again.",
    ),
    entry(
        "memory-test-failed",
        Memory,
        "The memory test found wrong words",
        "Words that the test wrote read back differently. Which module they are on is not known: the tables give the address to several interleaved modules or to none, or the kernel does not tell physical addresses. An unstable processor or wrong timing settings look the same.",
        "Load the firmware's default settings and test again; then take out half of the modules, and so on, until the one that fails is found.",
    ),
    entry(
        "memory-test-incomplete",
        Memory,
        "The memory test did not finish a pass",
        "It was called off or its time was up before every pattern had gone over the memory once. Nothing was wrong in what it did, and that says little.",
        "Give it more time, or a smaller share of the memory.",
    ),
    entry(
        "memory-short",
        Memory,
        "The kernel has less memory than the modules add up to",
        "More than 256 MiB and more than a twentieth of what the modules add up to is missing from what the kernel can use. The firmware may have mapped out a module that it still lists, mirroring or sparing may be switched on, or a limit is set (`mem=` on the kernel's command line).",
        "Look into the firmware's setup and event log for mapped-out modules, mirroring and limits, then reseat the modules.",
    ),
    entry(
        "memory-more-than-listed",
        Memory,
        "The kernel has more memory than the firmware lists",
        "The firmware's SMBIOS tables leave out modules that are there. The machine works; its slot list cannot be trusted, and a missing module may not be found.",
        "Update the machine's firmware.",
    ),
    entry(
        "memory-not-listed",
        Memory,
        "The firmware lists no memory slot",
        "The SMBIOS tables have no system memory array, cannot be read, or are damaged; so nobody can say whether a module is missing. Virtual machines and some boards are like this for good.",
        "Update the firmware, or compare the modules in its set-up screen with what should be there.",
    ),
    entry(
        "memory-expectation",
        Memory,
        "The expected memory cannot be read",
        "A module's size in the site file is not a size, so that nothing can be compared with it.",
        "Write the size as 512MiB or 32GiB and read the site file again.",
    ),
];

#[cfg(test)]
mod tests {
    use crate::catalogue::find;

    /// Every code that a judgement of memory gives; the rules of counted errors bring their own.
    #[test]
    fn every_code_is_explained() {
        let rules = crate::memory::rules::RULES.iter().map(|rule| rule.code);
        let sources = [
            include_str!("../judge/memory.rs"),
            include_str!("../judge/memory/against.rs"),
            include_str!("../judge/memory/fault.rs"),
            include_str!("../memory/tested.rs"),
        ];
        let quoted = sources.iter().flat_map(|source| source.split('"'));
        let coded = quoted.filter(|word| {
            let kebab = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            kebab && (word.starts_with("dimm-") || word.starts_with("memory-"))
        });
        let mut count = 0;
        for code in rules.chain(coded) {
            assert!(find(code).is_some(), "{code} is not explained");
            count += 1;
        }
        assert!(count > 12);
    }
}
