// SPDX-License-Identifier: Apache-2.0
//! The first packet of a transfer.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

/// The longest request that is read, in bytes: RFC 2347 bounds it at 512.
const REQUEST_MAX: usize = 512;
/// Block sizes of RFC 2348, in bytes. Who asks for more is told less.
const BLKSIZE: RangeInclusive<u64> = 8..=65_464;
/// Seconds between two sendings that are acknowledged. RFC 2349 lets a client ask for up to 255, and lets us leave the
/// option out: within the 45 s after which silence ends a transfer, everything goes out at least three times.
const TIMEOUT: RangeInclusive<u64> = 1..=20;
/// Blocks in flight at most. More only helps where nothing is lost.
pub const WINDOW_MAX: u16 = 64;
/// What RFC 7440 lets a client ask for.
const WINDOW_ASKED: RangeInclusive<u64> = 1..=65_535;
/// Without options (RFC 1350).
const BLKSIZE_DEFAULT: u16 = 512;

/// How the file's bytes go over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As they are.
    Octet,
    /// With the line ends of RFC 764.
    Netascii,
}

/// What a client wants to read, and the options that it asked for, already cut to what we do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// The name, as it was sent.
    pub name: String,
    /// How.
    pub mode: Mode,
    /// Bytes in a block, where it asked; [`ReadRequest::fit`] cuts it to what a frame carries.
    pub blksize: Option<u16>,
    /// Seconds until we send again, where it asked.
    pub timeout: Option<u8>,
    /// Whether it asked for the file's length.
    pub tsize: bool,
    /// Blocks in flight, where it asked.
    pub windowsize: Option<u16>,
}

impl ReadRequest {
    /// Cuts the block size to what one frame carries: firmware drops fragments. Without the option, it stays at 512.
    pub fn fit(&mut self, block_max: u16) {
        let smallest = u16::try_from(*BLKSIZE.start()).unwrap_or_default();
        self.blksize = self.blksize.map(|size| size.min(block_max.max(smallest)));
    }

    /// Cuts the window to so many blocks.
    pub fn fit_window(&mut self, window_max: u16) {
        self.windowsize = self.windowsize.map(|window| window.min(window_max.max(1)));
    }

    /// Bytes in a block.
    #[must_use]
    pub fn block_bytes(&self) -> u16 {
        self.blksize.unwrap_or(BLKSIZE_DEFAULT)
    }

    /// The OACK: exactly the options that were asked for and are done. `None` where there is none.
    pub(super) fn oack(&self, length: u64) -> Option<Vec<u8>> {
        let mut packet = alloc::vec![0, 6];
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                packet.extend_from_slice(name.as_bytes());
                packet.push(0);
                packet.extend_from_slice(value.as_bytes());
                packet.push(0);
            }
        };
        add("blksize", self.blksize.map(|v| v.to_string()));
        add("timeout", self.timeout.map(|v| v.to_string()));
        add("tsize", self.tsize.then(|| length.to_string()));
        add("windowsize", self.windowsize.map(|v| v.to_string()));
        (packet.len() > 2).then_some(packet)
    }
}

/// Why no transfer begins. [`error_packet`] tells the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TftpRefusal {
    /// Nobody is answered: it is no request (a late ACK, noise).
    #[error("not a request")]
    NotARequest,
    /// A request to write.
    #[error("writing is not allowed")]
    Write,
    /// Not a request as RFC 1350 writes it.
    #[error("malformed request")]
    Malformed,
    /// mail, or no mode at all.
    #[error("only the modes octet (binary) and netascii are served")]
    Mode,
    /// The name is not on the allow-list.
    #[error("file not found")]
    NotFound,
    /// Too many transfers.
    #[error("too many transfers; try again")]
    Busy,
    /// A packet on a transfer's port from somebody else (RFC 1350, section 4); the transfer goes on.
    #[error("unknown transfer ID")]
    UnknownTransfer,
    /// The file cannot be read, or was cut short while it was being sent.
    #[error("the file cannot be read")]
    Unreadable,
}

