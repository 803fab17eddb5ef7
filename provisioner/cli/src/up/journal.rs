// SPDX-License-Identifier: Apache-2.0
//! Where the journal of `groundstate up` is: in a file of the state directory, or in etcd, where several share it.

use anyhow::{Context as _, Result, bail};
use clap::Args;
use provisioner::journal::{EtcdOptions, Leader};
use provisioner::{Options, Provisioner, Shared};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The journal.
#[derive(Args)]
pub(super) struct JournalArgs {
    /// Where the journal is: `sqlite`, the file journal.db of the state directory; or `etcd://HOST:PORT,HOST:PORT/PREFIX`
    /// (`etcds://` with TLS), where several provisioners share it. One of them leads, the others answer questions and take
    /// over. Before the second one starts, copy the folder pki/ of the first one's state directory to its own.
    #[arg(long, default_value = "sqlite", value_name = "WHERE")]
    journal: String,
    /// The certificate of the CA of etcd's servers, PEM.
    #[arg(long, value_name = "FILE")]
    journal_ca: Option<PathBuf>,
    /// Our certificate for etcd, PEM.
    #[arg(long, value_name = "FILE", requires = "journal_key")]
    journal_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE", requires = "journal_cert")]
    journal_key: Option<PathBuf>,
    /// A file with `user:password` for etcd; only its owner may read it.
    #[arg(long, value_name = "FILE")]
    journal_login: Option<PathBuf>,
    /// The name of this provisioner among several; the host's name, where it is not given.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where this provisioner's API listens, where that is another address than the site's.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
}

impl JournalArgs {
    /// Where the API listens.
    pub(super) fn listen(&self, site: SocketAddr) -> SocketAddr {
        self.listen.unwrap_or(site)
    }

    /// Opens the provisioner over its journal.
    pub(super) fn open(&self, options: Options) -> Result<Provisioner> {
        let network = &options.site.network;
        let site = SocketAddr::from((network.address, network.https_port));
        let Some(etcd) = self.etcd()? else {
            return Ok(Provisioner::open(options)?);
        };
        let me = Leader {
            name: self.name()?,
            url: format!("https://{}", self.listen(site)),
        };
        Ok(Provisioner::open_shared(options, Shared { etcd, me })?)
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
