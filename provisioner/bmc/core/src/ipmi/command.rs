// SPDX-License-Identifier: Apache-2.0
//! What `ipmitool` is asked: typed, never through a shell.

use crate::power::Reset;
use crate::trouble::Trouble;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::action::NextBoot;

/// The longest user name of IPMI 2.0 (22.28), in bytes.
pub const USER_BYTES_MAX: usize = 16;
/// The longest password of IPMI 2.0 (22.30), in bytes.
pub const PASSWORD_BYTES_MAX: usize = 20;
/// Log entries that are asked for.
const LOG_LINES: u16 = 200;

/// A cipher suite, safest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cipher {
    /// HMAC-SHA256, SHA256-128, AES-CBC-128.
    Suite17,
    /// HMAC-SHA1, SHA1-96, AES-CBC-128: what older BMCs have.
    Suite3,
}

impl Cipher {
    /// The next one, where the BMC does not know this one.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self {
            Self::Suite17 => Some(Self::Suite3),
            Self::Suite3 => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Suite17 => "17",
            Self::Suite3 => "3",
        }
    }
}

/// What a machine boots, in the words of IPMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// No override.
    None,
    /// PXE.
    Pxe,
    /// The first disk.
    Disk,
    /// CD or DVD.
    Cdrom,
}

impl Device {
    /// The device for a wish; `None` where IPMI knows none.
    #[must_use]
    pub const fn of(to: NextBoot) -> Option<Self> {
        match to {
            NextBoot::Network => Some(Self::Pxe),
            NextBoot::Disk => Some(Self::Disk),
            NextBoot::VirtualMedia => Some(Self::Cdrom),
            NextBoot::HttpBoot => None,
        }
    }

    /// As `ipmitool` names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Pxe => "pxe",
            Self::Disk => "disk",
            Self::Cdrom => "cdrom",
        }
    }
}

/// For how long the locator LED is lit (28.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locate {
    /// Until it is put out; an option that not every BMC has.
    Forever,
    /// As long as can be said in seconds: 255.
    Minutes,
    /// Not at all.
    Off,
}

impl Locate {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Forever => "force",
            Self::Minutes => "255",
            Self::Off => "0",
        }
    }

    /// In words.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Forever => "lit",
            Self::Minutes => "lit for 255 seconds",
            Self::Off => "put out",
        }
    }
}

/// One question or order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `chassis power status`.
    PowerStatus,
    /// `chassis power …`.
    Power(Reset),
    /// `chassis bootdev …` for one boot, by UEFI.
    BootDevice(Device),
    /// `chassis bootparam get 5`: the boot flags.
    BootFlags,
    /// `chassis identify …`.
    Identify(Locate),
    /// `mc info`.
    Info,
    /// `mc guid`.
    Guid,
    /// `fru print 0`.
    Fru,
    /// `sel elist last …`.
    Log,
}

impl Command {
    /// Its words.
    ///
    /// # Errors
    /// [`Trouble::NotOffered`] for a reset that IPMI does not know.
    pub fn words(self) -> Result<Vec<String>, Trouble> {
        let words: Vec<&str> = match self {
            Self::PowerStatus => vec!["chassis", "power", "status"],
            Self::Power(reset) => vec!["chassis", "power", power_word(reset)?],
            Self::BootDevice(Device::None) => vec!["chassis", "bootdev", "none"],
            Self::BootDevice(device) => {
                vec!["chassis", "bootdev", device.as_str(), "options=efiboot"]
            }
            Self::BootFlags => vec!["chassis", "bootparam", "get", "5"],
            Self::Identify(locate) => vec!["chassis", "identify", locate.as_str()],
            Self::Info => vec!["mc", "info"],
            Self::Guid => vec!["mc", "guid"],
            Self::Fru => vec!["fru", "print", "0"],
            Self::Log => vec!["sel", "elist", "last"],
        };
        let mut words: Vec<String> = words.into_iter().map(String::from).collect();
        if self == Self::Log {
            words.push(LOG_LINES.to_string());
        }
        Ok(words)
    }

    /// In words: `chassis power status`.
    #[must_use]
    pub fn says(self) -> String {
        self.words()
            .map_or_else(|trouble| format!("{trouble}"), |words| words.join(" "))
    }

