// SPDX-License-Identifier: Apache-2.0
//! The names of metrics. They are words: dashboards and alarms are written against them, so a name that stands here keeps
//! its meaning. Units are base units (seconds, bytes), and no label's value is chosen by a client.

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only rises, from 0 at the service's start.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Counts by size, with a sum.
    Histogram,
}

impl MetricKind {
    /// As in the text format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// The metrics of the boot service, served at `/metrics`.
pub const BOOT_SERVICE: &[(&str, MetricKind)] = &[
    ("groundstate_dhcp_received_total", MetricKind::Counter),
    ("groundstate_dhcp_sent_total", MetricKind::Counter),
    ("groundstate_dhcp_malformed_total", MetricKind::Counter),
    ("groundstate_dhcp_dropped_total", MetricKind::Counter),
    ("groundstate_dhcp_plain_total", MetricKind::Counter),
    ("groundstate_dhcp_foreign_total", MetricKind::Counter),
    ("groundstate_dhcp_shed_total", MetricKind::Counter),
    ("groundstate_dhcp_unsent_total", MetricKind::Counter),
    ("groundstate_dhcp_untold_total", MetricKind::Counter),
    ("groundstate_leases_kept_total", MetricKind::Counter),
    ("groundstate_leases_unkept_total", MetricKind::Counter),
    (
        "groundstate_tftp_transfers_started_total",
        MetricKind::Counter,
    ),
    (
        "groundstate_tftp_transfers_completed_total",
        MetricKind::Counter,
    ),
    ("groundstate_tftp_failed_total", MetricKind::Counter),
    ("groundstate_tftp_sent_bytes_total", MetricKind::Counter),
    ("groundstate_http_requests_total", MetricKind::Counter),
    ("groundstate_http_sent_bytes_total", MetricKind::Counter),
    ("groundstate_proxy_received_total", MetricKind::Counter),
    ("groundstate_proxy_sent_total", MetricKind::Counter),
    ("groundstate_proxy_malformed_total", MetricKind::Counter),
    ("groundstate_proxy_dropped_total", MetricKind::Counter),
    ("groundstate_dhcp6_received_total", MetricKind::Counter),
    ("groundstate_dhcp6_sent_total", MetricKind::Counter),
    ("groundstate_dhcp6_malformed_total", MetricKind::Counter),
    ("groundstate_dhcp6_dropped_total", MetricKind::Counter),
    ("groundstate_router_adverts_total", MetricKind::Counter),
    ("groundstate_boot_steps_total", MetricKind::Counter),
    ("groundstate_boot_sessions_begun_total", MetricKind::Counter),
    (
        "groundstate_boot_sessions_fetched_total",
        MetricKind::Counter,
    ),
    (
        "groundstate_boot_sessions_local_disk_total",
        MetricKind::Counter,
    ),
    (
        "groundstate_boot_sessions_stopped_total",
        MetricKind::Counter,
    ),
    (
        "groundstate_boot_sessions_forgotten_total",
        MetricKind::Counter,
    ),
    ("groundstate_capture_dropped_total", MetricKind::Counter),
    ("groundstate_dhcp_leases", MetricKind::Gauge),
    ("groundstate_dhcp_pool_free_addresses", MetricKind::Gauge),
    ("groundstate_tftp_transfers_running", MetricKind::Gauge),
    ("groundstate_http_connections", MetricKind::Gauge),
    ("groundstate_boot_sessions", MetricKind::Gauge),
    ("groundstate_foreign_dhcp_servers", MetricKind::Gauge),
    ("groundstate_build_info", MetricKind::Gauge),
    ("process_start_time_seconds", MetricKind::Gauge),
    ("process_resident_memory_bytes", MetricKind::Gauge),
    ("process_open_fds", MetricKind::Gauge),
    ("groundstate_dhcp_answer_seconds", MetricKind::Histogram),
    ("groundstate_lease_commit_seconds", MetricKind::Histogram),
    ("groundstate_tftp_transfer_seconds", MetricKind::Histogram),
    ("groundstate_http_transfer_seconds", MetricKind::Histogram),
];

/// The metrics of the image service, served beside those of the server that composes it.
pub const IMAGE_SERVICE: &[(&str, MetricKind)] = &[
    ("groundstate_image_requests_total", MetricKind::Counter),
    ("groundstate_image_missing_total", MetricKind::Counter),
    ("groundstate_image_sent_bytes_total", MetricKind::Counter),
    ("groundstate_image_refused_total", MetricKind::Counter),
    ("groundstate_image_cut_off_total", MetricKind::Counter),
    ("groundstate_image_cache_hits_total", MetricKind::Counter),
    ("groundstate_image_cache_misses_total", MetricKind::Counter),
    ("groundstate_image_fetched_total", MetricKind::Counter),
    ("groundstate_image_fetch_failed_total", MetricKind::Counter),
    ("groundstate_image_requests_in_work", MetricKind::Gauge),
    ("groundstate_image_window_bytes", MetricKind::Gauge),
    ("groundstate_image_turn_seconds", MetricKind::Histogram),
];

/// The metrics of the provisioner, each with what it says.
pub const PROVISIONER: &[(&str, MetricKind, &str)] = &[
    (
        "groundstate_nodes",
        MetricKind::Gauge,
        "Nodes of the site by phase.",
    ),
    (
        "groundstate_events",
        MetricKind::Gauge,
        "Number of the newest event of the journal.",
    ),
    (
        "groundstate_site_version",
        MetricKind::Gauge,
        "Version of the site in force.",
    ),
    (
        "groundstate_actions_open",
        MetricKind::Gauge,
        "Actions that go on.",
    ),
    (
        "groundstate_webhook_behind_events",
        MetricKind::Gauge,
        "Events that the webhook which is furthest behind has not been told.",
    ),
    (
        "groundstate_api_connections",
        MetricKind::Gauge,
        "Connections to the HTTPS API that are open.",
    ),
    (
        "groundstate_api_connections_refused",
        MetricKind::Gauge,
        "Connections that were closed at once since the start because there were too many.",
    ),
    (
        "groundstate_api_request_seconds",
        MetricKind::Histogram,
        "How long calls of the HTTPS API took, long polls included.",
    ),
    (
        "groundstate_api_answers_total",
        MetricKind::Counter,
        "Answers of the HTTPS API by class of status.",
    ),
    (
        "groundstate_journal_write_seconds",
        MetricKind::Histogram,
        "How long it took until events were durable.",
    ),
    (
        "groundstate_transitions_total",
        MetricKind::Counter,
        "Nodes that moved to another phase, by that phase.",
    ),
    (
        "groundstate_actions_begun_total",
        MetricKind::Counter,
        "Actions that were begun.",
    ),
    (
        "groundstate_actions_ended_total",
        MetricKind::Counter,
        "Actions that ended, by outcome and by what carried them out: a BMC over Redfish or IPMI, the host, a person.",
    ),
    (
        "groundstate_webhook_deliveries_total",
        MetricKind::Counter,
        "Requests to webhooks by what came of them.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_the_text_format_wants_them() {
        let ours = || PROVISIONER.iter().map(|(name, kind, _)| (name, kind));
        let theirs = || BOOT_SERVICE.iter().chain(IMAGE_SERVICE);
        let all = || theirs().map(|(name, kind)| (name, kind)).chain(ours());
        for (n, (name, kind)) in all().enumerate() {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(name.chars().all(allowed), "{name}");
            let total = name.ends_with("_total");
            assert_eq!(total, *kind == MetricKind::Counter, "{name}");
            let again = all().skip(n + 1).any(|(other, _)| other == name);
            assert!(!again, "{name} stands twice");
        }
    }
}
