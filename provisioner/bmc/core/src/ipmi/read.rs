// SPDX-License-Identifier: Apache-2.0
//! What the texts of `ipmitool` mean. It often ends well although the BMC refused: the words decide, not the exit.

use super::command::Device;
use crate::power::PowerState;
use crate::resource::LogEntry;
use crate::text::inert;
use crate::trouble::Trouble;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// The most lines that are read of one answer.
const LINES_MAX: usize = 1_000;

/// What became of a session that did not come about, or of an order that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// This cipher suite is not known there.
    Cipher,
    /// Something else.
    Trouble(Trouble),
}

/// Reads why `ipmitool` failed, from both of its outputs.
#[must_use]
pub fn failure(asked: &str, user: &str, output: &str) -> Failure {
    let has = |words: &[&str]| words.iter().any(|word| output.contains(word));
    let says = || last_words(output);
    if has(&[
        "invalid authentication algorithm",
        "invalid integrity algorithm",
        "invalid confidentiality algorithm",
        "no cipher suite match",
        "is not what we requested",
    ]) {
        return Failure::Cipher;
    }
    if has(&[
        "RAKP 2 HMAC is invalid",
        "unauthorized name",
        "unauthorized role or privilege level requested",
        "RAKP 2 message indicates an error : insufficient",
        "invalid role",
        "invalid integrity check value",
        "RAKP 4 message has invalid integrity check value",
    ]) {
        return Failure::Trouble(Trouble::CredentialRefused {
            user: inert(user),
            says: says(),
        });
    }
    if has(&[
        "insufficient resources to create session",
        "insufficient resources for session",
    ]) {
        return Failure::Trouble(Trouble::SessionLimit { says: says() });
    }
    if has(&["Node busy"]) {
        return Failure::Trouble(Trouble::Busy {
            says: says(),
            pause: None,
        });
    }
    if has(&[
        "Unable to establish",
        "Get Auth Capabilities error",
        "Address lookup",
        "Could not open socket",
        "No route",
        "timeout",
    ]) {
        return Failure::Trouble(Trouble::Unreachable { what: says() });
    }
    Failure::Trouble(Trouble::Refused {
        asked: asked.into(),
        status: 0,
        says: says(),
    })
}

/// The last lines that say something.
fn last_words(output: &str) -> String {
    let noise = |line: &&str| !line.trim().is_empty() && !line.starts_with("Loading IANA");
    let lines: Vec<&str> = output.lines().take(LINES_MAX).filter(noise).collect();
    let from = lines.len().saturating_sub(3);
    let words = lines.get(from..).unwrap_or_default().join("; ");
    if words.is_empty() {
        "it said nothing".into()
    } else {
        inert(&words)
    }
}

/// `Chassis Power is on`.
#[must_use]
pub fn power_state(output: &str) -> PowerState {
    let said = output
        .lines()
        .take(LINES_MAX)
        .find_map(|line| line.trim().strip_prefix("Chassis Power is "));
    match said.map(str::trim) {
        Some("on") => PowerState::On,
        Some("off") => PowerState::Off,
        Some(_) | None => PowerState::Unknown,
    }
}

/// Whether an order was taken: `Set Boot Device to pxe`, `Chassis Power Control: Up/On`, `Chassis identify interval: …`.
///
/// # Errors
/// [`Trouble::Refused`] with the words.
pub fn set_ok(asked: &str, output: &str) -> Result<(), Trouble> {
    let refused = output
        .lines()
        .take(LINES_MAX)
        .any(|line| line.contains(" failed: ") || line.starts_with("Error"));
    let taken = output.lines().take(LINES_MAX).any(|line| {
        [
            "Set Boot Device to",
            "Chassis Power Control:",
            "Chassis identify",
        ]
        .iter()
        .any(|word| line.trim().starts_with(word))
    });
    if taken && !refused {
        return Ok(());
    }
    Err(Trouble::Refused {
        asked: asked.into(),
        status: 0,
        says: last_words(output),
    })
}

/// The boot flags (IPMI 2.0, 28.13, parameter 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootFlags {
    /// Whether they hold.
    pub valid: bool,
    /// Whether they hold for every boot.
    pub persistent: bool,
    /// Whether UEFI boots.
    pub efi: bool,
    /// The device, where it is one that is set here.
    pub device: Option<Device>,
}

