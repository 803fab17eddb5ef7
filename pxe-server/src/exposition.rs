// SPDX-License-Identifier: Apache-2.0
//! What `/metrics` says: the counters, and what is looked up when a collector asks.

use crate::desk::Desk;
use crate::metrics::Text;
use pxe_core::dhcp::LeaseCounts;

impl Desk {
    /// Everything that a collector reads (Prometheus text format 0.0.4).
    pub(crate) fn metrics_text(&self) -> String {
        let mut text = self.counters.text();
        self.leases(&mut text);
        self.sessions(&mut text);
        self.process(&mut text);
        text.0
    }

    fn leases(&self, text: &mut Text) {
        let now = self.now();
        let offered = self.offers();
        let LeaseCounts {
            bound,
            declined,
            expired,
        } = self.lease_counts(now);
        text.head("groundstate_dhcp_leases", "gauge", "Leases by state");
        for (state, count) in [
            ("offered", offered),
            ("bound", bound),
            ("declined", declined),
            ("expired", expired),
        ] {
            text.line(
                &format!("groundstate_dhcp_leases{{state=\"{state}\"}}"),
                count,
            );
        }
        let name = "groundstate_dhcp_pool_free_addresses";
        text.head(name, "gauge", "Addresses of the pools that nobody holds");
        let taken = offered + bound + declined;
        text.line(name, self.pool_size().saturating_sub(taken));
    }

    fn sessions(&self, text: &mut Text) {
        let (counts, foreign, forgotten) = self.seen.counts();
        let name = "groundstate_boot_sessions";
        text.head(name, "gauge", "Boot sessions that are remembered, by state");
        for (state, count) in [
            ("running", counts.running),
            ("fetched", counts.fetched),
            ("local-disk", counts.local_disk),
            ("stopped", counts.stopped),
        ] {
            text.line(&format!("{name}{{state=\"{state}\"}}"), count);
        }
        let name = "groundstate_boot_sessions_forgotten_total";
        text.head(
            name,
            "counter",
            "Boot sessions let go because there were too many",
        );
        text.line(name, forgotten);
        let name = "groundstate_foreign_dhcp_servers";
        text.head(name, "gauge", "DHCP servers heard that are not ours");
        text.line(name, foreign);
    }

    /// What every process says of itself, under the names that every collector knows.
    fn process(&self, text: &mut Text) {
        let name = "groundstate_build_info";
        text.head(name, "gauge", "1, with the version");
        text.line(
            &format!("{name}{{version=\"{}\"}}", env!("CARGO_PKG_VERSION")),
            1,
        );
        let name = "process_start_time_seconds";
        text.head(
            name,
            "gauge",
            "When the process started, seconds since 1970",
        );
        text.line(name, self.seen.began().0 / 1_000);
        if let Some(bytes) = resident_bytes() {
            let name = "process_resident_memory_bytes";
            text.head(name, "gauge", "Resident memory");
            text.line(name, bytes);
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            let name = "process_open_fds";
            text.head(name, "gauge", "Open file descriptors");
            // One of them is the folder that is being read.
            text.line(name, open.count().saturating_sub(1));
        }
    }
}

/// Resident pages of /proc/self/statm times the page size.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split(' ').nth(1)?.parse().ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some(pages * page)
}
