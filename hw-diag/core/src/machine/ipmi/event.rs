// SPDX-License-Identifier: Apache-2.0
//! What a sensor's state or an event means (IPMI 2.0, 42.1 and 42.2), as data: type, offset, words, gravity.

/// How grave a state is while it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Worth telling.
    Info,
    /// Something to watch.
    Warn,
    /// Broken.
    Fail,
}

use Grade::{Fail, Info, Warn};

type Words = (u8, &'static str, Grade);

/// Event/reading type: sensor-specific.
pub(crate) const SPECIFIC: u8 = 0x6f;
/// Event/reading type: thresholds.
pub(crate) const THRESHOLD: u8 = 0x01;
/// Sensor types that a judgement names.
pub(crate) const TEMPERATURE: u8 = 0x01;
pub(crate) const VOLTAGE: u8 = 0x02;
pub(crate) const FAN: u8 = 0x04;
pub(crate) const POWER_SUPPLY: u8 = 0x08;
pub(crate) const MEMORY: u8 = 0x0c;
pub(crate) const BATTERY: u8 = 0x29;

/// States that depend on the sensor's type, by type.
const BY_SENSOR: &[(u8, &[Words])] = &[
    (
        0x05,
        &[
            (0, "chassis intrusion", Info),
            (1, "drive bay opened", Info),
            (4, "network cable unplugged", Info),
        ],
    ),
    (
        0x07,
        &[
            (0, "processor internal error (IERR)", Fail),
            (1, "processor thermal trip: it switched itself off", Fail),
            (2, "processor failed its built-in self-test (FRB1)", Fail),
            (3, "processor hung in the power-on self-test (FRB2)", Fail),
            (4, "processor did not start (FRB3)", Fail),
            (5, "processor configuration error", Warn),
            (6, "SMBIOS uncorrectable processor error", Fail),
            (7, "processor present", Info),
            (8, "processor disabled", Warn),
            (9, "terminator present", Info),
            (10, "processor throttled by heat", Warn),
            (11, "machine check exception: uncorrectable", Fail),
            (12, "machine check: corrected", Warn),
        ],
    ),
    (
        0x08,
        &[
            (0, "power supply present", Info),
            (1, "power supply failure", Fail),
            (2, "power supply predicts its failure", Warn),
            (3, "power supply has lost its input", Fail),
            (
                4,
                "power supply has lost its input, or it is out of range",
                Fail,
            ),
            (5, "power supply's input is out of range", Warn),
            (
                6,
                "power supply configuration error: it does not fit the others",
                Warn,
            ),
            (7, "power supply in standby", Info),
        ],
    ),
    (
        0x09,
        &[
            (0, "power off", Info),
            (1, "power cycled", Info),
            (2, "240 VA power down", Warn),
            (3, "interlock power down", Warn),
            (4, "power lost", Info),
            (5, "power did not switch on or off as asked", Warn),
            (6, "power unit failure", Fail),
            (7, "power unit predicts its failure", Warn),
        ],
    ),
    (
        0x0c,
        &[
            (0, "memory: corrected error", Warn),
            (1, "memory: uncorrectable error", Fail),
            (2, "memory: parity error", Fail),
            (3, "memory: scrubbing failed (stuck bit)", Fail),
            (4, "memory module disabled", Fail),
            (
                5,
                "memory: so many corrected errors that logging stopped",
                Warn,
            ),
            (6, "memory module present", Info),
            (7, "memory configuration error", Warn),
            (8, "spare memory in use", Warn),
            (9, "memory throttled by heat", Warn),
            (10, "memory critically hot", Fail),
        ],
    ),
    (
        0x0d,
        &[
            (0, "drive present", Info),
            (1, "drive fault", Fail),
            (2, "drive predicts its failure", Warn),
            (3, "hot spare", Info),
            (4, "array being checked", Info),
            (5, "array without redundancy", Warn),
            (6, "array failed", Fail),
            (7, "array rebuilding", Info),
            (8, "array rebuild was aborted", Warn),
        ],
    ),
    (
        0x0f,
        &[
            (0, "error in the firmware's self-test (POST)", Warn),
            (1, "firmware hung (POST)", Warn),
            (2, "firmware progress", Info),
        ],
    ),
    (
        0x10,
        &[
            (0, "logging of corrected memory errors stopped", Warn),
            (2, "event log cleared", Info),
            (4, "event log full", Warn),
            (5, "event log almost full", Warn),
            (6, "logging of corrected machine checks stopped", Warn),
        ],
    ),
    (
        0x11,
        &[
            (0, "watchdog: firmware reset", Warn),
            (1, "watchdog: OS reset", Warn),
            (2, "watchdog: OS shut down", Warn),
            (3, "watchdog: power off", Warn),
        ],
    ),
    (
        0x12,
        &[
            (1, "OEM system boot event", Info),
            (2, "undetermined hardware failure", Fail),
            (5, "clock set", Info),
        ],
    ),
    (
        0x13,
        &[
            (0, "front panel NMI", Info),
            (1, "bus time-out", Warn),
            (2, "I/O channel check NMI", Warn),
            (3, "software NMI", Info),
            (4, "PCI parity error (PERR)", Warn),
            (5, "PCI system error (SERR)", Fail),
            (6, "EISA fail-safe time-out", Warn),
            (7, "bus corrected error", Warn),
            (8, "bus uncorrectable error", Fail),
            (9, "fatal NMI", Fail),
            (10, "bus fatal error", Fail),
            (11, "bus degraded", Warn),
        ],
    ),
    (
        0x14,
        &[
            (0, "power button pressed", Info),
            (1, "sleep button pressed", Info),
            (2, "reset button pressed", Info),
        ],
    ),
    (
        0x19,
        &[
            (0, "chip set: soft power control failure", Warn),
            (1, "chip set: thermal trip", Fail),
        ],
    ),
    (
        0x1b,
        &[
            (0, "cable connected", Info),
            (1, "cable connected wrongly", Warn),
        ],
    ),
    (
        0x1e,
        &[
            (0, "no bootable medium", Info),
            (1, "diskette without a system", Info),
            (2, "PXE server not found", Info),
            (3, "invalid boot sector", Info),
            (4, "waits for a boot source", Info),
        ],
    ),
    (
        0x20,
        &[
            (0, "OS stopped while loading", Info),
            (1, "OS stopped by itself (panic)", Warn),
            (2, "OS stopped gracefully", Info),
            (3, "OS shut down", Info),
        ],
    ),
    (
        0x21,
        &[
            (0, "slot or connector fault", Warn),
            (1, "slot identify", Info),
            (2, "slot holds a device", Info),
            (5, "slot power off", Info),
            (8, "slot disabled", Info),
        ],
    ),
    (
        0x23,
        &[
            (0, "watchdog expired", Warn),
            (1, "watchdog: reset", Warn),
            (2, "watchdog: power off", Warn),
            (3, "watchdog: power cycle", Warn),
            (8, "watchdog warning", Info),
        ],
    ),
    (
        0x25,
        &[
            (0, "present", Info),
            (1, "absent", Info),
            (2, "disabled", Info),
        ],
    ),
    (
        0x28,
        &[
            (0, "sensor access degraded", Warn),
            (1, "management controller access degraded", Warn),
            (2, "management controller off line", Warn),
            (3, "management controller unavailable", Warn),
            (4, "sensor failure", Warn),
            (5, "FRU failure", Warn),
        ],
    ),
    (
        0x29,
        &[
            (0, "battery low", Warn),
            (1, "battery failed", Fail),
            (2, "battery present", Info),
        ],
    ),
    (
        0x2b,
        &[
            (0, "hardware changed", Info),
            (1, "firmware changed", Info),
            (2, "hardware does not fit", Warn),
            (3, "firmware does not fit", Warn),
        ],
    ),
];

/// States that mean the same for every sensor, by event/reading type. A digital state (03h) means what its maker likes.
const GENERIC: &[(u8, &[Words])] = &[
    (
        0x03,
        &[(0, "state deasserted", Info), (1, "state asserted", Info)],
    ),
    (
        0x04,
        &[
            (0, "no failure predicted", Info),
            (1, "predicts its failure", Warn),
        ],
    ),
    (
        0x05,
        &[(0, "limit not exceeded", Info), (1, "limit exceeded", Warn)],
    ),
    (
        0x06,
        &[(0, "performance met", Info), (1, "performance lags", Warn)],
    ),
    (
        0x07,
        &[
            (0, "OK", Info),
            (1, "not critical, was OK", Warn),
            (2, "critical, was better", Fail),
            (3, "not recoverable, was better", Fail),
            (4, "not critical, was worse", Warn),
            (5, "critical, was not recoverable", Fail),
            (6, "not recoverable", Fail),
            (7, "monitored", Info),
            (8, "informational", Info),
        ],
    ),
    (0x08, &[(0, "absent", Info), (1, "present", Info)]),
    (0x09, &[(0, "disabled", Info), (1, "enabled", Info)]),
    (
        0x0a,
        &[
            (0, "running", Info),
            (1, "in test", Info),
            (2, "power off", Info),
            (3, "on line", Info),
            (4, "off line", Info),
            (5, "off duty", Info),
            (6, "degraded", Warn),
            (7, "saving power", Info),
            (8, "installation error", Warn),
        ],
    ),
    (
        0x0b,
        &[
            (0, "fully redundant", Info),
            (1, "redundancy lost", Warn),
            (2, "redundancy degraded", Warn),
            (3, "not redundant, sufficient", Warn),
            (4, "not redundant, was never", Warn),
            (5, "not redundant, insufficient", Fail),
            (6, "redundancy degraded from full", Warn),
            (7, "redundancy degraded from none", Warn),
        ],
    ),
];

/// Crossings of limits (event type 01h), by offset. The even ones of the lower limits and the odd ones of the upper limits
/// get worse; the others get better.
const CROSSINGS: &[Words] = &[
    (0, "went below its lower limit", Warn),
    (1, "came back above its lower limit", Info),
    (2, "went below its lower critical limit", Fail),
    (3, "came back above its lower critical limit", Info),
    (4, "went below its lower non-recoverable limit", Fail),
    (5, "came back above its lower non-recoverable limit", Info),
    (6, "came back below its upper limit", Info),
    (7, "went above its upper limit", Warn),
    (8, "came back below its upper critical limit", Info),
    (9, "went above its upper critical limit", Fail),
    (10, "came back below its upper non-recoverable limit", Info),
    (11, "went above its upper non-recoverable limit", Fail),
];

/// The six threshold comparison bits of a reading.
const COMPARISONS: &[Words] = &[
    (0, "below its lower limit", Warn),
    (1, "below its lower critical limit", Fail),
    (2, "below its lower non-recoverable limit", Fail),
    (3, "above its upper limit", Warn),
    (4, "above its upper critical limit", Fail),
    (5, "above its upper non-recoverable limit", Fail),
];

fn look(words: &[Words], offset: u8) -> Option<(&'static str, Grade)> {
    let found = words.iter().find(|(number, _, _)| *number == offset)?;
    Some((found.1, found.2))
}

/// What state or event `offset` of a sensor means; `None` where the specification does not say (a maker's own).
#[must_use]
pub fn meaning(sensor_type: u8, event_type: u8, offset: u8) -> Option<(&'static str, Grade)> {
    let table = |tables: &[(u8, &'static [Words])], key: u8| {
        let found = tables.iter().find(|(number, _)| *number == key);
        found.map(|(_, words)| *words)
    };
    match event_type {
        THRESHOLD => look(CROSSINGS, offset),
        SPECIFIC => look(table(BY_SENSOR, sensor_type)?, offset),
        generic => look(table(GENERIC, generic)?, offset),
    }
}

/// What threshold comparison bit `bit` of a reading means.
#[must_use]
pub fn threshold_meaning(bit: u8) -> Option<(&'static str, Grade)> {
    look(COMPARISONS, bit)
}
