// SPDX-License-Identifier: Apache-2.0
//! What the figures were taken on. A figure without it says little.

use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The machine, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    /// Model of the processor.
    pub(super) cpu: String,
    /// How many of them.
    pub(super) cores: usize,
    /// Memory in MiB.
    pub(super) memory_mib: u64,
    /// Device, file system and its options where the bench works.
    pub(super) file_system: String,
    /// The disk under it.
    pub(super) disk: String,
    /// The kernel's release.
    pub(super) kernel: String,
    /// Processes that wanted to run, averaged over 1, 5 and 15 minutes: how quiet it was.
    pub(super) load: String,
}

impl Machine {
    /// This one; `at` is where the bench works. What cannot be read is `unknown`.
    pub(super) fn here(at: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (cpu, cores) = cpu(&read("/proc/cpuinfo"));
        let (device, file_system) = mounted(&read("/proc/self/mounts"), at);
        Self {
            cpu,
            cores,
            memory_mib: memory(&read("/proc/meminfo")),
            disk: disk(&device),
            file_system,
            kernel: known(read("/proc/sys/kernel/osrelease").trim()),
            load: known(
                &read("/proc/loadavg")
                    .split(' ')
                    .take(3)
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
        }
    }

    /// A line each, for people.
    pub(super) fn lines(&self) -> Vec<String> {
        vec![
            format!(
                "{} x {}, {} MiB of memory, Linux {}",
                self.cores, self.cpu, self.memory_mib, self.kernel
            ),
            format!("{} on {}", self.file_system, self.disk),
            format!("load {} at the start", self.load),
        ]
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "cpu": self.cpu,
            "cores": self.cores,
            "memory_mib": self.memory_mib,
            "disk": self.disk,
            "file_system": self.file_system,
            "kernel": self.kernel,
            "load": self.load,
        })
    }
}

fn known(text: &str) -> String {
    if text.is_empty() {
        "unknown".to_owned()
    } else {
        text.to_owned()
    }
}

fn cpu(cpuinfo: &str) -> (String, usize) {
    let models = || {
        let fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(key, _)| key.trim() == "model name")
            .map(|(_, model)| model.trim())
    };
    (known(models().next().unwrap_or_default()), models().count())
}

fn memory(meminfo: &str) -> u64 {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1_024
}

/// The device, and the words about the file system, of the longest mount point above `at`.
fn mounted(mounts: &str, at: &Path) -> (String, String) {
    let rows = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?, words.next()?))
    });
    let best = rows
        .filter(|(_, point, _, _)| at.starts_with(point))
        .max_by_key(|(_, point, _, _)| point.len());
    best.map_or_else(
        || ("unknown".to_owned(), "unknown".to_owned()),
        |(device, _, kind, options)| (device.to_owned(), format!("{kind} ({options})")),
    )
}

fn disk(device: &str) -> String {
    let name = device.trim_start_matches("/dev/");
    let folder = Path::new("/sys/class/block").join(name);
    // A partition's queue is its disk's.
    let queue = [folder.join("queue"), folder.join("../queue")]
        .into_iter()
        .find(|queue| queue.is_dir());
    let Some(queue) = queue else {
        return known(device);
    };
    let word = |file: &str| {
        fs::read_to_string(queue.join(file))
            .map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
    };
    let kind = if word("rotational") == "1" {
        "rotating"
    } else {
        "not rotating"
    };
    format!(
        "{name} ({kind} by its own word, sectors of {} bytes, write_zeroes_max_bytes {}, unmapping {})",
        word("logical_block_size"),
        word("write_zeroes_max_bytes"),
        word("write_zeroes_unmap_max_bytes")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_and_memory_are_counted() {
        let text =
            "processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: AMD EPYC\n";
        assert_eq!(cpu(text), ("AMD EPYC".to_owned(), 2));
        assert_eq!(cpu(""), ("unknown".to_owned(), 0));
        assert_eq!(
            memory("MemTotal:       24669032 kB\nMemFree: 1 kB\n"),
            24_090
        );
    }

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw,nosuid 0 0\n";
        let at = |path| mounted(mounts, Path::new(path));
        assert_eq!(
            at("/tmp/x"),
            ("tmpfs".to_owned(), "tmpfs (rw,nosuid)".to_owned())
        );
        assert_eq!(at("/tmpx"), ("/dev/vda".to_owned(), "ext4 (rw)".to_owned()));
    }
}
