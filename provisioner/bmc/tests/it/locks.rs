// SPDX-License-Identifier: Apache-2.0
//! Credentials, sessions and certificates: nobody is locked out, no session is left, no other certificate is believed.

use crate::peer::{Peer, skipped, tcp};
use crate::world::{Reply, World, small, status};
use crate::{settings, target};
use bmc::{Bmcs, PowerState, Secret, Trouble};
use groundstate_api::site_parts::BmcProtocol;
use groundstate_api::{Digest, Millis, ReasonCode};
use serde_json::{Value, json};

const HTTP: BmcProtocol = BmcProtocol::RedfishHttp;

#[tokio::test]
async fn a_wrong_password_is_sent_once() {
    let world = World::honest(small()).await;
    world.state.lock().unwrap().password = "changed".into();
    let (bmcs, mut target) = (Bmcs::new(settings()), target(world.address, HTTP));
    for _ in 0..20 {
        let trouble = bmcs.power_state(&target).await.unwrap_err();
        assert_eq!(trouble.reason("x").code, ReasonCode::BmcRefused);
        assert!(matches!(trouble, Trouble::CredentialRefused { .. }));
        assert!(!trouble.to_string().contains(crate::PASSWORD));
    }
    assert_eq!(world.bodies("POST", "/redfish/v1/X/Sessions").len(), 1);
    target.secret = Secret::parse("admin:changed").unwrap();
    assert_eq!(bmcs.power_state(&target).await, Ok(PowerState::On));
}

#[tokio::test]
async fn a_person_may_want_it_tried_again() {
    let world = World::honest(small()).await;
    world.state.lock().unwrap().password = "other".into();
    let (bmcs, target) = (Bmcs::new(settings()), target(world.address, HTTP));
    bmcs.power_state(&target).await.unwrap_err();
    world.state.lock().unwrap().password = crate::PASSWORD.into();
    bmcs.power_state(&target).await.unwrap_err();
    bmcs.forgive(&target.address);
    assert_eq!(bmcs.power_state(&target).await, Ok(PowerState::On));
}

#[tokio::test]
async fn a_session_that_ends_in_between_is_begun_anew_once() {
    let world = World::start(small(), |asked, state| {
        // Every session holds for four questions.
        if asked.method == "GET" && state.asked.len() % 5 == 0 {
            state.tokens.clear();
        }
        None
    })
    .await;
    let (bmcs, target) = (Bmcs::new(settings()), target(world.address, HTTP));
    for _ in 0..5 {
        assert_eq!(bmcs.power_state(&target).await, Ok(PowerState::On));
    }
    assert!(world.state.lock().unwrap().begun > 5);
}

#[tokio::test]
async fn a_bmc_that_turns_to_401_is_not_hammered() {
    let world = World::start(small(), |_, state| {
        (state.asked.len() > 4).then(|| status(401, "no"))
    })
    .await;
    let (bmcs, target) = (Bmcs::new(settings()), target(world.address, HTTP));
    for _ in 0..50 {
        let _ = bmcs.power_state(&target).await;
    }
    assert!(world.count() < 12, "{}", world.count());
    assert!(world.bodies("POST", "/redfish/v1/X/Sessions").len() <= 2);
}

#[tokio::test]
async fn a_silent_bmc_is_left_alone_for_a_while() {
    let world = World::start(small(), |_, _| Some(Reply::Raw(Vec::new()))).await;
    let (bmcs, target) = (Bmcs::new(settings()), target(world.address, HTTP));
    let mut alone = 0;
    for _ in 0..50 {
        let trouble = bmcs.power_state(&target).await.unwrap_err();
        assert_eq!(trouble.reason("x").code, ReasonCode::BmcUnreachable);
        alone += usize::from(matches!(trouble, Trouble::LeftAlone { .. }));
    }
    assert!(
        alone >= 48 && world.count() <= 4,
        "{alone} {}",
        world.count()
    );
}

#[tokio::test]
async fn no_session_left_is_said_and_waited_for() {
    let limit = || {
        Reply::Json(
            503,
            vec![],
            json!({"error": {"@Message.ExtendedInfo": [{"MessageId": "Base.1.8.SessionLimitExceeded", "Message": "too many"}]}}),
        )
    };
    let world = World::start(small(), move |asked, _| {
        (asked.method == "POST").then(limit)
    })
    .await;
    let (bmcs, target) = (Bmcs::new(settings()), target(world.address, HTTP));
    assert!(
        matches!(bmcs.power_state(&target).await, Err(Trouble::SessionLimit { says }) if says == "too many")
    );
    assert!(matches!(
        bmcs.power_state(&target).await,
        Err(Trouble::LeftAlone { .. })
    ));
    // The password was not sent by other means instead.
    let state = world.state.lock().unwrap();
    assert!(
        state
            .asked
            .iter()
            .all(|asked| !asked.fields.contains_key("authorization"))
    );
}

