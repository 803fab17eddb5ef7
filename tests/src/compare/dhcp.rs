// SPDX-License-Identifier: Apache-2.0
//! DHCP: a steady minute, the highest rate, a burst, an overload, with 100,000 leases, and the memory of 10,000.
//!
//! Both sides stand at the same end of the same kind of cable and share the machine's processors with what asks them.

use super::dhcp_load::{Offered, Outcome, offer};
use super::dhcp_servers::Who;
use super::ground::Ground;
use super::wire::{CLIENT, SERVER, Server, Wire};
use super::{Figure, Goal};
use anyhow::{Context as _, Result, ensure};

/// A rate is reached where no more than this share of machines is left without an address.
const LOST_MAX: f64 = 0.001;
/// From one offered rate to the next, machines in a second.
const STEP: f64 = 2_000.0;
/// How long each rate is offered.
const STEP_SECS: f64 = 8.0;
/// No higher rate is offered: a generator on the same two processors says nothing beyond it.
const RATE_MAX: f64 = 60_000.0;
/// The rate that is steady for a minute.
const STEADY: u32 = 500;
/// The minute.
const STEADY_SECS: u32 = 60;
/// What a peer is given to show that it can, where a whole minute shows nothing more.
const PEER_SECS: u32 = 20;
/// Machines of a burst, and how fast they ask.
const BURST: u32 = 1_000;
const BURST_RATE: f64 = 10_000.0;
/// Milliseconds within which 99 of 100 machines of a burst have their address.
const BURST_MS_MAX: f64 = 100.0;
/// Leases of a full server.
const FULL: u32 = 100_000;
/// Milliseconds in which a full server is back.
const RESTART_MS_MAX: f64 = 200.0;
/// Leases of the memory's measure, and the most that they may take.
const HELD: u32 = 10_000;
const MEMORY_MIB_MAX: f64 = 64.0;
/// How much more than it can a server is offered.
const OVER: f64 = 10.0;
/// The share of its highest rate that a server keeps under that.
const OVER_KEEPS: f64 = 0.5;
const KEA: Who = Who::Kea { threads: false };
const KEA_THREADS: Who = Who::Kea { threads: true };

/// 500 machines a second for a minute, by perfdhcp.
///
/// # Errors
/// A program is missing or failed.
pub fn dhcp_500(ground: &Ground) -> Result<Vec<Figure>> {
    let wire = Wire::enter()?;
    let (mut lost, mut words) = (Vec::new(), Vec::new());
    for (who, secs) in [
        (Who::Ours, STEADY_SECS),
        (KEA_THREADS, PEER_SECS),
        (Who::Dnsmasq, PEER_SECS),
    ] {
        ground.say(&format!("{}: {STEADY}/s for {secs} s", who.name()));
        let server = who.start(ground, &wire)?;
        let before = server.processor_time()?;
        let said = perfdhcp(STEADY, secs)?;
        let used = server.processor_time()? - before;
        lost.push(said.lost);
        words.push(format!(
            "{}: {secs} s, {} of {} exchanges lost, mean {:.2} ms, longest {:.1} ms, {:.1} s of processor time",
            who.name(), said.lost, said.sent, said.mean, said.longest, used
        ));
    }
    let [ours, kea, _] = lost.as_slice() else {
        anyhow::bail!("a server is missing");
    };
    let mut figure = Figure::new(
        "DHCP, 500/s for 60 s (perfdhcp): lost",
        "exchanges",
        Who::Ours.name(),
        vec![*ours],
    )
    .goal(Goal::AtMost(0.0))
    .note(format!("Kea with threads loses {kea}"));
    for word in words {
        figure = figure.note(word);
    }
    Ok(vec![figure])
}

/// What perfdhcp said.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Said {
    sent: f64,
    lost: f64,
    /// Milliseconds.
    mean: f64,
    longest: f64,
}

