// SPDX-License-Identifier: Apache-2.0
//! The 512-byte head of an archive's entry (POSIX.1-2017, pax, "ustar Interchange Format"; GNU tar, "Basic Tar Format").

/// The length of a head and of every block, in bytes.
pub(super) const BLOCK: usize = 512;
/// A head.
pub(super) type Block = [u8; BLOCK];

/// A head's fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) kind: u8,
    pub(super) mode: u64,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) mtime: i64,
    pub(super) major: u64,
    pub(super) minor: u64,
}

/// The fields; what makes no sense where there are none.
pub(super) fn parse(block: &Block) -> Result<Header, &'static str> {
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            u64::from(if (148..156).contains(&at) {
                b' '
            } else {
                *byte
            })
        })
        .sum();
    if number(&block[148..156]) != Some(i64::try_from(sum).unwrap_or(0)) {
        return Err("the head's checksum");
    }
    let field = |from: usize, to: usize, what| {
        let value = number(&block[from..to]).ok_or(what)?;
        u64::try_from(value).map_err(|_| what)
    };
    let is_ustar = &block[257..263] == b"ustar\0";
    let is_gnu = &block[257..265] == b"ustar  \0";
    let mut name = text(&block[..100]);
    if is_ustar && block[345] != 0 {
        let mut long = text(&block[345..500]);
        long.push(b'/');
        long.append(&mut name);
        name = long;
    }
    let kind = block[156];
    let is_device = matches!(kind, b'3' | b'4') && (is_ustar || is_gnu);
    Ok(Header {
        link: text(&block[157..257]),
        kind,
        mode: field(100, 108, "the mode")?,
        uid: field(108, 116, "the owner")?,
        gid: field(116, 124, "the group")?,
        size: field(124, 136, "the size")?,
        mtime: number(&block[136..148]).ok_or("the time")?,
        major: if is_device {
            field(329, 337, "the device number")?
        } else {
            0
        },
        minor: if is_device {
            field(337, 345, "the device number")?
        } else {
            0
        },
        name,
    })
}

/// A number: octal digits, or with the first bit set a binary number, most significant byte first (GNU tar).
pub(super) fn number(bytes: &[u8]) -> Option<i64> {
    let (first, rest) = bytes.split_first()?;
    if first & 0x80 != 0 {
        // The second bit is the sign.
        let mut value: i64 = if first & 0x40 == 0 {
            i64::from(first & 0x3f)
        } else {
            i64::from(*first) - 256
        };
        for byte in rest {
            value = value.checked_mul(256)?.checked_add(i64::from(*byte))?;
        }
        return Some(value);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let text = text.trim_matches(|c| c == ' ' || c == '\0');
    if text.is_empty() {
        return Some(0);
    }
    if !text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)) {
        return None;
    }
    i64::from_str_radix(text, 8).ok()
}

fn text(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes[..end.unwrap_or(bytes.len())].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_binary() {
        assert_eq!(number(b"0000755\0"), Some(0o755));
        assert_eq!(number(b" 17 \0\0\0\0"), Some(0o17));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"00009\0"), None);
        assert_eq!(number(b"-1\0"), None);
        assert_eq!(
            number(&[0x80, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
            Some(1 << 24)
        );
        assert_eq!(number(&[0xff; 12]), Some(-1));
        assert_eq!(number(&[0xbf; 12]), None);
    }
}
