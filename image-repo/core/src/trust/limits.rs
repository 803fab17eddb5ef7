// SPDX-License-Identifier: Apache-2.0
//! Limits of documents and signatures, each with its unit and its reason. A reader stops there, before it understands
//! anything: endless data costs no more than this.

use groundstate_api::{Bytes, Millis};

/// The largest trust root: 64 keys of under 300 bytes each, twice over.
pub const ROOT_MAX: Bytes = Bytes(64 * 1024);
/// The largest catalogue: 2,000 channels and revocations of under 400 bytes each.
pub const CATALOGUE_MAX: Bytes = Bytes::mib(1);
/// The largest statement about an image: nine short fields.
pub const STATEMENT_MAX: Bytes = Bytes(4 * 1024);
/// The largest signature file: minisign's own are under 400 bytes, and its comments at most 8 KiB.
pub const SIGNATURE_MAX: Bytes = Bytes(10 * 1024);
/// The most signatures beside one document.
pub const SIGNATURES_MAX: usize = 64;
/// The longest a document with its signatures is where both stand in one JSON text: each byte of the document in a string may take
/// two.
pub const SIGNED_MAX: Bytes = Bytes(2 * CATALOGUE_MAX.0 + SIGNATURE_MAX.0 * SIGNATURES_MAX as u64);
/// The most keys of a trust root.
pub const KEYS_MAX: usize = 64;
/// The most trust roots that are gone through at once: a root a week for a year and more.
pub const ROOTS_MAX: usize = 64;
/// The longest comment or cause in bytes: one line on a screen of 80 columns, three times over.
pub const TEXT_MAX: usize = 240;
/// How far a clock may be behind what it said before, or behind a signer's: NTP steps, and signers' clocks differ.
pub const CLOCK_SLACK: Millis = Millis::secs(10 * 60);
/// The longest that all documents of one question may take over a network: they are under 2 MiB, and slow data is an attack.
pub const READ_TIME_MAX: Millis = Millis::secs(30);
/// How long a catalogue holds where its signer says nothing: a month in which an old one can pass for the newest.
pub const CATALOGUE_LIFE: Millis = Millis::secs(30 * 24 * 3_600);
/// How long a trust root holds where nobody says otherwise.
pub const ROOT_LIFE: Millis = Millis::secs(365 * 24 * 3_600);
