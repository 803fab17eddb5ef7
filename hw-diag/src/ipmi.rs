// SPDX-License-Identifier: Apache-2.0
//! Asks the BMC through `/dev/ipmi0`, request by request as the walk says, until the patience ends.

use crate::ipmi_ioctl::Device;
use crate::sysfs::Tree;
use hw_core::machine::ipmi::{IpmiFacts, Request, Walk, completion};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Names of the device: udev's, devtmpfs', the older ones.
const DEVICES: [&str; 3] = ["dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0"];
/// How long a walk through a BMC may take. One answers within 5 to 20 ms: 500 sensors and 512 events take 10 s. What was
/// not read by then is named.
pub(crate) const PATIENCE: Duration = Duration::from_secs(14);
/// How long one answer may take; the kernel's driver repeats a lost request within 5 s.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// The BMC's device, where there is one.
pub(crate) fn device(tree: &Tree) -> Option<PathBuf> {
    let paths = DEVICES.iter().map(|path| tree.path(path));
    paths.into_iter().find(|path| path.exists())
}

/// Everything that the BMC tells within `patience`.
pub(crate) fn read(device: &std::path::Path, patience: Duration) -> IpmiFacts {
    match Device::open(device) {
        Ok(mut open) => walk(patience, |request, left| open.ask(request, left)),
        Err(error) => IpmiFacts {
            missed: vec![format!("BMC: {}: {error}", device.display())],
            ..IpmiFacts::default()
        },
    }
}

fn walk(
    patience: Duration,
    mut ask: impl FnMut(&Request, Duration) -> io::Result<Vec<u8>>,
) -> IpmiFacts {
    let until = Instant::now() + patience;
    let mut walk = Walk::new();
    while let Some(request) = walk.request() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            walk.give_up(&format!(
                "it did not tell everything within {} s",
                patience.as_secs()
            ));
            break;
        }
        match ask(&request, left.min(ANSWER_PATIENCE)) {
            Ok(answer) => walk.answer(&answer),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                walk.give_up("no answer in time")
            }
            Err(error) => walk.give_up(&error.to_string()),
        }
    }
    walk.into_facts()
}

/// Sends one request that changes something, where somebody asked for it.
pub(crate) fn order(tree: &Tree, request: &Request) -> Result<(), String> {
    let path = device(tree).ok_or("there is no IPMI device (/dev/ipmi0)")?;
    let told = |error: io::Error| format!("{}: {error}", path.display());
    let mut device = Device::open(&path).map_err(told)?;
    let answer = device.ask(request, ANSWER_PATIENCE).map_err(told)?;
    match answer.first() {
        Some(0) => Ok(()),
        Some(code) => Err(completion(*code)),
        None => Err("the BMC's answer is empty".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bmc_that_falls_silent_or_hangs_up_is_named() {
        let silent = walk(PATIENCE, |_, _| Err(io::ErrorKind::TimedOut.into()));
        assert_eq!(
            silent.missed,
            ["BMC: its identity, sensors and event log were not read: no answer in time"]
        );
        let late = walk(Duration::ZERO, |_, _| {
            panic!("nobody is asked when no time is left")
        });
        assert_eq!(late.missed.len(), 1);
        let mut first = true;
        let gone = walk(PATIENCE, |_, _| {
            if std::mem::take(&mut first) {
                Ok(vec![0, 0x20, 1, 3, 0x88, 2, 6, 0, 0, 0, 0, 0])
            } else {
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
        });
        assert!(gone.device.is_some());
        assert!(
            gone.missed[0]
                .starts_with("BMC: the rest of its sensors and its event log were not read: ")
        );
    }

    #[test]
    fn a_device_that_cannot_be_opened_is_named() {
        let facts = read(std::path::Path::new("/nonexistent/ipmi0"), PATIENCE);
        assert!(facts.missed[0].contains("/nonexistent/ipmi0"), "{facts:?}");
    }
}
