// SPDX-License-Identifier: Apache-2.0
//! Credentials of systemd's services: files that `LoadCredential=NAME` and `ImportCredential=` of a unit find without a path
//! (systemd.exec(5)). They lie in `/etc/credstore`, which systemd reads at every boot and only root may enter; what is
//! encrypted for one machine cannot be made here, because its key is on that machine.

use super::NewFile;
use super::path::RootPath;
use super::refusal::CustomiseRefusal;
use alloc::format;
use alloc::string::{String, ToString as _};
use groundstate_api::customise::is_credential_name;

/// Where credentials lie.
pub const CREDENTIALS: &str = "/etc/credstore";
/// What is shown of a name that is none, in characters.
const SHOWN_MAX: usize = 240;

/// The name of a credential.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialName(String);

impl CredentialName {
    /// Takes what systemd takes.
    ///
    /// # Errors
    /// It is no name of a credential.
    pub fn parse(name: &str) -> Result<Self, CustomiseRefusal> {
        if is_credential_name(name) {
            Ok(Self(name.to_string()))
        } else {
            Err(CustomiseRefusal::CredentialName {
                name: name.chars().take(SHOWN_MAX).collect(),
            })
        }
    }

    /// The file of this credential.
    ///
    /// # Errors
    /// The name is too long for a file's.
    pub fn file<C>(&self, contents: C) -> Result<NewFile<C>, CustomiseRefusal> {
        let path = RootPath::parse(&format!("{CREDENTIALS}/{}", self.0))?;
        Ok(NewFile::secret(path, contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn names_are_those_that_systemd_takes() {
        for fine in [
            "a",
            "passwd.hashed-password.root",
            "ssh.authorized_keys.root",
        ] {
            let file = CredentialName::parse(fine)
                .unwrap()
                .file(Vec::<u8>::new())
                .unwrap();
            assert_eq!(file.path.as_str(), format!("/etc/credstore/{fine}"));
            assert_eq!((file.mode, file.folder_mode), (0o600, 0o700));
        }
        let long = "a".repeat(241);
        for wrong in ["", ".", "..", "a/b", "a:b", "a b", "ü", &long] {
            assert!(CredentialName::parse(wrong).is_err(), "{wrong}");
        }
    }
}
