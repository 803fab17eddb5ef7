// SPDX-License-Identifier: Apache-2.0
//! Which request comes next: identity, then every sensor record with its reading, then the newest events.
//!
//! The walk ends whatever the BMC answers: records, retries and entries are counted, and an id that leads back ends it. A
//! phase that fails is named in `missed`, and the next one begins.

use super::sdr::{HEADER, Record, SensorRecord, record};
use super::sel::{ENTRY, SelFacts, entry};
use super::{DeviceId, IpmiFacts, NETFN_APP, NETFN_SENSOR, NETFN_STORAGE, Request, Sensor};
use crate::fields::{byte, le16};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The most sensor records: large servers have about 500.
const RECORDS_MAX: u32 = 2_048;
/// The most sensors that are kept.
const SENSORS_MAX: usize = 1_024;
/// How often a reservation may be lost: another program asks at the same time.
const LOST_MAX: u32 = 16;
/// The most log entries that are kept: the newest.
const ENTRIES_KEPT: usize = 512;
/// The most log entries that are read on the way to the newest.
const ENTRIES_READ_MAX: u32 = 4_096;
/// First size of a piece where a BMC does not give whole records; halved until it does.
const PIECE: u8 = 32;
/// The smallest piece worth asking for.
const PIECE_MIN: u8 = 4;
/// Ids with a meaning of their own.
const FIRST: u16 = 0x0000;
const LAST: u16 = 0xffff;
/// "To the end of the record".
const WHOLE: u8 = 0xff;
/// The BMC's own address.
const BMC: u8 = 0x20;

/// Where the walk is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    DeviceId,
    Reserve,
    Record,
    Reading,
    LogInfo,
    LogLast,
    LogEntry,
    Done,
}

/// A record that is being read.
#[derive(Clone, Debug, Default)]
struct Reading {
    id: u16,
    next: u16,
    bytes: Vec<u8>,
    /// Sensors of this record that are still to be read.
    sensor: SensorRecord,
    done: u8,
}

/// One walk through a BMC.
#[derive(Clone, Debug)]
pub struct Walk {
    step: Step,
    facts: IpmiFacts,
    /// Whether records come from the controller itself, because it keeps no repository.
    from_device: bool,
    reservation: u16,
    lost: u32,
    records: u32,
    piece: Option<u8>,
    at: Reading,
    log_next: u16,
    log_read: u32,
    /// Whether the walk through the log began near its end.
    log_jumped: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Self::new()
    }
}

