// SPDX-License-Identifier: Apache-2.0
//! What is known to be odd about BMCs, as data: whom it fits, what is done about it, and where it is known from.
//!
//! Nothing here is believed blindly: what is set is read back with and without a quirk.

use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::glob::matches;

/// What is done otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// `BootSourceOverrideMode` is sent with every override.
    SendMode,
    /// What was read back is read once more some seconds later.
    LookTwice,
    /// Virtual media is `UsbCd` where both that and `Cd` are offered.
    UsbCd,
    /// Every change carries `If-Match`; `*` where the resource has no ETag.
    AlwaysIfMatch,
    /// HTTP boot is read back as PXE: that rung is not tried.
    NoHttpBoot,
    /// A power order is asked twice where nothing changes, because the first may be lost.
    AskPowerTwice,
    /// Refusals during POST are waited out.
    WaitOutPost,
    /// HTTP boot is for one boot only.
    HttpBootOnceOnly,
}

/// One oddity.
#[derive(Clone, Copy, Debug)]
pub struct Quirk {
    /// Its name, as reports show it.
    pub name: &'static str,
    /// Pattern of the manufacturer, in small letters.
    pub manufacturer: &'static str,
    /// Pattern of the model, in small letters.
    pub model: &'static str,
    /// Pattern of the BMC's firmware version, in small letters.
    pub firmware: &'static str,
    /// What is done.
    pub effects: &'static [Effect],
    /// What the BMC does, and where that is known from.
    pub why: &'static str,
}

/// Every quirk that is known.
pub const QUIRKS: &[Quirk] = &[
    Quirk {
        name: "supermicro-mode-reverts",
        manufacturer: "super*micro*",
        model: "*",
        firmware: "*",
        effects: &[Effect::SendMode, Effect::LookTwice],
        why: "answers 200 and puts Mode back to Legacy and Enabled to Disabled unless Mode is sent too (bmclib pull request 459)",
    },
    Quirk {
        name: "supermicro-usb-cd",
        manufacturer: "super*micro*",
        model: "*",
        firmware: "*",
        effects: &[Effect::UsbCd],
        why: "X11 and X12 show virtual media as a USB CD and boot nothing from Cd (sushy, set_system_boot_options)",
    },
    Quirk {
        name: "idrac-mode",
        manufacturer: "dell*",
        model: "*",
        firmware: "*",
        effects: &[Effect::SendMode, Effect::AskPowerTwice],
        why: "iDRAC takes an override only together with its mode, and its PowerState lags behind by seconds",
    },
    Quirk {
        name: "ilo-post",
        manufacturer: "hp*",
        model: "*",
        firmware: "*",
        effects: &[Effect::WaitOutPost, Effect::HttpBootOnceOnly],
        why: "iLO refuses boot settings during POST (UnableToModifyDuringSystemPOST) and knows HTTP boot for one boot only",
    },
    Quirk {
        name: "ilo-post",
        manufacturer: "hewlett*",
        model: "*",
        firmware: "*",
        effects: &[Effect::WaitOutPost, Effect::HttpBootOnceOnly],
        why: "iLO refuses boot settings during POST (UnableToModifyDuringSystemPOST) and knows HTTP boot for one boot only",
    },
    Quirk {
        name: "xcc-if-match",
        manufacturer: "lenovo*",
        model: "*",
        firmware: "*",
        effects: &[Effect::AlwaysIfMatch],
        why: "XCC answers 428 to a PATCH without If-Match",
    },
    Quirk {
        name: "sushy-http-reads-pxe",
        manufacturer: "sushy emulator*",
        model: "*",
        firmware: "*",
        effects: &[Effect::NoHttpBoot],
        why: "accepts UefiHttp and reads back Pxe (sushy-tools 2.2.0)",
    },
];

/// The quirks of one BMC.
#[derive(Clone, Debug, Default)]
pub struct Quirks(Vec<&'static Quirk>);

impl Quirks {
    /// Those that fit what the machine says of itself.
    #[must_use]
    pub fn of(manufacturer: &str, model: &str, firmware: &str) -> Self {
        let small = |text: &str| -> String { text.trim().to_lowercase() };
        let (manufacturer, model, firmware) = (small(manufacturer), small(model), small(firmware));
        let fits = |quirk: &&Quirk| {
            matches(quirk.manufacturer, &manufacturer)
                && matches(quirk.model, &model)
                && matches(quirk.firmware, &firmware)
        };
        Self(QUIRKS.iter().filter(fits).collect())
    }

    /// Whether one of them wants this.
    #[must_use]
    pub fn want(&self, effect: Effect) -> bool {
        self.0.iter().any(|quirk| quirk.effects.contains(&effect))
    }

    /// The name of the quirk that wants this.
    #[must_use]
    pub fn name_of(&self, effect: Effect) -> Option<&'static str> {
        let quirk = self.0.iter().find(|quirk| quirk.effects.contains(&effect));
        quirk.map(|quirk| quirk.name)
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|quirk| quirk.name.into()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_fit_by_what_the_machine_says() {
        for (manufacturer, names) in [
            (
                "Supermicro",
                &["supermicro-mode-reverts", "supermicro-usb-cd"][..],
            ),
            (
                "Super Micro Computer, Inc.",
                &["supermicro-mode-reverts", "supermicro-usb-cd"],
            ),
            ("Dell Inc.", &["idrac-mode"]),
            ("HPE", &["ilo-post"]),
            ("Hewlett Packard Enterprise", &["ilo-post"]),
            ("Lenovo", &["xcc-if-match"]),
            ("Sushy Emulator", &["sushy-http-reads-pxe"]),
            ("Contoso", &[]),
            ("", &[]),
        ] {
            assert_eq!(
                Quirks::of(manufacturer, "m", "f").names(),
                names,
                "{manufacturer}"
            );
        }
        for quirk in QUIRKS {
            assert_eq!(quirk.manufacturer, quirk.manufacturer.to_lowercase());
            assert!(
                !quirk.effects.is_empty() && quirk.why.len() > 20,
                "{}",
                quirk.name
            );
        }
    }
}