impl BootFlags {
    /// In words.
    #[must_use]
    pub fn says(self) -> String {
        let device = self.device.map_or("another device", Device::as_str);
        let valid = if self.valid { "valid" } else { "not valid" };
        let lasting = if self.persistent {
            "continuous"
        } else {
            "once"
        };
        let firmware = if self.efi { "UEFI" } else { "legacy" };
        [device, lasting, firmware, valid].join(", ")
    }

    /// Whether they say what was asked; the facts where they do.
    ///
    /// # Errors
    /// [`Trouble::Ignored`].
    pub fn compare(self, wanted: Device) -> Result<Vec<String>, Trouble> {
        let nothing = wanted == Device::None && (!self.valid || self.device == Some(Device::None));
        let same = self.valid && !self.persistent && self.device == Some(wanted);
        if !nothing && !same {
            return Err(Trouble::Ignored {
                asked: [wanted.as_str(), "once"].join(" "),
                seen: self.says(),
            });
        }
        let mut facts = alloc::vec![["read back: ", &self.says()].concat()];
        if same && !self.efi && wanted != Device::None {
            // Some BMCs drop the flag and boot by UEFI all the same; the boot itself tells.
            facts.push("the flag for UEFI was not kept".into());
        }
        Ok(facts)
    }
}

/// Reads the bytes of `Boot parameter data: 8004000000`; the words around them differ between versions.
#[must_use]
pub fn boot_flags(output: &str) -> Option<BootFlags> {
    let data = first_value(output, "Boot parameter data")?;
    let byte = |at: usize| u8::from_str_radix(data.get(at * 2..at * 2 + 2)?, 16).ok();
    let (first, second) = (byte(0)?, byte(1)?);
    Some(BootFlags {
        valid: first & 0x80 != 0,
        persistent: first & 0x40 != 0,
        efi: first & 0x20 != 0,
        device: match second >> 2 & 0x0f {
            0 => Some(Device::None),
            1 => Some(Device::Pxe),
            2 => Some(Device::Disk),
            5 => Some(Device::Cdrom),
            _ => None,
        },
    })
}

/// What the machine is, by its field-replaceable unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fru {
    /// Manufacturer.
    pub manufacturer: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
}

/// Reads `fru print 0`: the product, and the board where the product is not written.
#[must_use]
pub fn fru(output: &str) -> Fru {
    let either =
        |one: &str, other: &str| first_value(output, one).or_else(|| first_value(output, other));
    Fru {
        manufacturer: either("Product Manufacturer", "Board Mfg"),
        model: either("Product Name", "Board Product"),
        serial: either("Product Serial", "Board Serial"),
    }
}

/// The value of the first line `name : value`.
#[must_use]
pub fn first_value(output: &str, name: &str) -> Option<String> {
    let value = output.lines().take(LINES_MAX).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then_some(value)
    })?;
    let value = inert(value);
    (!value.is_empty()).then_some(value)
}

