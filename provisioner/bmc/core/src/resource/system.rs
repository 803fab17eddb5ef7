// SPDX-License-Identifier: Apache-2.0
//! A `ComputerSystem`: who it is, its power, its actions, and where its parts are.

use super::boot::Boot;
use crate::answer::{Answer, Part};
use crate::link::Link;
use crate::power::{PowerState, Reset};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::{Bytes, SystemUuid};

/// How it is reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResetAction {
    /// Where the order goes.
    pub target: Option<Link>,
    /// What is allowed, where it says so here.
    pub allowed: Option<Vec<Reset>>,
    /// Where else it says what is allowed.
    pub info: Option<Link>,
}

/// How the locator LED is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Led {
    /// `LocationIndicatorActive`, yes or no (since 2020).
    Active(bool),
    /// `IndicatorLED`: `Lit`, `Blinking`, `Off`, deprecated and everywhere.
    Word(LedWord),
}

/// A state of `IndicatorLED`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedWord {
    /// Lit.
    Lit,
    /// Blinking.
    Blinking,
    /// Off.
    Off,
    /// It does not say.
    Unknown,
}

impl Led {
    /// Reads the LED of a system or a chassis; `None` where it has none.
    #[must_use]
    pub fn read(part: Part<'_>) -> Option<Self> {
        if let Some(active) = part.flag("LocationIndicatorActive") {
            return Some(Self::Active(active));
        }
        let word = match part.word("IndicatorLED")? {
            "Lit" => LedWord::Lit,
            "Blinking" => LedWord::Blinking,
            "Off" => LedWord::Off,
            _ => LedWord::Unknown,
        };
        Some(Self::Word(word))
    }

    /// Whether it can be seen.
    #[must_use]
    pub const fn is_on(self) -> bool {
        match self {
            Self::Active(on) => on,
            Self::Word(word) => matches!(word, LedWord::Lit | LedWord::Blinking),
        }
    }

    /// As reports say it: `on`, `off`, `blinking`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active(true) | Self::Word(LedWord::Lit) => "on",
            Self::Active(false) | Self::Word(LedWord::Off) => "off",
            Self::Word(LedWord::Blinking) => "blinking",
            Self::Word(LedWord::Unknown) => "unknown",
        }
    }
}

/// A machine.
#[derive(Clone, Debug, PartialEq)]
pub struct System {
    /// `Id`.
    pub id: Option<String>,
    /// Manufacturer.
    pub manufacturer: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// UUID.
    pub uuid: Option<SystemUuid>,
    /// BIOS version.
    pub bios: Option<String>,
    /// Power.
    pub power: PowerState,
    /// What moves when it restarts: `LastResetTime` and the progress of the boot.
    pub mark: Option<String>,
    /// Overall health: `ok`, `warning`, `critical`.
    pub health: Option<String>,
    /// What it boots next.
    pub boot: Boot,
    /// How it is reset.
    pub reset: ResetAction,
    /// The locator LED.
    pub led: Option<Led>,
    /// Memory.
    pub memory: Option<Bytes>,
    /// Number and model of its processors, from the summary.
    pub processors: Option<(u64, String)>,
    /// Where settings for the next boot are written, where that is elsewhere.
    pub settings: Option<Link>,
    /// `Memory`, `Processors`, `EthernetInterfaces`, `Storage`, `SimpleStorage`, `LogServices`, `VirtualMedia`.
    pub links: SystemLinks,
}

/// Where its parts are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemLinks {
    /// `Memory`.
    pub memory: Option<Link>,
    /// `Processors`.
    pub processors: Option<Link>,
    /// `EthernetInterfaces`.
    pub nics: Option<Link>,
    /// `Storage`.
    pub storage: Option<Link>,
    /// `SimpleStorage`.
    pub simple_storage: Option<Link>,
    /// `LogServices`.
    pub logs: Option<Link>,
    /// `VirtualMedia`.
    pub media: Option<Link>,
    /// `Links.ManagedBy`.
    pub managers: Vec<Link>,
    /// `Links.Chassis`.
    pub chassis: Vec<Link>,
}

