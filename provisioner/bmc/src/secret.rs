// SPDX-License-Identifier: Apache-2.0
//! A credential: it is shown nowhere.

use bmc_core::gate::Fingerprint;
use groundstate_api::Digest;
use std::fmt;

/// The longest line of a credential file, in bytes.
const LINE_MAX: usize = 1_024;

/// User and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    user: String,
    password: String,
}

/// Why a text is no credential; never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSecret(pub &'static str);

impl fmt::Display for BadSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadSecret {}

impl Secret {
    /// Reads `user:password` with or without a line end.
    ///
    /// # Errors
    /// What it should have been; never the text.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.len() > LINE_MAX {
            return Err(BadSecret("a credential is one line of at most 1,024 bytes"));
        }
        if line.chars().any(char::is_control) {
            return Err(BadSecret(
                "a credential is one line without control characters",
            ));
        }
        let (user, password) = line
            .split_once(':')
            .ok_or(BadSecret("a credential is user:password"))?;
        if user.is_empty() {
            return Err(BadSecret("the user of a credential is not empty"));
        }
        Ok(Self {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// Stands for the credential where it must be known again. The key is of one process.
    pub(crate) fn fingerprint(&self, key: &[u8; 32]) -> Fingerprint {
        let mut bytes = key.to_vec();
        bytes.extend(self.user.as_bytes());
        bytes.push(0);
        bytes.extend(self.password.as_bytes());
        Fingerprint(Digest::of(&bytes).0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, …)", self.user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_nowhere() {
        let secret = Secret::parse("admin:a:b\n").unwrap();
        assert_eq!((secret.user(), secret.password()), ("admin", "a:b"));
        assert_eq!(format!("{secret:?}"), "Secret(admin, …)");
        for bad in [
            "",
            "admin",
            ":x",
            "a:b\nc:d\n",
            "a:\u{1b}",
            &format!("a:{}", "x".repeat(2_000)),
        ] {
            assert!(Secret::parse(bad).is_err());
        }
        let other = Secret::parse("admin:a:c").unwrap();
        let key = [7; 32];
        assert_ne!(secret.fingerprint(&key), other.fingerprint(&key));
        assert_ne!(secret.fingerprint(&key), secret.fingerprint(&[8; 32]));
    }
}
