// SPDX-License-Identifier: Apache-2.0
//! Extended headers (POSIX.1-2017, "pax Extended Header"): records `LENGTH KEY=VALUE\n`, the values any bytes.

use std::collections::BTreeMap;

/// The records, the last of a key before the others. A key without a value is taken away again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The bytes of all headers that were taken, whether their records were replaced or not.
    taken: usize,
}

/// How a file's extended attributes are named.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

impl Pax {
    /// Takes a header's records over those that were before; `None` where they make no sense.
    pub(super) fn extend(&mut self, mut bytes: &[u8]) -> Option<()> {
        self.taken = self.taken.saturating_add(bytes.len());
        while !bytes.is_empty() {
            let space = bytes.iter().position(|byte| *byte == b' ')?;
            let length: usize = std::str::from_utf8(bytes.get(..space)?)
                .ok()?
                .parse()
                .ok()?;
            let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
            if value.is_empty() && !key.starts_with(ATTRIBUTE) {
                self.records.remove(key);
            } else {
                self.records.insert(key.to_vec(), value.to_vec());
            }
            bytes = bytes.get(length..)?;
        }
        Some(())
    }

    /// How many bytes of headers came before one entry.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    pub(super) fn value(&self, key: &str) -> Option<&[u8]> {
        self.records.get(key.as_bytes()).map(Vec::as_slice)
    }

    /// A number of whole units; what stands behind its point is left out. `None`: it is there and is none.
    pub(super) fn number(&self, key: &str) -> Option<Option<i64>> {
        self.value(key).map(|value| {
            let text = std::str::from_utf8(value).ok()?;
            text.split('.').next()?.parse().ok()
        })
    }

    /// The extended attributes.
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.records
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(ATTRIBUTE)?, value.as_slice())))
    }

    /// Whether there are access control lists as text, which are not kept.
    pub(super) fn has_lists(&self) -> bool {
        self.records
            .keys()
            .any(|key| key.starts_with(b"SCHILY.acl."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_nonsense_is_refused() {
        let mut pax = Pax::default();
        pax.extend(b"30 mtime=1321711775.972059463\n32 SCHILY.xattr.user.a=\0\n=x y z\n")
            .unwrap();
        assert_eq!(pax.number("mtime"), Some(Some(1_321_711_775)));
        let attributes: Vec<_> = pax.attributes().collect();
        assert_eq!(attributes, [(&b"user.a"[..], &b"\0\n=x y z"[..])]);
        pax.extend(b"9 mtime=\n").unwrap();
        assert_eq!(pax.number("mtime"), None);
        for bad in [&b"99 a=b\n"[..], b"x", b"6 a=b\nz", b"0 a=b\n", b"5 ab\n"] {
            assert_eq!(Pax::default().extend(bad), None, "{bad:?}");
        }
    }
}
