// SPDX-License-Identifier: Apache-2.0
//! Room for every transfer and connection that we allow: the limits of TFTP and HTTP mean nothing where the process runs
//! out of file descriptors first, and then everything else in it fails too.

use crate::limits::Limits;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors left for the rest of the process: its own connections, files and programs. What Linux gives by default.
const OTHERS: usize = 1_024;

/// Raises the soft limit of open files to what the services may need, as far as the hard limit goes.
pub(crate) fn make_room(limits: &Limits) {
    let wanted = limits.tftp_transfers + limits.http_connections + OTHERS;
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let raised = soft.max(wanted.min(hard));
        if raised != soft {
            setrlimit(Resource::RLIMIT_NOFILE, raised, hard)?;
        }
        Ok(raised)
    });
    match raised {
        Ok(limit) if limit >= wanted => {}
        Ok(limit) => {
            tracing::warn!(
                limit,
                wanted,
                "too few open files are allowed for a flood of requests; raise LimitNOFILE"
            );
        }
        Err(error) => tracing::warn!(%error, wanted, "the limit of open files cannot be raised"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_soft_limit_is_raised_and_a_high_one_stays() {
        let limit = || getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let (_, hard) = limit();
        let limits = Limits::default();
        let wanted = 2_048 + 1_024 + 1_024;
        let wanted = u64::try_from(wanted).unwrap().min(hard);
        setrlimit(Resource::RLIMIT_NOFILE, 512, hard).unwrap();
        make_room(&limits);
        assert_eq!(limit(), (wanted, hard));
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
        make_room(&limits);
        assert_eq!(limit(), (hard, hard));
    }
}
