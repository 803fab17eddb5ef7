// SPDX-License-Identifier: Apache-2.0
//! Whatever a person typed into whatever text field: what steers, hides, spans lines, names a variable or is too long is refused,
//! and the field is named.

use super::{faults, site};
use groundstate_api::site::Site;
use proptest::prelude::*;
use serde_json::Value;

/// What would be read as something else somewhere.
fn hostile() -> impl Strategy<Value = String> {
    let core = prop_oneof![
        Just("\n".to_owned()),
        Just("\r\n[boot]".to_owned()),
        Just("\0".to_owned()),
        Just("\u{1b}[2J".to_owned()),
        Just("\u{9b}1m".to_owned()),
        Just("${net0/ip}".to_owned()),
        Just("${".to_owned()),
        Just("\u{202e}".to_owned()),
        Just("\u{200b}".to_owned()),
        Just("\u{2028}".to_owned()),
        Just("\u{feff}".to_owned()),
        Just("\u{e0041}".to_owned()),
        Just("x".repeat(64 * 1024)),
        Just("é".repeat(32 * 1024)),
    ];
    ("[a-z0-9]{0,8}", core, "[a-z0-9]{0,8}").prop_map(|(a, b, c)| format!("{a}{b}{c}"))
}

/// Paths of every text of a document.
fn texts(path: &str, value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(_) => out.push(path.to_owned()),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                texts(&format!("{path}/{index}"), value, out);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                texts(&format!("{path}/{key}"), value, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Every optional text filled in, so that each field is there to be tried.
fn full() -> Value {
    let mut site = site();
    site.policy.trust_root = Some("root.json".to_owned());
    site.nodes[0].os_disk = Some("D1".to_owned());
    site.nodes[0].keep = vec!["D2".to_owned()];
    site.nodes[0].boot = Some("nothing".to_owned());
    site.nodes[0].bmc.as_mut().unwrap().certificate = Some(format!("sha256:{}", "0".repeat(64)));
    site.nodes[0].bmc.as_mut().unwrap().system = Some("1".to_owned());
    site.nodes[0].hardware = toml::from_str(
        "[[dimm]]\nslot = \"A1\"\nsize = \"1GiB\"\nserial = \"X\"\n[[disk]]\nserial = \"D1\"\nslot = \"0\"\nsize = \"1GiB\"",
    )
    .unwrap();
    site.nodes[0].disks = toml::from_str(
        "root_size = \"32GiB\"\n[[rule]]\nrole = \"data\"\nserial = [\"D\"]\nslot = [\"0\"]\nmodel = [\"M\"]\nwwn = [\"w\"]",
    )
    .unwrap();
    site.boot = toml::from_str(
        "[[model]]\nmodel = \"M\"\nboot = \"nothing\"\n[[recipe]]\nname = \"x\"\nkernel = \"k\"\ninitrd = [\"i\"]\ncommand_line = \"quiet\"",
    )
    .unwrap();
    site.images = toml::from_str(
        "peer_rate = \"1MiB\"\ntotal_rate = \"1GiB\"\nnode_rate = \"1GiB\"\n[[rack]]\nname = \"r1\"\nnetwork = \"10.0.0.0/8\"",
    )
    .unwrap();
    site.switches[0].address = Some("10.1.1.1".parse().unwrap());
    serde_json::to_value(&site).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_hostile_text_is_refused_wherever_it_stands(text in hostile(), which in any::<prop::sample::Index>()) {
        let mut value = full();
        let mut all = Vec::new();
        texts("", &value, &mut all);
        let pointer = all[which.index(all.len())].clone();
        *value.pointer_mut(&pointer).unwrap() = Value::String(text);
        let field = pointer.rsplit('/').find(|part| part.parse::<u32>().is_err()).unwrap().to_owned();
        match serde_json::from_value::<Site>(value) {
            // A type refused it: the reader names the field.
            Err(_) => {}
            Ok(site) => {
                let said = faults(&site);
                let named = said.iter().any(|fault| fault.split(": ").next().unwrap_or_default().contains(&field));
                prop_assert!(named, "{pointer}: {said:?}");
                for fault in &said {
                    prop_assert!(fault.chars().all(groundstate_api::text::printable), "{fault:?}");
                    prop_assert!(fault.len() < 4_000, "{} bytes", fault.len());
                }
            }
        }
    }
}

#[test]
fn the_full_site_itself_is_in_order() {
    let site: Site = serde_json::from_value(full()).unwrap();
    assert_eq!(faults(&site), Vec::<String>::new());
    let mut all = Vec::new();
    texts("", &full(), &mut all);
    assert!(all.len() > 80, "{}", all.len());
}
