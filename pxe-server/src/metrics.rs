// SPDX-License-Identifier: Apache-2.0
//! Counters, gauges and histograms of what the boot service does: one atomic number each, never a name that a client sent.
//! The names are words of `groundstate_api::metrics`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// What is counted. Add a variant, its row in [`Metric::ALL`], and its name in `groundstate_api::metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Metric {
    /// DHCPv4 datagrams that were read.
    DhcpReceived,
    /// DHCPv4 replies that were sent.
    DhcpSent,
    /// DHCPv4 datagrams that were no request.
    DhcpMalformed,
    /// DHCPv4 requests that got no answer.
    DhcpDropped,
    /// TFTP transfers that began.
    TftpStarted,
    /// TFTP transfers that went out whole.
    TftpCompleted,
    /// TFTP requests that were refused, and transfers that ended early.
    TftpFailed,
    /// Bytes of TFTP data that were sent, repeats included.
    TftpBytes,
    /// HTTP requests that were answered.
    HttpRequests,
    /// Bytes of HTTP bodies that were handed to connections.
    HttpBytes,
    /// DHCPv4 requests of operating systems, which have no boot session.
    DhcpPlain,
    /// Packets of DHCP servers that are not ours.
    DhcpForeign,
    /// Steps of boots.
    BootSteps,
    /// Boot sessions that began.
    SessionsBegun,
    /// Boot sessions that fetched what they boot.
    SessionsFetched,
    /// Boot sessions that were sent to their own disk.
    SessionsLocalDisk,
    /// Boot sessions that stopped.
    SessionsStopped,
    /// Captured packets that were not written.
    CaptureDropped,
    /// DHCPv4 datagrams that were let go because too many waited.
    DhcpShed,
    /// DHCPv4 replies that could not be sent.
    DhcpUnsent,
    /// What was seen by DHCP and not told, because whoever listens was too far behind.
    DhcpUntold,
    /// Leases that were made durable.
    LeasesKept,
    /// Leases that could not be written when they were granted.
    LeasesUnkept,
    /// proxyDHCP datagrams read.
    ProxyReceived,
    /// proxyDHCP replies sent.
    ProxySent,
    /// proxyDHCP datagrams that were no request.
    ProxyMalformed,
    /// proxyDHCP requests without an answer.
    ProxyDropped,
    /// DHCPv6 datagrams read.
    Dhcp6Received,
    /// DHCPv6 replies sent.
    Dhcp6Sent,
    /// DHCPv6 datagrams that were no request.
    Dhcp6Malformed,
    /// DHCPv6 requests without an answer.
    Dhcp6Dropped,
    /// Router Advertisements sent.
    RouterAdverts,
}

