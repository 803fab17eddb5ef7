// SPDX-License-Identifier: Apache-2.0
//! TFTP, the sending half: RFC 1350, 2347 (options), 2348 (blksize), 2349 (timeout, tsize), 7440 (windowsize).
//!
//! It reads only: WRQ is refused. Names are compared by the caller with an allow-list; nothing here knows a folder. The
//! file's bytes stay outside: a session says which bytes go into which block.

mod request;
mod session;
mod transfers;

pub use request::{ReadRequest, TftpRefusal, error_packet, read_request};
pub use session::{Action, End, Event, Session, data_header};
pub use transfers::{Admission, TRANSFERS_MAX, TransferId, Transfers};
