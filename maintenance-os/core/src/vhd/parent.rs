// SPDX-License-Identifier: Apache-2.0
//! Puts a differencing VHD on its parent. A wrong parent gives a disk that never was, so identity, size and time of
//! change are compared, and a chain neither returns to itself nor goes on for ever.

use super::error::Refusal;
use super::footer::Kind;
use super::open::Vhd;
use crate::random_access::ReadAt;
use alloc::boxed::Box;
use groundstate_api::SystemUuid;

/// The most VHDs in a chain; each of them costs an open file and a table.
pub const CHAIN_MAX: usize = 64;

/// What is known of when the parent was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentTime {
    /// The file says, in seconds since 2000-01-01 00:00 UTC. A copy of a file may carry the time of copying.
    Modified(u32),
    /// A person takes the parent whatever its time says.
    Any,
}

impl<S: ReadAt> Vhd<S> {
    /// Attaches the opened parent, to which its own parent is attached already where it has one.
    ///
    /// The time agrees where the child names the parent's time of change, or none at all.
    ///
    /// # Errors
    /// A [`Refusal`] that names the difference.
    pub fn attach(&mut self, parent: Self, time: ParentTime) -> Result<(), Refusal> {
        let header = match (&self.blocks, self.footer.kind) {
            (Some(blocks), Kind::Differencing) => &blocks.header,
            (_, kind) => return Err(Refusal::NotDifferencing(kind.as_str())),
        };
        if header.parent_id != parent.footer.id {
            return Err(Refusal::ParentId {
                said: SystemUuid(header.parent_id),
                found: SystemUuid(parent.footer.id),
            });
        }
        let (said, found) = (self.footer.size.0, parent.footer.size.0);
        if said != found {
            return Err(Refusal::ParentSize { said, found });
        }
        if let ParentTime::Modified(found) = time {
            let said = header.parent_timestamp;
            if ![0, found].contains(&said) {
                return Err(Refusal::ParentChanged { said, found });
            }
        }
        let mut ancestor = Some(&parent);
        let mut length = 1;
        while let Some(vhd) = ancestor {
            length += 1;
            if vhd.footer.id == self.footer.id {
                return Err(Refusal::ParentLoop(SystemUuid(self.footer.id)));
            }
            if length > CHAIN_MAX {
                return Err(Refusal::ChainTooLong(CHAIN_MAX));
            }
            ancestor = vhd.parent.as_deref();
        }
        self.parent = Some(Box::new(parent));
        Ok(())
    }

    /// The attached parent.
    #[must_use]
    pub fn parent(&self) -> Option<&Self> {
        self.parent.as_deref()
    }

    /// The VHD that is `depth` parents up; 0 is this one.
    pub fn ancestor(&mut self, depth: usize) -> Option<&mut Self> {
        let mut vhd = self;
        for _ in 0..depth {
            vhd = vhd.parent.as_deref_mut()?;
        }
        Some(vhd)
    }
}
