// SPDX-License-Identifier: Apache-2.0
//! Chooses the boot image's modules from a kernel package and puts them into an order in which they load.
//!
//! Writes three text files for PID 1, which has no modprobe. All are UTF-8, one entry a line, tab between the fields:
//!
//! | file | line |
//! |---|---|
//! | `/lib/modules/list` | `name<TAB>path<TAB>deps`: module name (underscores), absolute path of the uncompressed `.ko`, and the names that must be loaded before it, with commas, maybe none. Each of these stands on an earlier line: who loads the lines he needs from top to bottom is right |
//! | `/lib/modules/alias` | `pattern<TAB>name`: a shell pattern (`*`, `?`, `[...]`) to match against a device's `modalias`; file systems have the pattern `fs-NAME` |
//! | `/lib/modules/always` | `name`: loaded although no device asks for it |
//!
//! A module that answers ENODEV serves hardware that is not there; that is no fault. What stands in `deps` loads on every
//! machine that has the hardware of the module itself: soft dependencies are named by their generic form only.

use super::drivers::{ALWAYS, DRIVERS, Driver, For};
use super::modinfo::{ModInfo, module_name};
use crate::command::{command, output};
use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folder of the modules in the boot image.
pub(crate) const FOLDER: &str = "lib/modules";

/// One chosen module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its name.
    pub(crate) name: String,
    /// Its uncompressed bytes, signature included.
    pub(crate) bytes: Vec<u8>,
    /// What must be loaded before it.
    pub(crate) deps: Vec<String>,
    /// What asks for it.
    pub(crate) aliases: Vec<String>,
}

/// The chosen modules in loading order.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The modules.
    pub(crate) modules: Vec<Module>,
    /// Listed extras that this kernel does not have.
    pub(crate) absent: Vec<&'static str>,
}

/// Chooses from an unpacked kernel package: `folder` is its `lib/modules/VERSION`.
pub(crate) fn choose(folder: &Path) -> Result<Chosen> {
    let kernel = Kernel::open(folder)?;
    let mut order = Order {
        kernel: &kernel,
        done: Vec::new(),
        seen: BTreeSet::new(),
    };
    let mut absent = Vec::new();
    for driver in DRIVERS {
        if kernel.files.contains_key(driver.name) {
            order.add(driver.name, driver)?;
        } else if !kernel.builtin.contains(driver.name) {
            match driver.what {
                For::Extra => absent.push(driver.name),
                For::Network | For::Storage | For::FileSystem => bail!(
                    "the kernel in {} has no driver {} ({})",
                    folder.display(),
                    driver.name,
                    driver.why
                ),
            }
        }
    }
    Ok(Chosen {
        modules: order.done,
        absent,
    })
}

impl Chosen {
    /// `/lib/modules/list`.
    pub(crate) fn list(&self) -> String {
        self.modules.iter().fold(String::new(), |text, module| {
            let Module { name, deps, .. } = module;
            format!("{text}{name}\t/{FOLDER}/{name}.ko\t{}\n", deps.join(","))
        })
    }

    /// `/lib/modules/alias`.
    pub(crate) fn alias(&self) -> String {
        let mut lines: Vec<String> = self
            .modules
            .iter()
            .flat_map(|module| {
                let name = &module.name;
                module
                    .aliases
                    .iter()
                    .map(move |alias| format!("{alias}\t{name}\n"))
            })
            .collect();
        lines.sort();
        lines.concat()
    }

    /// `/lib/modules/always`.
    pub(crate) fn always(&self) -> String {
        ALWAYS
            .iter()
            .filter(|name| self.modules.iter().any(|module| module.name == **name))
            .map(|name| format!("{name}\n"))
            .collect()
    }
}

/// A kernel package's modules by name.
struct Kernel {
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

impl Kernel {
    fn open(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        find(&folder.join("kernel"), &mut files)?;
        let path = folder.join("modules.builtin");
        let builtin = fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?
            .lines()
            .filter_map(|line| name_of(Path::new(line)))
            .collect();
        Ok(Self { files, builtin })
    }

