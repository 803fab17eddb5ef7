// SPDX-License-Identifier: Apache-2.0
//! What a BMC does to its machine.

use super::media;
use crate::rack::board::Board;
use crate::rack::{BootDevice, PowerOn, SerialLog};
use serde_json::json;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// A machine that can be powered.
pub(super) trait Machine: Debug + Send + Sync {
    fn is_on(&self) -> bool;
    fn on(&self, first: Option<BootDevice>, media: Option<&Path>) -> Result<(), String>;
    fn off(&self);
    /// The power button, pressed shortly.
    fn press(&self) -> Result<(), String>;
    /// The reset button.
    fn reset(&self) -> Result<(), String>;
    /// The last lines of the serial console.
    fn console(&self, lines: usize) -> String;
    /// Where media that were inserted are kept.
    fn shelf(&self) -> PathBuf;
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    On {
        first: Option<BootDevice>,
        media: bool,
    },
    Off,
    Press,
    Reset,
    /// Off and on again.
    Cycle {
        first: Option<BootDevice>,
        media: bool,
    },
    /// An image is fetched from there and put into the drive.
    Insert(String),
}

pub(super) fn carry_out(machine: &dyn Machine, deed: &Deed) -> Result<(), String> {
    let on = |first: Option<BootDevice>, media: bool| {
        let file = machine.shelf();
        machine.on(first, media.then_some(file.as_path()))
    };
    match deed {
        Deed::On { first, media } => on(*first, *media),
        Deed::Off => {
            machine.off();
            Ok(())
        }
        Deed::Press => machine.press(),
        Deed::Reset => machine.reset(),
        Deed::Cycle { first, media } => {
            machine.off();
            on(*first, *media)
        }
        Deed::Insert(url) => media::fetch(url, &machine.shelf()),
    }
}

impl Machine for Board {
    fn is_on(&self) -> bool {
        Board::is_on(self)
    }

    fn on(&self, first: Option<BootDevice>, media: Option<&Path>) -> Result<(), String> {
        let how = PowerOn {
            first,
            cdrom: media.map(Path::to_path_buf),
            ..PowerOn::FIRMWARE
        };
        self.power_on(&how).map_err(|error| error.to_string())
    }

    fn off(&self) {
        self.power_off();
    }

    fn press(&self) -> Result<(), String> {
        let asked = self.ask("system_powerdown", &json!({}));
        asked.map(drop).map_err(|error| error.to_string())
    }

    fn reset(&self) -> Result<(), String> {
        let asked = self.ask("system_reset", &json!({}));
        asked.map(drop).map_err(|error| error.to_string())
    }

    fn console(&self, lines: usize) -> String {
        SerialLog::new(&self.files.serial_log).tail(lines)
    }

    fn shelf(&self) -> PathBuf {
        self.folder.join("virtual-media.iso")
    }
}