impl Walk {
    /// A walk that has asked nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            step: Step::DeviceId,
            facts: IpmiFacts::default(),
            from_device: false,
            reservation: 0,
            lost: 0,
            records: 0,
            piece: None,
            at: Reading::default(),
            log_next: FIRST,
            log_read: 0,
            log_jumped: false,
        }
    }

    /// The next request; `None` when the walk is at its end.
    #[must_use]
    pub fn request(&self) -> Option<Request> {
        let (records, reserve, get) = if self.from_device {
            (NETFN_SENSOR, 0x22, 0x21)
        } else {
            (NETFN_STORAGE, 0x22, 0x23)
        };
        Some(match self.step {
            Step::DeviceId => Request::new(NETFN_APP, 0x01, []),
            Step::Reserve => Request::new(records, reserve, []),
            Step::Record => {
                let [r0, r1] = self.reservation.to_le_bytes();
                let [i0, i1] = self.at.id.to_le_bytes();
                let (offset, count) = self.span();
                Request::new(records, get, [r0, r1, i0, i1, offset, count])
            }
            Step::Reading => {
                let number = self.at.sensor.number.wrapping_add(self.at.done);
                let lun = self.at.sensor.lun;
                Request {
                    lun,
                    ..Request::new(NETFN_SENSOR, 0x2d, [number])
                }
            }
            Step::LogInfo => Request::new(NETFN_STORAGE, 0x40, []),
            Step::LogLast => log_entry(LAST),
            Step::LogEntry => log_entry(self.log_next),
            Step::Done => return None,
        })
    }

    /// Takes the answer to [`Walk::request`]: completion code, then data.
    pub fn answer(&mut self, answer: &[u8]) {
        let (code, data) = match answer.split_first() {
            Some((code, data)) => (*code, data),
            None => (0xff, &[][..]),
        };
        match self.step {
            Step::DeviceId => self.identity(code, data),
            Step::Reserve => self.reserved(code, data),
            Step::Record => self.piece(code, data),
            Step::Reading => self.reading(code, data),
            Step::LogInfo => self.log_info(code, data),
            Step::LogLast => self.log_last(code, data),
            Step::LogEntry => self.log_entry(code, data),
            Step::Done => {}
        }
    }

    /// Ends the walk because nobody answers any more; what was not read is named.
    pub fn give_up(&mut self, why: &str) {
        let what = match self.step {
            Step::DeviceId => "its identity, sensors and event log were not read",
            Step::Reserve | Step::Record | Step::Reading => {
                "the rest of its sensors and its event log were not read"
            }
            Step::LogInfo | Step::LogLast | Step::LogEntry => {
                "the rest of its event log was not read"
            }
            Step::Done => return,
        };
        self.facts.missed.push(format!("BMC: {what}: {why}"));
        self.step = Step::Done;
    }

    /// What was read so far.
    #[must_use]
    pub fn into_facts(self) -> IpmiFacts {
        self.facts
    }

    fn miss(&mut self, what: &str, code: u8) {
        let line = format!("BMC: {what}: {}", completion(code));
        self.facts.missed.push(line);
    }

    fn identity(&mut self, code: u8, data: &[u8]) {
        let Some(device) = (code == 0).then(|| DeviceId::decode(data)).flatten() else {
            self.miss("Get Device ID", code);
            self.step = Step::Done;
            return;
        };
        self.from_device = !device.has_repository;
        self.facts.device = Some(device);
        self.step = Step::Reserve;
    }

    fn reserved(&mut self, code: u8, data: &[u8]) {
        // A controller without this command takes reservation 0 as long as whole records are read.
        self.reservation = if code == 0 {
            le16(data, 0).unwrap_or(0)
        } else {
            0
        };
        self.at.bytes.clear();
        self.step = Step::Record;
    }

    /// Offset and count of the next piece of the record.
    fn span(&self) -> (u8, u8) {
        let Some(piece) = self.piece else {
            return (0, WHOLE);
        };
        let have = self.at.bytes.len();
        let wanted = match byte(&self.at.bytes, 4) {
            Some(rest) => HEADER + usize::from(rest),
            None => HEADER,
        };
        let left = wanted.saturating_sub(have).min(usize::from(piece));
        let number = |n: usize| u8::try_from(n).unwrap_or(u8::MAX);
        (number(have), number(left))
    }

    fn piece(&mut self, code: u8, data: &[u8]) {
        match code {
            0 => self.take_piece(data),
            // Reservation cancelled.
            0xc5 if self.lost < LOST_MAX => {
                self.lost += 1;
                self.step = Step::Reserve;
            }
            // Cannot return that many bytes; too long; unspecified. Some BMCs say any of them.
            0xca | 0xc7 | 0xc8 | 0xff if self.smaller() => self.at.bytes.clear(),
            _ => {
                let what = format!("sensor record {:04x}h", self.at.id);
                self.miss(&what, code);
                self.step = Step::LogInfo;
            }
        }
    }

    /// Asks for smaller pieces from now on; false where they are as small as can be.
    fn smaller(&mut self) -> bool {
        let smaller = self.piece.map_or(PIECE, |piece| piece / 2);
        self.piece = Some(smaller);
        smaller >= PIECE_MIN
    }

    fn take_piece(&mut self, data: &[u8]) {
        let (Some(next), Some(bytes)) = (le16(data, 0), data.get(2..)) else {
            return self.piece(0xff, &[]);
        };
        let (_, count) = self.span();
        if bytes.is_empty() || (self.piece.is_some() && bytes.len() > usize::from(count)) {
            let id = self.at.id;
            let line = format!("BMC: sensor record {id:04x}h: an answer of the wrong length");
            self.facts.missed.push(line);
            self.step = Step::LogInfo;
            return;
        }
        self.at.next = next;
        self.at.bytes.extend_from_slice(bytes);
        let wanted = byte(&self.at.bytes, 4).map(|rest| HEADER + usize::from(rest));
        let whole = wanted.is_some_and(|wanted| self.at.bytes.len() >= wanted);
        if self.piece.is_none() || whole {
            self.whole_record();
        }
    }

    fn whole_record(&mut self) {
        let bytes = core::mem::take(&mut self.at.bytes);
        match record(&bytes) {
            Ok(Record::Sensor(sensor)) => return self.sensor(sensor),
            Ok(Record::EventOnly { number, name }) => self.facts.names.push((number, name)),
            Ok(Record::Locator(locator)) => self.facts.locators.push(locator),
            Ok(Record::Other(_)) => {}
            Err(error) => {
                let line = format!("BMC: sensor record {:04x}h: {error}", self.at.id);
                self.facts.missed.push(line);
            }
        }
        self.next_record();
    }

    fn sensor(&mut self, sensor: SensorRecord) {
        self.facts.names.push((sensor.number, sensor.name.clone()));
        // A sensor behind another controller is asked over its bus, which this walk leaves alone.
        if sensor.owner != BMC || self.facts.sensors.len() >= SENSORS_MAX {
            return self.next_record();
        }
        self.at.sensor = sensor;
        self.at.done = 0;
        self.step = Step::Reading;
    }

    fn next_record(&mut self) {
        self.records += 1;
        let next = self.at.next;
        if next == LAST {
            self.step = Step::LogInfo;
        } else if next == self.at.id || next == FIRST || self.records >= RECORDS_MAX {
            let line = format!(
                "BMC: sensor records: after {} of them the next one's id is {next:04x}h; the rest was not read",
                self.records
            );
            self.facts.missed.push(line);
            self.step = Step::LogInfo;
        } else {
            self.at.id = next;
            self.at.bytes.clear();
            self.step = Step::Record;
        }
    }

    fn reading(&mut self, code: u8, data: &[u8]) {
        let record = &self.at.sensor;
        // Bit 5: no reading now; bit 6: scanning. A sensor without either is of an empty bay or a part that is off.
        let flags = byte(data, 1).unwrap_or(0);
        let available = code == 0 && flags & 0x20 == 0 && flags & 0x40 != 0;
        let low = u16::from(byte(data, 2).unwrap_or(0));
        let high = u16::from(byte(data, 3).unwrap_or(0) & 0x7f);
        let thresholds = record.event_type == super::event::THRESHOLD;
        let states = if thresholds {
            low & 0x3f
        } else {
            low | high << 8
        };
        let milli = |raw: Option<u8>| record.factors.and_then(|f| f.milli(raw?));
        let name = match record.count {
            0 | 1 => record.name.clone(),
            _ => format!("{} {}", record.name, self.at.done + 1),
        };
        let unit = if record.percent { "%" } else { record.unit };
        self.facts.sensors.push(Sensor {
            number: record.number.wrapping_add(self.at.done),
            name,
            kind: record.kind,
            event_type: record.event_type,
            entity: record.entity,
            available,
            value_milli: milli(byte(data, 0)).filter(|_| available),
            unit: String::from(unit),
            states: if available { states } else { 0 },
            limits_milli: record.limits.map(milli),
        });
        self.at.done += 1;
        if self.at.done >= self.at.sensor.count || self.facts.sensors.len() >= SENSORS_MAX {
            self.next_record();
        }
    }

    fn log_info(&mut self, code: u8, data: &[u8]) {
        let has_log = self.facts.device.as_ref().is_some_and(|d| d.has_log);
        match (code == 0).then(|| SelFacts::of_info(data)).flatten() {
            Some(log) => {
                let total = usize::from(log.total);
                self.facts.log = Some(log);
                self.step = match total {
                    0 => Step::Done,
                    few if few <= ENTRIES_KEPT => Step::LogEntry,
                    _ => Step::LogLast,
                };
            }
            None => {
                if has_log {
                    self.miss("Get SEL Info", code);
                }
                self.step = Step::Done;
            }
        }
    }

    /// Entries are usually numbered without gaps: the newest ones begin that many ids before the last.
    fn log_last(&mut self, code: u8, data: &[u8]) {
        let last = (code == 0).then(|| le16(data, 2)).flatten();
        let back = u16::try_from(ENTRIES_KEPT).unwrap_or(0).saturating_sub(1);
        self.log_next = last.and_then(|id| id.checked_sub(back)).unwrap_or(FIRST);
        self.log_jumped = self.log_next != FIRST;
        self.step = Step::LogEntry;
    }

    fn log_entry(&mut self, code: u8, data: &[u8]) {
        if code != 0 && self.log_jumped && self.log_read == 0 {
            // No entry of that id: from the beginning then.
            self.log_jumped = false;
            self.log_next = FIRST;
            return;
        }
        let read = data.get(2..2 + ENTRY).filter(|_| code == 0);
        let (Some(next), Some(seen)) = (le16(data, 0), read.and_then(entry)) else {
            let what = format!("event {:04x}h", self.log_next);
            self.miss(&what, code);
            self.step = Step::Done;
            return;
        };
        self.log_read += 1;
        if let Some(log) = &mut self.facts.log {
            if log.entries.len() >= ENTRIES_KEPT {
                log.entries.remove(0);
            }
            log.entries.push(seen);
        }
        let stuck = next == self.log_next || next == FIRST;
        if next == LAST {
            self.log_end();
        } else if stuck || self.log_read >= ENTRIES_READ_MAX {
            let line = format!(
                "BMC: event log: after {} entries the next one's id is {next:04x}h; the rest was not read",
                self.log_read
            );
            self.facts.missed.push(line);
            self.step = Step::Done;
        } else {
            self.log_next = next;
        }
    }
}

