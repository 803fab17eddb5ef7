// SPDX-License-Identifier: Apache-2.0
//! Lights the LED of a disk's bay or of the chassis, so that a technician finds it.
//!
//! Only ever on request: nothing in a look or a judgement calls this. Ways, in this order: the enclosure's services (SES,
//! `/sys/class/enclosure`), the port's (NPEM, `/sys/class/leds/*:enclosure:locate`, Linux 6.13), and for the chassis the BMC.
//! Refuses to light something near by instead: where a bay has no LED, it says so.

use crate::ipmi;
use crate::sysfs::{Tree, below};
use hw_core::machine::ipmi::Request;
use std::fmt;
use std::path::PathBuf;

const ENCLOSURES: &str = "sys/class/enclosure";
const LEDS: &str = "sys/class/leds";
/// What an LED of Native PCIe Enclosure Management ends with.
const NPEM: &str = ":enclosure:locate";

/// What to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The machine itself.
    Chassis,
    /// The bay of the disk with this serial number.
    Serial(&'a str),
    /// The bay of this name, as the enclosure calls it.
    Bay(&'a str),
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// On until it is switched off.
    On,
    /// Off.
    Off,
}

/// An LED that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    /// Which one, for people: `bay 4 of enclosure 0:0:32:0`.
    pub name: String,
    how: How,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    /// Writes 0 or 1 into a file.
    File(PathBuf),
    /// Chassis Identify.
    Bmc,
}

impl fmt::Display for Led {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why nothing is lit.
#[derive(Debug, thiserror::Error)]
pub enum LedError {
    /// No such disk.
    #[error("no disk has the serial number {serial}")]
    NoSuchDisk {
        /// The serial number.
        serial: String,
    },
    /// The disk is there, and no LED belongs to it.
    #[error(
        "disk {serial} ({kernel_name}) sits in no bay with an LED that Linux can switch: neither an enclosure (SES) nor its port (NPEM) has one"
    )]
    NoLedForDisk {
        /// The serial number.
        serial: String,
        /// The kernel's name.
        kernel_name: String,
    },
    /// No enclosure has a bay of this name.
    #[error("no enclosure has a bay {bay} with an LED; there are: {there}")]
    NoSuchBay {
        /// The bay.
        bay: String,
        /// The bays that there are.
        there: String,
    },
    /// The chassis has none that can be switched from here.
    #[error("the chassis LED is switched by the BMC, and there is no /dev/ipmi0")]
    NoBmc,
    /// The LED's file could not be written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The BMC refused.
    #[error("the BMC did not switch the chassis LED: {why}")]
    Bmc {
        /// Why.
        why: String,
    },
}

/// The LED of a target.
///
/// # Errors
/// Where there is none, and why.
pub fn find(target: Target<'_>) -> Result<Led, LedError> {
    find_at(&Tree::machine(), target)
}

/// Switches an LED.
///
/// # Errors
/// Where its file or the BMC refuses.
pub fn set(led: &Led, light: Light) -> Result<(), LedError> {
    set_at(&Tree::machine(), led, light)
}

fn find_at(tree: &Tree, target: Target<'_>) -> Result<Led, LedError> {
    match target {
        Target::Chassis => match ipmi::device(tree) {
            Some(_) => Ok(Led {
                name: "the chassis".into(),
                how: How::Bmc,
            }),
            None => Err(LedError::NoBmc),
        },
        Target::Serial(serial) => of_disk(tree, serial),
        Target::Bay(wanted) => {
            let bays = bays(tree);
            let found = bays
                .iter()
                .find(|bay| bay.names.iter().any(|name| name == wanted));
            found.map(Bay::led).ok_or_else(|| {
                let there: Vec<&str> = bays.iter().map(|bay| bay.component.as_str()).collect();
                LedError::NoSuchBay {
                    bay: wanted.into(),
                    there: if there.is_empty() {
                        "none".into()
                    } else {
                        there.join(", ")
                    },
                }
            })
        }
    }
}

