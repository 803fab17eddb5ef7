// SPDX-License-Identifier: Apache-2.0
//! Checks what hosts get of their own: every path is one, every text has one source, every field of a template is known and
//! has a value for the node, and nothing is put where something of ours or of the site's lies already.

use crate::custom::{Fields, NOCLOUD, merged};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use groundstate_api::customise::{
    Custom, FILES_MAX, SITE_FILE_MAX, SITE_TEXT_MAX, Source, is_credential_name, path_fault,
};
use groundstate_api::site::Site;
use groundstate_api::template::Template;
use groundstate_api::text::printable;

type Add<'a> = &'a mut dyn FnMut(String, String);

/// What is ours on a host: first-boot data, the agent's credential, the agent and its unit.
const OURS: [&str; 7] = [
    "/var/lib/groundstate",
    "/etc/groundstate",
    "/usr/sbin/host-agent",
    "/sbin/host-agent",
    "/etc/systemd/system/host-agent.service",
    "/usr/lib/systemd/system/host-agent.service",
    "/lib/systemd/system/host-agent.service",
];
/// The longest name of a file beside the site file, in bytes.
const FROM_MAX: usize = 255;
/// The longest name of a file in the provisioner's credentials directory, as it is read there.
const SECRET_NAME_MAX: usize = 64;

/// Names every fault through `add`.
pub(crate) fn check(site: &Site, add: Add<'_>) {
    of_list("policy", site.policy.custom(), add);
    for (index, node) in site.nodes.iter().enumerate() {
        let at = format!("node[{index}]");
        let own = node.custom();
        of_list(&at, own, add);
        if !own.is_empty() || !site.policy.custom().is_empty() {
            of_node(site, index, add);
        }
    }
}

