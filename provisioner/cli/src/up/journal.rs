// SPDX-License-Identifier: Apache-2.0
//! Where the journal of `groundstate up` is: in a file of the state directory, or in etcd, where several share it.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use groundstate_api::site::Site;
use provisioner::journal::{EtcdOptions, Leader};
use provisioner::{Options, Provisioner, Shared};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The journal.
#[derive(Args)]
pub(super) struct JournalArgs {
    /// Where the journal is: `sqlite`, the file journal.db of the state directory; or `etcd://HOST:PORT,HOST:PORT/PREFIX`
    /// (`etcds://` with TLS), where several provisioners share it. One of them leads, the others answer questions and take
    /// over. Before the second one starts, copy the folder pki/ of the first one's state directory to its own.
    #[arg(
        long,
        env = "GROUNDSTATE_JOURNAL",
        default_value = "sqlite",
        value_name = "WHERE"
    )]
    journal: String,
    /// The certificate of the CA of etcd's servers, PEM; there may be several in the file. Without it `etcds://` is refused.
    #[arg(long, env = "GROUNDSTATE_JOURNAL_CA", value_name = "FILE")]
    journal_ca: Option<PathBuf>,
    /// Our certificate for etcd, PEM, where its servers ask for one (`--client-cert-auth`).
    #[arg(
        long,
        env = "GROUNDSTATE_JOURNAL_CERT",
        value_name = "FILE",
        requires = "journal_key"
    )]
    journal_cert: Option<PathBuf>,
    /// Its key, PEM; only its owner may read it.
    #[arg(
        long,
        env = "GROUNDSTATE_JOURNAL_KEY",
        value_name = "FILE",
        requires = "journal_cert"
    )]
    journal_key: Option<PathBuf>,
    /// A file with `user:password` for etcd, where it asks for a user; only its owner may read it.
    #[arg(long, env = "GROUNDSTATE_JOURNAL_LOGIN", value_name = "FILE")]
    journal_login: Option<PathBuf>,
    /// The name of this provisioner among several; the host's name, where it is not given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where this provisioner's API listens, where that is another address than the site's.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Where this one of several provisioners is reached, by nodes, hosts and the others: an address or a name, with a port where
    /// it is not the site's. What --listen says, where it is not given. It may be given again: all of them are names in its
    /// certificate, and the first is told to others.
    #[arg(long, value_name = "HOST[:PORT]")]
    address: Vec<String>,
}

impl JournalArgs {
    /// Whether somebody said where the API listens.
    pub(super) const fn is_told_where_to_listen(&self) -> bool {
        self.listen.is_some()
    }

    /// Whether a journal is there already, in which another site than the file's may be in force.
    pub(super) fn may_know_another_site(&self, state_dir: &Path) -> bool {
        self.journal != "sqlite" || state_dir.join("journal.db").exists()
    }

    /// Where the API listens.
    pub(super) fn listen(&self, site: SocketAddr) -> SocketAddr {
        self.listen.unwrap_or(site)
    }

    /// Opens the provisioner over its journal, once `ready` has looked at the site that will be in force.
    pub(super) fn open(
        &self,
        options: Options,
        ready: impl FnOnce(&Site) -> Result<()>,
    ) -> Result<Provisioner> {
        let network = &options.site.network;
        let site = SocketAddr::from((network.address, network.https_port));
        let Some(etcd) = self.etcd()? else {
            return Provisioner::open_when(options, ready);
        };
        let (url, names) = self.reached(site)?;
        let name = self.name()?;
        let me = Leader { name, url };
        Provisioner::open_shared_when(options, Shared { etcd, me, names }, ready)
    }

    /// Where the others find us, and every name of ours.
    fn reached(&self, site: SocketAddr) -> Result<(String, Vec<String>)> {
        let listen = self.listen(site);
        let Some(first) = self.address.first() else {
            if listen.ip().is_unspecified() {
                bail!(
                    "--listen {listen} is every address of this machine; --address says where the others and the nodes reach it"
                );
            }
            return Ok((format!("https://{listen}"), Vec::new()));
        };
        let (_, port) = host_and_port(first)?;
        let url = match port {
            Some(_) => format!("https://{first}"),
            None => format!("https://{first}:{}", listen.port()),
        };
        let names = self.address.iter();
        let names = names.map(|one| Ok(host_and_port(one)?.0));
        Ok((url, names.collect::<Result<_>>()?))
    }

