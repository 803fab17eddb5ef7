// SPDX-License-Identifier: Apache-2.0
//! SCSI disks: the commands to send, and what INQUIRY, log pages, mode pages and the defect list say, as facts.
//!
//! Refuses to invent wear figures for a disk that says only "no informational exception".

mod command;
mod fill;
#[cfg(test)]
mod garbage;
mod inquiry;
pub mod log_page;
mod sense;

pub use command::{
    LONG_ANSWER, SHORT_ANSWER, abort_self_test, inquiry, inquiry_page, log_sense, mode_sense_6,
    mode_sense_10, read_defects_10, read_defects_12, request_sense, start_self_test,
};
pub use fill::{
    exception, fill_exceptions_control, fill_extended_minutes, fill_log, fill_pending,
    grown_defects,
};
pub use inquiry::{
    PAGE_ATA, PAGE_CHARACTERISTICS, PAGE_DESIGNATORS, PAGE_LIST, PAGE_SERIAL, fill_inquiry, pages,
    rotation, unit_name, unit_serial,
};
pub use sense::{RECOVERED, Sense};
