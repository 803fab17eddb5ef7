// SPDX-License-Identifier: Apache-2.0
//! Certificates of erased disks: made, signed, kept in the journal and beside it, and verified.
//!
//! The key that signs is the CA's own only in that the CA has signed its certificate. What a node says is judged again before it is
//! signed: a node that calls a disk erased and shows blocks that did not change gets a certificate of quarantine.

use crate::journal::JournalError;
use crate::pki::PkiError;
use crate::provisioner::{Provisioner, Speaker, Unheard};
use groundstate_api::erase::{
    ERASE_SIGNATURE, EraseCertificate, EraseOutcome, EraseRecord, EraseReport, SignedErase,
};
use groundstate_api::event::Happened;
use groundstate_api::image::ImageRef;
use groundstate_api::plan::{DiskAction, Plan};
use groundstate_api::units::Bytes;
use groundstate_api::{Digest, Millis, NodeId, RunId, SCHEMA};
use prov_core::{Input, Reply};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, alg_id};
use std::fmt::Write as _;
use std::path::Path;
use x509_parser::certificate::X509Certificate;

/// The name in the signer's certificate: no other certificate of the site signs erases.
pub(crate) const SIGNER: &str = "Groundstate erase certificates";
/// How many events are read from the journal at once while its certificates are looked for.
const PAGE: usize = 1_000;

/// What stands in a plan in place of an image, where no image is written.
#[must_use]
pub fn no_image() -> ImageRef {
    ImageRef {
        name: "none".to_owned(),
        version: "none".to_owned(),
        kind: groundstate_api::image::ImageKind::RootFsExt4,
        manifest: Digest([0; 32]),
        size: Bytes(0),
        sector_size: 512,
        whole: None,
    }
}

/// Why a certificate is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Another algorithm.
    #[error("the algorithm is {0:?}, and certificates are signed with {ERASE_SIGNATURE}")]
    Algorithm(String),
    /// A certificate in PEM cannot be read.
    #[error("{what} is no certificate: {why}")]
    Pem {
        /// Whose.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The signer is somebody else.
    #[error("the signer is {0:?}, and erase certificates are signed by {SIGNER:?}")]
    Signer(String),
    /// The site CA did not sign the signer's certificate.
    #[error("the signer's certificate is not signed by the site CA")]
    NotOfThisSite,
    /// The text is not what was signed.
    #[error("the signature is not that of this text")]
    Signature,
    /// The signature is no hexadecimal number.
    #[error("the signature is not written in hexadecimal digits")]
    Digits,
    /// The signed text cannot be read.
    #[error("the signed text is no certificate: {0}")]
    Text(#[from] serde_json::Error),
    /// A version that this program does not know.
    #[error("the certificate's schema is {0}, and this program reads {SCHEMA}")]
    Schema(u32),
}

/// Verifies a certificate against the site CA and reads it.
///
/// # Errors
/// What is wrong with it; nothing of its text may then be believed.
pub fn verify(ca_pem: &str, signed: &SignedErase) -> Result<EraseCertificate, VerifyError> {
    if signed.algorithm != ERASE_SIGNATURE {
        return Err(VerifyError::Algorithm(signed.algorithm.clone()));
    }
    let pem = |what, text: &str| {
        CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| VerifyError::Pem {
            what,
            why: error.to_string(),
        })
    };
    let (ca, signer) = (
        pem("the site CA", ca_pem)?,
        pem("the signer's certificate", &signed.signer_pem)?,
    );
    let (ca, signer) = (
        parsed("the site CA", &ca)?,
        parsed("the signer's certificate", &signer)?,
    );
    let name = signer
        .subject()
        .iter_common_name()
        .next()
        .and_then(|name| name.as_str().ok())
        .unwrap_or_default();
    if name != SIGNER {
        return Err(VerifyError::Signer(name.to_owned()));
    }
    let key = |certificate: &X509Certificate<'_>| {
        certificate.public_key().subject_public_key.data.to_vec()
    };
    let signed_by_ca = is_signed(
        &key(&ca),
        signer.tbs_certificate.as_ref(),
        &signer.signature_value.data,
    );
    if !signed_by_ca {
        return Err(VerifyError::NotOfThisSite);
    }
    let signature = bytes(&signed.signature).ok_or(VerifyError::Digits)?;
    if !is_signed(&key(&signer), signed.certificate.as_bytes(), &signature) {
        return Err(VerifyError::Signature);
    }
    let certificate: EraseCertificate = serde_json::from_str(&signed.certificate)?;
    if certificate.schema != SCHEMA {
        return Err(VerifyError::Schema(certificate.schema));
    }
    Ok(certificate)
}

fn parsed<'a>(
    what: &'static str,
    der: &'a CertificateDer<'_>,
) -> Result<X509Certificate<'a>, VerifyError> {
    match x509_parser::parse_x509_certificate(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(VerifyError::Pem {
            what,
            why: error.to_string(),
        }),
    }
}

/// Whether this P-256 key has signed the message with ECDSA and SHA-256.
fn is_signed(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let known = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let ours = |one: &&&dyn rustls_pki_types::SignatureVerificationAlgorithm| {
        one.public_key_alg_id() == alg_id::ECDSA_P256
            && one.signature_alg_id() == alg_id::ECDSA_SHA256
    };
    known
        .all
        .iter()
        .find(ours)
        .is_some_and(|ours| ours.verify_signature(key, message, signature).is_ok())
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(digits: &str) -> Option<Vec<u8>> {
    let whole = digits.len().is_multiple_of(2) && digits.is_ascii();
    let pairs = (0..digits.len()).step_by(2);
    whole.then_some(())?;
    pairs
        .map(|at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok())
        .collect()
}

/// Why a disk's certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertifyError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error("the certificate cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The run does not erase this disk, is over, or went on in a later boot.
    #[error("{0}")]
    Refused(Box<groundstate_api::Reason>),
}