impl Walk {
    /// The log's end. Where ids have gaps the jump went too far: from the beginning then, once.
    fn log_end(&mut self) {
        let few = |log: &SelFacts| log.entries.len() < ENTRIES_KEPT.min(usize::from(log.total));
        match self.facts.log.as_mut().filter(|_| self.log_jumped) {
            Some(log) if few(log) => {
                log.entries.clear();
                self.log_jumped = false;
                self.log_read = 0;
                self.log_next = FIRST;
            }
            Some(_) | None => self.step = Step::Done,
        }
    }
}

/// Get SEL Entry of the whole record, which needs no reservation (31.5).
fn log_entry(id: u16) -> Request {
    let [low, high] = id.to_le_bytes();
    Request::new(NETFN_STORAGE, 0x43, [0, 0, low, high, 0, WHOLE])
}

/// A completion code in words (5.2).
#[must_use]
pub fn completion(code: u8) -> String {
    let words = match code {
        0x00 => "the answer is too short",
        0xc0 => "the BMC is busy",
        0xc1 => "the BMC does not know this command",
        0xc3 => "the BMC timed out",
        0xc5 => "another program took the reservation again and again",
        0xc9 => "parameter out of range",
        0xca => "the BMC cannot return this many bytes",
        0xcb => "there is no such record",
        0xd4 => "not permitted",
        0xd5 => "not possible in the BMC's present state",
        0xff => "unspecified error",
        _ => return format!("completion code {code:02x}h"),
    };
    format!("{words} (completion code {code:02x}h)")
}