    /// How the cluster is reached; `None` where the journal is a file.
    fn etcd(&self) -> Result<Option<EtcdOptions>> {
        let of_etcd = [
            ("--journal-ca", self.journal_ca.is_some()),
            ("--journal-cert", self.journal_cert.is_some()),
            ("--journal-login", self.journal_login.is_some()),
        ];
        if self.journal == "sqlite" {
            if let Some((option, _)) = of_etcd.iter().find(|(_, given)| *given) {
                bail!("{option} is for a journal in etcd: give --journal etcd://HOST:PORT too");
            }
            return Ok(None);
        }
        let mut etcd = EtcdOptions::parse(&self.journal).context("--journal")?;
        if let Some(ca) = &self.journal_ca {
            etcd = etcd.with_ca(ca.clone());
        }
        etcd.client = self.journal_cert.clone().zip(self.journal_key.clone());
        etcd.login.clone_from(&self.journal_login);
        let tls = etcd.endpoints.iter().any(|one| one.starts_with("https://"));
        if tls && etcd.ca.is_none() {
            bail!(
                "--journal {}: over TLS it must be said whom to believe: --journal-ca FILE, the CA of etcd's servers",
                self.journal
            );
        }
        if etcd.client.is_some() && etcd.ca.is_none() {
            bail!("--journal-cert needs --journal-ca: a certificate is shown over TLS only");
        }
        Ok(Some(etcd))
    }

    fn name(&self) -> Result<String> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname");
        Ok(name.context("the host's name")?.trim().to_owned())
    }
}

/// `host`, `host:port`, `[2001:db8::1]:port`: the host without brackets.
fn host_and_port(text: &str) -> Result<(String, Option<u16>)> {
    let bad = || format!("--address {text:?}: write HOST or HOST:PORT");
    let (host, port) = match text.strip_prefix('[') {
        Some(six) => {
            let (host, rest) = six.split_once(']').with_context(bad)?;
            (
                host,
                rest.strip_prefix(':')
                    .or(rest.is_empty().then_some(""))
                    .with_context(bad)?,
            )
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let is_six = text.starts_with('[') && host.parse::<std::net::Ipv6Addr>().is_ok();
    if host.is_empty() || !(is_six || host.chars().all(fits)) {
        bail!(bad());
    }
    let port = match port {
        "" if text.ends_with(':') => bail!(bad()),
        "" => None,
        port => Some(port.parse().with_context(bad)?),
    };
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        journal: JournalArgs,
    }

    fn etcd(line: &str) -> Result<Option<EtcdOptions>> {
        Line::try_parse_from(std::iter::once("up").chain(line.split_whitespace()))?
            .journal
            .etcd()
    }

    fn reached(line: &str) -> Result<(String, Vec<String>)> {
        let words = std::iter::once("up").chain(line.split_whitespace());
        let site = "10.0.0.9:8443".parse().unwrap();
        Line::try_parse_from(words)?.journal.reached(site)
    }

    #[test]
    fn where_it_is_reached_and_what_its_certificate_names() {
        for (line, url, names) in [
            ("", "https://10.0.0.9:8443", &[][..]),
            ("--listen 10.0.0.1:9443", "https://10.0.0.1:9443", &[]),
            (
                "--listen 0.0.0.0:9443 --address one.lab",
                "https://one.lab:9443",
                &["one.lab"],
            ),
            (
                "--address 10.0.0.1:7 --address floating.lab --address [2001:db8::1]:8",
                "https://10.0.0.1:7",
                &["10.0.0.1", "floating.lab", "2001:db8::1"],
            ),
            (
                "--address [2001:db8::1]",
                "https://[2001:db8::1]:8443",
                &["2001:db8::1"],
            ),
        ] {
            let said = reached(line).unwrap();
            assert_eq!(
                said,
                (
                    url.to_owned(),
                    names.iter().map(ToString::to_string).collect()
                )
            );
        }
        for line in [
            "--listen 0.0.0.0:8443",
            "--address a:b",
            "--address a:",
            "--address https://a",
            "--address [::1",
            "--address [::1]8",
            "--address 2001:db8::1",
            "--address a:99999",
        ] {
            let said = format!("{:#}", reached(line).unwrap_err());
            assert!(said.contains("--address"), "{line}: {said}");
        }
    }

    #[test]
    fn what_is_half_given_is_refused_by_name() {
        assert!(etcd("").unwrap().is_none());
        let full = etcd(
            "--journal etcd://a:1,b/x --journal-ca ca --journal-cert c --journal-key k --journal-login l",
        );
        let full = full.unwrap().unwrap();
        assert_eq!(full.endpoints, ["https://a:1", "https://b:2379"]);
        assert_eq!(full.client, Some(("c".into(), "k".into())));
        for (line, wants) in [
            ("--journal-ca ca", "--journal-ca is for a journal in etcd"),
            ("--journal etcd://", "names no etcd member"),
            ("--journal mysql", "mysql"),
            ("--journal etcds://a", "--journal-ca FILE"),
            ("--journal etcd://a --journal-cert c", "--journal-key"),
            (
                "--journal etcd://a --journal-cert c --journal-key k",
                "needs --journal-ca",
            ),
        ] {
            let said = format!("{:#}", etcd(line).unwrap_err());
            assert!(said.contains(wants), "{line}: {said}");
        }
    }
}