    /// Modules for a soft dependency, which may be named by an alias such as `crypto-crc32c`: of several that offer the
    /// same, the generic one, because it loads on every machine. A faster one is loaded when the processor's own
    /// modalias asks for it.
    fn soft(&self, name: &str) -> Vec<String> {
        let plain = module_name(name.strip_prefix("crypto-").unwrap_or(name));
        [plain.clone(), format!("{plain}_generic")]
            .into_iter()
            .filter(|name| self.files.contains_key(name))
            .collect()
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self
            .files
            .get(name)
            .with_context(|| format!("there is no module {name}"))?;
        match path.extension().and_then(|kind| kind.to_str()) {
            Some("xz") => output(command("xz", ["-dc"]).arg(path)),
            Some("zst") => output(command("zstd", ["-dcq"]).arg(path)),
            _ => fs::read(path).with_context(|| format!("cannot read {}", path.display())),
        }
    }
}

fn find(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if let Some(name) = name_of(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// `crc32c-intel.ko.xz` is the module `crc32c_intel`.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (stem, rest) = file.split_once(".ko")?;
    matches!(rest, "" | ".xz" | ".zst").then(|| module_name(stem))
}

/// Depth-first: what a module needs comes before it.
struct Order<'a> {
    kernel: &'a Kernel,
    done: Vec<Module>,
    seen: BTreeSet<String>,
}

impl Order<'_> {
    fn add(&mut self, name: &str, asked_by: &Driver) -> Result<()> {
        if !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let bytes = self.kernel.read(name)?;
        let info = ModInfo::read(&bytes)
            .with_context(|| format!("module {name}, needed by {}", asked_by.name))?;
        let mut deps = info.depends;
        deps.extend(info.soft.iter().flat_map(|soft| self.kernel.soft(soft)));
        if asked_by.name == name {
            let also = asked_by.also.iter().map(|also| (*also).to_owned());
            deps.extend(also.filter(|also| self.kernel.files.contains_key(also)));
        }
        deps.retain(|dep| !self.kernel.builtin.contains(dep));
        deps.sort();
        deps.dedup();
        for dep in &deps {
            self.add(dep, asked_by)?;
        }
        self.done.push(Module {
            name: name.to_owned(),
            bytes,
            deps,
            aliases: info.aliases,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_files_of_any_compression() {
        for (file, name) in [
            ("a/crc32c-intel.ko", Some("crc32c_intel")),
            ("nvme-core.ko.xz", Some("nvme_core")),
            ("ext4.ko.zst", Some("ext4")),
            ("modules.order", None),
            ("x.ko.bak", None),
        ] {
            assert_eq!(name_of(Path::new(file)).as_deref(), name, "{file}");
        }
    }

    #[test]
    fn the_texts_for_pid_1_are_as_documented() {
        let module = |name: &str, deps: &[&str], aliases: &[&str]| Module {
            name: name.into(),
            bytes: Vec::new(),
            deps: deps.iter().map(|dep| (*dep).into()).collect(),
            aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
        };
        let chosen = Chosen {
            modules: vec![
                module("crc16", &[], &[]),
                module("ext4", &["crc16", "jbd2"], &["fs-ext4", "fs-ext3"]),
                module("ipmi_devintf", &[], &[]),
            ],
            absent: Vec::new(),
        };
        assert_eq!(
            chosen.list(),
            "crc16\t/lib/modules/crc16.ko\t\next4\t/lib/modules/ext4.ko\tcrc16,jbd2\nipmi_devintf\t/lib/modules/ipmi_devintf.ko\t\n"
        );
        assert_eq!(chosen.alias(), "fs-ext3\text4\nfs-ext4\text4\n");
        assert_eq!(chosen.always(), "ipmi_devintf\n");
    }
}