impl Metric {
    /// Every metric with its name and what it counts, in the order of the variants.
    pub(crate) const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::DhcpReceived,
            "groundstate_dhcp_received_total",
            "DHCPv4 datagrams read",
        ),
        (
            Self::DhcpSent,
            "groundstate_dhcp_sent_total",
            "DHCPv4 replies sent",
        ),
        (
            Self::DhcpMalformed,
            "groundstate_dhcp_malformed_total",
            "DHCPv4 datagrams that were no request",
        ),
        (
            Self::DhcpDropped,
            "groundstate_dhcp_dropped_total",
            "DHCPv4 requests without an answer",
        ),
        (
            Self::TftpStarted,
            "groundstate_tftp_transfers_started_total",
            "TFTP transfers begun",
        ),
        (
            Self::TftpCompleted,
            "groundstate_tftp_transfers_completed_total",
            "TFTP transfers sent whole",
        ),
        (
            Self::TftpFailed,
            "groundstate_tftp_failed_total",
            "TFTP requests refused and transfers ended early",
        ),
        (
            Self::TftpBytes,
            "groundstate_tftp_sent_bytes_total",
            "TFTP data sent, repeats included",
        ),
        (
            Self::HttpRequests,
            "groundstate_http_requests_total",
            "HTTP requests answered",
        ),
        (
            Self::HttpBytes,
            "groundstate_http_sent_bytes_total",
            "HTTP bodies sent",
        ),
        (
            Self::DhcpPlain,
            "groundstate_dhcp_plain_total",
            "DHCPv4 requests of operating systems",
        ),
        (
            Self::DhcpForeign,
            "groundstate_dhcp_foreign_total",
            "Packets of DHCP servers that are not ours",
        ),
        (
            Self::BootSteps,
            "groundstate_boot_steps_total",
            "Steps of boots seen",
        ),
        (
            Self::SessionsBegun,
            "groundstate_boot_sessions_begun_total",
            "Boot sessions begun",
        ),
        (
            Self::SessionsFetched,
            "groundstate_boot_sessions_fetched_total",
            "Boot sessions that fetched what they boot",
        ),
        (
            Self::SessionsLocalDisk,
            "groundstate_boot_sessions_local_disk_total",
            "Boot sessions sent to their own disk",
        ),
        (
            Self::SessionsStopped,
            "groundstate_boot_sessions_stopped_total",
            "Boot sessions that stopped before they fetched what they boot",
        ),
        (
            Self::CaptureDropped,
            "groundstate_capture_dropped_total",
            "Captured packets not written: the disk was too slow, or a bound was met",
        ),
        (
            Self::DhcpShed,
            "groundstate_dhcp_shed_total",
            "DHCPv4 datagrams let go because too many waited",
        ),
        (
            Self::DhcpUnsent,
            "groundstate_dhcp_unsent_total",
            "DHCPv4 replies that could not be sent",
        ),
        (
            Self::DhcpUntold,
            "groundstate_dhcp_untold_total",
            "Events of DHCPv4 not told because the listener was behind",
        ),
        (
            Self::LeasesKept,
            "groundstate_leases_kept_total",
            "Leases made durable",
        ),
        (
            Self::LeasesUnkept,
            "groundstate_leases_unkept_total",
            "Leases that could not be written when they were granted",
        ),
        (
            Self::ProxyReceived,
            "groundstate_proxy_received_total",
            "proxyDHCP datagrams read",
        ),
        (
            Self::ProxySent,
            "groundstate_proxy_sent_total",
            "proxyDHCP replies sent",
        ),
        (
            Self::ProxyMalformed,
            "groundstate_proxy_malformed_total",
            "proxyDHCP datagrams that were no request",
        ),
        (
            Self::ProxyDropped,
            "groundstate_proxy_dropped_total",
            "proxyDHCP requests without an answer",
        ),
        (
            Self::Dhcp6Received,
            "groundstate_dhcp6_received_total",
            "DHCPv6 datagrams read",
        ),
        (
            Self::Dhcp6Sent,
            "groundstate_dhcp6_sent_total",
            "DHCPv6 replies sent",
        ),
        (
            Self::Dhcp6Malformed,
            "groundstate_dhcp6_malformed_total",
            "DHCPv6 datagrams that were no request",
        ),
        (
            Self::Dhcp6Dropped,
            "groundstate_dhcp6_dropped_total",
            "DHCPv6 requests without an answer",
        ),
        (
            Self::RouterAdverts,
            "groundstate_router_adverts_total",
            "Router Advertisements sent",
        ),
    ];
}

/// What is so many now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Gauge {
    /// TFTP transfers that are running.
    TftpTransfers,
    /// HTTP connections that are open.
    HttpConnections,
}

impl Gauge {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::TftpTransfers,
            "groundstate_tftp_transfers_running",
            "TFTP transfers running",
        ),
        (
            Self::HttpConnections,
            "groundstate_http_connections",
            "HTTP connections open",
        ),
    ];
}

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Timing {
    /// From a DHCP request read to its reply sent.
    DhcpAnswer,
    /// One group of leases made durable.
    LeaseCommit,
    /// A TFTP transfer, whole.
    TftpTransfer,
    /// A file by HTTP, whole.
    HttpTransfer,
}

/// Bounds in microseconds, and the same as the text format has them: an answer is good below a millisecond, bad at a tenth
/// of a second, and late for firmware at a second.
const ANSWERS: Bounds = &[
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (100_000, "0.1"),
    (1_000_000, "1"),
];
/// A first stage takes tens of milliseconds, a boot image seconds, an installer minutes.
const TRANSFERS: Bounds = &[
    (10_000, "0.01"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
    (60_000_000, "60"),
    (300_000_000, "300"),
];
type Bounds = &'static [(u64, &'static str)];

