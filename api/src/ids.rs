// SPDX-License-Identifier: Apache-2.0
//! Identities. Each is parsed once, at the border, and can then only be meaningful.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an identity: what it should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseIdError(pub &'static str);

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for ParseIdError {}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $says:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The identity as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(ParseIdError($says)) }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fn is_host_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_token(text: &str) -> bool {
    (1..=80).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

text_id!(
    /// A node's name in its site; it becomes the host name (RFC 1123 label: 1 to 63 of `a-z`, `0-9`, `-`).
    NodeId,
    "a node name is 1 to 63 of a-z, 0-9 and '-', and does not begin or end with '-'",
    is_host_label
);
text_id!(
    /// One provisioning run of one node: 1 to 80 of `A-Z a-z 0-9 - _`. The provisioner chooses it.
    RunId,
    "a run id is 1 to 80 of A-Z, a-z, 0-9, '-' and '_'",
    is_token
);
text_id!(
    /// A plan's identity: the SHA-256 (64 hexadecimal digits) of its canonical bytes without the id.
    PlanId,
    "a plan id is 64 lower-case hexadecimal digits",
    |text| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
);
text_id!(
    /// One boot of one kernel: `/proc/sys/kernel/random/boot_id`, 36 characters.
    BootId,
    "a boot id is a UUID of 36 characters",
    |text| text.parse::<SystemUuid>().is_ok()
);

/// An IEEE 802 MAC address, written `52:54:00:12:34:56`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for MacAddr {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = ParseIdError(
            "a MAC address is six pairs of hexadecimal digits with ':' or '-' between",
        );
        let mut out = [0u8; 6];
        let mut pairs = text.split([':', '-']);
        for byte in &mut out {
            let pair = pairs.next().filter(|p| p.len() == 2).ok_or(error)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error)?;
        }
        if pairs.next().is_some() {
            Err(error)
        } else {
            Ok(Self(out))
        }
    }
}

/// A system UUID as text shows it (SMBIOS type 1 after its byte order is undone; DHCP option 97 likewise).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemUuid(pub [u8; 16]);

impl fmt::Display for SystemUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(36);
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.push_str(&format!("{byte:02x}"));
        }
        f.pad(&text)
    }
}

impl fmt::Debug for SystemUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SystemUuid {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = ParseIdError("a UUID is 32 hexadecimal digits in groups of 8-4-4-4-12");
        let shape = text.len() == 36
            && [8, 13, 18, 23]
                .iter()
                .all(|at| text.as_bytes().get(*at) == Some(&b'-'));
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        if !shape || hex.len() != 32 || !hex.is_ascii() {
            return Err(error);
        }
        let mut out = [0u8; 16];
        for (index, byte) in out.iter_mut().enumerate() {
            let pair = hex.get(index * 2..index * 2 + 2).ok_or(error)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| error)?;
        }
        Ok(Self(out))
    }
}

macro_rules! serde_by_text {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.to_string())
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
    };
}
serde_by_text!(MacAddr);
serde_by_text!(SystemUuid);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_parsed_not_trusted() {
        assert!("node-1".parse::<NodeId>().is_ok());
        for bad in ["", "-a", "a-", "A", "a b", "a\n", &"x".repeat(64)] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?}");
        }
        let mac: MacAddr = "52:54:00:12:34:5F".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:12:34:5f");
        assert!("52:54:00:12:34".parse::<MacAddr>().is_err());
        assert!("52:54:00:12:34:56:78".parse::<MacAddr>().is_err());
        let uuid = "564d1234-5678-9abc-def0-123456789abc";
        assert_eq!(uuid.parse::<SystemUuid>().unwrap().to_string(), uuid);
        assert!(
            "564d12345678-9abc-def0-123456789abc-"
                .parse::<SystemUuid>()
                .is_err()
        );
    }
}