impl System {
    /// Reads it.
    #[must_use]
    pub fn read(answer: &Answer) -> Self {
        let top = answer.top();
        let links = top.at("Links");
        Self {
            id: top.text("Id"),
            manufacturer: top.text("Manufacturer"),
            model: top.text("Model"),
            serial: top.text("SerialNumber"),
            uuid: top.word("UUID").and_then(|text| text.trim().parse().ok()),
            bios: top.text("BiosVersion"),
            power: top
                .word("PowerState")
                .map_or(PowerState::Unknown, PowerState::of_redfish),
            mark: mark(top),
            health: health(top),
            boot: Boot::read(top.at("Boot")),
            reset: reset(top),
            led: Led::read(top),
            memory: memory(top.at("MemorySummary")),
            processors: processors(top.at("ProcessorSummary")),
            settings: top.at("@Redfish.Settings").link("SettingsObject"),
            links: SystemLinks {
                memory: top.link("Memory"),
                processors: top.link("Processors"),
                nics: top.link("EthernetInterfaces"),
                storage: top.link("Storage"),
                simple_storage: top.link("SimpleStorage"),
                logs: top.link("LogServices"),
                media: top.link("VirtualMedia"),
                managers: links.links("ManagedBy"),
                chassis: links.links("Chassis"),
            },
        }
    }
}

fn mark(top: Part<'_>) -> Option<String> {
    let progress = top.at("BootProgress");
    let marks = [
        top.text("LastResetTime"),
        progress.text("LastState"),
        progress.text("LastStateTime"),
    ];
    let marks: Vec<String> = marks.into_iter().flatten().collect();
    (!marks.is_empty()).then(|| marks.join(" "))
}

/// Overall health in the words of reports.
pub(crate) fn health(top: Part<'_>) -> Option<String> {
    let status = top.at("Status");
    let word = status
        .word("HealthRollup")
        .or_else(|| status.word("HealthRollUp"))
        .or_else(|| status.word("Health"))?;
    match word {
        "OK" => Some("ok".into()),
        "Warning" => Some("warning".into()),
        "Critical" => Some("critical".into()),
        _ => None,
    }
}

fn reset(top: Part<'_>) -> ResetAction {
    let action = top.at("Actions").at("#ComputerSystem.Reset");
    let allowed = action.words("ResetType@Redfish.AllowableValues");
    ResetAction {
        target: action.link("target"),
        allowed: allowed.map(|words| {
            words
                .iter()
                .filter_map(|word| Reset::of_redfish(word))
                .collect()
        }),
        info: action.link("@Redfish.ActionInfo"),
    }
}

/// The resets that an `ActionInfo` allows; `None` where it does not say.
#[must_use]
pub fn allowed_by_action_info(answer: &Answer) -> Option<Vec<Reset>> {
    let parameters = answer.top().list("Parameters");
    let reset = parameters
        .into_iter()
        .find(|parameter| parameter.word("Name") == Some("ResetType"))?;
    let words = reset.words("AllowableValues")?;
    Some(
        words
            .iter()
            .filter_map(|word| Reset::of_redfish(word))
            .collect(),
    )
}

fn memory(summary: Part<'_>) -> Option<Bytes> {
    let gib = summary.fraction("TotalSystemMemoryGiB")?;
    // 1 PiB: nothing has more, and the text below is exact up to there.
    if !(0.0..=1_048_576.0).contains(&gib) {
        return None;
    }
    let mib: u64 = format!("{:.0}", gib * 1024.0).parse().ok()?;
    (mib > 0).then(|| Bytes::mib(mib))
}

fn processors(summary: Part<'_>) -> Option<(u64, String)> {
    let model = summary
        .text("Model")
        .or_else(|| summary.text("ProcessorFamily"));
    Some((summary.number("Count")?, model.unwrap_or_default()))
}