impl Timing {
    const ALL: &'static [(Self, &'static str, &'static str, Bounds)] = &[
        (
            Self::DhcpAnswer,
            "groundstate_dhcp_answer_seconds",
            "From a DHCP request read to its reply sent",
            ANSWERS,
        ),
        (
            Self::LeaseCommit,
            "groundstate_lease_commit_seconds",
            "One group of leases made durable",
            ANSWERS,
        ),
        (
            Self::TftpTransfer,
            "groundstate_tftp_transfer_seconds",
            "TFTP transfers sent whole",
            TRANSFERS,
        ),
        (
            Self::HttpTransfer,
            "groundstate_http_transfer_seconds",
            "Files sent whole by HTTP",
            TRANSFERS,
        ),
    ];
}

/// Counts by size: those within each bound, those beyond the last, and the sum.
#[derive(Debug, Default)]
struct Histogram {
    within: [AtomicU64; ANSWERS.len()],
    beyond: AtomicU64,
    micros: AtomicU64,
}

const _: () = assert!(ANSWERS.len() == TRANSFERS.len());

impl Histogram {
    fn add(&self, bounds: Bounds, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = bounds.iter().position(|(bound, _)| micros <= *bound);
        let number = at
            .and_then(|at| self.within.get(at))
            .unwrap_or(&self.beyond);
        number.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn text(&self, name: &str, bounds: Bounds, text: &mut Text) {
        let mut sum = 0;
        for ((_, bound), within) in bounds.iter().zip(&self.within) {
            sum += within.load(Ordering::Relaxed);
            text.line(&format!("{name}_bucket{{le=\"{bound}\"}}"), sum);
        }
        sum += self.beyond.load(Ordering::Relaxed);
        text.line(&format!("{name}_bucket{{le=\"+Inf\"}}"), sum);
        let micros = self.micros.load(Ordering::Relaxed);
        let seconds = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        text.line(&format!("{name}_sum"), seconds);
        text.line(&format!("{name}_count"), sum);
    }
}

/// The numbers.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    numbers: [AtomicU64; Metric::ALL.len()],
    gauges: [AtomicI64; Gauge::ALL.len()],
    timings: [Histogram; Timing::ALL.len()],
}

