// SPDX-License-Identifier: Apache-2.0
//! Why two machines do not come to terms over TLS: one of a few causes, found in an error of the HTTP client. The words, and what
//! to do about it, are those of who asked.

use rustls::{AlertDescription as Alert, CertificateError as Certificate};
use std::io;

/// Whose fault it is, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsFault {
    /// The server asks for a certificate, or refuses to talk on without one.
    AsksWhoWeAre,
    /// Our certificate has expired by the server's clock.
    OursExpired,
    /// The server does not accept our certificate.
    OursRefused,
    /// The server's certificate is not valid at this machine's time.
    TheirTime,
    /// The server's certificate is for other names.
    TheirNames,
    /// The server shows an authority's own certificate.
    TheirAuthority,
    /// The server's certificate is not of the authority that is trusted here.
    TheirIssuer,
    /// What answers does not speak TLS.
    NotTls,
    /// Something else.
    Other,
}

impl TlsFault {
    /// The fault in an error of the HTTP client, which hands on most of them within an error of the system.
    pub(crate) fn of(error: &ureq::Error) -> Option<Self> {
        match error {
            ureq::Error::Rustls(error) => Some(Self::of_tls(error)),
            ureq::Error::Tls(_) => Some(Self::Other),
            ureq::Error::Io(error) => Self::of_io(error),
            _ => None,
        }
    }

    /// The fault within an error of the system.
    pub(crate) fn of_io(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?;
        match inner.downcast_ref::<ureq::Error>() {
            Some(error) => Self::of(error),
            None => inner.downcast_ref::<rustls::Error>().map(Self::of_tls),
        }
    }

    fn of_tls(error: &rustls::Error) -> Self {
        match error {
            rustls::Error::AlertReceived(Alert::CertificateRequired | Alert::HandshakeFailure) => {
                Self::AsksWhoWeAre
            }
            rustls::Error::AlertReceived(Alert::CertificateExpired) => Self::OursExpired,
            rustls::Error::AlertReceived(
                Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                | Alert::DecryptError,
            ) => Self::OursRefused,
            rustls::Error::InvalidCertificate(
                Certificate::Expired
                | Certificate::ExpiredContext { .. }
                | Certificate::NotValidYet
                | Certificate::NotValidYetContext { .. },
            ) => Self::TheirTime,
            rustls::Error::InvalidCertificate(
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
            ) => Self::TheirNames,
            rustls::Error::InvalidCertificate(Certificate::Other(other)) if is_authority(other) => {
                Self::TheirAuthority
            }
            rustls::Error::InvalidCertificate(_) => Self::TheirIssuer,
            rustls::Error::InvalidMessage(_) => Self::NotTls,
            _ => Self::Other,
        }
    }
}

/// Whether it is webpki's `CaUsedAsEndEntity`, which rustls has no name for: what `openssl req -x509` makes without more words.
fn is_authority(error: &rustls::OtherError) -> bool {
    error.0.to_string() == "CaUsedAsEndEntity"
}
