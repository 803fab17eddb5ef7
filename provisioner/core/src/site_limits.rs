// SPDX-License-Identifier: Apache-2.0
//! How large a site may be: each limit with its unit and its reason.

use groundstate_api::Bytes;

/// The largest site file, as TOML, XML or JSON: 10,000 nodes with their hardware by serial number are about 9 MiB.
pub const SITE_BYTES_MAX: Bytes = Bytes::mib(16);
/// The most nodes of one site: what one provisioner was measured with.
pub const NODES_MAX: usize = 10_000;
/// The most racks: one for ten nodes.
pub const RACKS_MAX: usize = 1_000;
/// The most switches, and the most PDUs: four for each rack.
pub const FIXTURES_MAX: usize = 4_000;
/// The most hardware profiles: models of machines that one site buys in its life.
pub const PROFILES_MAX: usize = 256;
/// The most entries of who may do what.
pub const ACCESS_MAX: usize = 1_000;
/// The most webhooks: each event is sent to every one of them.
pub const WEBHOOKS_MAX: usize = 32;
/// The most keys that may open a rescue shell.
pub const RESCUE_KEYS_MAX: usize = 64;
/// The most steps of one healing rule.
pub const HEALING_STEPS_MAX: usize = 16;
/// The most DIMMs or disks that are expected of one node: more than any machine has.
pub const PARTS_MAX: usize = 512;
/// The longest text of a site in bytes: a person reads it in one line or two.
pub const TEXT_MAX: usize = 1_024;
/// The longest key of a rescue in bytes: an RSA key of 16,384 bits has 2,800.
pub const KEY_MAX: usize = 8_192;
/// The longest serial number in characters: what an enrolment may say.
pub const SERIAL_MAX: usize = 128;
/// The longest waiting time of a healing rule, and the longest window of the brake, in seconds: a week.
pub const HEALING_SECS_MAX: u64 = 7 * 86_400;
/// The most `[[network.pool]]`: one for each rack. The boot service serves 1,024 subnets.
pub const POOLS_MAX: usize = 1_000;
/// The most addresses of all pools together: what the boot service holds in its tables.
pub const LEASES_MAX: u64 = 1_048_576;
/// The most reservations: what the boot service takes.
pub const RESERVATIONS_MAX: usize = 65_536;
/// The most name servers of a subnet: what fits a DHCP reply beside everything else.
pub const NAME_SERVERS_MAX: usize = 8;