/// The ERROR packet for a refusal; none where the sender is not to be answered.
#[must_use]
pub fn error_packet(refusal: &TftpRefusal) -> Option<Vec<u8>> {
    let code = match refusal {
        TftpRefusal::NotARequest => return None,
        TftpRefusal::NotFound => 1,
        TftpRefusal::Write => 2,
        TftpRefusal::Busy | TftpRefusal::Unreadable => 0,
        TftpRefusal::Malformed | TftpRefusal::Mode => 4,
        TftpRefusal::UnknownTransfer => 5,
    };
    let mut packet = alloc::vec![0, 5, 0, code];
    packet.extend_from_slice(refusal.to_string().as_bytes());
    packet.push(0);
    Some(packet)
}

/// Whether a packet is an ERROR. Nobody answers one, or two servers would answer each other for ever.
#[must_use]
pub const fn is_error(packet: &[u8]) -> bool {
    matches!(packet, [0, 5, ..])
}

/// Reads the first packet of a transfer.
///
/// # Errors
/// Why no transfer begins.
pub fn read_request(packet: &[u8]) -> Result<ReadRequest, TftpRefusal> {
    let rest = match packet {
        [0, 1, rest @ ..] => rest,
        [0, 2, ..] => return Err(TftpRefusal::Write),
        _ => return Err(TftpRefusal::NotARequest),
    };
    if packet.len() > REQUEST_MAX {
        return Err(TftpRefusal::Malformed);
    }
    // Every string ends with NUL; what comes after the last one (some ROMs pad) is left out.
    let mut strings = rest.split(|b| *b == 0).map(core::str::from_utf8);
    let complete = rest.iter().filter(|b| **b == 0).count();
    let mut next = || strings.next().and_then(Result::ok);
    let (Some(name), Some(mode)) = (next(), next()) else {
        return Err(TftpRefusal::Malformed);
    };
    if complete < 2 || name.is_empty() {
        return Err(TftpRefusal::Malformed);
    }
    let mode = if mode.eq_ignore_ascii_case("octet") {
        Mode::Octet
    } else if mode.eq_ignore_ascii_case("netascii") {
        Mode::Netascii
    } else {
        return Err(TftpRefusal::Mode);
    };
    let mut request = ReadRequest {
        name: name.to_string(),
        mode,
        blksize: None,
        timeout: None,
        tsize: false,
        windowsize: None,
    };
    for _ in 1..complete / 2 {
        let (Some(option), Some(value)) = (next(), next()) else {
            break;
        };
        request.take(option, value);
    }
    Ok(request)
}

