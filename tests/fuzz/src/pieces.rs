// SPDX-License-Identifier: Apache-2.0
//! An input cut into numbers and byte strings, so that one input can be several answers of one device.

/// What is left of an input. What is asked for beyond its end is zero or empty.
#[derive(Clone, Copy, Debug)]
pub struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    /// All of an input.
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rest.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// The next two bytes, little-endian.
    pub fn half(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// The next four bytes, little-endian.
    pub fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// The next eight bytes, little-endian.
    pub fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// The next byte string: its length in two bytes, then as many bytes as there still are.
    pub fn string(&mut self) -> &'a [u8] {
        let length = usize::from(self.half()).min(self.0.len());
        let (string, rest) = self.0.split_at(length);
        self.0 = rest;
        string
    }

    /// The next byte string as a block of `length` bytes, cut or filled with zeros: devices answer in whole blocks.
    pub fn block(&mut self, length: usize) -> Vec<u8> {
        let mut block = self.string().to_vec();
        block.resize(length, 0);
        block
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let there = N.min(self.0.len());
        let (head, rest) = self.0.split_at(there);
        bytes[..there].copy_from_slice(head);
        self.0 = rest;
        bytes
    }
}
