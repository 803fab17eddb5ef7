// SPDX-License-Identifier: Apache-2.0
//! Makes a real Debian host: a root file system with systemd, Debian's kernel and our agent as a service.
//!
//! In two parts, each made once: the base tree (mmdebstrap, half a minute or more), and the image (the tree, the agent,
//! mkfs). A changed agent redoes only the second. The result in `target/groundstate/host/`:
//!
//! | file | what |
//! |---|---|
//! | `root.ext4` | the root file system, sparse; the node grows it to its partition |
//! | `vmlinuz`, `initrd.img`, `systemd-bootx64.efi` | the same bytes as inside, for the ESP and for kexec |
//! | `cmdline` | one line, without `root=` |
//! | `version` | Debian's version and a digest of the inputs |

pub(crate) mod base;
mod pack;

use crate::layout::Layout;
use crate::product;
use anyhow::Result;
use std::path::PathBuf;

/// Makes the host image where it is not there yet, and returns its folder.
pub(crate) fn ensure(layout: &Layout) -> Result<PathBuf> {
    let base = base::ensure(layout)?;
    let programs = product::build(layout)?;
    pack::ensure(layout, &base, &programs.host_agent)
}
