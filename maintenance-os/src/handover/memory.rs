// SPDX-License-Identifier: Apache-2.0
//! Files in memory, for what is too large for PID 1's own memory and must not change between proof and use.

use groundstate_api::{Reason, ReasonCode};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::fs::File;
use std::io;

/// A new, empty file in memory. Its pages are not this process's: they go when the last descriptor does.
///
/// # Errors
/// The kernel gives none.
pub fn memory_file(name: &str) -> Result<File, Reason> {
    memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map(File::from)
        .map_err(|errno| {
            Reason::new(
                ReasonCode::Internal,
                format!("there is no memory for the {name}"),
                "see that the machine has the memory that it should have, then order the run again",
            )
            .seen(format!("memfd_create: {errno}"))
        })
}

/// Seals a file in memory: nobody can change the bytes between our digest and the kernel's reading.
pub(super) fn seal(file: &File) -> io::Result<()> {
    fcntl_add_seals(
        file,
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Seek as _, Write as _};

    #[test]
    fn what_is_sealed_reads_back_and_cannot_be_changed() {
        let mut file = memory_file("kernel").unwrap();
        file.write_all(b"MZ kernel").unwrap();
        seal(&file).unwrap();
        assert!(file.write_all(b"x").is_err());
        assert!(file.set_len(1).is_err());
        let mut back = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut back).unwrap();
        assert_eq!(back, b"MZ kernel");
    }
}
