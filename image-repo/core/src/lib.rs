// SPDX-License-Identifier: Apache-2.0
//! Decides.
#![cfg_attr(not(test), no_std)]
extern crate alloc;
