// SPDX-License-Identifier: Apache-2.0
//! The leases that are kept in a folder, for somebody who only looks: nothing is locked, made or mended.

use crate::lease_file::LeaseFileError;
use pxe_core::dhcp::Lease;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

const NAME: &str = "leases.log";
/// The sum and the blank before each lease's JSON.
const SUM: usize = 9;

/// The newest lease of each address. A line that is being written just now is left out.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn kept_leases(state_dir: &Path) -> Result<Vec<Lease>, LeaseFileError> {
    let path = state_dir.join(NAME);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => {
            let doing = "read";
            return Err(LeaseFileError::Io {
                doing,
                path,
                source,
            });
        }
    };
    let mut leases: BTreeMap<Ipv4Addr, Lease> = BTreeMap::new();
    for line in text.lines() {
        let lease = line.get(SUM..).map(serde_json::from_str::<Lease>);
        if let Some(Ok(lease)) = lease {
            leases.insert(lease.address, lease);
        }
    }
    Ok(leases.into_values().collect())
}