#[tokio::test]
async fn basic_only_where_there_are_no_sessions() {
    let mut resources = small();
    resources.get_mut("/redfish/v1").unwrap()["Links"] = Value::Null;
    let world = World::start(resources, |asked, state| {
        let known = asked
            .fields
            .get("authorization")
            .is_some_and(|value| value == "Basic YWRtaW46czNjcmV0");
        if known {
            let path = asked.path.trim_end_matches('/');
            return state.resources.get(path).cloned().map(crate::world::ok);
        }
        None
    })
    .await;
    let (bmcs, mut target) = (Bmcs::new(settings()), target(world.address, HTTP));
    assert_eq!(bmcs.power_state(&target).await, Ok(PowerState::On));
    target.secret = Secret::parse("admin:wrong").unwrap();
    for _ in 0..5 {
        assert!(matches!(
            bmcs.power_state(&target).await,
            Err(Trouble::CredentialRefused { .. })
        ));
    }
    let state = world.state.lock().unwrap();
    let wrong = state.asked.iter().filter(|asked| {
        asked
            .fields
            .get("authorization")
            .is_some_and(|value| value != "Basic YWRtaW46czNjcmV0")
    });
    assert_eq!(wrong.count(), 1);
}

#[tokio::test]
async fn one_question_at_a_time_for_each_bmc() {
    let world = World::honest(small()).await;
    let (bmcs, target) = (Bmcs::new(settings()), target(world.address, HTTP));
    let asks: Vec<_> = (0..20)
        .map(|_| {
            let (bmcs, target) = (bmcs.clone(), target.clone());
            tokio::spawn(async move { bmcs.power_state(&target).await })
        })
        .collect();
    for ask in asks {
        assert_eq!(ask.await.unwrap(), Ok(PowerState::On));
    }
    let state = world.state.lock().unwrap();
    assert_eq!(
        (state.most_under_way, state.begun, state.tokens.len()),
        (1, 20, 0)
    );
}

#[tokio::test]
async fn what_is_dropped_ends_its_session() {
    let world = World::honest(small()).await;
    let (bmcs, target) = (Bmcs::new(settings()), target(world.address, HTTP));
    drop(bmcs.open(&target).await.unwrap());
    // The next one waits for it.
    bmcs.power_state(&target).await.unwrap();
    assert!(world.state.lock().unwrap().tokens.is_empty());
}

#[tokio::test]
async fn a_certificate_is_believed_once() {
    let world = World::tls(small()).await;
    let (bmcs, mut target) = (
        Bmcs::new(settings()),
        target(world.address, BmcProtocol::Redfish),
    );
    assert_eq!(bmcs.power_state(&target).await, Ok(PowerState::On));
    assert_eq!(bmcs.first_seen(&target.address), world.certificate);
    let report = bmcs.inventory(&target, Millis(1)).await.unwrap();
    assert_eq!(
        report.certificate,
        world.certificate.map(|digest| digest.to_string())
    );
    // With another pin nothing is asked, and no password is sent.
    let before = world.count();
    target.pin = Some(Digest::of(b"another"));
    let trouble = bmcs.power_state(&target).await.unwrap_err();
    assert!(
        matches!(trouble, Trouble::Certificate { shown, .. } if Some(shown) == world.certificate)
    );
    assert_eq!(
        (trouble.reason("x").code, world.count()),
        (ReasonCode::BmcCertificate, before)
    );
    // The first one stays the one that is believed, and the right pin opens.
    assert_eq!(bmcs.first_seen(&target.address), world.certificate);
    target.pin = world.certificate;
    assert_eq!(bmcs.power_state(&target).await, Ok(PowerState::On));
}

/// Who shows a certificate must hold its key, with a pin and without.
#[tokio::test]
async fn a_copied_certificate_is_worth_nothing() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let world = World::impostor(vec![version]).await;
        let mut target = target(world.address, BmcProtocol::Redfish);
        for pin in [None, world.certificate] {
            target.pin = pin;
            let bmcs = Bmcs::new(settings());
            let trouble = bmcs.power_state(&target).await.unwrap_err();
            assert!(matches!(trouble, Trouble::Tls { .. }), "{trouble}");
            assert_eq!(bmcs.first_seen(&target.address), None);
        }
        assert_eq!(world.count(), 0);
        let honest = World::speaks(vec![version]).await;
        target.address = honest.address.to_string().parse().unwrap();
        target.pin = honest.certificate;
        assert_eq!(
            Bmcs::new(settings()).power_state(&target).await,
            Ok(PowerState::On)
        );
    }
}

/// Old BMCs show certificates of X.509 version 1, which chain checkers refuse.
#[tokio::test]
async fn a_certificate_of_version_1_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let done = std::process::Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(dir.path())
            .output();
        done.is_ok_and(|done| done.status.success())
    };
    let made =
        openssl("req -new -newkey rsa:2048 -nodes -keyout key.pem -out csr.pem -subj /CN=bmc")
            && openssl("x509 -req -in csr.pem -signkey key.pem -out cert.pem -days 30");
    if !made {
        skipped("openssl");
        return;
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let address = tcp();
        let port = address.port().to_string();
        let arguments = [
            "s_server", "-quiet", "-www", "-cert", "cert.pem", "-key", "key.pem", "-accept", &port,
            version,
        ];
        let mut peer = Peer::start("openssl".as_ref(), &arguments, dir.path()).unwrap();
        assert!(peer.listens(address));
        let (bmcs, target) = (Bmcs::new(settings()), target(address, BmcProtocol::Redfish));
        // TLS stands, and a page of HTML is no BMC.
        let trouble = bmcs.power_state(&target).await.unwrap_err();
        assert!(
            matches!(trouble, Trouble::Odd { .. } | Trouble::Unreachable { .. }),
            "{version}: {trouble}"
        );
        assert!(bmcs.first_seen(&target.address).is_some());
    }
}
