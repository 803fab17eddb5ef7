// SPDX-License-Identifier: Apache-2.0
//! The client half: the public HTTPS API with an operator's certificate. It sees `api` and, to say
//! beforehand what would be refused, the tables of the cores.

pub(crate) mod action;
pub(crate) mod adopt;
pub(crate) mod because;
pub(crate) mod boot;
mod boot_picture;
pub(crate) mod brake;
pub(crate) mod diagnostics;
pub(crate) mod erase;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod fleet;
pub(crate) mod history;
mod http;
pub(crate) mod life;
pub(crate) mod list;
pub(crate) mod names;
pub(crate) mod node;
pub(crate) mod nodes;
pub(crate) mod orders;
pub(crate) mod paper;
pub(crate) mod plan;
pub(crate) mod power;
pub(crate) mod replay;
pub(crate) mod said;
pub(crate) mod show;
pub(crate) mod table;
mod ticket;
pub(crate) mod time;
mod unanswered;
pub(crate) mod wait;
pub(crate) mod which;
pub(crate) mod would;

use crate::refusal::Failed;
use anyhow::{Context as _, Result};
use clap::Args;
use groundstate_api::{Reason, ReasonCode};
use std::path::{Path, PathBuf};

pub(crate) use http::{ANSWER_BYTES_MAX, Client, Fetched, Terms, Verb};

/// Where the provisioner is, and who we are.
#[derive(Args, Clone)]
pub(crate) struct Connect {
    /// Address of the API, for example https://192.0.2.1:8443. Where a site has several provisioners, their addresses with
    /// commas between them; an order finds the one that leads.
    #[arg(
        long,
        env = "GROUNDSTATE_SERVER",
        default_value = "https://127.0.0.1:8443",
        global = true
    )]
    server: String,
    /// Folder with ca.crt, operator.crt and operator.key.
    #[arg(
        long,
        env = "GROUNDSTATE_CREDENTIAL",
        default_value = "/var/lib/groundstate/pki/operator",
        global = true
    )]
    credential: PathBuf,
    /// Say what is sent, with the key by which the provisioner knows an order again.
    #[arg(long, global = true)]
    verbose: bool,
}

impl Connect {
    /// To this server with this credential.
    pub(crate) fn to(server: &str, credential: &Path) -> Self {
        Self {
            server: server.to_owned(),
            credential: credential.to_owned(),
            verbose: false,
        }
    }

    /// The site CA, PEM.
    pub(crate) fn ca_pem(&self) -> Result<String> {
        let path = self.credential.join("ca.crt");
        String::from_utf8(read(&path)?).with_context(|| format!("{} is no text", path.display()))
    }
}

/// The provisioner refused, and said why.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Refused {}

/// The provisioner took the request and could not do it, and said why.
#[derive(Debug)]
pub(crate) struct Unwell {
    pub(crate) server: String,
    pub(crate) reason: Reason,
}

impl std::fmt::Display for Unwell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} failed: {}", self.server, self.reason)
    }
}

impl std::error::Error for Unwell {}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| {
        Failed::new(
            ReasonCode::CredentialMissing.as_str(),
            format!("{} cannot be read", path.display()),
            "--credential names the folder pki/operator in the state directory of groundstate up",
        )
    })
}

/// A path of the API with a node's name in it.
pub(crate) fn node_path(pattern: &str, node: &groundstate_api::NodeId) -> String {
    pattern.replace("{node}", node.as_str())
}
