// SPDX-License-Identifier: Apache-2.0
//! A lease's JSON as this program writes it, read without asking what else it could be: after a power cut, everybody
//! waits for the log to be read. What stands there otherwise is left to the reader of any JSON.

use groundstate_api::boot::Firmware;
use groundstate_api::{MacAddr, Millis, SystemUuid};
use pxe_core::dhcp::{Lease, LeaseState};
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The lease; `None` where these are not the very bytes that we write.
pub(super) fn read(body: &[u8]) -> Option<Lease> {
    let mut rest = Rest(std::str::from_utf8(body).ok()?);
    let lease = Lease {
        address: {
            rest.skip("{\"address\":\"")?;
            Ipv4Addr::from_str(rest.until("\",\"mac\":\"")?).ok()?
        },
        mac: mac(rest.until("\",\"state\":\"")?)?,
        state: match rest.until("\",\"since\":")? {
            "bound" => LeaseState::Bound,
            "declined" => LeaseState::Declined,
            _ => return None,
        },
        since: millis(rest.until(",\"until\":")?)?,
        until: millis(rest.until(",\"uuid\":")?)?,
        uuid: match rest.until(",\"firmware\":")? {
            "null" => None,
            text => Some(SystemUuid::from_str(within(text)?).ok()?),
        },
        firmware: match rest.until("}")? {
            "null" => None,
            text => Some(firmware(within(text)?)?),
        },
    };
    rest.0.is_empty().then_some(lease)
}

/// What has not been read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, word: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// What stands before this word, which is gone with it. No value has the character that a word begins with, so that
    /// one look for it is enough.
    fn until(&mut self, word: &str) -> Option<&'a str> {
        let first = word.bytes().next()?;
        let at = self.0.bytes().position(|byte| byte == first)?;
        let (before, rest) = self.0.split_at_checked(at)?;
        self.0 = rest.strip_prefix(word)?;
        Some(before)
    }
}

fn within(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

fn mac(text: &str) -> Option<MacAddr> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let is_byte = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
        let part = parts.next().filter(is_byte)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(MacAddr(bytes))
}

/// Digits alone: JSON knows no sign before them and no zero.
fn millis(text: &str) -> Option<Millis> {
    let is_number =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_number.then(|| text.parse().ok().map(Millis)).flatten()
}

fn firmware(text: &str) -> Option<Firmware> {
    [Firmware::Bios, Firmware::UefiPxe, Firmware::UefiHttp]
        .into_iter()
        .find(|firmware| firmware.as_str() == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lease() -> impl Strategy<Value = Lease> {
        let firmware = prop_oneof![
            Just(None),
            Just(Some(Firmware::Bios)),
            Just(Some(Firmware::UefiPxe)),
            Just(Some(Firmware::UefiHttp)),
        ];
        let uuid = proptest::option::of(any::<[u8; 16]>());
        let state = any::<bool>();
        let times = (any::<u64>(), any::<u64>());
        (any::<u32>(), any::<[u8; 6]>(), state, times, uuid, firmware).prop_map(
            |(address, mac, bound, (since, until), uuid, firmware)| Lease {
                address: address.into(),
                mac: MacAddr(mac),
                state: if bound {
                    LeaseState::Bound
                } else {
                    LeaseState::Declined
                },
                since: Millis(since),
                until: Millis(until),
                uuid: uuid.map(SystemUuid),
                firmware,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_quickly(lease in lease()) {
            let body = serde_json::to_vec(&lease).unwrap();
            prop_assert_eq!(read(&body), Some(lease));
        }

        #[test]
        fn what_is_read_quickly_is_what_json_says(lease in lease(), at in 0usize..200, byte in 0u8..) {
            let mut body = serde_json::to_vec(&lease).unwrap();
            let length = body.len();
            body[at % length] = byte;
            if let Some(quick) = read(&body) {
                prop_assert_eq!(serde_json::from_slice::<Lease>(&body).ok(), Some(quick));
            }
        }
    }

    #[test]
    fn every_other_spelling_is_left_to_the_other_reader() {
        let body = serde_json::to_string(&super::super::test_lease()).unwrap();
        assert!(read(body.as_bytes()).is_some());
        for (from, to) in [
            (":5,", ": 5,"),
            (":5,", ":05,"),
            (":5,", ":+5,"),
            ("}", ",\"more\":1}"),
            ("}", "}}"),
            ("bound", "Bound"),
        ] {
            assert_eq!(read(body.replace(from, to).as_bytes()), None, "{to}");
        }
    }
}
