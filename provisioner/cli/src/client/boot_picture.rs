// SPDX-License-Identifier: Apache-2.0
//! Boots as a table, and one boot as a time line: pure text.

use super::show::moment;
use groundstate_api::boot::Firmware;
use groundstate_api::boot_session::{
    BootSession, BootSessions, BootStep, ForeignServer, SessionState, TimedStep,
};
use groundstate_api::{MacAddr, Millis};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

/// Columns of the bar in a time line.
const BAR: usize = 24;

/// What the picture is drawn on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paper {
    colour: bool,
}

impl Paper {
    /// Colours on a terminal, unless `NO_COLOR` is set.
    pub(super) fn of_terminal() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: std::io::stdout().is_terminal() && !plain,
        }
    }

    fn paint(self, state: &SessionState, text: &str) -> String {
        let code = match state {
            SessionState::Running => "33",
            SessionState::Fetched => "32",
            SessionState::LocalDisk => "36",
            SessionState::Stopped { .. } => "31",
        };
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The boots, newest first; of each machine the newest, or all.
pub(super) fn table(boots: &BootSessions, all: bool, paper: &Paper) -> String {
    let mut text = String::new();
    let mut seen = BTreeSet::new();
    let shown = boots
        .sessions
        .iter()
        .filter(|session| seen.insert(session.mac) || all);
    let rows: Vec<&BootSession> = shown.collect();
    if rows.is_empty() {
        text.push_str("no boots are remembered\n");
    } else {
        let head = [
            "MAC",
            "ADDRESS",
            "FIRMWARE",
            "STATE",
            "BEGAN",
            "TOOK",
            "LAST STEP",
        ];
        let [mac, address, firmware, state, began, took, last] = head;
        row(
            &mut text,
            [mac, address, firmware, state, began, took, last],
        );
    }
    for session in rows {
        let state = paper.paint(&session.state, &format!("{:<10}", session.state.as_str()));
        row(
            &mut text,
            [
                &session.mac.to_string(),
                session.address.as_deref().unwrap_or("-"),
                session.firmware.map_or("-", Firmware::as_str),
                &state,
                &moment(session.began),
                &session.last.since(session.began).to_string(),
                &last_step(session),
            ],
        );
        if let SessionState::Stopped { why, next } = &session.state {
            add(&mut text, &format!("    {why}"));
            add(&mut text, &format!("    next: {next}"));
        }
    }
    footer(&mut text, boots);
    text
}

fn row(text: &mut String, [mac, address, firmware, state, began, took, last]: [&str; 7]) {
    let line = format!(
        "{mac:<17}  {address:<15}  {firmware:<9}  {state:<10}  {began:<20}  {took:>11}  {last}"
    );
    add(text, line.trim_end());
}

fn last_step(session: &BootSession) -> String {
    let last = session
        .steps
        .iter()
        .max_by_key(|step| step.last.max(step.at));
    let mut said = last.map(|step| step.step.says()).unwrap_or_default();
    if let Some(service) = &session.service {
        let _infallible = write!(said, " [{service}]");
    }
    said
}

fn footer(text: &mut String, boots: &BootSessions) {
    for server in &boots.foreign {
        add(text, &foreign(server));
    }
    if boots.forgotten > 0 {
        add(
            text,
            &format!("{} older boots were forgotten", boots.forgotten),
        );
    }
}

fn foreign(server: &ForeignServer) -> String {
    let client = server
        .client
        .map_or_else(String::new, |mac| format!(", the last to {mac}"));
    format!(
        "ALARM: another DHCP server, {}, answers on this network: packets {} since {}{client}, last {}",
        server.server,
        server.packets,
        moment(server.first),
        moment(server.last)
    )
}

/// The boots of one machine, oldest first, so that the newest stands where the eye is.
pub(super) fn sessions(boots: &BootSessions, mac: MacAddr, paper: &Paper) -> String {
    let mut text = String::new();
    if boots.sessions.is_empty() {
        add(&mut text, &format!("no boots of {mac} are remembered"));
    }
    for session in boots.sessions.iter().rev() {
        one(&mut text, session, paper);
    }
    footer(&mut text, boots);
    text
}

fn one(text: &mut String, session: &BootSession, paper: &Paper) {
    let mut about = vec![session.mac.to_string()];
    about.extend(
        session
            .firmware
            .map(|firmware| firmware.as_str().to_owned()),
    );
    about.extend(session.address.clone());
    about.extend(session.uuid.map(|uuid| format!("UUID {uuid}")));
    about.extend(session.relay.as_ref().map(|relay| format!("relay {relay}")));
    about.extend(
        session
            .service
            .as_ref()
            .map(|service| format!("seen by {service}")),
    );
    let took = session.last.since(session.began);
    let state = paper.paint(&session.state, session.state.as_str());
    add(text, &format!("{}  {state}", about.join("  ")));
    add(
        text,
        &format!("began {}, {took} to the last step", moment(session.began)),
    );
    let mut before = session.began;
    for step in &session.steps {
        let gap = step.at.since(before);
        before = step.at;
        let again = match step.again {
            0 => String::new(),
            again => format!("  ({} times)", again + 1),
        };
        let at = seconds(step.at.since(session.began));
        let gap = format!("+{}", seconds(gap));
        let bar = bar(session.began, took, step);
        add(
            text,
            &format!("  {at:>9} {gap:>9}  {bar}  {}{again}", step.step.says()),
        );
    }
    if session.left_out > 0 {
        add(
            text,
            &format!("  {} steps were left out in the middle", session.left_out),
        );
    }
    if let SessionState::Stopped { why, next } = &session.state {
        add(text, &format!("  stopped: {why}"));
        add(text, &format!("  next:    {next}"));
    }
    text.push('\n');
}

/// Where a step lies on the session's time: a file from its first byte to its last, a step that was tried again from its
/// first try to its last.
fn bar(began: Millis, took: Millis, step: &TimedStep) -> String {
    let (from, dash, mark) = match &step.step {
        BootStep::FileSent { took, .. } => (Millis(step.at.0.saturating_sub(took.0)), '━', '━'),
        BootStep::FileEnded { .. } | BootStep::Denied { .. } | BootStep::Unanswered { .. } => {
            (step.at, '╌', '×')
        }
        BootStep::Asked { .. }
        | BootStep::Offered { .. }
        | BootStep::Bound { .. }
        | BootStep::FileAsked { .. }
        | BootStep::SentToLocalDisk { .. } => (step.at, '╌', '•'),
    };
    let column = |at: Millis| {
        let part = at.since(began).0.saturating_mul(BAR as u64 - 1) / took.0.max(1);
        usize::try_from(part).unwrap_or(BAR).min(BAR - 1)
    };
    let (from, to) = (column(from), column(step.last.max(step.at)));
    let cell = |at: usize| match at {
        at if at == from || at == to => mark,
        at if at > from && at < to => dash,
        _ => '·',
    };
    (0..BAR).map(cell).collect()
}

fn seconds(time: Millis) -> String {
    format!("{}.{:03}", time.0 / 1_000, time.0 % 1_000)
}

fn add(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::Bytes;
    use groundstate_api::boot_session::Via;

    const PLAIN: Paper = Paper { colour: false };

    fn step(at: u64, last: u64, again: u32, step: BootStep) -> TimedStep {
        let base = 1_795_000_000_000;
        TimedStep {
            at: Millis(base + at),
            last: Millis(base + last),
            again,
            step,
        }
    }

    fn boots() -> BootSessions {
        let base = 1_795_000_000_000;
        let asked = BootStep::Asked {
            via: Via::Dhcp,
            client: "UEFI PXE".into(),
            firmware: Some(Firmware::UefiPxe),
        };
        let good = BootSession {
            mac: MacAddr([0x52, 0x54, 0, 0, 0, 1]),
            uuid: None,
            firmware: Some(Firmware::UefiPxe),
            address: Some("10.77.0.100".into()),
            relay: None,
            service: None,
            began: Millis(base),
            last: Millis(base + 4_000),
            state: SessionState::Fetched,
            steps: vec![
                step(0, 3_000, 1, asked.clone()),
                step(
                    4_000,
                    4_000,
                    0,
                    BootStep::FileSent {
                        via: Via::Tftp,
                        file: "own.efi".into(),
                        length: Bytes::mib(2),
                        took: Millis(800),
                        again: 0,
                    },
                ),
            ],
            left_out: 0,
        };
        let stopped = BootSession {
            mac: MacAddr([0x52, 0x54, 0, 0, 0, 2]),
            address: None,
            began: Millis(base - 60_000),
            last: Millis(base - 60_000),
            state: SessionState::Stopped {
                why: "it asked once and got no answer: every address of the pool is leased".into(),
                next: "enlarge the pool".into(),
            },
            steps: vec![step(0, 0, 0, asked)],
            service: Some("east".into()),
            ..good.clone()
        };
        BootSessions {
            sessions: vec![
                good.clone(),
                stopped,
                BootSession {
                    began: Millis(5),
                    ..good
                },
            ],
            foreign: vec![ForeignServer {
                server: "192.0.2.9".into(),
                first: Millis(base),
                last: Millis(base + 2_000),
                packets: 7,
                client: Some(MacAddr([0x52, 0x54, 0, 0, 0, 1])),
            }],
            forgotten: 3,
        }
    }

    #[test]
    fn the_table_has_one_line_per_machine_and_says_why_one_stopped() {
        let text = table(&boots(), false, &PLAIN);
        let want = "\
MAC                ADDRESS          FIRMWARE   STATE       BEGAN                        TOOK  LAST STEP
52:54:00:00:00:01  10.77.0.100      uefi-pxe   fetched     2026-11-18 11:06:40Z        4.0 s  got own.efi by TFTP: 2 MiB in 800 ms
52:54:00:00:00:02  -                uefi-pxe   stopped     2026-11-18 11:05:40Z         0 ms  UEFI PXE asked by DHCP [east]
    it asked once and got no answer: every address of the pool is leased
    next: enlarge the pool
ALARM: another DHCP server, 192.0.2.9, answers on this network: packets 7 since 2026-11-18 11:06:40Z, the last to 52:54:00:00:00:01, last 2026-11-18 11:06:42Z
3 older boots were forgotten
";
        assert_eq!(text, want, "\n{text}");
        assert_eq!(
            table(&boots(), true, &PLAIN).lines().count(),
            want.lines().count() + 1
        );
        let none = table(&BootSessions::default(), false, &PLAIN);
        assert_eq!(none, "no boots are remembered\n");
    }

    #[test]
    fn a_time_line_shows_when_and_how_long() {
        let mut boots = boots();
        boots.sessions.truncate(1);
        boots.foreign.clear();
        boots.forgotten = 0;
        let text = sessions(&boots, boots.sessions[0].mac, &PLAIN);
        let want = "\
52:54:00:00:00:01  uefi-pxe  10.77.0.100  fetched
began 2026-11-18 11:06:40Z, 4.0 s to the last step
      0.000    +0.000  •╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌•······  UEFI PXE asked by DHCP  (2 times)
      4.000    +4.000  ··················━━━━━━  got own.efi by TFTP: 2 MiB in 800 ms

";
        assert_eq!(text, want, "\n{text}");
    }

    #[test]
    fn colours_stand_around_states_only() {
        let text = table(&boots(), false, &Paper { colour: true });
        assert!(text.contains("\x1b[32mfetched   \x1b[0m") && text.contains("\x1b[31mstopped"));
        assert!(!table(&boots(), false, &PLAIN).contains('\x1b'));
    }
}
