// SPDX-License-Identifier: Apache-2.0
//! TFTP, the sending half: RFC 1350, 2347 (options), 2348 (blksize), 2349 (timeout, tsize), 7440 (windowsize).
//!
//! It reads only: WRQ is refused. Names are compared by the caller with an allow-list; nothing here knows a folder. The
//! file's bytes stay outside: a session says which bytes go into which block.

mod admission;
mod blocks;
mod file_name;
mod netascii;
mod pace;
mod request;
mod round_trip;
mod session;

pub use admission::{Admission, TRANSFERS_MAX, TransferId, Transfers};
pub use blocks::{Block, Blocks};
pub use file_name::with_slashes;
pub use netascii::{Encoder, encoded_length};
pub use request::{
    Mode, ReadRequest, TftpRefusal, WINDOW_MAX, error_packet, is_error, read_request,
};
pub use session::{Action, End, Event, Session};
