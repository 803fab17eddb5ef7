// SPDX-License-Identifier: Apache-2.0
//! Processors as the kernel runs them.

use crate::sysfs::Tree;
use hw_core::machine::{CpuFacts, Package, Socket, cpu_list};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};

const ROOT: &str = "sys/devices/system/cpu";
/// The most bytes read of `/proc/cpuinfo`: 8,192 logical processors with 2 KiB each.
const CPUINFO_MAX: u64 = 16 << 20;
/// Flags that are recorded.
const FLAGS: [&str; 6] = ["vmx", "svm", "aes", "sha_ni", "avx2", "hypervisor"];

/// What `/proc/cpuinfo` says of one logical processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Block {
    number: u32,
    package: u32,
    vendor: String,
    model: String,
    microcode: String,
    flags: Vec<String>,
}

/// The processors; `sockets` are SMBIOS's words on them.
pub(crate) fn cpus(tree: &Tree, sockets: Vec<Socket>, missed: &mut Vec<String>) -> CpuFacts {
    let mut list = |name: &str| {
        let path = format!("{ROOT}/{name}");
        let bytes = tree.bytes(&path).ok();
        let numbers = bytes.and_then(|bytes| cpu_list(&String::from_utf8_lossy(&bytes)));
        if numbers.is_none() {
            missed.push(format!("processors: /{path}: no list of processors"));
        }
        numbers.unwrap_or_default()
    };
    let (present, online) = (list("present"), list("online"));
    let blocks = match File::open(tree.path("proc/cpuinfo")) {
        Ok(file) => blocks(BufReader::new(file.take(CPUINFO_MAX))),
        Err(error) => {
            missed.push(format!("processors: /proc/cpuinfo: {error}"));
            Vec::new()
        }
    };
    let root = format!("{ROOT}/vulnerabilities");
    let names = tree.names(&root).unwrap_or_default();
    let vulnerabilities = names
        .into_iter()
        .filter_map(|name| {
            let says = tree.text(&format!("{root}/{name}"))?;
            Some((name, says))
        })
        .collect();
    CpuFacts {
        packages: packages(tree, &blocks),
        present,
        online,
        smt: tree
            .text(&format!("{ROOT}/smt/control"))
            .unwrap_or_default(),
        vulnerabilities,
        sockets,
    }
}

fn blocks(text: impl BufRead) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for line in text.split(b'\n').map_while(Result::ok) {
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            continue;
        };
        let (key, value) = line.split_at(colon);
        let key = hw_core::clean(key);
        let raw = value.get(1..).unwrap_or_default();
        let value = hw_core::clean(raw);
        if key == "processor" {
            let number = value.parse().unwrap_or_default();
            blocks.push(Block {
                number,
                ..Block::default()
            });
        }
        let Some(block) = blocks.last_mut() else {
            continue;
        };
        match key.as_str() {
            "vendor_id" => block.vendor = value,
            "model name" => block.model = value,
            "microcode" => block.microcode = value,
            "physical id" => block.package = value.parse().unwrap_or_default(),
            // The line is longer than a cleaned text may be.
            "flags" => {
                let words: Vec<&[u8]> = raw.split(|b| *b == b' ').collect();
                let has = |flag: &&&str| words.contains(&flag.as_bytes());
                block.flags = FLAGS.iter().filter(has).map(|f| (*f).to_owned()).collect();
            }
            _ => {}
        }
    }
    blocks
}

