// SPDX-License-Identifier: Apache-2.0
//! Bytes that can be read and written at an offset: what the codecs of virtual disks work on.
//!
//! A core opens no file; the shell implements these for files, tests for vectors. A short read or write is an error of
//! the implementor, never a smaller count.

/// Bytes that can be read anywhere.
pub trait ReadAt {
    /// Why reading or writing failed.
    type Error;
    /// Length in bytes.
    fn len(&self) -> u64;
    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Fills `into` from offset `at`.
    ///
    /// # Errors
    /// The implementor's, also where `at + into.len()` lies beyond the end.
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error>;
}

/// Bytes that can also be written; writing beyond the end lengthens them.
pub trait WriteAt: ReadAt {
    /// Writes all of `from` at offset `at`.
    ///
    /// # Errors
    /// The implementor's.
    fn write_at(&mut self, at: u64, from: &[u8]) -> Result<(), Self::Error>;
    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// The implementor's.
    fn flush(&mut self) -> Result<(), Self::Error>;
}

/// A vector is bytes in memory. Reading beyond the end says by how much.
#[cfg(test)]
impl ReadAt for alloc::vec::Vec<u8> {
    type Error = alloc::string::String;
    fn len(&self) -> u64 {
        u64::try_from(alloc::vec::Vec::len(self)).unwrap_or(u64::MAX)
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), Self::Error> {
        let start = usize::try_from(at).map_err(|e| alloc::format!("{e}"))?;
        let bytes = start
            .checked_add(into.len())
            .and_then(|end| self.get(start..end));
        let bytes = bytes
            .ok_or_else(|| alloc::format!("{} bytes at {at} lie beyond the end", into.len()))?;
        into.copy_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
impl WriteAt for alloc::vec::Vec<u8> {
    fn write_at(&mut self, at: u64, from: &[u8]) -> Result<(), Self::Error> {
        let start = usize::try_from(at).map_err(|e| alloc::format!("{e}"))?;
        let end = start + from.len();
        if alloc::vec::Vec::len(self) < end {
            self.resize(end, 0);
        }
        self[start..end].copy_from_slice(from);
        Ok(())
    }
    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
