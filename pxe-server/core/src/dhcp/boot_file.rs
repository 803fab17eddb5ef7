// SPDX-License-Identifier: Apache-2.0
//! Which boot file a client is told of: one pure function for DHCP, proxyDHCP and DHCPv6.
//!
//! It knows names; who sends them makes URLs of them. An operating system's client is told of no boot file, also when it
//! asks for option 67 (busybox's does): the file there is for firmware.

use super::client::Client;
use super::client::architecture::BIOS;
use super::config::BootNames;
use crate::names::{HttpBase, LOCAL_DISK};
use alloc::borrow::ToOwned;
use alloc::string::String;
use groundstate_api::MacAddr;
use groundstate_api::boot::{BootAnswer, BootRecipe, LocalBoot};

/// What a client is told to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootFile {
    /// Nothing: it gets its address only.
    Nothing,
    /// It gets no answer at all.
    NoAnswer,
    /// It gets its address only, because there is no file for this architecture.
    NoFileFor {
        /// IANA processor architecture type (option 93).
        architecture: u16,
    },
    /// A file by TFTP, by its name.
    Tftp(String),
    /// A file by HTTP for UEFI HTTP Boot, by its name.
    Http(String),
    /// The machine's own iPXE script, by HTTP.
    IpxeScript,
    /// A file by HTTP that iPXE starts, by its name.
    IpxeFile(String),
}

impl BootFile {
    /// What stands in the boot file name of DHCPv4: a name, or a URL.
    #[must_use]
    pub fn named(&self, mac: MacAddr, http: HttpBase) -> Option<String> {
        match self {
            Self::Nothing | Self::NoAnswer | Self::NoFileFor { .. } => None,
            Self::Tftp(name) => Some(name.clone()),
            Self::Http(name) | Self::IpxeFile(name) => Some(http.file(name)),
            Self::IpxeScript => Some(http.script(mac)),
        }
    }
}

/// What this client is told to boot, when this is what its machine shall boot.
#[must_use]
pub fn boot_file(answer: &BootAnswer, client: Client, names: &BootNames) -> BootFile {
    match answer {
        BootAnswer::Refuse { .. } => BootFile::NoAnswer,
        BootAnswer::Nothing => BootFile::Nothing,
        BootAnswer::MaintenanceOs => match client {
            Client::Plain => BootFile::Nothing,
            Client::Pxe { architecture } => first_stage(architecture, names),
            Client::Http { architecture } => match names.http.get(&architecture) {
                Some(name) => BootFile::Http(name.clone()),
                None => BootFile::NoFileFor { architecture },
            },
            Client::Ipxe { .. } => BootFile::IpxeScript,
        },
        BootAnswer::Recipe { recipe } => of_recipe(recipe, client, names),
        BootAnswer::LocalDisk { how } => local_disk(*how, client, names),
    }
}

fn first_stage(architecture: u16, names: &BootNames) -> BootFile {
    names
        .pxe
        .get(&architecture)
        .map_or(BootFile::NoFileFor { architecture }, |name| {
            BootFile::Tftp(name.clone())
        })
}

fn of_recipe(recipe: &BootRecipe, client: Client, names: &BootNames) -> BootFile {
    match (client, &recipe.file) {
        (Client::Plain, _) => BootFile::Nothing,
        (Client::Pxe { .. }, Some(file)) => BootFile::Tftp(file.clone()),
        (Client::Http { .. }, Some(file)) => BootFile::Http(file.clone()),
        (Client::Ipxe { .. }, Some(file)) => BootFile::IpxeFile(file.clone()),
        (Client::Pxe { architecture }, None) => first_stage(architecture, names),
        (Client::Http { architecture }, None) => match names.http_ipxe.get(&architecture) {
            Some(name) => BootFile::Http(name.clone()),
            None => BootFile::NoFileFor { architecture },
        },
        (Client::Ipxe { .. }, None) => BootFile::IpxeScript,
    }
}

fn local_disk(how: LocalBoot, client: Client, names: &BootNames) -> BootFile {
    match (client, how) {
        (Client::Plain, _) => BootFile::Nothing,
        // The script says `exit` or `sanboot`.
        (Client::Ipxe { .. }, _) => BootFile::IpxeScript,
        (Client::Pxe { .. } | Client::Http { .. }, LocalBoot::NoAnswer) => BootFile::NoAnswer,
        (Client::Pxe { architecture: BIOS }, LocalBoot::Exit | LocalBoot::Sanboot { .. }) => {
            first_stage(BIOS, names)
        }
        // UEFI returns to its boot manager by itself, from a missing file faster than from iPXE.
        (Client::Pxe { .. }, _) => BootFile::Tftp(LOCAL_DISK.to_owned()),
        (Client::Http { .. }, _) => BootFile::Http(LOCAL_DISK.to_owned()),
    }
}
