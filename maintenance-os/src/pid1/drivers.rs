// SPDX-License-Identifier: Apache-2.0
//! Loads the kernel modules that this machine's devices ask for, and no others.
//!
//! The boot image brings `/lib/modules/list` (`name<TAB>path<TAB>dependency,dependency`) and `/lib/modules/alias`
//! (`pattern<TAB>name`), and in `/lib/modules/always` the names of those that no device asks for. The kernel names each
//! device's needs in `modalias` files; loading a bus driver brings new devices, so the search is repeated until nothing
//! new is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Searches at most this often: a device tree is never nested this deep in busses.
const ROUNDS_MAX: u32 = 8;
/// The deepest directory below `/sys/devices` that is looked at.
const DEPTH_MAX: u32 = 16;

/// The modules of the boot image.
#[derive(Debug, Default)]
pub(super) struct Drivers {
    modules: BTreeMap<String, Module>,
    aliases: Vec<(String, String)>,
    loaded: BTreeSet<String>,
    failed: BTreeMap<String, String>,
    always: Vec<String>,
}

#[derive(Debug)]
struct Module {
    path: PathBuf,
    needs: Vec<String>,
}

impl Drivers {
    /// Reads the three lists below `root` (`/lib/modules` in the boot image).
    ///
    /// # Errors
    /// The I/O error with the path it is about.
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let read = |name: &str| {
            let path = root.join(name);
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let mut drivers = Self::default();
        for line in read("list")?.lines() {
            let mut fields = line.split('\t');
            if let (Some(name), Some(path)) = (fields.next(), fields.next()) {
                let needs = fields
                    .next()
                    .unwrap_or_default()
                    .split(',')
                    .filter(|n| !n.is_empty())
                    .map(str::to_owned);
                let module = Module {
                    path: PathBuf::from(path),
                    needs: needs.collect(),
                };
                drivers.modules.insert(name.to_owned(), module);
            }
        }
        for line in read("alias")?.lines() {
            if let Some((pattern, name)) = line.split_once('\t') {
                drivers.aliases.push((pattern.to_owned(), name.to_owned()));
            }
        }
        drivers.always = read("always")?.lines().map(str::to_owned).collect();
        Ok(drivers)
    }

    /// Loads what the devices below `devices` (`/sys/devices`) ask for, then what the boot image says no device
    /// asks for; says which modules are new.
    pub(super) fn load(&mut self, devices: &Path) -> Vec<String> {
        let mut new = self.load_for_devices(devices);
        for name in self.always.clone() {
            self.load_one(&name, &mut new);
        }
        new
    }

    /// Loads what the devices below `devices` (`/sys/devices`) ask for; says which modules are new.
    fn load_for_devices(&mut self, devices: &Path) -> Vec<String> {
        let mut new = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let mut asked = BTreeSet::new();
            modaliases(devices, 0, &mut asked);
            let before = new.len();
            for alias in asked {
                let wanted: Vec<String> = self.wanted_by(&alias).map(str::to_owned).collect();
                for name in wanted {
                    self.load_one(&name, &mut new);
                }
            }
            if new.len() == before {
                break;
            }
        }
        new
    }

    /// Loads modules by name (file systems), with what they need.
    pub(super) fn load_named(&mut self, names: &[&str]) -> Vec<String> {
        let mut new = Vec::new();
        for name in names {
            self.load_one(name, &mut new);
        }
        new
    }

    /// Modules that the kernel would not take, with its reason.
    #[must_use]
    pub(super) fn failed(&self) -> &BTreeMap<String, String> {
        &self.failed
    }

    fn wanted_by<'a>(&'a self, alias: &'a str) -> impl Iterator<Item = &'a str> {
        self.aliases
            .iter()
            .filter(move |(pattern, _)| matches(pattern.as_bytes(), alias.as_bytes()))
            .map(|(_, name)| name.as_str())
    }

    fn load_one(&mut self, name: &str, new: &mut Vec<String>) {
        if self.loaded.contains(name) || self.failed.contains_key(name) {
            return;
        }
        // Marked first, so that modules that need each other cannot recurse for ever.
        self.loaded.insert(name.to_owned());
        let Some(module) = self.modules.get(name) else {
            let why = "the boot image does not bring it".to_owned();
            self.failed.insert(name.to_owned(), why);
            return;
        };
        let path = module.path.clone();
        for need in module.needs.clone() {
            self.load_one(&need, new);
        }
        match insert(&path) {
            Ok(()) => new.push(name.to_owned()),
            Err(error) => {
                self.loaded.remove(name);
                self.failed.insert(name.to_owned(), error);
            }
        }
    }
}

fn insert(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    match rustix::system::finit_module(&file, c"", 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

fn modaliases(dir: &Path, depth: u32, out: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && depth < DEPTH_MAX {
            modaliases(&entry.path(), depth + 1, out);
        } else if entry.file_name() == "modalias"
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            out.insert(text.trim().to_owned());
        }
    }
}

/// Shell-style matching as modules.alias uses it: `*`, `?` and `[a-z]`.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => {
            (0..=text.len()).any(|skip| matches(rest, text.get(skip..).unwrap_or_default()))
        }
        Some((b'?', rest)) => text
            .split_first()
            .is_some_and(|(_, tail)| matches(rest, tail)),
        Some((b'[', rest)) => {
            let Some(end) = rest.iter().position(|b| *b == b']') else {
                return false;
            };
            let (set, after) = (
                rest.get(..end).unwrap_or_default(),
                rest.get(end + 1..).unwrap_or_default(),
            );
            text.split_first()
                .is_some_and(|(byte, tail)| in_set(set, *byte) && matches(after, tail))
        }
        Some((byte, rest)) => text
            .split_first()
            .is_some_and(|(first, tail)| first == byte && matches(rest, tail)),
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    match set {
        [low, b'-', high, rest @ ..] => (*low..=*high).contains(&byte) || in_set(rest, byte),
        [one, rest @ ..] => *one == byte || in_set(rest, byte),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_modules_alias_match_as_the_kernel_means_them() {
        for (pattern, text, is) in [
            (
                "pci:v*d*sv*sd*bc01sc08i02*",
                "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02",
                true,
            ),
            (
                "pci:v*d*sv*sd*bc01sc06i01*",
                "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02",
                false,
            ),
            ("virtio:d00000001v*", "virtio:d00000001v00001AF4", true),
            ("scsi:t-0x0[0-7]*", "scsi:t-0x07", true),
            ("scsi:t-0x0[0-7]*", "scsi:t-0x0e", false),
            ("a?c", "abc", true),
            ("a[b", "ab", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                is,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_module_the_kernel_does_not_take_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(
            dir.path().join("list"),
            format!("a\t{0}/a.ko\tb\nb\t{0}/b.ko\ta\n", dir.path().display()),
        )
        .unwrap();
        fs::write(dir.path().join("alias"), "x:*\ta\n").unwrap();
        fs::write(dir.path().join("always"), "c\n").unwrap();
        let device = dir.path().join("devices/x");
        fs::create_dir_all(&device).unwrap();
        fs::write(device.join("modalias"), "x:1\n").unwrap();
        let mut drivers = Drivers::read(dir.path()).unwrap();
        assert!(drivers.load(&dir.path().join("devices")).is_empty());
        assert!(
            drivers
                .failed()
                .get("a")
                .is_some_and(|why| why.contains("a.ko")),
            "{:?}",
            drivers.failed()
        );
    }
}
