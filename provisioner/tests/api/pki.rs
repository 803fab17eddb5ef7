// SPDX-License-Identifier: Apache-2.0
//! The certificates' directory: first starts, restores in part, and files of another site.

use crate::world::{Key, site};
use provisioner::pki::{Pki, ProvenKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::fs;
use std::path::Path;

fn open(dir: &Path) -> Result<Pki, String> {
    Pki::open(dir, &site()).map_err(|error| error.to_string())
}

fn text(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join("pki").join(file)).unwrap()
}

#[test]
fn a_restore_in_part_does_not_become_another_site() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    let key = text(dir.path(), "ca.key");
    fs::remove_file(dir.path().join("pki/ca.crt")).unwrap();
    let error = open(dir.path()).err().unwrap();
    for names in ["pki/ca.crt is missing", "ca.key", "operator/operator.crt"] {
        assert!(error.contains(names), "{names}: {error}");
    }
    assert_eq!(text(dir.path(), "ca.key"), key, "the key is not replaced");
    fs::remove_dir_all(dir.path().join("pki/operator")).unwrap();
    for file in ["server.crt", "server.key"] {
        fs::remove_file(dir.path().join("pki").join(file)).unwrap();
    }
    let error = open(dir.path()).err().unwrap();
    assert!(error.contains("but there is ca.key:"), "{error}");
    // The other half: the CA's certificate without its key.
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).unwrap();
    fs::remove_file(dir.path().join("pki/ca.key")).unwrap();
    let error = open(dir.path()).err().unwrap();
    assert!(error.contains("ca.key"), "{error}");
}

#[test]
fn a_first_start_that_was_interrupted_begins_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("pki.new")).unwrap();
    fs::write(dir.path().join("pki.new/ca.key"), "half a key").unwrap();
    fs::create_dir_all(dir.path().join("pki/operator")).unwrap();
    let first = open(dir.path()).unwrap();
    assert!(!dir.path().join("pki.new").exists());
    assert_eq!(open(dir.path()).unwrap().ca_pem(), first.ca_pem());
}

#[test]
fn a_certificate_of_another_ca_is_made_anew_and_one_of_ours_stays() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    open(here.path()).unwrap();
    open(there.path()).unwrap();
    let files = ["server.crt", "operator/operator.crt"];
    let before = files.map(|file| text(here.path(), file));
    open(here.path()).unwrap();
    assert_eq!(files.map(|file| text(here.path(), file)), before);
    for file in [
        "server.crt",
        "server.key",
        "operator/operator.crt",
        "operator/operator.key",
    ] {
        let (from, to) = (there.path().join("pki"), here.path().join("pki"));
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    open(here.path()).unwrap().server_config().unwrap();
    for file in files {
        assert_ne!(text(here.path(), file), text(there.path(), file), "{file}");
    }
}

#[test]
fn a_host_is_not_silenced_before_its_ca() {
    let dir = tempfile::tempdir().unwrap();
    let pki = open(dir.path()).unwrap();
    let ends = |pem: &str| {
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).unwrap();
        parsed.validity().not_after.timestamp()
    };
    let key = ProvenKey::from_csr(&Key::new().csr()).unwrap();
    let plan = groundstate_api::Digest::of(b"p").hex().parse().unwrap();
    let host = pki.sign_host(&"node-1".parse().unwrap(), &plan, &key);
    assert!(ends(&host.unwrap()) >= ends(pki.ca_pem()));
}

#[test]
fn a_server_certificate_without_one_of_the_names_is_made_anew_and_one_with_all_stays() {
    let dir = tempfile::tempdir().unwrap();
    let names = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let open_as = |all: &[&str]| {
        Pki::open_as(dir.path(), &site(), &names(all)).unwrap();
        fs::read(dir.path().join("pki/server.crt")).unwrap()
    };
    let alone = open_as(&[]);
    assert_eq!(open_as(&[]), alone);
    let among = open_as(&["10.9.9.1", "two.lab", "2001:db8::2"]);
    assert_ne!(among, alone);
    assert_eq!(open_as(&["two.lab"]), among, "it has that name");
    assert_ne!(open_as(&["10.9.9.1", "three.lab"]), among);
    assert!(Pki::open_as(dir.path(), &site(), &names(&["n\u{f6} name"])).is_err());
}
