// SPDX-License-Identifier: Apache-2.0
//! Limits that both ends of a conversation must agree on, each with its unit and its reason.

use crate::units::{Bytes, Millis};

/// The longest enrolment window. Long enough for two slow firmware passes, short enough to watch.
pub const ENROLMENT_WINDOW_MAX: Millis = Millis::secs(15 * 60);
/// The largest JSON body that a server of ours reads: an inventory with 100 disks is under 200 KiB.
pub const JSON_BODY_MAX: Bytes = Bytes::mib(2);
/// The largest piece of a node's log in one request.
pub const LOG_CHUNK_MAX: Bytes = Bytes(64 * 1024);
/// The largest log that is kept per run; what comes after is counted, not kept.
pub const LOG_PER_RUN_MAX: Bytes = Bytes::mib(8);
/// Chunk size of an image that we import (uncompressed bytes), where its size does not ask for larger ones: a small change costs
/// little to fetch.
pub const CHUNK_SIZE: Bytes = Bytes(256 * 1024);
/// The largest chunk that a reader accepts, so that a manifest cannot make a node run out of memory.
pub const CHUNK_SIZE_MAX: Bytes = Bytes::mib(16);
/// The most chunks in one image: 1 TiB of 4 MiB chunks, 64 GiB of the smallest.
pub const CHUNKS_MAX: usize = 262_144;
/// How long a node waits between two asks for its instruction.
pub const INSTRUCTION_POLL: Millis = Millis(500);
/// How often a host's agent reports. The node page calls a host silent after three missed reports.
pub const HEARTBEAT: Millis = Millis::secs(5);
/// The largest package of diagnostics that a host sends.
pub const DIAGNOSTICS_MAX: Bytes = Bytes::mib(4);
/// Every partition begins at a multiple of this.
pub const ALIGNMENT: Bytes = Bytes::mib(1);