fn perfdhcp(rate: u32, secs: u32) -> Result<Said> {
    let (rate, secs) = (rate.to_string(), secs.to_string());
    let (from, to) = (CLIENT.to_string(), SERVER.to_string());
    // -W: wait a second for the last answers (microseconds). Its exit status is 3 where something was lost.
    let arguments = [
        "-4", "-l", &from, "-r", &rate, "-R", "1000000", "-p", &secs, "-W", "1000000", &to,
    ];
    let output = std::process::Command::new("perfdhcp")
        .args(arguments)
        .output()
        .context("cannot run perfdhcp")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    read_perfdhcp(&text).with_context(|| {
        format!(
            "perfdhcp: {text} {}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

/// Both exchanges, DISCOVER-OFFER and REQUEST-ACK, together; of the delays the larger one.
fn read_perfdhcp(text: &str) -> Result<Said> {
    let all = |name: &str| -> Vec<f64> {
        text.lines()
            .filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))
            .filter_map(|value| value.split_whitespace().next()?.parse().ok())
            .collect()
    };
    let largest = |name: &str| all(name).into_iter().fold(0.0, f64::max);
    ensure!(
        all("sent packets").len() == 2 && all("drops").len() == 2,
        "its words are not understood"
    );
    Ok(Said {
        sent: all("sent packets").iter().sum(),
        lost: all("drops").iter().sum(),
        mean: largest("avg delay"),
        longest: largest("max delay"),
    })
}

/// The highest offered rate with at most 0.1 % lost.
///
/// # Errors
/// A program is missing or failed, or a server granted an address twice.
pub fn dhcp_max(ground: &Ground) -> Result<Vec<Figure>> {
    let wire = Wire::enter()?;
    let mut notes = Vec::new();
    let mut best = Vec::new();
    for who in [KEA, KEA_THREADS] {
        best.push(highest(ground, &wire, who, STEP, &mut notes)?);
    }
    let kea = best.iter().copied().fold(0.0, f64::max);
    let from = (kea * 3.0).max(STEP);
    let ours = highest(ground, &wire, Who::Ours, from, &mut notes)?;
    let mut figure = Figure::new(
        "DHCP: highest rate with at most 0.1 % lost",
        "leases/s",
        Who::Ours.name(),
        vec![ours],
    )
    .against(
        "Kea, the better of one thread and several",
        vec![kea],
        "ours / peer",
        vec![ours / kea.max(1.0)],
    )
    .goal(Goal::AtLeast(3.0));
    for note in notes {
        figure = figure.note(note);
    }
    Ok(vec![figure])
}

/// Steps up from `from` while the rate is reached; where even `from` is not, down to one that is. A rate that is missed
/// is tried once more: the machine is shared.
fn highest(
    ground: &Ground,
    wire: &Wire,
    who: Who,
    from: f64,
    notes: &mut Vec<String>,
) -> Result<f64> {
    let mut reaches = |rate: f64| -> Result<bool> {
        for _ in 0..2 {
            let server = who.start(ground, wire)?;
            let before = server.processor_time()?;
            let outcome = offer(ground, Offered::for_secs(rate, STEP_SECS, 0))?;
            notes.push(note(who, &server, before, &outcome)?);
            if outcome.lost() <= LOST_MAX && outcome.rate >= rate * 0.98 {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let mut rate = from;
    if reaches(rate)? {
        while rate + STEP <= RATE_MAX && reaches(rate + STEP)? {
            rate += STEP;
        }
        return Ok(rate);
    }
    while rate > STEP {
        rate -= STEP;
        if reaches(rate)? {
            return Ok(rate);
        }
    }
    Ok(0.0)
}

fn note(who: Who, server: &Server, before: f64, outcome: &Outcome) -> Result<String> {
    let used = server.processor_time()? - before;
    Ok(format!(
        "{}: {}; processor: server {used:.1} s, generator {:.1} s",
        who.name(),
        outcome.words(),
        outcome.processor
    ))
}

/// 1,000 machines within a tenth of a second.
///
/// # Errors
/// As [`dhcp_max`].
pub fn dhcp_burst(ground: &Ground) -> Result<Vec<Figure>> {
    let wire = Wire::enter()?;
    let burst = |machines: u32| Offered {
        rate: BURST_RATE,
        machines,
        first: 0,
    };
    let mut answered = Vec::new();
    let mut took = Vec::new();
    let mut notes = Vec::new();
    for who in [Who::Ours, KEA, KEA_THREADS, Who::Dnsmasq] {
        let _server = who.start(ground, &wire)?;
        let outcome = offer(ground, burst(BURST))?;
        answered.push((1.0 - outcome.lost()) * 100.0);
        took.push(outcome.percentile(0.99));
        notes.push(format!("{}: {}", who.name(), outcome.words()));
    }
    let _server = Who::Ours.start(ground, &wire)?;
    let ten = offer(ground, burst(BURST * 10))?;
    notes.push(format!("ten times the burst: {}", ten.words()));
    let (Some(ours), Some(p99)) = (answered.first(), took.first()) else {
        anyhow::bail!("a server is missing");
    };
    let peers = answered.iter().skip(1).copied().fold(0.0, f64::max);
    let mut first = Figure::new(
        "DHCP: 1,000 machines at 10,000/s, leased on the first try",
        "%",
        Who::Ours.name(),
        vec![*ours],
    )
    .goal(Goal::AtLeast(100.0))
    .note(format!("the best peer: {peers:.1} %"));
    for note in notes {
        first = first.note(note);
    }
    let second = Figure::new(
        "DHCP: 1,000 machines at 10,000/s, p99 from DISCOVER to ACK",
        "ms",
        Who::Ours.name(),
        vec![*p99],
    )
    .goal(Goal::AtMost(BURST_MS_MAX));
    Ok(vec![first, second])
}

/// Ten times what it can: what is still granted, and that it is well afterwards.
///
/// # Errors
/// As [`dhcp_max`].
pub fn dhcp_overload(ground: &Ground) -> Result<Vec<Figure>> {
    const SECS: f64 = 4.0;
    let wire = Wire::enter()?;
    let mut kept = Vec::new();
    let mut notes = Vec::new();
    let mut after = 0.0;
    for who in [Who::Ours, KEA_THREADS] {
        // What it can: granted in a second where somewhat more is asked of it than it can.
        let guess = if who == Who::Ours { 20_000.0 } else { 5_000.0 };
        let can = {
            let _server = who.start(ground, &wire)?;
            let outcome = offer(ground, Offered::for_secs(guess, SECS, 0))?;
            notes.push(format!("{}: {}", who.name(), outcome.words()));
            f64::from(outcome.granted) / SECS
        };
        let _server = who.start(ground, &wire)?;
        let outcome = offer(ground, Offered::for_secs(can * OVER, SECS, 0))?;
        let granted = f64::from(outcome.granted) / outcome.secs.max(SECS);
        notes.push(format!(
            "{}: can {can:.0}/s; {OVER} times that: {}, {granted:.0}/s granted",
            who.name(),
            outcome.words()
        ));
        kept.push(granted / can.max(1.0));
        if who == Who::Ours {
            let calm = offer(ground, Offered::for_secs(500.0, SECS, 50_000_000))?;
            notes.push(format!("and afterwards: {}", calm.words()));
            after = f64::from(calm.machines - calm.granted);
        }
    }
    let [ours, kea] = kept.as_slice() else {
        anyhow::bail!("a server is missing");
    };
    let mut first = Figure::new(
        "DHCP: share of its rate that is kept at ten times the load",
        "of 1",
        Who::Ours.name(),
        vec![*ours],
    )
    .goal(Goal::AtLeast(OVER_KEEPS))
    .note(format!("Kea with threads keeps {kea:.2}"));
    for note in notes {
        first = first.note(note);
    }
    let second = Figure::new(
        "DHCP: lost at 500/s right after the overload",
        "machines",
        Who::Ours.name(),
        vec![after],
    )
    .goal(Goal::AtMost(0.0));
    Ok(vec![first, second])
}

/// The rate with 100,000 leases, against the rate with none.
///
/// # Errors
/// As [`dhcp_max`].
pub fn dhcp_100k(ground: &Ground) -> Result<Vec<Figure>> {
    const PAIRS: u32 = 3;
    const SECS: f64 = 3.0;
    /// Offered to find out what it can: more than that.
    const MORE: f64 = 30_000.0;
    let wire = Wire::enter()?;
    let (mut empty, mut full, mut restarts) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 1..=PAIRS {
        ground.say(&format!("pair {pair} of {PAIRS}"));
        {
            let _server = Who::Ours.start(ground, &wire)?;
            let outcome = offer(ground, Offered::for_secs(MORE, SECS, 0))?;
            empty.push(f64::from(outcome.granted) / SECS);
        }
        let server = Who::Ours.start(ground, &wire)?;
        let mut held = 0;
        let mut first = 100_000_000;
        while held < FULL {
            let filled = offer(ground, Offered::for_secs(8_000.0, 4.0, first))?;
            ensure!(filled.granted > 0, "no lease was granted");
            held += filled.granted;
            first += filled.machines;
        }
        drop(server);
        restarts.push(Who::Ours.restart(ground, &wire)?);
        let _server = Who::Ours.start_in(&ground.path("server"), &wire)?;
        let outcome = offer(ground, Offered::for_secs(MORE, SECS, 0))?;
        full.push(f64::from(outcome.granted) / SECS);
    }
    let ratios = super::ratios(&full, &empty);
    Ok(vec![
        Figure::new(
            "DHCP: rate with 100,000 leases",
            "leases/s",
            "with 100,000 leases",
            full,
        )
        .against("with none", empty, "with / without", ratios)
        .goal(Goal::AtLeast(0.9))
        .note(format!("{MORE}/s offered for {SECS} s")),
        Figure::new(
            "DHCP: from start to the first answer, with 100,000 leases and more",
            "ms",
            Who::Ours.name(),
            restarts,
        )
        .goal(Goal::AtMost(RESTART_MS_MAX)),
    ])
}

/// Memory with 10,000 leases.
///
/// # Errors
/// As [`dhcp_max`].
pub fn dhcp_memory(ground: &Ground) -> Result<Vec<Figure>> {
    let wire = Wire::enter()?;
    let mut took = Vec::new();
    let mut notes = Vec::new();
    for who in [Who::Ours, KEA_THREADS] {
        let server = who.start(ground, &wire)?;
        let mut held = 0;
        let mut first = 0;
        while held < HELD {
            let filled = offer(ground, Offered::for_secs(1_000.0, 5.0, first))?;
            ensure!(filled.granted > 0, "no lease was granted");
            held += filled.granted;
            first += filled.machines;
        }
        // A number of bytes: exact enough.
        #[allow(clippy::cast_precision_loss)]
        let mib = server.memory_peak()? as f64 / f64::from(1 << 20);
        took.push(mib);
        notes.push(format!("{}: {mib:.1} MiB with {held} leases", who.name()));
    }
    let [ours, kea] = took.as_slice() else {
        anyhow::bail!("a server is missing");
    };
    let mut figure = Figure::new(
        "DHCP: peak memory with 10,000 leases",
        "MiB",
        Who::Ours.name(),
        vec![*ours],
    )
    .goal(Goal::AtMost(MEMORY_MIB_MAX))
    .note(format!("Kea: {kea:.1} MiB"));
    for note in notes {
        figure = figure.note(note);
    }
    Ok(vec![figure])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perfdhcps_words_are_understood() {
        let text = "***Rate statistics***\nRate: 500 4-way exchanges/second\n\n\
            ***Statistics for: DISCOVER-OFFER***\nsent packets: 30000\nreceived packets: 29999\ndrops: 1\n\n\
            min delay: 0.1 ms\navg delay: 0.3 ms\nmax delay: 9.0 ms\n\n\
            ***Statistics for: REQUEST-ACK***\nsent packets: 29999\nreceived packets: 29997\ndrops: 2\n\n\
            avg delay: 0.6 ms\nmax delay: 4.0 ms\n";
        let expected = Said {
            sent: 59_999.0,
            lost: 3.0,
            mean: 0.6,
            longest: 9.0,
        };
        assert_eq!(read_perfdhcp(text).unwrap(), expected);
        assert!(read_perfdhcp("usage").is_err());
    }
}
