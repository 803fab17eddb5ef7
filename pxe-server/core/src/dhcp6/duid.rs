// SPDX-License-Identifier: Apache-2.0
//! DUIDs (RFC 8415 section 11): bytes that name a client or a server, and what can be read from them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use groundstate_api::{MacAddr, SystemUuid};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a DUID, its type included (section 11.1 says 3 to 130).
const BYTES: core::ops::RangeInclusive<usize> = 3..=130;
/// Hardware type Ethernet.
const ETHERNET: [u8; 2] = [0, 1];

/// A DUID. In JSON it is its hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duid(Vec<u8>);

impl Duid {
    /// Takes bytes that can be a DUID.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        BYTES.contains(&bytes.len()).then(|| Self(bytes.to_vec()))
    }

    /// The DUID of a server: its MAC address and the moment it was made (type 1, section 11.2), seconds since 2000.
    #[must_use]
    pub fn of_server(mac: MacAddr, seconds: u32) -> Self {
        let mut bytes = alloc::vec![0, 1];
        bytes.extend_from_slice(&ETHERNET);
        bytes.extend_from_slice(&seconds.to_be_bytes());
        bytes.extend_from_slice(&mac.0);
        Self(bytes)
    }

    /// The bytes, the type first.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The MAC address in a DUID of type 1 or 3. It is one of the machine's, not always the one it asks with.
    #[must_use]
    pub fn mac(&self) -> Option<MacAddr> {
        let bytes = match self.0.as_slice() {
            [0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..] => mac,
            _ => return None,
        };
        let mac: [u8; 6] = bytes.try_into().ok()?;
        is_machine(mac).then_some(MacAddr(mac))
    }

    /// The UUID in a DUID of type 4 (RFC 6355), where it is a real one. EDK2 puts SMBIOS's bytes there as they are, the
    /// first three fields little-endian (`smbios`); everybody else writes them in network order.
    #[must_use]
    pub fn uuid(&self, smbios: bool) -> Option<SystemUuid> {
        let &[0, 4, a, b, c, d, e, f, g, h, ref rest @ ..] = self.0.as_slice() else {
            return None;
        };
        let rest: [u8; 8] = rest.try_into().ok()?;
        let first = if smbios {
            [d, c, b, a, f, e, h, g]
        } else {
            [a, b, c, d, e, f, g, h]
        };
        let mut uuid = [0; 16];
        for (to, from) in uuid.iter_mut().zip(first.into_iter().chain(rest)) {
            *to = from;
        }
        let real = uuid != [0; 16] && uuid != [0xff; 16];
        real.then_some(SystemUuid(uuid))
    }
}

/// Whether bytes are one machine's MAC address: no group, not zero.
pub(super) fn is_machine(mac: [u8; 6]) -> bool {
    mac[0] & 1 == 0 && mac != [0; 6]
}

impl fmt::Display for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl core::str::FromStr for Duid {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "a DUID is 6 to 260 hexadecimal digits";
        let digits = text.as_bytes();
        let (pairs, []) = digits.as_chunks::<2>() else {
            return Err(WRONG);
        };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes.and_then(|bytes| Self::new(&bytes)).ok_or(WRONG)
    }
}

impl Serialize for Duid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duid_tells_what_it_holds() {
        let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        let llt = Duid::of_server(mac, 0x31db_1bb5);
        assert_eq!(
            alloc::string::ToString::to_string(&llt),
            "0001000131db1bb5525400123456"
        );
        assert_eq!("0001000131db1bb5525400123456".parse(), Ok(llt.clone()));
        assert_eq!(llt.mac(), Some(mac));
        assert_eq!(llt.uuid(true), None);
        let ll: Duid = "00030001525400123456".parse().unwrap();
        assert_eq!(ll.mac(), Some(mac));
        let uuid: Duid = "000400112233445566778899aabbccddeeff".parse().unwrap();
        assert_eq!(uuid.mac(), None);
        let text = |smbios| alloc::string::ToString::to_string(&uuid.uuid(smbios).unwrap());
        assert_eq!(text(true), "33221100-5544-7766-8899-aabbccddeeff");
        assert_eq!(text(false), "00112233-4455-6677-8899-aabbccddeeff");
        for text in ["", "0", "0004", "00040", "zz0000", &"00".repeat(131)] {
            assert!(text.parse::<Duid>().is_err(), "{text}");
        }
    }
}
