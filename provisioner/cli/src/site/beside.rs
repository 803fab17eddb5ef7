// SPDX-License-Identifier: Apache-2.0
//! Files beside a site file, which it names with `from`: each is read once, and its digest and length are written into the
//! document, so that the site says byte for byte what hosts get.

use groundstate_api::customise::{FileBytes, SITE_FILE_MAX};
use groundstate_api::{Bytes, Digest};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// What a site file names, by digest.
pub(crate) type Beside = BTreeMap<Digest, FileBytes>;

/// Writes digest and length of every file into the document. Says what is wrong, each with its path.
pub(super) fn fill(
    document: &mut Value,
    folder: &Path,
    beside: &mut Beside,
) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut of_list = |at: &str, list: &mut Value| {
        let Some(fields) = list.as_object_mut() else {
            return;
        };
        each(
            fields.get_mut("file"),
            &format!("{at}.file"),
            &mut |at, one| {
                of_source(at, one, folder, beside, &mut faults);
            },
        );
        if let Some(Value::Object(texts)) = fields.get_mut("nocloud") {
            for (key, text) in texts {
                let at = format!("{at}.nocloud.{key}");
                of_source(&at, text, folder, beside, &mut faults);
            }
        }
        if let Some(text) = fields.get_mut("unattend") {
            of_source(&format!("{at}.unattend"), text, folder, beside, &mut faults);
        }
    };
    let Some(site) = document.as_object_mut() else {
        return faults;
    };
    if let Some(policy) = site.get_mut("policy") {
        of_list("policy", policy);
    }
    each(site.get_mut("node"), "node", &mut |at, node| {
        of_list(at, node)
    });
    faults
}

/// Each of a list; in XML one thing may stand for a list of one.
fn each(list: Option<&mut Value>, at: &str, look: &mut dyn FnMut(&str, &mut Value)) {
    match list {
        Some(Value::Array(all)) => {
            for (index, one) in all.iter_mut().enumerate() {
                look(&format!("{at}[{index}]"), one);
            }
        }
        Some(one @ Value::Object(_)) => look(&format!("{at}[0]"), one),
        Some(_) | None => {}
    }
}

fn of_source(
    at: &str,
    source: &mut Value,
    folder: &Path,
    beside: &mut Beside,
    faults: &mut Vec<(String, String)>,
) {
    let Value::Object(fields) = source else {
        return;
    };
    let Some(Value::String(name)) = fields.get("from") else {
        return;
    };
    let name = name.clone();
    let plain = |part: &str| !part.is_empty() && !matches!(part, "." | "..");
    if name.starts_with('/') || !name.split('/').all(plain) {
        // The site's own check says so.
        return;
    }
    match read(&folder.join(&name)) {
        Ok(bytes) => {
            if let Err(should) = put(fields, &name, bytes, beside) {
                faults.push((format!("{at}.from"), should));
            }
        }
        // A site that was exported names what the provisioner has already.
        Err(error) if error.kind() == io::ErrorKind::NotFound && fields.contains_key("sha256") => {}
        Err(error) => {
            let should = format!("{} cannot be taken: {error}", folder.join(&name).display());
            faults.push((format!("{at}.from"), should));
        }
    }
}

fn put(
    fields: &mut Map<String, Value>,
    name: &str,
    bytes: Vec<u8>,
    beside: &mut Beside,
) -> Result<(), String> {
    let digest = Digest::of(&bytes);
    if let Some(Value::String(said)) = fields.get("sha256")
        && *said != digest.to_string()
    {
        return Err(format!(
            "{name} has the digest {digest}, and the site says {said}; take sha256 and size out, and they are written in anew"
        ));
    }
    let size = Bytes(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let text = |error: serde_json::Error| error.to_string();
    fields.insert("sha256".to_owned(), Value::from(digest.to_string()));
    fields.insert("size".to_owned(), serde_json::to_value(size).map_err(text)?);
    beside.entry(digest).or_insert(FileBytes {
        base64: groundstate_api::customise::Encoded(bytes),
    });
    Ok(())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(SITE_FILE_MAX.0 + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > SITE_FILE_MAX.0 {
        return Err(io::Error::other(format!(
            "it is larger than {SITE_FILE_MAX}, which is the most; what is larger belongs into the image"
        )));
    }
    Ok(bytes)
}