impl From<Unheard> for CertifyError {
    fn from(why: Unheard) -> Self {
        match why {
            Unheard::Journal(error) => Self::Journal(error),
            Unheard::Withdrawn(reason) => Self::Refused(reason),
        }
    }
}

impl Provisioner {
    /// Judges a node's record of a disk, signs what it proves, and keeps it. Blocks.
    pub(crate) fn certify(&self, from: &Speaker, report: EraseReport) -> Result<(), CertifyError> {
        let Speaker { node, run, .. } = from;
        let now = crate::clock::Clock::new().steady();
        let known = self.with_node(node, |state| {
            let current = state.run.as_ref().filter(|current| current.id == *run)?;
            let terms = current.terms.erase.clone()?;
            let plan = current.plan.as_ref()?.get();
            let done = current.erased.contains_key(&report.record.serial);
            // Each later boot of the run has begun the erase anew.
            let interrupted = current.boots.saturating_sub(1);
            Some((terms, plan, done, interrupted))
        });
        let serial = report.record.serial.clone();
        let refused = || {
            let reason = prov_core::reasons::not_to_be_erased(run, &serial);
            CertifyError::Refused(Box::new(reason))
        };
        let (terms, plan, done, interrupted) = known.flatten().ok_or_else(refused)?;
        if done {
            return Ok(()); // Its answer was lost.
        }
        let disk = judged(report.record, &plan).ok_or_else(refused)?;
        let certificate = EraseCertificate {
            schema: SCHEMA,
            site: self.site().name.clone(),
            node: node.clone(),
            run: run.clone(),
            plan: plan.id.clone(),
            ordered_by: terms.ordered_by,
            level: terms.level,
            began: Millis(now.0.saturating_sub(disk.took.0)),
            ended: now,
            interrupted,
            disk,
        };
        let erased = certificate.is_erased();
        let text = serde_json::to_string(&certificate)?;
        let (signature, signer_pem) = self.pki().sign_erase(text.as_bytes())?;
        let signed = SignedErase {
            certificate: text,
            algorithm: ERASE_SIGNATURE.to_owned(),
            signature: digits(&signature),
            signer_pem,
        };
        let input = Input::DiskErased {
            run: run.clone(),
            serial: serial.clone(),
            erased,
            signed: Box::new(signed.clone()),
        };
        match self.submit_from(from, input)? {
            Some(Reply::Conflict(reason)) => Err(CertifyError::Refused(Box::new(reason))),
            Some(_) | None => {
                // The journal has it; the files beside it are for other programs.
                let kept = self.pki().keep_erase(node, run, &serial, &signed);
                if let Err(error) = kept {
                    tracing::warn!(%node, serial, %error, "the certificate stands in the journal only");
                }
                Ok(())
            }
        }
    }

    /// The certificates of a node, oldest first. Blocks.
    pub(crate) fn erase_certificates(
        &self,
        node: &NodeId,
    ) -> Result<Vec<SignedErase>, JournalError> {
        let (mut after, mut found) = (0, Vec::new());
        loop {
            let page = self.events(after, PAGE, Some(node))?;
            let Some(last) = page.last() else {
                return Ok(found);
            };
            after = last.number;
            for event in page {
                if let Happened::DiskErased { signed, .. } = event.what {
                    found.push(*signed);
                }
            }
        }
    }
}

/// The record as it may be signed: about a disk of the plan, and "erased" only where its own sample proves it.
fn judged(mut record: EraseRecord, plan: &Plan) -> Option<EraseRecord> {
    let same = |disk: &&groundstate_api::plan::DiskPlan| {
        disk.serial == record.serial && disk.wwn == record.wwn && disk.size == record.size
    };
    let planned = plan.disks.iter().find(same)?;
    let DiskAction::Erase { level, .. } = &planned.action else {
        return None;
    };
    if let Err(why) = mos_core::erase::proves(&record, *level) {
        let method = match record.outcome {
            EraseOutcome::Erased { method, .. } => Some(method),
            EraseOutcome::Quarantine { method, .. } => method,
        };
        record.outcome = EraseOutcome::Quarantine { method, why };
    }
    Some(record)
}

/// The name of a certificate's files: letters, digits, hyphens and dots stand, everything else is an underscore.
pub(crate) fn file_name(run: &RunId, serial: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || "-.".contains(c) {
            c
        } else {
            '_'
        }
    };
    format!("{run}-{}", serial.chars().map(safe).collect::<String>())
}

/// Writes a certificate's parts so that other programs can verify it:
/// `openssl dgst -sha256 -verify KEY -signature NAME.sig NAME.json`.
pub(crate) fn write_files(dir: &Path, name: &str, signed: &SignedErase) -> Result<(), PkiError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PkiError::File { path, source }
    };
    std::fs::create_dir_all(dir).map_err(failed(dir))?;
    let signature = bytes(&signed.signature).unwrap_or_default();
    let parts: [(&str, &[u8]); 3] = [
        ("json", signed.certificate.as_bytes()),
        ("sig", &signature),
        ("pem", signed.signer_pem.as_bytes()),
    ];
    for (ending, contents) in parts {
        let path = dir.join(format!("{name}.{ending}"));
        let beside = dir.join(format!("{name}.{ending}.new"));
        std::fs::write(&beside, contents).map_err(failed(&beside))?;
        let file = std::fs::File::open(&beside).map_err(failed(&beside))?;
        file.sync_all().map_err(failed(&beside))?;
        std::fs::rename(&beside, &path).map_err(failed(&path))?;
    }
    let folder = std::fs::File::open(dir).map_err(failed(dir))?;
    folder.sync_all().map_err(failed(dir))
}
