// SPDX-License-Identifier: Apache-2.0
//! Where an image is not what was stated of it.

use super::image_facts::ImageFacts;
use super::machine::Machine;
use groundstate_api::image::Architecture;

/// What the one who imports states of an image; `None`: the image tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stated {
    /// The logical sector size in bytes.
    pub sector_size: Option<u32>,
    /// What it is for.
    pub architecture: Option<Architecture>,
}

/// Why an image is not what was stated of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactsError {
    /// The partition table is for another sector size.
    #[error(
        "the image's partition table is for sectors of {found} bytes, not of {stated} as stated: a disk of {stated} byte sectors cannot use it"
    )]
    SectorSize {
        /// What was stated, in bytes.
        stated: u32,
        /// What the table is for, in bytes.
        found: u32,
    },
    /// The programs are for another machine.
    #[error("the image is for {found}, not for {stated} as stated (wrong arch)")]
    Architecture {
        /// What was stated.
        stated: Machine,
        /// What its programs are for.
        found: Machine,
    },
}

impl ImageFacts {
    /// Sees that the image is what was stated of it. What the image does not tell cannot contradict.
    ///
    /// # Errors
    /// A variant per contradiction.
    pub fn check(&self, stated: &Stated) -> Result<(), FactsError> {
        if let (Some(stated), Some(found)) = (stated.sector_size, self.sector_size)
            && stated != found
        {
            return Err(FactsError::SectorSize { stated, found });
        }
        if let (Some(stated), Some(found)) = (stated.architecture, self.machine)
            && found.architecture() != Some(stated)
        {
            let stated = Machine::from(stated);
            return Err(FactsError::Architecture { stated, found });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use expect_test::expect;

    #[test]
    fn a_contradiction_is_refused_by_name_and_silence_is_none() {
        let facts = ImageFacts {
            sector_size: Some(4096),
            machine: Some(Machine::I386),
            ..ImageFacts::default()
        };
        let check = |sector_size, architecture| {
            facts.check(&Stated {
                sector_size,
                architecture,
            })
        };
        expect!["the image's partition table is for sectors of 4096 bytes, not of 512 as stated: a disk of 512 byte sectors cannot use it"]
            .assert_eq(&check(Some(512), None).unwrap_err().to_string());
        expect!["the image is for i386, not for x86_64 as stated (wrong arch)"].assert_eq(
            &check(None, Some(Architecture::X86_64))
                .unwrap_err()
                .to_string(),
        );
        assert_eq!(check(Some(4096), None), Ok(()));
        let silent = ImageFacts::default();
        assert_eq!(
            silent.check(&Stated {
                sector_size: Some(512),
                architecture: Some(Architecture::Aarch64)
            }),
            Ok(())
        );
    }
}
