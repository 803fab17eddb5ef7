// SPDX-License-Identifier: Apache-2.0
//! Starts.
fn main() {}