impl Counters {
    /// Adds to a counter.
    pub(crate) fn add(&self, metric: Metric, n: u64) {
        if let Some(number) = self.numbers.get(metric as usize) {
            number.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// A counter's value.
    pub(crate) fn get(&self, metric: Metric) -> u64 {
        self.numbers
            .get(metric as usize)
            .map_or(0, |number| number.load(Ordering::Relaxed))
    }

    /// Adds to a gauge, or takes from it.
    pub(crate) fn gauge(&self, gauge: Gauge, n: i64) {
        if let Some(number) = self.gauges.get(gauge as usize) {
            number.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Notes how long something took.
    pub(crate) fn timed(&self, timing: Timing, took: Duration) {
        let row = Timing::ALL.get(timing as usize);
        if let Some((histogram, (.., bounds))) = self.timings.get(timing as usize).zip(row) {
            histogram.add(bounds, took);
        }
    }

    /// The text that a collector reads (Prometheus text format 0.0.4).
    pub(crate) fn text(&self) -> Text {
        let mut text = Text::default();
        for (metric, name, help) in Metric::ALL {
            text.head(name, "counter", help);
            text.line(name, self.get(*metric));
        }
        for ((_, name, help), number) in Gauge::ALL.iter().zip(&self.gauges) {
            text.head(name, "gauge", help);
            text.line(name, number.load(Ordering::Relaxed).max(0));
        }
        for ((_, name, help, bounds), histogram) in Timing::ALL.iter().zip(&self.timings) {
            text.head(name, "histogram", help);
            histogram.text(name, bounds, &mut text);
        }
        text
    }
}

/// The text format, line by line.
#[derive(Debug, Default)]
pub(crate) struct Text(pub(crate) String);

impl Text {
    /// What the next lines are about.
    pub(crate) fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.0
            .push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One number; `what` is the name with its labels.
    pub(crate) fn line(&mut self, what: &str, value: impl std::fmt::Display) {
        self.0.push_str(&format!("{what} {value}\n"));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use groundstate_api::metrics::{BOOT_SERVICE, MetricKind};

    #[test]
    fn every_counter_has_its_own_number_and_line() {
        let counters = Counters::default();
        for (n, (metric, ..)) in (1..).zip(Metric::ALL) {
            counters.add(*metric, n);
        }
        counters.gauge(Gauge::TftpTransfers, 3);
        counters.gauge(Gauge::TftpTransfers, -1);
        let text = counters.text().0;
        for (n, (metric, name, _)) in (1u64..).zip(Metric::ALL) {
            assert_eq!(counters.get(*metric), n);
            assert!(text.contains(&format!("\n{name} {n}\n")), "{text}");
        }
        assert!(text.contains("\ngroundstate_tftp_transfers_running 2\n"));
        let known = |name: &str, kind| BOOT_SERVICE.contains(&(name, kind));
        for (_, name, _) in Metric::ALL {
            assert!(known(name, MetricKind::Counter), "{name} is no word of api");
        }
    }

    #[test]
    fn a_histogram_counts_by_bound_and_sums() {
        let counters = Counters::default();
        for micros in [1, 50, 51, 999, 2_000_000] {
            counters.timed(Timing::DhcpAnswer, Duration::from_micros(micros));
        }
        let text = counters.text().0;
        for line in [
            "groundstate_dhcp_answer_seconds_bucket{le=\"0.00005\"} 2",
            "groundstate_dhcp_answer_seconds_bucket{le=\"0.0001\"} 3",
            "groundstate_dhcp_answer_seconds_bucket{le=\"0.001\"} 4",
            "groundstate_dhcp_answer_seconds_bucket{le=\"1\"} 4",
            "groundstate_dhcp_answer_seconds_bucket{le=\"+Inf\"} 5",
            "groundstate_dhcp_answer_seconds_sum 2.001101",
            "groundstate_dhcp_answer_seconds_count 5",
            "groundstate_tftp_transfer_seconds_count 0",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
        check(&text);
    }

    /// Reads the text format as strictly as a collector may: each family once, with its help and type before it, names and
    /// labels of the allowed letters, numbers that are numbers, and histograms whose buckets rise and end with the count.
    /// Returns the families.
    pub(crate) fn check(text: &str) -> Vec<(String, String)> {
        let mut families: Vec<(String, String)> = Vec::new();
        let mut helped = None;
        let mut bucket = (String::new(), f64::NEG_INFINITY, 0.0);
        assert!(text.ends_with('\n'), "the last line has no end");
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split(' ').next().map(str::to_owned);
                continue;
            }
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(helped.as_deref(), Some(name), "no help before {line}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(families.iter().all(|(old, _)| old != name), "{name} twice");
                families.push((name.to_owned(), kind.to_owned()));
                continue;
            }
            let (what, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            let (name, labels) = what.split_once('{').unwrap_or((what, ""));
            let (family, kind) = families.last().unwrap();
            let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
            assert!(name.chars().all(allowed), "{line}");
            let rest = name.strip_prefix(family.as_str());
            match (kind.as_str(), rest) {
                ("counter" | "gauge", Some("")) | ("histogram", Some("_sum")) => {}
                ("histogram", Some("_bucket")) => {
                    let le = labels.strip_prefix("le=\"").unwrap();
                    let le: f64 = le.strip_suffix("\"}").unwrap().parse().unwrap();
                    if bucket.0 != *family {
                        bucket = (family.clone(), f64::NEG_INFINITY, 0.0);
                    }
                    assert!(le > bucket.1 && value >= bucket.2, "{line}");
                    bucket = (family.clone(), le, value);
                }
                ("histogram", Some("_count")) => {
                    assert!(bucket.1.is_infinite(), "{line}");
                    assert!((bucket.2 - value).abs() < 0.5, "{line}");
                }
                other => panic!("{other:?}: {line}"),
            }
            if !labels.is_empty() {
                let labels = labels.strip_suffix('}').unwrap();
                for label in labels.split(',') {
                    let (key, value) = label.split_once('=').unwrap();
                    assert!(key.chars().all(allowed), "{line}");
                    let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
                    assert!(!value.unwrap().contains(['"', '\\', '\n']), "{line}");
                }
            }
        }
        families
    }
}
