// SPDX-License-Identifier: Apache-2.0
//! By which name a listener on loopback is asked. It asks nobody who they are, because only this machine reaches it; but a name
//! that somebody else has pointed at loopback lets a foreign page in a browser of this machine read it (DNS rebinding). So only
//! an address, `localhost` and this machine's own name are answered.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::{IpAddr, Ipv6Addr};

/// Where the kernel says this machine's name.
const OWN_NAME: &str = "/proc/sys/kernel/hostname";

/// Answers who names this machine, and refuses everybody else with status 421 (RFC 9110 section 15.5.20).
pub(super) async fn as_this_machine(request: Request, next: Next) -> Response {
    match foreign(request.headers(), own_name().as_deref()) {
        None => next.run(request).await,
        Some(name) => {
            let name = groundstate_api::text::inert(&name).into_owned();
            let said = format!(
                "{name:?} is no name of this machine. This page is for this machine alone: ask for it by its address, or as localhost.\n"
            );
            (StatusCode::MISDIRECTED_REQUEST, said).into_response()
        }
    }
}

/// The name that a request asks for, where that is not this machine's. Who names none, as a program with HTTP/1.0, is no browser.
fn foreign(headers: &HeaderMap, own: Option<&str>) -> Option<String> {
    let host = headers.get(header::HOST)?;
    let Ok(host) = host.to_str() else {
        return Some(String::from_utf8_lossy(host.as_bytes()).into_owned());
    };
    let name = without_port(host);
    let is = |own: &str| name.eq_ignore_ascii_case(own);
    let six = name.strip_prefix('[').and_then(|six| six.strip_suffix(']'));
    let is_address =
        name.parse::<IpAddr>().is_ok() || six.is_some_and(|six| six.parse::<Ipv6Addr>().is_ok());
    (!is_address && !is("localhost") && !own.is_some_and(is)).then(|| name.to_owned())
}

/// `localhost:8080`, `[::1]:8080`: what stands before the port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        Some(_) | None => host,
    }
}

fn own_name() -> Option<String> {
    let name = std::fs::read_to_string(OWN_NAME).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn only_addresses_and_this_machines_own_names_are_answered() {
        let asked = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            foreign(&headers, Some("seat"))
        };
        for own in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "[::1]:8080",
            "[::1]",
            "localhost:8080",
            "LOCALHOST",
            "seat:8080",
            "10.0.0.9",
        ] {
            assert_eq!(asked(own), None, "{own}");
        }
        for other in [
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            ":8080",
        ] {
            assert!(asked(other).is_some(), "{other}");
        }
        assert_eq!(foreign(&HeaderMap::new(), None), None);
    }
}
