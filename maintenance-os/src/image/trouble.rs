// SPDX-License-Identifier: Apache-2.0
//! What an error of the network means: whether it may pass.

use groundstate_api::{Reason, ReasonCode};
use std::io;

/// The reason of an error that will be the same in a minute: a certificate that does not fit, an address that makes no
/// sense. None of everything else on a network.
pub(super) fn lasting(error: &io::Error, what: &str) -> Option<Reason> {
    if error.kind() == io::ErrorKind::InvalidInput {
        let reason = Reason::new(
            ReasonCode::Internal,
            format!("the address of {what} makes no sense"),
            "correct the provisioner's address in the site file and assemble the boot image again",
        );
        return Some(reason.seen(error.to_string()));
    }
    let inner = error.get_ref()?;
    inner.downcast_ref::<rustls::Error>().and_then(certificate)
}

fn certificate(error: &rustls::Error) -> Option<Reason> {
    use rustls::{AlertDescription as Alert, CertificateError as Certificate};
    let reason = match error {
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => Reason::new(
            ReasonCode::ClockWrong,
            "the provisioner's certificate is not valid at this machine's time",
            "set the clocks of this machine and of the provisioner",
        ),
        rustls::Error::InvalidCertificate(_) => Reason::new(
            ReasonCode::TlsRefused,
            "the server's certificate is not of this site",
            "see that the machine booted this site's boot image and that no other server has the provisioner's address",
        ),
        rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::HandshakeFailure,
        ) => Reason::new(
            ReasonCode::TlsRefused,
            "the provisioner does not accept this machine's certificate",
            "order the run anew, so that the machine enrols again",
        ),
        _ => return None,
    };
    Some(reason.seen(error.to_string()))
}
