// SPDX-License-Identifier: Apache-2.0
//! What a webhook's URL says: scheme, host, port, path. No user, no password, no fragment.

use axum::http::Uri;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) encrypted: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query.
    pub(super) path: String,
}

impl Target {
    /// Reads a URL.
    pub(super) fn of(url: &str) -> Result<Self, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "it is no URL")?;
        let encrypted = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err("it begins with neither https:// nor http://"),
        };
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("a name or password in a URL is shown in logs; use the credential");
        }
        let host = authority.host();
        if host.is_empty() {
            return Err("it names no host");
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            encrypted,
            host: bare.to_owned(),
            port: uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 }),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
        })
    }

    /// As the header `Host` says it.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_odd_ones_are_refused() {
        let target = Target::of("https://hooks.example/groundstate?site=1").unwrap();
        assert_eq!(
            (target.authority().as_str(), target.encrypted),
            ("hooks.example:443", true)
        );
        assert_eq!(target.path, "/groundstate?site=1");
        let target = Target::of("http://[::1]:8080").unwrap();
        assert_eq!(
            (target.host.as_str(), target.authority().as_str()),
            ("::1", "[::1]:8080")
        );
        assert_eq!(target.path, "/");
        for url in [
            "",
            "ftp://a",
            "a/b",
            "https://",
            "https://user:word@host/",
            "https://ho st/",
            "file:///etc/passwd",
        ] {
            assert!(Target::of(url).is_err(), "{url}");
        }
    }
}
