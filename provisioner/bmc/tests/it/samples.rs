// SPDX-License-Identifier: Apache-2.0
//! Single resources and error bodies of real services, as the makers of sushy keep them; and every one of them cut, flipped and mixed.

use crate::world::{World, small};
use crate::{corpus, settings, target};
use bmc::core::answer::Answer;
use bmc::core::resource::{
    Boot, Collection, Dimm, Drive, Led, LogEntry, LogService, Manager, Media, Nic, Processor, Root,
    Sessions, System, Task, TaskState, allowed_by_action_info,
};
use bmc::core::words;
use bmc::{Bmcs, Rung};
use groundstate_api::Bytes;
use groundstate_api::action::NextBoot;
use groundstate_api::site_parts::BmcProtocol;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn samples() -> Option<BTreeMap<String, Vec<u8>>> {
    let folder = corpus("redfish/sushy-json-samples")?;
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap());
    Some(
        files
            .map(|file| {
                (
                    file.file_name().into_string().unwrap(),
                    std::fs::read(file.path()).unwrap(),
                )
            })
            .collect(),
    )
}

/// Every view on an answer.
fn look_at_all(bytes: &[u8]) -> bool {
    let Ok(answer) = Answer::read(bytes, "GET /x", "10.0.0.9") else {
        return false;
    };
    let system = System::read(&answer);
    let top = answer.top();
    let text = format!(
        "{system:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        Root::read(&answer),
        Collection::read(&answer),
        Sessions::read(&answer),
        Boot::read(top),
        Manager::read(&answer),
        Media::read(&answer),
        Dimm::read(&answer).map(|dimm| dimm.line()),
        Drive::read(&answer).map(|drive| drive.line()),
        Drive::of_simple_storage(&answer),
        Nic::read(&answer),
        Nic::of_adapter(&answer),
        Processor::read(&answer),
        LogService::read(&answer),
        LogEntry::of_page(&answer),
        Task::read(&answer),
        Led::read(top),
        allowed_by_action_info(&answer),
        words::of(&answer),
    );
    // Debug escapes what steers a terminal; nothing of it is there in the first place.
    assert!(!text.contains("\\u{1b}") && !text.contains("\\0"), "{text}");
    true
}

#[test]
fn samples_are_read_for_what_they_are() {
    let Some(samples) = samples() else { return };
    let read = |name: &str| Answer::read(&samples[name], "GET /x", "10.0.0.9").unwrap();
    let system = System::read(&read("system.json"));
    assert_eq!(system.memory, Some(Bytes::gib(96)));
    assert!(
        system.uuid.is_some() && system.reset.target.is_some() && system.boot.targets.is_some()
    );
    assert!(Task::read(&read("task.json")).is_some_and(|task| task.state == TaskState::Completed));
    assert!(Task::read(&read("task2.json")).is_some_and(|task| task.state == TaskState::Running));
    assert!(
        Sessions::read(&read("session_service.json"))
            .sessions
            .is_some()
    );
    assert!(
        Root::read(&read("bare_minimum_root.json"))
            .unwrap()
            .systems
            .is_none()
    );
    for (name, bytes) in samples.iter().filter(|(name, _)| name.contains("error")) {
        let answer = Answer::read(bytes, name, "h").unwrap();
        assert!(
            words::of(&answer).is_some_and(|words| words.len() > 20),
            "{name}"
        );
    }
    for (name, bytes) in samples.iter().filter(|(name, _)| name.starts_with("drive")) {
        let drive = Drive::read(&Answer::read(bytes, name, "h").unwrap());
        assert!(drive.is_some_and(|drive| drive.size.is_some()), "{name}");
    }
    for (name, bytes) in samples
        .iter()
        .filter(|(name, _)| name.ends_with("collection.json"))
    {
        let collection = Collection::read(&Answer::read(bytes, name, "h").unwrap());
        assert!(!collection.members.is_empty(), "{name}");
    }
    assert!(Media::read(&read("virtual_mediav1_6.json")).is_cd);
}

/// Where services keep what is booted next: some at the machine, some with its settings for the next boot. Bodies of a Lenovo
/// SE450, a Nokia server and a service that shows nothing but the mode, as they were seen.
#[tokio::test]
async fn an_override_is_written_where_it_is_kept() {
    const MACHINE: &str = "/redfish/v1/S/a";
    let Some(samples) = samples() else { return };
    let sample = |name: &str| -> Value { serde_json::from_slice(&samples[name]).unwrap() };
    for (name, at) in [
        ("lenovo-se450.json", MACHINE),
        ("nokia.json", "/redfish/v1/Systems/Self/SD"),
        ("bootsourceoverridemode-only.json", MACHINE),
    ] {
        let body = sample(&format!("settings-body-{name}"));
        let place = body["@odata.id"].as_str().unwrap().to_owned();
        let mut resources = small();
        let machine = resources.get_mut(MACHINE).unwrap();
        machine["@Redfish.Settings"] = match samples.get(&format!("settings-{name}")) {
            Some(_) => sample(&format!("settings-{name}"))["@Redfish.Settings"].clone(),
            None => json!({"SettingsObject": {"@odata.id": place}}),
        };
        resources.insert(place, body);
        let world = World::honest(resources).await;
        let target = target(world.address, BmcProtocol::RedfishHttp);
        let facts = Bmcs::new(settings())
            .set_next_boot(&target, NextBoot::Network, Rung::RedfishOnce)
            .await
            .unwrap();
        assert!(facts[0].starts_with("read back: Pxe, Once"), "{facts:?}");
        let written: Vec<String> = world.orders();
        let written: Vec<&String> = written
            .iter()
            .filter(|order| order.starts_with("PATCH"))
            .collect();
        assert_eq!(written, [&format!("PATCH {at}")], "{name}");
    }
}

#[test]
fn no_sample_and_no_ruin_of_one_breaks_a_reader() {
    let Some(samples) = samples() else { return };
    let (mut read, mut ruined) = (0u32, 0u32);
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut chance = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
    };
    let odd: [&[u8]; 8] = [
        b"null",
        b"\"\\u001b[2J\\u0000\"",
        b"[[[[",
        b"-1e308",
        b"{}",
        b"\"\\ud800\"",
        b"true",
        b"\"%1%2%3\"",
    ];
    for bytes in samples.values().filter(|bytes| !bytes.is_empty()) {
        read += u32::from(look_at_all(bytes));
        for _ in 0..60 {
            let mut bytes = bytes.clone();
            match chance(4) {
                0 => bytes.truncate(chance(bytes.len())),
                1 => {
                    let at = chance(bytes.len());
                    bytes[at] ^= 1 << chance(8);
                }
                2 => {
                    // A value becomes another one.
                    let colons: Vec<usize> = bytes
                        .iter()
                        .enumerate()
                        .filter(|(_, byte)| **byte == b':')
                        .map(|(at, _)| at)
                        .collect();
                    if let Some(at) = colons.get(chance(colons.len().max(1))) {
                        let end = bytes[*at..]
                            .iter()
                            .position(|byte| matches!(byte, b',' | b'\n' | b'}'))
                            .map_or(bytes.len(), |end| at + end);
                        bytes.splice(at + 1..end, odd[chance(odd.len())].iter().copied());
                    }
                }
                _ => {
                    let (from, length) = (chance(bytes.len()), chance(40));
                    let piece: Vec<u8> = bytes[from..].iter().take(length).copied().collect();
                    let at = chance(bytes.len());
                    bytes.splice(at..at, piece);
                }
            }
            ruined += u32::from(look_at_all(&bytes));
        }
    }
    assert!(read > 90 && ruined > 500, "{read} {ruined}");
}