fn packages(tree: &Tree, blocks: &[Block]) -> Vec<Package> {
    let mut packages: BTreeMap<u32, (Package, BTreeMap<u64, u64>)> = BTreeMap::new();
    for block in blocks {
        let file = |name: &str| format!("{ROOT}/cpu{}/{name}", block.number);
        let id = tree
            .number(&file("topology/physical_package_id"))
            .unwrap_or(block.package);
        let (package, cores) = packages.entry(id).or_insert_with(|| {
            let package = Package {
                id,
                vendor: block.vendor.clone(),
                model: block.model.clone(),
                flags: block.flags.clone(),
                ..Package::default()
            };
            (package, BTreeMap::new())
        });
        package.threads += 1;
        let microcode = tree.text(&file("microcode/version"));
        let microcode = microcode.unwrap_or_else(|| block.microcode.clone());
        if !microcode.is_empty() && !package.microcode.contains(&microcode) {
            package.microcode.push(microcode);
        }
        // Siblings count one core's events together, and each logical processor may show its package's.
        let core = tree.number(&file("topology/core_id"));
        let core = core.unwrap_or_else(|| u64::from(block.number));
        let throttles: Option<u64> = tree.number(&file("thermal_throttle/core_throttle_count"));
        let count = cores.entry(core).or_default();
        *count = (*count).max(throttles.unwrap_or(0));
        if throttles.is_some() {
            package.core_throttles = Some(0);
        }
        let of_package: Option<u64> = tree.number(&file("thermal_throttle/package_throttle_count"));
        package.package_throttles = package.package_throttles.max(of_package);
    }
    let finish = |(mut package, cores): (Package, BTreeMap<u64, u64>)| {
        package.cores = u32::try_from(cores.len()).unwrap_or(u32::MAX);
        let sum = cores.values().fold(0u64, |sum, n| sum.saturating_add(*n));
        package.core_throttles = package.core_throttles.map(|_| sum);
        let once: BTreeSet<String> = package.microcode.drain(..).collect();
        package.microcode = once.into_iter().collect();
        package
    };
    packages.into_values().map(finish).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    #[test]
    fn packages_cores_and_threads_are_told_apart() {
        let fixture = Fixture::new();
        let mut cpuinfo = String::new();
        for cpu in 0..4u32 {
            let (package, core) = (cpu / 2, 0);
            cpuinfo += &format!(
                "processor\t: {cpu}\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\x1b[1m\nmicrocode\t: 0x1\nphysical id\t: {package}\nflags\t\t: fpu vmx {} aes\n\n",
                "x ".repeat(200)
            );
            let file = |name: &str| format!("{ROOT}/cpu{cpu}/{name}");
            fixture.file(&file("topology/physical_package_id"), &package.to_string());
            fixture.file(&file("topology/core_id"), &format!("{core}\n"));
            fixture.file(&file("thermal_throttle/core_throttle_count"), "3\n");
            fixture.file(
                &file("thermal_throttle/package_throttle_count"),
                &cpu.to_string(),
            );
        }
        fixture.file("proc/cpuinfo", &cpuinfo);
        fixture.file(&format!("{ROOT}/cpu3/microcode/version"), "0x2\n");
        fixture.file(&format!("{ROOT}/present"), "0-4\n");
        fixture.file(&format!("{ROOT}/online"), "0-3\n");
        fixture.file(&format!("{ROOT}/smt/control"), "on\n");
        fixture.file(&format!("{ROOT}/vulnerabilities/l1tf"), "Not affected\n");
        let mut missed = Vec::new();
        let seen = cpus(&fixture.tree(), Vec::new(), &mut missed);
        assert_eq!(missed, [""; 0]);
        assert_eq!((seen.present.len(), seen.online.len()), (5, 4));
        let [first, second] = seen.packages.as_slice() else {
            panic!("{seen:?}")
        };
        assert_eq!((first.cores, first.threads), (1, 2));
        assert_eq!(
            (first.core_throttles, first.package_throttles),
            (Some(3), Some(1))
        );
        assert_eq!(
            (first.model.as_str(), first.flags.as_slice()),
            ("Xeon?[1m", ["vmx".to_owned(), "aes".into()].as_slice())
        );
        assert_eq!(second.microcode, ["0x1", "0x2"]);
        assert_eq!(seen.vulnerabilities["l1tf"], "Not affected");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let mut missed = Vec::new();
        let seen = cpus(&Fixture::new().tree(), Vec::new(), &mut missed);
        assert_eq!(seen.packages, []);
        assert_eq!(missed.len(), 3);
    }
}
