// SPDX-License-Identifier: Apache-2.0
//! Why the agent could not do what it should.

use crate::host::CommandFailed;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why the agent could not do what it should.
#[derive(Debug, Error)]
pub enum AgentError {
    /// A file could not be read.
    #[error("{path} cannot be read: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file could not be written.
    #[error("{path} cannot be written: {error}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A document is not what it should be.
    #[error("{path} cannot be understood: {what}")]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A command failed.
    #[error(transparent)]
    Command(#[from] CommandFailed),
    /// The host name could not be set.
    #[error("the host name cannot be set to {name}: {error}")]
    HostName {
        /// The name.
        name: String,
        /// Why.
        error: io::Error,
    },
    /// The root file system is not one that grows.
    #[error("the root file system cannot be grown: {0}")]
    Root(String),
    /// The seed names a volume that cannot stand in `/etc/fstab`.
    #[error("the volume {uuid} at {mount_point:?} cannot be mounted: {what}")]
    Volume {
        /// Its UUID.
        uuid: String,
        /// Where it should be mounted.
        mount_point: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The credential is neither in the seed nor where it belongs.
    #[error(
        "the host's credential is neither in the seed nor in {directory}: order a reprovision of this node"
    )]
    CredentialMissing {
        /// Where it belongs.
        directory: PathBuf,
    },
    /// The credential is not what TLS needs.
    #[error("the host's credential cannot be used: {0}")]
    Credential(String),
    /// `ssh-keygen` made no key.
    #[error("ssh-keygen left no SSH host key in {directory}")]
    NoSshKeys {
        /// Where they belong.
        directory: PathBuf,
    },
    /// The kernel gave no random numbers.
    #[error("the kernel gave no random numbers: {0}")]
    Entropy(io::Error),
}
