// SPDX-License-Identifier: Apache-2.0
//! BMCs that are slow, huge, deep, elsewhere, or no BMC at all: each ends in its limit, and no password goes astray.

use crate::world::{Reply, World, ok, small, status};
use crate::{settings, target};
use bmc::{Bmcs, PowerState, Trouble};
use groundstate_api::Millis;
use groundstate_api::site_parts::BmcProtocol;
use serde_json::json;
use std::net::SocketAddr;
use tokio::net::TcpListener;

const MACHINE: &str = "/redfish/v1/S/a";
const HTTP: BmcProtocol = BmcProtocol::RedfishHttp;

/// What becomes of a look at a machine whose resource is answered so.
async fn look(reply: impl Fn() -> Reply + Send + 'static) -> Result<PowerState, Trouble> {
    let world = World::start(small(), move |asked, _| {
        (asked.path == MACHINE).then(&reply)
    })
    .await;
    let mut settings = settings();
    settings.answer = Millis(800);
    Bmcs::new(settings)
        .power_state(&target(world.address, HTTP))
        .await
}

#[tokio::test]
async fn limits_hold() {
    let raw = |text: &str| {
        let text = text.to_owned().into_bytes();
        move || Reply::Raw(text.clone())
    };
    let length = |body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert!(matches!(
        look(|| Reply::Endless).await,
        Err(Trouble::TooLarge { .. })
    ));
    assert!(matches!(
        look(|| Reply::Silence).await,
        Err(Trouble::TimedOut { .. })
    ));
    assert!(matches!(
        look(|| Reply::Drip).await,
        Err(Trouble::TimedOut { .. })
    ));
    assert!(matches!(
        look(raw("this is no HTTP\r\n\r\n")).await,
        Err(Trouble::Odd { .. })
    ));
    let fields = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(500));
    assert!(matches!(look(raw(&fields)).await, Err(Trouble::Odd { .. })));
    let head = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(100_000));
    assert!(matches!(look(raw(&head)).await, Err(Trouble::Odd { .. })));
    assert!(matches!(
        look(raw(&length("<html>log in</html>"))).await,
        Err(Trouble::Odd { .. })
    ));
    assert!(matches!(
        look(raw(&length(&"{\"a\":".repeat(5_000)))).await,
        Err(Trouble::Odd { .. })
    ));
    assert!(matches!(
        look(raw(&length("[1,2,3]"))).await,
        Err(Trouble::Odd { .. })
    ));
    assert!(matches!(
        look(raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")).await,
        Err(Trouble::Unreachable { .. })
    ));
    assert!(
        matches!(look(|| status(500, "ouch\u{1b}[2J")).await, Err(Trouble::Refused { status: 500, says, .. }) if says == "ouch\u{fffd}[2J")
    );
    // Fields of other types are absent, and the rest is read.
    let odd = json!({"PowerState": ["On"], "Boot": 5, "Actions": [], "Links": "x", "UUID": 7, "@odata.etag": {}});
    assert_eq!(look(move || ok(odd.clone())).await, Ok(PowerState::Unknown));
}

#[tokio::test]
async fn another_host_gets_nothing() {
    let elsewhere = World::honest(small()).await;
    let to = format!(
        "http://localhost:{}/redfish/v1/S/a",
        elsewhere.address.port()
    );
    for path in ["/redfish/v1/", MACHINE, "/redfish/v1/X/Sessions"] {
        let to = to.clone();
        let world = World::start(small(), move |asked, _| {
            (asked.path == path)
                .then(|| Reply::Json(307, vec![("Location", to.clone())], json!({})))
        })
        .await;
        let trouble = Bmcs::new(settings())
            .power_state(&target(world.address, HTTP))
            .await
            .unwrap_err();
        assert!(
            matches!(trouble, Trouble::Elsewhere { .. }),
            "{path}: {trouble}"
        );
    }
    assert_eq!(elsewhere.count(), 0);
    // A link to another host is no link.
    let mut resources = small();
    resources.get_mut("/redfish/v1").unwrap()["Systems"] = json!({"@odata.id": to});
    let world = World::honest(resources).await;
    assert!(matches!(
        Bmcs::new(settings())
            .power_state(&target(world.address, HTTP))
            .await,
        Err(Trouble::NoSystem { .. })
    ));
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn a_redirection_on_the_bmc_is_followed_but_not_in_a_circle() {
    let world = World::start(small(), |asked, _| match asked.path.as_str() {
        MACHINE => Some(Reply::Json(
            308,
            vec![("Location", "/redfish/v1/S/a/".into())],
            json!({}),
        )),
        _ => None,
    })
    .await;
    assert_eq!(
        Bmcs::new(settings())
            .power_state(&target(world.address, HTTP))
            .await,
        Ok(PowerState::On)
    );
    let world = World::start(small(), |asked, _| {
        (asked.path == MACHINE)
            .then(|| Reply::Json(302, vec![("Location", MACHINE.into())], json!({})))
    })
    .await;
    assert!(matches!(
        Bmcs::new(settings())
            .power_state(&target(world.address, HTTP))
            .await,
        Err(Trouble::Odd { .. })
    ));
    assert!(world.count() < 12);
}

#[tokio::test]
async fn collections_without_end_end() {
    let world = World::start(small(), |asked, _| {
        asked
            .path
            .starts_with("/redfish/v1/S?")
            .then_some(())
            .or((asked.path == "/redfish/v1/S").then_some(()))
            .map(|()| {
                let members: Vec<_> = (0..200)
                    .map(|index| json!({"@odata.id": format!("/redfish/v1/S/{index}")}))
                    .collect();
                ok(json!({"Members": members, "Members@odata.nextLink": "/redfish/v1/S?$skip=1"}))
            })
    })
    .await;
    let trouble = Bmcs::new(settings())
        .power_state(&target(world.address, HTTP))
        .await
        .unwrap_err();
    assert!(matches!(trouble, Trouble::NoSystem { .. }));
    assert!(world.count() < 30);
}

#[tokio::test]
async fn nobody_there_and_somebody_who_hangs_in_tls() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = free.local_addr().unwrap();
    let mut short = settings();
    short.connect = Millis(300);
    let hangs = Bmcs::new(short)
        .power_state(&target(address, BmcProtocol::Redfish))
        .await
        .unwrap_err();
    assert!(matches!(hangs, Trouble::TimedOut { .. }), "{hangs}");
    drop(free);
    let gone = Bmcs::new(settings())
        .power_state(&target(address, BmcProtocol::Redfish))
        .await
        .unwrap_err();
    assert!(matches!(gone, Trouble::Unreachable { .. }), "{gone}");
    // Plain HTTP where TLS is wanted.
    let world = World::honest(small()).await;
    let plain = Bmcs::new(settings())
        .power_state(&target(world.address, BmcProtocol::Redfish))
        .await
        .unwrap_err();
    assert!(
        matches!(
            plain,
            Trouble::Tls { .. } | Trouble::TimedOut { .. } | Trouble::Unreachable { .. }
        ),
        "{plain}"
    );
    assert_eq!(world.count(), 0);
}
