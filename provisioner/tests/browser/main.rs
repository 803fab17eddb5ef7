// SPDX-License-Identifier: Apache-2.0
//! The page in a real browser: Debian's Chromium, driven over WebDriver. What is seen is kept as pictures in
//! `target/groundstate/screenshots/`.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

mod driver;
mod events;
mod hostile;
mod pages;
mod world;
