// SPDX-License-Identifier: Apache-2.0
//! What the machine is, in a table.

use crate::page::words::When;
use groundstate_api::Millis;
use groundstate_api::boot::Firmware;
use groundstate_api::plan::HandOver;
use groundstate_api::site;
use groundstate_api::view::NodeReport;

pub(super) fn facts(
    report: &NodeReport,
    site: &site::Node,
    now: Millis,
) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &'static str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            facts.push((name, value));
        }
    };
    let system = report.inventory.as_ref().map(|i| &i.system);
    add(
        "machine",
        system.map(|s| format!("{} {}", s.manufacturer, s.product)),
    );
    add("serial number", Some(site.serial.clone()));
    add("MAC address", Some(site.mac.to_string()));
    add("UUID", Some(site.uuid.to_string()));
    if let Some(slot) = &site.slot {
        add("power", Some(slot.power.join(", ")));
        add("switch port", slot.port.clone());
    }
    add("BMC", site.bmc.as_ref().map(|bmc| bmc.address.clone()));
    add("profile", site.profile.clone());
    add(
        "firmware",
        report.firmware.map(|f| Firmware::as_str(f).to_owned()),
    );
    add(
        "firmware version",
        system.map(|s| s.firmware_version.clone()),
    );
    add(
        "processors",
        system.map(|s| format!("{} × {}", s.cpus, s.cpu_model)),
    );
    let hand_over = report.hand_over.map(|h| match h {
        HandOver::Kexec => "kexec",
        HandOver::Reboot => "reboot",
    });
    add("hand-over", hand_over.map(ToOwned::to_owned));
    if let Some(plan) = &report.plan {
        let image = &plan.image;
        add(
            "image",
            Some(format!(
                "{} {}, manifest {}",
                image.name, image.version, image.manifest
            )),
        );
        add("plan", Some(plan.id.to_string()));
    }
    add(
        "peak memory of PID 1",
        report.peak_memory.map(|m| m.to_string()),
    );
    if let Some(host) = &report.host {
        add("host", Some(host.os.clone()));
        match host.adopted {
            Some(at) => {
                let when = When::of(at, now);
                let words = format!("as it ran, {} ({} ago)", when.people, when.ago);
                add("adopted", Some(words));
            }
            None => add("host's plan", Some(host.plan.to_string())),
        }
        add("host's boot", Some(host.boot_id.to_string()));
    }
    let heard = report.view.last_heard.map(|at| When::of(at, now));
    add(
        "last heard",
        heard.map(|when| format!("{} ({} ago)", when.people, when.ago)),
    );
    facts
}