    /// The resets that IPMI knows.
    pub const RESETS: [Reset; 5] = [
        Reset::On,
        Reset::ForceOff,
        Reset::GracefulShutdown,
        Reset::PowerCycle,
        Reset::ForceRestart,
    ];
}

fn power_word(reset: Reset) -> Result<&'static str, Trouble> {
    match reset {
        Reset::On | Reset::ForceOn => Ok("on"),
        Reset::ForceOff => Ok("off"),
        Reset::GracefulShutdown => Ok("soft"),
        Reset::PowerCycle => Ok("cycle"),
        Reset::ForceRestart => Ok("reset"),
        Reset::GracefulRestart | Reset::PushPowerButton => Err(Trouble::NotOffered {
            wanted: reset.as_str().into(),
            offers: Command::RESETS
                .iter()
                .map(|reset| reset.as_str().to_string())
                .collect(),
        }),
    }
}

/// The whole line of arguments. Two tries of two seconds: a BMC answers within one.
///
/// # Errors
/// As [`Command::words`].
pub fn arguments(
    host: &str,
    port: u16,
    user: &str,
    cipher: Cipher,
    command: Command,
) -> Result<Vec<String>, Trouble> {
    let port = port.to_string();
    let fixed = [
        // -v says why a session does not come about: a wrong password or a cipher suite that is not known.
        "-v",
        "-I",
        "lanplus",
        "-H",
        host,
        "-p",
        &port,
        "-U",
        user,
        "-f",
        "/dev/stdin",
        "-C",
        cipher.as_str(),
        "-N",
        "2",
        "-R",
        "2",
    ];
    let mut line: Vec<String> = fixed.iter().map(|word| (*word).into()).collect();
    line.extend(command.words()?);
    Ok(line)
}

/// Why a credential or an address cannot be used; `None` where it can.
#[must_use]
pub fn unfit(host: &str, user: &str, password: &[u8]) -> Option<Trouble> {
    let why = if host.starts_with('-') {
        "the address begins with '-'"
    } else if user.len() > USER_BYTES_MAX {
        "IPMI knows user names of at most 16 bytes"
    } else if password.len() > PASSWORD_BYTES_MAX {
        "IPMI knows passwords of at most 20 bytes"
    } else if password.is_empty() {
        "an empty password is not sent"
    } else if password
        .iter()
        .any(|byte| matches!(byte, 0 | b'\n' | b'\r'))
    {
        "its password holds a line end or a zero byte"
    } else {
        return None;
    };
    Some(Trouble::CredentialUnfit { why: why.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn lines_are_typed() {
        let line = |command| arguments("10.0.0.9", 623, "admin", Cipher::Suite17, command).unwrap();
        expect!["-v -I lanplus -H 10.0.0.9 -p 623 -U admin -f /dev/stdin -C 17 -N 2 -R 2 chassis bootdev pxe options=efiboot"]
            .assert_eq(&line(Command::BootDevice(Device::Pxe)).join(" "));
        assert!(line(Command::Log).ends_with(&["200".into()]));
        assert!(
            arguments(
                "h",
                1,
                "u",
                Cipher::Suite3,
                Command::Power(Reset::GracefulRestart)
            )
            .is_err()
        );
        for reset in Command::RESETS {
            assert!(Command::Power(reset).words().is_ok());
        }
        // Nothing of a user's name is a word of its own.
        let odd = arguments("h", 1, "a b;$(id)", Cipher::Suite3, Command::Info).unwrap();
        assert!(odd.contains(&"a b;$(id)".to_string()));
    }

    #[test]
    fn credentials_that_ipmi_cannot_carry_are_refused() {
        assert_eq!(unfit("h", "admin", b"secret"), None);
        for (host, user, password) in [
            ("-h", "u", &b"p"[..]),
            ("h", "seventeen-letters", b"p"),
            ("h", "u", b"twenty-one-characters"),
            ("h", "u", b""),
            ("h", "u", b"a\nb"),
        ] {
            assert!(unfit(host, user, password).is_some(), "{host} {user}");
        }
    }
}
