// SPDX-License-Identifier: Apache-2.0
//! Notices that the interface was removed: its sockets hear nobody any more, also where one of the same name comes back.

use crate::ServeError;
use std::time::Duration;

/// How often it is looked for.
const LOOK: Duration = Duration::from_secs(2);

/// Until there is no interface of this index.
pub(crate) async fn until_gone(name: String, index: i32) -> ServeError {
    while is_there(index) {
        tokio::time::sleep(LOOK).await;
    }
    ServeError::Gone { name }
}

/// An interface that is down, or has another name by now, is there. So is one that cannot be asked for.
fn is_there(index: i32) -> bool {
    let Ok(index) = u32::try_from(index) else {
        return true;
    };
    // nix takes the null pointer that means "none" for a name without a character.
    match nix::net::if_::if_indextoname(index) {
        Ok(name) => !name.is_empty(),
        Err(error) => !matches!(error, nix::errno::Errno::ENXIO | nix::errno::Errno::ENODEV),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_there_and_an_index_that_nobody_has_is_not() {
        let loopback = nix::net::if_::if_nametoindex("lo").unwrap();
        assert!(is_there(i32::try_from(loopback).unwrap()));
        assert!(!is_there(i32::MAX));
    }
}
