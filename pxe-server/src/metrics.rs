// SPDX-License-Identifier: Apache-2.0
//! Counters of what the boot service does: one atomic number each, never a name that a client sent.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted. Add a variant, and its row in [`Metric::ALL`].
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
}

impl Metric {
    /// Every metric with its name and what it counts, in the order of the variants.
    pub(crate) const ALL: [(Self, &'static str, &'static str); 10] = [
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
    ];
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    numbers: [AtomicU64; Metric::ALL.len()],
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

    /// The text that a collector reads (Prometheus text format 0.0.4).
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (metric, name, help) in Metric::ALL {
            let value = self.get(metric);
            text.push_str(&format!(
                "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n"
            ));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_own_number_and_line() {
        let counters = Counters::default();
        for (n, (metric, ..)) in (1..).zip(Metric::ALL) {
            counters.add(metric, n);
        }
        let text = counters.text();
        for (n, (metric, name, _)) in (1u64..).zip(Metric::ALL) {
            assert_eq!(counters.get(metric), n);
            assert!(text.contains(&format!("\n{name} {n}\n")), "{text}");
        }
    }
}
