// SPDX-License-Identifier: Apache-2.0
//! A cluster that asks who calls: certificates, users, roles, tokens that it forgets; and what several keep in common.

use super::engines::{Etcd, me};
use super::suite::event;
use groundstate_journal::peer::Cluster;
use groundstate_journal::{EtcdJournal, EtcdOptions, Journal as _, Lead, Reader as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

const ROOT: &str = "root:of all";

/// Why it is refused: once a member has answered at all, which on a busy machine may take more than one try.
fn refused(options: &EtcdOptions) -> String {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let said = EtcdJournal::open(options).unwrap_err().to_string();
        if !said.contains("timeout") || Instant::now() >= end {
            return said;
        }
    }
}

fn leads(options: &EtcdOptions) -> EtcdJournal {
    let journal = EtcdJournal::open(options).unwrap();
    let lead = journal.election().unwrap().lead(&me("a")).unwrap();
    assert!(matches!(lead, Lead::Ours { .. }), "{lead:?}");
    journal
}

fn login(dir: &Path, text: &str) -> std::path::PathBuf {
    let path = dir.join(format!("login-{}", text.len()));
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

#[test]
fn over_tls_both_sides_must_be_believed_and_each_refusal_says_what_to_do() {
    let Some(cluster) = Cluster::start_over_tls(1) else {
        return;
    };
    let papers = cluster.papers().unwrap();
    let right = papers.over(cluster.options("site"));
    let mut journal = leads(&right);
    journal.append(&[event(1, None)]).unwrap();
    assert_eq!(journal.newest().unwrap(), 1);

    let mut wrong_ca = right.clone();
    wrong_ca.ca = Some(papers.other_ca.clone());
    let said = refused(&wrong_ca);
    assert!(
        said.contains("--journal-ca must be the CA that signed it"),
        "{said}"
    );

    let mut nobody = right.clone();
    nobody.client = None;
    let said = refused(&nobody);
    assert!(said.contains("--journal-cert with --journal-key"), "{said}");

    let mut stranger = right.clone();
    stranger.client = Some(papers.other_client.clone());
    let said = refused(&stranger);
    assert!(said.contains("--journal-cert with --journal-key"), "{said}");

    let mut mixed = right.clone();
    mixed.client = Some((papers.client.0.clone(), papers.other_client.1.clone()));
    let said = refused(&mixed);
    assert!(said.contains("does not go with its key"), "{said}");

    let in_the_clear = EtcdOptions::parse(&format!("etcd://127.0.0.1:{}/site", cluster.port(0)));
    assert!(EtcdJournal::open(&in_the_clear.unwrap()).is_err());
    // A CA file may hold several, and ours may stand last.
    let bundle = papers.ca.with_file_name("bundle.pem");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    std::fs::write(&bundle, read(&papers.other_ca) + &read(&papers.ca)).unwrap();
    let mut bundled = right.clone();
    bundled.ca = Some(bundle);
    assert_eq!(EtcdJournal::open(&bundled).unwrap().newest().unwrap(), 1);
}

#[test]
fn with_users_a_role_for_the_keys_is_needed_and_a_forgotten_token_is_made_anew() {
    let Some(mut cluster) = Cluster::start(1) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let as_user = |text: &str| {
        let mut options = cluster.options("site");
        options.login = Some(login(dir.path(), text));
        options
    };
    let said = refused(&as_user("lab:right"));
    assert!(said.contains("asks nobody who they are"), "{said}");

    cluster.ctl(None, &["user", "add", ROOT]);
    cluster.ctl(None, &["user", "grant-role", "root", "root"]);
    cluster.ctl(None, &["user", "add", "lab:right"]);
    cluster.ctl(None, &["user", "add", "elsewhere:right"]);
    for (role, prefix) in [("lab", "site/"), ("elsewhere", "elsewhere/")] {
        cluster.ctl(None, &["role", "add", role]);
        let grant = [
            "role",
            "grant-permission",
            role,
            "--prefix=true",
            "readwrite",
            prefix,
        ];
        cluster.ctl(None, &grant);
        cluster.ctl(None, &["user", "grant-role", role, role]);
    }
    cluster.ctl(None, &["auth", "enable"]);

    let said = refused(&cluster.options("site"));
    assert!(said.contains("asks for a user"), "{said}");
    for wrong in ["lab:wrong", "nobody:right"] {
        let said = refused(&as_user(wrong));
        assert!(said.contains("--journal-login"), "{said}");
        assert!(!said.contains("wrong") || wrong == "nobody:right", "{said}");
    }
    let said = refused(&as_user("elsewhere:right"));
    assert!(
        said.contains("may not do") && said.contains("readwrite site/"),
        "{said}"
    );

    let options = as_user("lab:right");
    let mut journal = leads(&options);
    let mut election = journal.election().unwrap();
    journal.append(&[event(1, None)]).unwrap();
    // A member that starts again has forgotten every token; the next call brings a new one.
    cluster.restart(0);
    assert_eq!(journal.newest().unwrap(), 1);
    assert!(matches!(
        election.lead(&me("a")),
        Ok(Lead::Ours { .. } | Lead::Others(_))
    ));
    // Users that are changed make every token stale.
    cluster.ctl(Some(ROOT), &["user", "add", "third:one"]);
    assert_eq!(journal.newest().unwrap(), 1);
    // A role that is taken away refuses at once, in words.
    cluster.ctl(Some(ROOT), &["user", "revoke-role", "lab", "lab"]);
    let said = journal.newest().unwrap_err().to_string();
    assert!(said.contains("readwrite site/"), "{said}");
}

#[test]
fn each_sees_the_others_and_what_is_in_common_is_never_overwritten_unseen() {
    let Some(etcd) = Etcd::start() else { return };
    let (a, b) = (etcd.journal(), etcd.journal());
    let (mut ea, mut eb) = (a.election().unwrap(), b.election().unwrap());
    assert_eq!(ea.members(), []);
    ea.lead(&me("a")).unwrap();
    eb.lead(&me("b")).unwrap();
    ea.lead(&me("a")).unwrap();
    let mut seen = ea.members();
    seen.sort_by(|x, y| x.name.cmp(&y.name));
    assert_eq!(seen, [me("a"), me("b")]);

    let (ca, cb) = (a.common().unwrap(), b.common().unwrap());
    assert_eq!(ca.get("access").unwrap(), (None, 0));
    assert!(ca.put("access", b"one", 0).unwrap());
    assert!(!cb.put("access", b"two", 0).unwrap(), "it was not seen");
    let (bytes, state) = cb.get("access").unwrap();
    assert_eq!(bytes.unwrap(), b"one");
    assert!(cb.put("access", b"one and two", state).unwrap());
    assert!(!ca.put("access", b"one and three", state).unwrap());
    assert_eq!(ca.get("access").unwrap().0.unwrap(), b"one and two");
    assert_eq!(ca.get("acces").unwrap(), (None, 0));
    assert!(ca.put("access", &vec![0; 2 << 20], 0).is_err());
}