fn set_at(tree: &Tree, led: &Led, light: Light) -> Result<(), LedError> {
    match &led.how {
        How::File(path) => {
            let value: &[u8] = match light {
                Light::On => b"1",
                Light::Off => b"0",
            };
            std::fs::write(path, value).map_err(|error| LedError::File {
                path: path.display().to_string(),
                error,
            })
        }
        How::Bmc => ipmi::order(tree, &Request::chassis_identify(light == Light::On))
            .map_err(|why| LedError::Bmc { why }),
    }
}

/// A bay of an enclosure that has a locate LED.
struct Bay {
    enclosure: String,
    component: String,
    /// Its component's name, and its slot number.
    names: Vec<String>,
    file: PathBuf,
    /// Kernel names of the disks in it.
    disks: Vec<String>,
}

impl Bay {
    fn led(&self) -> Led {
        Led {
            name: format!("bay {} of enclosure {}", self.component, self.enclosure),
            how: How::File(self.file.clone()),
        }
    }
}

fn bays(tree: &Tree) -> Vec<Bay> {
    let mut bays = Vec::new();
    for enclosure in tree.names(ENCLOSURES).unwrap_or_default() {
        let root = below(ENCLOSURES, &enclosure);
        for component in tree.names(&root).unwrap_or_default() {
            let dir = below(&root, &component);
            let locate = below(&dir, "locate");
            if !tree.exists(&locate) {
                continue;
            }
            let shown = hw_core::clean(component.as_bytes());
            let slot = tree.text(&below(&dir, "slot"));
            let disks = tree.names(&below(&dir, "device/block"));
            bays.push(Bay {
                enclosure: hw_core::clean(enclosure.as_bytes()),
                names: [Some(shown.clone()), slot].into_iter().flatten().collect(),
                component: shown,
                file: tree.path(&locate),
                disks: disks.unwrap_or_default(),
            });
        }
    }
    bays
}

fn of_disk(tree: &Tree, serial: &str) -> Result<Led, LedError> {
    let names = tree.names("sys/block").unwrap_or_default();
    let found = names
        .into_iter()
        .find(|name| !serial.is_empty() && serial_of(tree, name).as_deref() == Some(serial));
    let Some(kernel_name) = found else {
        let serial = serial.into();
        return Err(LedError::NoSuchDisk { serial });
    };
    let bays = bays(tree);
    let in_bay = bays.iter().find(|bay| bay.disks.contains(&kernel_name));
    let led = in_bay.map(Bay::led).or_else(|| of_port(tree, &kernel_name));
    led.ok_or_else(|| LedError::NoLedForDisk {
        serial: serial.into(),
        kernel_name,
    })
}

fn serial_of(tree: &Tree, kernel_name: &str) -> Option<String> {
    let block = below("sys/block", kernel_name);
    let file = |name: &str| below(&block, name);
    let said = ["serial", "device/serial"]
        .iter()
        .find_map(|name| tree.text(&file(name)));
    said.or_else(|| {
        let page = tree.bytes(&file("device/vpd_pg80")).ok()?;
        Some(hw_core::scsi::unit_serial(&page)).filter(|serial| !serial.is_empty())
    })
}

