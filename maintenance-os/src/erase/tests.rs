// SPDX-License-Identifier: Apache-2.0
//! The erase of files that stand in for disks: the shell's own path, from the guard to the record.
