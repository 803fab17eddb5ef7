// SPDX-License-Identifier: Apache-2.0
//! Checks what a site file says about booting: every name that is used is there, and everything that ends up in a boot
//! script is of letters that a script can carry.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use groundstate_api::boot::BootRecipe;
use groundstate_api::boot_rules::{BootRules, LOCAL_DISK, NOTHING};
use groundstate_api::site::Site;

/// The longest name of a recipe, in characters: it stands in a column.
const NAME_MAX: usize = 32;
/// The longest name of a boot file, in bytes: as the boot service serves them.
const FILE_MAX: usize = 255;
/// The most initramfs files of a recipe.
const INITRDS_MAX: usize = 16;
/// The longest command line, in bytes: Linux keeps 2,048.
const COMMAND_LINE_MAX: usize = 1_024;

/// Tells each fault: the path of the field, and what it should be.
pub(crate) fn check(site: &Site, fault: &mut dyn FnMut(String, String)) {
    recipes(&site.boot, fault);
    for (index, rule) in site.boot.models.iter().enumerate() {
        let path = format!("boot.model[{index}]");
        if rule.model.trim().is_empty() {
            fault(
                format!("{path}.model"),
                "a model should not be empty; * is every model".to_string(),
            );
        }
        if let Some(name) = &rule.boot {
            known(&site.boot, name, &format!("{path}.boot"), fault);
        }
    }
    for (index, node) in site.nodes.iter().enumerate() {
        if let Some(name) = &node.boot {
            known(&site.boot, name, &format!("node[{index}].boot"), fault);
        }
    }
}

fn known(rules: &BootRules, name: &str, path: &str, fault: &mut dyn FnMut(String, String)) {
    if [NOTHING, LOCAL_DISK].contains(&name) || rules.recipe(name).is_some() {
        return;
    }
    let mut there: String = rules.recipes.iter().fold(String::new(), |mut all, recipe| {
        all.push_str(&recipe.name);
        all.push_str(", ");
        all
    });
    there.push_str("nothing, local-disk");
    fault(
        path.to_string(),
        format!("there is no recipe {name:?}; there are: {there}"),
    );
}

fn recipes(rules: &BootRules, fault: &mut dyn FnMut(String, String)) {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, recipe) in rules.recipes.iter().enumerate() {
        let path = format!("boot.recipe[{index}]");
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let name = &recipe.name;
        if !(1..=NAME_MAX).contains(&name.len()) || !name.chars().all(allowed) {
            fault(
                format!("{path}.name"),
                format!("{name:?} should be 1 to {NAME_MAX} of a-z, 0-9 and '-'"),
            );
        } else if [NOTHING, LOCAL_DISK].contains(&name.as_str()) {
            fault(
                format!("{path}.name"),
                format!("{name:?} has a meaning of its own"),
            );
        }
        if let Some(first) = seen.insert(name, index) {
            fault(
                format!("{path}.name"),
                format!("{name:?} is taken by boot.recipe[{first}]"),
            );
        }
        contents(&path, recipe, fault);
    }
}

fn contents(path: &str, recipe: &BootRecipe, fault: &mut dyn FnMut(String, String)) {
    let files = recipe.file.iter().map(|name| ("file".to_string(), name));
    let files = files.chain(
        recipe
            .kernel
            .iter()
            .map(|name| ("kernel".to_string(), name)),
    );
    let initrds = recipe.initrd.iter().enumerate();
    let files = files.chain(initrds.map(|(n, name)| (format!("initrd[{n}]"), name)));
    for (field, name) in files {
        if !is_file_name(name) {
            fault(
                format!("{path}.{field}"),
                format!(
                    "{name:?} should be a relative name of letters, digits and . _ , : = @ + - with / between, at most {FILE_MAX}"
                ),
            );
        }
    }
    if recipe.file.is_some() == recipe.kernel.is_some() {
        fault(
            path.to_string(),
            "a recipe has either a file or a kernel".to_string(),
        );
    }
    if recipe.file.is_some() && !(recipe.initrd.is_empty() && recipe.command_line.is_empty()) {
        fault(
            format!("{path}.file"),
            "initrd and command_line go with a kernel".to_string(),
        );
    }
    if recipe.initrd.len() > INITRDS_MAX {
        fault(
            format!("{path}.initrd"),
            format!("{} files; {INITRDS_MAX} is the most", recipe.initrd.len()),
        );
    }
    let last = |name: &String| name.rsplit('/').next().map(str::to_string);
    let mut ends: BTreeMap<Option<String>, usize> = BTreeMap::new();
    for (n, name) in recipe.initrd.iter().enumerate() {
        if let Some(first) = ends.insert(last(name), n) {
            fault(
                format!("{path}.initrd[{n}]"),
                format!(
                    "{name:?} ends as initrd[{first}] does: the kernel could not tell them apart"
                ),
            );
        }
    }
    let line = &recipe.command_line;
    let allowed = |c: char| c.is_ascii_alphanumeric() || " ._,:=/@+-".contains(c);
    if line.len() > COMMAND_LINE_MAX || !line.chars().all(allowed) {
        fault(
            format!("{path}.command_line"),
            format!(
                "it should be of letters, digits, blanks and . _ , : = / @ + -, at most {COMMAND_LINE_MAX}"
            ),
        );
    }
}

fn is_file_name(name: &str) -> bool {
    let part = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._,:=@+-".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed)
    };
    name.len() <= FILE_MAX && name.split('/').all(part)
}