/// The locate LED of the PCI function that the disk is, or of the port above it: of several the nearest.
fn of_port(tree: &Tree, kernel_name: &str) -> Option<Led> {
    let disk = tree.device_path(&below("sys/block", kernel_name))?;
    let names = tree.names(LEDS).unwrap_or_default();
    let leds = names.into_iter().filter_map(|name| {
        let of = name.strip_suffix(NPEM)?.to_owned();
        let at = tree.device_path(&below(&below(LEDS, &name), "device"))?;
        let above = disk.starts_with(&format!("{at}/"));
        above.then_some((at.len(), of, name))
    });
    let (_, of, name) = leds.max()?;
    Some(Led {
        name: format!("bay of the port {}", hw_core::clean(of.as_bytes())),
        how: How::File(tree.path(&below(&below(LEDS, &name), "brightness"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    fn fixture() -> Fixture {
        let fixture = Fixture::new();
        let port = "sys/devices/pci0000:00/0000:00:03.0";
        let nvme = &format!("{port}/0000:3b:00.0/nvme/nvme0/nvme0n1");
        fixture.file(&format!("{nvme}/serial"), "NVME-1\n");
        fixture.link("sys/block/nvme0n1", nvme);
        fixture.file(&format!("{port}/leds/x/brightness"), "0");
        fixture.link(&format!("{port}/leds/x/device"), port);
        fixture.link(
            "sys/class/leds/0000:00:03.0:enclosure:locate",
            &format!("{port}/leds/x"),
        );
        let sd = "sys/devices/pci0000:00/0000:00:04.0/host0/target0:0:1/0:0:1:0";
        fixture.file(&format!("{sd}/block/sda/device/serial"), "SAS-1\n");
        fixture.link("sys/block/sda", &format!("{sd}/block/sda"));
        fixture.file(&format!("{ENCLOSURES}/0:0:32:0/Slot 04/locate"), "0");
        fixture.file(&format!("{ENCLOSURES}/0:0:32:0/Slot 04/slot"), "4\n");
        fixture.link(&format!("{ENCLOSURES}/0:0:32:0/Slot 04/device"), sd);
        fixture.file("sys/block/vda/serial", "VIRT-1\n");
        fixture
    }

    fn lit(fixture: &Fixture, path: &str) -> String {
        std::fs::read_to_string(fixture.path().join(path)).unwrap()
    }

    #[test]
    fn the_bay_of_a_disk_is_lit_and_goes_dark() {
        let fixture = fixture();
        let tree = fixture.tree();
        let sas = find_at(&tree, Target::Serial("SAS-1")).unwrap();
        assert_eq!(sas.to_string(), "bay Slot 04 of enclosure 0:0:32:0");
        let file = &format!("{ENCLOSURES}/0:0:32:0/Slot 04/locate");
        set_at(&tree, &sas, Light::On).unwrap();
        assert_eq!(lit(&fixture, file), "1");
        set_at(&tree, &sas, Light::Off).unwrap();
        assert_eq!(lit(&fixture, file), "0");
        for bay in ["4", "Slot 04"] {
            assert_eq!(find_at(&tree, Target::Bay(bay)).unwrap(), sas);
        }
        let nvme = find_at(&tree, Target::Serial("NVME-1")).unwrap();
        assert_eq!(nvme.to_string(), "bay of the port 0000:00:03.0");
        set_at(&tree, &nvme, Light::On).unwrap();
        assert_eq!(
            lit(
                &fixture,
                "sys/devices/pci0000:00/0000:00:03.0/leds/x/brightness"
            ),
            "1"
        );
    }

    #[test]
    fn where_there_is_no_led_the_reason_is_told() {
        let fixture = fixture();
        let why = |target| find_at(&fixture.tree(), target).unwrap_err().to_string();
        assert_eq!(
            why(Target::Serial("NOBODY")),
            "no disk has the serial number NOBODY"
        );
        assert_eq!(why(Target::Serial("")), "no disk has the serial number ");
        assert!(
            why(Target::Serial("VIRT-1"))
                .starts_with("disk VIRT-1 (vda) sits in no bay with an LED")
        );
        assert_eq!(
            why(Target::Bay("9")),
            "no enclosure has a bay 9 with an LED; there are: Slot 04"
        );
        assert_eq!(
            why(Target::Chassis),
            "the chassis LED is switched by the BMC, and there is no /dev/ipmi0"
        );
        fixture.file("dev/ipmi0", "");
        let chassis = find_at(&fixture.tree(), Target::Chassis).unwrap();
        let refused = set_at(&fixture.tree(), &chassis, Light::On).unwrap_err();
        assert!(matches!(refused, LedError::Bmc { .. }), "{refused}");
    }
}
