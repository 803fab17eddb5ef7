// SPDX-License-Identifier: Apache-2.0
//! How an etcd cluster is reached: `etcd://host:port,host:port/prefix`, with or without TLS and a password.

use std::path::PathBuf;

/// etcd's usual port.
const PORT: &str = "2379";
/// What our keys begin with where the address says nothing else.
const PREFIX: &str = "groundstate";
/// Members of a cluster; etcd advises seven at most.
const MEMBERS_MAX: usize = 9;

/// An etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdOptions {
    /// Its members: `http://host:port`, or `https://…` where `ca` is there.
    pub endpoints: Vec<String>,
    /// What our keys begin with, so that several sites can share a cluster.
    pub prefix: String,
    /// The CA of its servers, PEM. Without it the cluster is spoken to in the clear.
    pub ca: Option<PathBuf>,
    /// Our certificate and its key, PEM.
    pub client: Option<(PathBuf, PathBuf)>,
    /// A file with `user:password`.
    pub login: Option<PathBuf>,
}

/// Why an address is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OptionsError {
    /// It does not begin as one.
    #[error("{0:?} is no journal: write `sqlite`, or `etcd://host:port,host:port`")]
    Scheme(String),
    /// It names no member.
    #[error("{0:?} names no etcd member")]
    Empty(String),
    /// It names too many.
    #[error("{0} etcd members are too many: a cluster has at most {MEMBERS_MAX}")]
    TooMany(usize),
    /// A member is none.
    #[error("{0:?} is no etcd member: write host:port")]
    Member(String),
    /// The prefix has letters that keys must not have.
    #[error("{0:?} is no prefix: letters, digits, hyphens and slashes make one")]
    Prefix(String),
}

impl EtcdOptions {
    /// Reads `etcd://host:port,host:port/prefix`; `etcds://` demands TLS.
    ///
    /// # Errors
    /// Where the text is no such address.
    pub fn parse(text: &str) -> Result<Self, OptionsError> {
        let (tls, rest) = match (text.strip_prefix("etcd://"), text.strip_prefix("etcds://")) {
            (Some(rest), _) => (false, rest),
            (None, Some(rest)) => (true, rest),
            (None, None) => return Err(OptionsError::Scheme(text.to_owned())),
        };
        let (members, prefix) = rest.split_once('/').unwrap_or((rest, PREFIX));
        let prefix = if prefix.is_empty() { PREFIX } else { prefix };
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '/';
        if !prefix.chars().all(fits) {
            return Err(OptionsError::Prefix(prefix.to_owned()));
        }
        let members: Vec<&str> = members.split(',').filter(|one| !one.is_empty()).collect();
        if members.is_empty() {
            return Err(OptionsError::Empty(text.to_owned()));
        }
        if members.len() > MEMBERS_MAX {
            return Err(OptionsError::TooMany(members.len()));
        }
        let scheme = if tls { "https" } else { "http" };
        let endpoint = |member: &&str| {
            let member = member.trim();
            let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '@' | '?' | '#');
            if member.is_empty() || member.contains(bad) {
                return Err(OptionsError::Member(member.to_owned()));
            }
            let after_six = member.rsplit_once(']').map_or(member, |(_, rest)| rest);
            match after_six.rsplit_once(':') {
                None => Ok(format!("{scheme}://{member}:{PORT}")),
                Some((_, port)) if port.parse::<u16>().is_ok() => {
                    Ok(format!("{scheme}://{member}"))
                }
                Some(_) => Err(OptionsError::Member(member.to_owned())),
            }
        };
        Ok(Self {
            endpoints: members.iter().map(endpoint).collect::<Result<_, _>>()?,
            prefix: prefix.trim_matches('/').to_owned(),
            ca: None,
            client: None,
            login: None,
        })
    }

    /// With TLS against this CA, whatever the address began with.
    #[must_use]
    pub fn with_ca(mut self, ca: PathBuf) -> Self {
        for endpoint in &mut self.endpoints {
            if let Some(rest) = endpoint.strip_prefix("http://") {
                *endpoint = format!("https://{rest}");
            }
        }
        self.ca = Some(ca);
        self
    }

    /// For people.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{} (keys {}/)", self.endpoints.join(", "), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let read = |text: &str| EtcdOptions::parse(text).map(|o| (o.endpoints, o.prefix));
        let one = |e: &[&str], p: &str| Ok((e.iter().map(ToString::to_string).collect(), p.into()));
        assert_eq!(
            read("etcd://a:1,b"),
            one(&["http://a:1", "http://b:2379"], "groundstate")
        );
        assert_eq!(
            read("etcds://[::1]:2379/site-7/x/"),
            one(&["https://[::1]:2379"], "site-7/x")
        );
        assert_eq!(read("etcd://[::1]"), one(&["http://[::1]:2379"], PREFIX));
        assert_eq!(
            read("http://a"),
            Err(OptionsError::Scheme("http://a".into()))
        );
        assert_eq!(read("etcd://"), Err(OptionsError::Empty("etcd://".into())));
        assert_eq!(read("etcd://a:b"), Err(OptionsError::Member("a:b".into())));
        assert_eq!(
            read("etcd://u@a:1"),
            Err(OptionsError::Member("u@a:1".into()))
        );
        assert_eq!(read("etcd://a/ä"), Err(OptionsError::Prefix("ä".into())));
        let many = format!("etcd://{}", ["a"; 10].join(","));
        assert_eq!(read(&many), Err(OptionsError::TooMany(10)));
        let tls = EtcdOptions::parse("etcd://a").unwrap().with_ca("ca".into());
        assert_eq!(tls.endpoints, ["https://a:2379"]);
    }
}