/// Reads `sel elist`: `1 | 04/05/2026 | 10:00:00 | Memory #0x01 | Correctable ECC | Asserted`.
#[must_use]
pub fn sel(output: &str) -> Vec<LogEntry> {
    let entry = |line: &str| {
        let mut fields = line.split('|').map(str::trim);
        let number = fields.next()?;
        u32::from_str_radix(number, 16).ok()?;
        let (date, time) = (fields.next()?, fields.next()?);
        let rest: Vec<&str> = fields.filter(|field| !field.is_empty()).collect();
        Some(LogEntry {
            at: inert(&[date, time].join(" ")),
            text: inert(&rest.join(", ")),
        })
    };
    output
        .lines()
        .take(LINES_MAX)
        .filter_map(entry)
        .filter(|entry| !entry.text.to_string().is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn failures_are_told_apart() {
        let said = |output: &str| match failure("power", "admin", output) {
            Failure::Cipher => "cipher".to_string(),
            Failure::Trouble(trouble) => trouble.to_string(),
        };
        // Texts of ipmitool 1.8.19 against ipmi_sim and pyghmi's fakebmc.
        assert_eq!(
            said(
                "Error in open session response message : invalid authentication algorithm\n\nError: Unable to establish IPMI v2 / RMCP+ session"
            ),
            "cipher"
        );
        assert_eq!(
            said(
                "Authentication algorithm 0x01 is not what we requested 0x03\n\nError: Unable to establish IPMI v2 / RMCP+ session"
            ),
            "cipher"
        );
        expect!["it refuses the credential of user admin (> RAKP 2 HMAC is invalid; Error: Unable to establish IPMI v2 / RMCP+ session)"]
            .assert_eq(&said("Loading IANA PEN Registry...\n> RAKP 2 HMAC is invalid\nError: Unable to establish IPMI v2 / RMCP+ session\n"));
        expect!["it refuses the credential of user admin (RAKP 2 message indicates an error : unauthorized name)"]
            .assert_eq(&said("RAKP 2 message indicates an error : unauthorized name\n"));
        expect!["it does not answer (Get Auth Capabilities error; Error issuing Get Channel Authentication Capabilities request; Error: Unable to establish IPMI v2 / RMCP+ session)"]
            .assert_eq(&said("Get Auth Capabilities error\nError issuing Get Channel Authentication Capabilities request\nError: Unable to establish IPMI v2 / RMCP+ session\n"));
        expect!["it refuses power: Set Chassis Power Control to Up/On failed: Invalid data field in request"]
            .assert_eq(&said("Set Chassis Power Control to Up/On failed: Invalid data field in request\n"));
    }

    #[test]
    fn an_exit_of_zero_is_no_yes() {
        assert!(set_ok("x", "Set Boot Device to pxe\n").is_ok());
        assert!(set_ok("x", "Chassis Power Control: Up/On\n").is_ok());
        assert!(set_ok("x", "Set Chassis Boot Parameter 5 failed: Invalid data field in request\nSet Boot Device to pxe\n").is_err());
        assert!(set_ok("x", "").is_err());
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(
            power_state("Loading\nChassis Power is on\n"),
            PowerState::On
        );
        assert_eq!(power_state("Chassis Power is off"), PowerState::Off);
        assert_eq!(power_state("nonsense"), PowerState::Unknown);
        let flags =
            boot_flags("Boot parameter version: 1\nBoot parameter data: 8004000000\n").unwrap();
        expect!["pxe, once, legacy, valid"].assert_eq(&flags.says());
        assert_eq!(flags.compare(Device::Pxe).unwrap().len(), 2);
        assert!(flags.compare(Device::Disk).is_err());
        expect!["disk, once, legacy, not valid"].assert_eq(
            &boot_flags("Boot parameter data: 0008000000")
                .unwrap()
                .says(),
        );
        expect!["cdrom, continuous, UEFI, valid"].assert_eq(
            &boot_flags("Boot parameter data: e014000000")
                .unwrap()
                .says(),
        );
        assert!(
            boot_flags("Boot parameter data: e014000000")
                .unwrap()
                .compare(Device::Cdrom)
                .is_err()
        );
        assert!(
            boot_flags("Boot parameter data: 0008000000")
                .unwrap()
                .compare(Device::None)
                .is_ok()
        );
        assert_eq!(boot_flags("Boot parameter data: 8"), None);
        let unit = fru(
            "FRU Device Description : Builtin FRU Device (ID 0)\n Board Mfg             : Dell Inc.\n Board Serial : B1\n Product Name : R630\n",
        );
        assert_eq!(
            (
                unit.manufacturer.as_deref(),
                unit.model.as_deref(),
                unit.serial.as_deref()
            ),
            (Some("Dell Inc."), Some("R630"), Some("B1"))
        );
        let log = sel(
            "SEL has no entries\n   1 | 04/05/2026 | 10:00:00 | Memory #0x01 | Correctable ECC | Asserted\nzz | a | b | c\n",
        );
        assert_eq!(log.len(), 1);
        assert_eq!(log[0].text, "Memory #0x01, Correctable ECC, Asserted");
    }

    proptest! {
        #[test]
        fn no_output_breaks_a_reader(output in "(?s)(Boot parameter data: )?.{0,300}") {
            let _ = (power_state(&output), boot_flags(&output), fru(&output), sel(&output), set_ok("x", &output).is_ok(), failure("x", "u", &output));
        }
    }
}