/// What stands in one list, for itself.
fn of_list(at: &str, custom: Custom<'_>, add: Add<'_>) {
    for (index, file) in custom.files.iter().enumerate() {
        let at = format!("{at}.file[{index}]");
        if let Some(why) = path_fault(&file.path) {
            add(format!("{at}.path"), format!("{:?}: {why}", file.path));
        } else if OURS.iter().any(|ours| is_within(&file.path, ours)) {
            let should = format!(
                "{} is groundstate's own on every host; put the file elsewhere",
                file.path
            );
            add(format!("{at}.path"), should);
        }
        if file.mode_bits().is_none() {
            let mode = file.mode.as_deref().unwrap_or_default();
            let should = format!("{mode:?} should be three or four octal digits, for example 0644");
            add(format!("{at}.mode"), should);
        }
        if file.partition == Some(0) {
            let should = "partitions count from 1; leave it out for the root file system";
            add(format!("{at}.partition"), should.to_string());
        }
    }
    for (path, source) in custom.sources() {
        let at = format!("{at}.{path}");
        match source {
            None => add(
                at,
                "one of content, template and from should say what it holds".to_string(),
            ),
            Some(Source::Content(text)) => text_of(&format!("{at}.content"), text, add),
            Some(Source::Template(text)) => {
                let at = format!("{at}.template");
                text_of(&at, text, add);
                if let Err(error) = Template::parse(text) {
                    add(at, error.to_string());
                }
            }
            Some(Source::File { name, stored }) => {
                from(&at, name, stored.map(|(_, size)| size), add)
            }
        }
    }
    for (index, credential) in custom.credentials.iter().enumerate() {
        let at = format!("{at}.credential[{index}]");
        if !is_credential_name(&credential.name) {
            let should = format!(
                "{:?} should be 1 to 240 printable ASCII characters without '/' and ':'",
                credential.name
            );
            add(format!("{at}.name"), should);
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let from = &credential.from;
        if !(1..=SECRET_NAME_MAX).contains(&from.len())
            || from.starts_with('.')
            || !from.chars().all(fits)
        {
            let should = format!(
                "{from:?} should be the name of a file in the credentials directory: 1 to {SECRET_NAME_MAX} of A-Z, a-z, 0-9, '-', '_' and '.', not beginning with '.'"
            );
            add(format!("{at}.from"), should);
        }
    }
    twice(at, custom, add);
}

/// The same thing said twice in one list.
fn twice(at: &str, custom: Custom<'_>, add: Add<'_>) {
    let mut paths = BTreeMap::new();
    for (index, file) in custom.files.iter().enumerate() {
        if let Some(first) = paths.insert((file.partition, &file.path), index) {
            let should = format!("{} is taken by {at}.file[{first}]", file.path);
            add(format!("{at}.file[{index}].path"), should);
        }
    }
    let mut names = BTreeMap::new();
    for (index, credential) in custom.credentials.iter().enumerate() {
        if let Some(first) = names.insert(&credential.name, index) {
            let should = format!("{:?} is taken by {at}.credential[{first}]", credential.name);
            add(format!("{at}.credential[{index}].name"), should);
        }
    }
}

fn text_of(at: &str, text: &str, add: Add<'_>) {
    if text.len() > SITE_TEXT_MAX {
        let should = format!(
            "{} bytes; {SITE_TEXT_MAX} is the most in the site itself, put it into a file and name that with from",
            text.len()
        );
        add(at.to_string(), should);
    }
    let fine = |c: char| printable(c) || matches!(c, '\n' | '\t' | '\r');
    if let Some(c) = text.chars().find(|c| !fine(*c)) {
        let should = format!(
            "it holds U+{:04X}, which nobody sees; put it into a file and name that with from",
            u32::from(c)
        );
        add(at.to_string(), should);
    }
}

fn from(at: &str, name: &str, size: Option<groundstate_api::Bytes>, add: Add<'_>) {
    let plain = !name.starts_with('/')
        && name.len() <= FROM_MAX
        && name
            .split('/')
            .all(|part| !part.is_empty() && !matches!(part, "." | ".."));
    if !plain {
        let should = format!(
            "{name:?} should be the name of a file in the site file's folder or below, without `..`"
        );
        add(format!("{at}.from"), should);
    }
    match size {
        None => add(
            format!("{at}.from"),
            "its sha256 and size should be there: groundstate apply writes them in from the file"
                .to_string(),
        ),
        Some(size) if size > SITE_FILE_MAX => {
            let should = format!(
                "{name} has {} bytes; {SITE_FILE_MAX} is the most, what is larger belongs into the image",
                size.0
            );
            add(format!("{at}.from"), should);
        }
        Some(_) => {}
    }
}

/// What one node gets, its policy's included.
fn of_node(site: &Site, index: usize, add: Add<'_>) {
    let Some(node) = site.nodes.get(index) else {
        return;
    };
    let at = format!("node[{index}]");
    let merged = merged(&site.policy, node);
    let count = merged.files.len() + merged.credentials.len();
    if count > FILES_MAX {
        let should =
            format!("{count} files and credentials with the policy's; {FILES_MAX} is the most");
        add(format!("{at}.file"), should);
    }
    let fields = Fields::of_site(site, node);
    for (path, source) in merged.sources() {
        let Source::Template(text) = source else {
            continue;
        };
        // What is no template is told where it stands.
        let Ok(template) = Template::parse(text) else {
            continue;
        };
        if let Some(field) = template.fields().find(|field| !fields.may_have(*field)) {
            let should = format!(
                "{path} fills in ${{{}}}, and {} has none",
                field.as_str(),
                node.name
            );
            add(at.clone(), should);
        }
    }
    in_each_others_way(&at, &merged, add);
}

/// Two things with one place, and a file where another one needs a folder.
fn in_each_others_way(at: &str, merged: &crate::custom::Merged<'_>, add: Add<'_>) {
    let mut taken: BTreeMap<(Option<u32>, String), &str> = BTreeMap::new();
    let mut all: alloc::vec::Vec<(Option<u32>, String, &str)> = alloc::vec::Vec::new();
    for file in &merged.files {
        all.push((file.partition, file.path.clone(), "a file"));
    }
    for credential in &merged.credentials {
        let path = format!("/etc/credstore/{}", credential.name);
        all.push((None, path, "a credential"));
    }
    for (key, _) in &merged.nocloud {
        let path = format!("{NOCLOUD}/{}", key.replace('_', "-"));
        all.push((None, path, "the NoCloud seed"));
    }
    for (partition, path, what) in &all {
        // The same twice in one list is told there.
        if let Some(first) = taken.insert((*partition, path.clone()), what)
            && first != *what
        {
            add(at.to_string(), format!("{path} is {first} and {what}"));
        }
    }
    for (partition, path) in taken.keys() {
        let mut end = path.len();
        while let Some(cut) = path.get(..end).and_then(|part| part.rfind('/')) {
            let above = path.get(..cut).unwrap_or_default().to_string();
            end = cut;
            if !above.is_empty() && taken.contains_key(&(*partition, above.clone())) {
                let should = format!("{above} is a file, and {path} needs a folder of that name");
                add(at.to_string(), should);
            }
        }
    }
}

fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
