// SPDX-License-Identifier: Apache-2.0
//! One suite, every engine: what the provisioner may rely on, whatever keeps its journal.

mod engines;
mod etcd_only;
mod suite;