impl ReadRequest {
    /// An option that is unknown or has a value out of range is not acknowledged, which is how RFC 2347 refuses it.
    fn take(&mut self, option: &str, value: &str) {
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        let Some(number) = value.parse::<u64>().ok().filter(|_| digits) else {
            return;
        };
        if option.eq_ignore_ascii_case("blksize") {
            if number >= *BLKSIZE.start() {
                self.blksize = u16::try_from(number.min(*BLKSIZE.end())).ok();
            }
        } else if option.eq_ignore_ascii_case("timeout") {
            if TIMEOUT.contains(&number) {
                self.timeout = u8::try_from(number).ok();
            }
        } else if option.eq_ignore_ascii_case("tsize") {
            self.tsize = true;
        } else if option.eq_ignore_ascii_case("windowsize") && WINDOW_ASKED.contains(&number) {
            self.windowsize = u16::try_from(number.min(WINDOW_MAX.into())).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rrq(text: &str) -> Vec<u8> {
        let mut packet = alloc::vec![0, 1];
        packet.extend_from_slice(text.as_bytes());
        packet
    }

    #[test]
    fn options_are_cut_to_what_we_do_and_only_the_asked_are_acknowledged() {
        let oack = |text: &str| {
            let mut request = read_request(&rrq(text)).unwrap();
            request.fit(1_468);
            request
                .oack(1_000)
                .map(|p| String::from_utf8(p).unwrap().replace('\0', "|"))
        };
        assert_eq!(oack("f\0octet\0"), None);
        assert_eq!(oack("f\0OCTET\0unknown\x001\0"), None);
        assert_eq!(
            oack("f\0octet\0blksize\x0065464\0").unwrap(),
            "|\u{6}blksize|1468|"
        );
        assert_eq!(
            oack("f\0octet\0blksize\x0070000\0").unwrap(),
            "|\u{6}blksize|1468|"
        );
        assert_eq!(
            oack("f\0octet\0blksize\x008\0").unwrap(),
            "|\u{6}blksize|8|"
        );
        assert_eq!(oack("f\0octet\0blksize\x000\0"), None);
        assert_eq!(
            oack("f\0octet\0blksize\x007\0tsize\x000\0").unwrap(),
            "|\u{6}tsize|1000|"
        );
        assert_eq!(oack("f\0octet\0windowsize\x000\0"), None);
        assert_eq!(
            oack("f\0octet\0windowsize\x0065535\0").unwrap(),
            "|\u{6}windowsize|64|"
        );
        for refused in [0, 21, 255, 256] {
            let text = std::format!("f\0octet\0timeout\0{refused}\0");
            assert_eq!(oack(&text), None, "a timeout of {refused} s");
        }
        assert_eq!(
            oack("f\0octet\0timeout\x008\0").unwrap(),
            "|\u{6}timeout|8|"
        );
        assert_eq!(
            oack("f\0octet\0tsize\x000\0BLKSIZE\x001468\0windowsize\x004\0timeout\x003\0").unwrap(),
            "|\u{6}blksize|1468|timeout|3|tsize|1000|windowsize|4|"
        );
        // A frame of another size: 9,000 bytes, the smallest of all, and one that makes no sense.
        for (block_max, size) in [(8_968, 8_968), (65_535, 65_464), (516, 516), (0, 8)] {
            let mut request = read_request(&rrq("f\0octet\0blksize\x0065464\0")).unwrap();
            request.fit(block_max);
            assert_eq!(request.block_bytes(), size);
        }
        let mut plain = read_request(&rrq("f\0octet\0")).unwrap();
        plain.fit(100);
        assert_eq!(plain.block_bytes(), 512, "not asked: not changed");
        // An option without its closing NUL is not there.
        assert_eq!(oack("f\0octet\0blksize\x00512"), None);
        assert_eq!(oack("f\0octet\0blksize\0+512\0"), None);
    }

    #[test]
    fn what_is_no_read_request_is_refused_with_its_code() {
        let cases: [(&[u8], TftpRefusal, Option<u8>); 8] = [
            (b"", TftpRefusal::NotARequest, None),
            (b"\0\x04\0\x01", TftpRefusal::NotARequest, None),
            (b"\0\x02f\0octet\0", TftpRefusal::Write, Some(2)),
            (b"\0\x01f\0mail\0", TftpRefusal::Mode, Some(4)),
            (b"\0\x01f\0octet", TftpRefusal::Malformed, Some(4)),
            (b"\0\x01f", TftpRefusal::Malformed, Some(4)),
            (b"\0\x01\0octet\0", TftpRefusal::Malformed, Some(4)),
            (b"\0\x01\xff\xfe\0octet\0", TftpRefusal::Malformed, Some(4)),
        ];
        for (packet, refusal, code) in cases {
            assert_eq!(read_request(packet).unwrap_err(), refusal, "{packet:?}");
            assert_eq!(error_packet(&refusal).map(|p| p[3]), code);
        }
        assert_eq!(
            read_request(&rrq(&"x".repeat(600))),
            Err(TftpRefusal::Malformed)
        );
    }

    proptest::proptest! {
        #[test]
        fn no_packet_breaks_the_reader(tail in proptest::collection::vec(0u8.., 0..600), op in 0u8..8) {
            let mut packet = alloc::vec![0, op];
            packet.extend_from_slice(&tail);
            if let Err(refusal) = read_request(&packet) {
                let _ = error_packet(&refusal);
            }
        }
    }
}
