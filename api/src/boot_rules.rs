// SPDX-License-Identifier: Apache-2.0
//! What a site says about booting (`[boot]`): how its machines are sent to their own disk, what else they may boot. A run
//! that is ordered always boots the maintenance OS; these rules hold where a machine would boot its own disk.

use crate::boot::{BootRecipe, LocalBoot};
use crate::glob;
use crate::inventory::SystemInfo;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What `boot` says for "its own disk".
pub const LOCAL_DISK: &str = "local-disk";
/// What `boot` says for "an address, and nothing to boot".
pub const NOTHING: &str = "nothing";

/// `[boot]`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootRules {
    /// How firmware is sent to its own disk where neither model nor node says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_disk: Option<LocalDisk>,
    /// Rules for models; the first that a machine matches counts.
    #[serde(default, rename = "model", skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelBoot>,
    /// What machines may boot beside the maintenance OS and their own disk, by name.
    #[serde(default, rename = "recipe", skip_serializing_if = "Vec::is_empty")]
    pub recipes: Vec<BootRecipe>,
}

impl BootRules {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The first rule that this machine matches.
    #[must_use]
    pub fn of_model(&self, system: &SystemInfo) -> Option<&ModelBoot> {
        self.models.iter().find(|rule| rule.fits(system))
    }

    /// The recipe of this name.
    #[must_use]
    pub fn recipe(&self, name: &str) -> Option<&BootRecipe> {
        self.recipes.iter().find(|recipe| recipe.name == name)
    }
}

/// `[[boot.model]]`: a rule for machines of a model, as their last report named it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelBoot {
    /// The product name, or manufacturer and product name with a blank between; `*` stands for any text.
    pub model: String,
    /// How firmware is sent to its own disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_disk: Option<LocalDisk>,
    /// What such a machine boots where it would boot its own disk: a recipe's name, `nothing` or `local-disk`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

impl ModelBoot {
    fn fits(&self, system: &SystemInfo) -> bool {
        let (maker, product) = (system.manufacturer.trim(), system.product.trim());
        glob::matches(&self.model, product)
            || glob::matches(&self.model, &format!("{maker} {product}"))
    }
}

/// How firmware is sent to its own disk, as people write it: `usual`, `exit`, `no-answer`, `sanboot` (the first disk), or
/// `sanboot 0x81`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalDisk(pub LocalBoot);

/// The BIOS number of the first disk.
const FIRST_DISK: u8 = 0x80;

impl FromStr for LocalDisk {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = match text {
            "usual" => LocalBoot::Usual,
            "exit" => LocalBoot::Exit,
            "no-answer" => LocalBoot::NoAnswer,
            "sanboot" => LocalBoot::Sanboot { drive: FIRST_DISK },
            _ => {
                let drive = text.strip_prefix("sanboot 0x");
                let drive = drive.and_then(|hex| u8::from_str_radix(hex, 16).ok());
                let Some(drive) = drive.filter(|drive| *drive >= FIRST_DISK) else {
                    return Err(format!(
                        "{text:?} should be usual, exit, no-answer, sanboot, or sanboot 0x80 to 0xff"
                    ));
                };
                LocalBoot::Sanboot { drive }
            }
        };
        Ok(Self(how))
    }
}

impl fmt::Display for LocalDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            LocalBoot::Usual => f.write_str("usual"),
            LocalBoot::Exit => f.write_str("exit"),
            LocalBoot::NoAnswer => f.write_str("no-answer"),
            LocalBoot::Sanboot { drive: FIRST_DISK } => f.write_str("sanboot"),
            LocalBoot::Sanboot { drive } => write!(f, "sanboot {drive:#04x}"),
        }
    }
}

impl Serialize for LocalDisk {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.serialize_str(&self.to_string())
    }
}

impl<'de> Deserialize<'de> for LocalDisk {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = String::deserialize(reader)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_the_local_disk_read_and_print() {
        for (text, how) in [
            ("usual", LocalBoot::Usual),
            ("exit", LocalBoot::Exit),
            ("no-answer", LocalBoot::NoAnswer),
            ("sanboot", LocalBoot::Sanboot { drive: 0x80 }),
            ("sanboot 0x81", LocalBoot::Sanboot { drive: 0x81 }),
        ] {
            assert_eq!(text.parse(), Ok(LocalDisk(how)));
            assert_eq!(LocalDisk(how).to_string(), text);
        }
        for text in ["", "disk", "sanboot 0x7f", "sanboot 129", "sanboot 0x100"] {
            let said = text.parse::<LocalDisk>().unwrap_err();
            assert!(said.contains("should be usual, exit"), "{said}");
        }
    }
}
