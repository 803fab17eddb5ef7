// SPDX-License-Identifier: Apache-2.0
//! Webhooks told by the real provisioner: in order, again where they fail, signed, and never to where a redirect leads.

use crate::world::{World, site};
use groundstate_api::audit::WebhookList;
use groundstate_api::site::Site;
use groundstate_api::site_parts::Webhook;
use groundstate_api::view::EventPage;
use groundstate_journal::hooked::{Hooked, Write};
use serde_json::json;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const SECRET: &str = "the webhook's secret";
const WAIT: Duration = Duration::from_secs(60);

/// One request as the receiver saw it.
struct Told {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        &found.unwrap().1
    }

    fn numbers(&self) -> Vec<u64> {
        let page: EventPage = serde_json::from_slice(&self.body).unwrap();
        page.events.iter().map(|event| event.number).collect()
    }
}

/// A receiver that answers with these statuses, then with 204.
fn receiver(statuses: &'static [&'static str]) -> (u16, mpsc::Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (told, tells) = mpsc::channel();
    std::thread::spawn(move || {
        let mut statuses = statuses.iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = read(&mut stream) else {
                continue;
            };
            let status = statuses.next().unwrap_or(&"204 No Content");
            let answer = format!(
                "HTTP/1.1 {status}\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).unwrap();
            if told.send(request).is_err() {
                return;
            }
        }
    });
    (port, tells)
}

fn read(stream: &mut TcpStream) -> Option<Told> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 4_096]);
    let end = loop {
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&piece[..read]);
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let headers: Vec<(String, String)> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length: usize = length.unwrap().1.parse().unwrap();
    let mut body = bytes[end..].to_vec();
    while body.len() < length {
        let read = stream.read(&mut piece).ok().filter(|read| *read > 0)?;
        body.extend_from_slice(&piece[..read]);
    }
    Some(Told { headers, body })
}

fn hooked(url: String, kinds: &[&str]) -> Site {
    let mut site = site();
    site.webhooks.push(Webhook {
        name: "fabric".into(),
        url,
        credential: "hook".into(),
        events: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
    });
    site
}

fn world(url: String, kinds: &[&str]) -> World {
    let world = World::with_site(hooked(url, kinds));
    let folder = world.dir.path().join("credentials");
    write_secret(&folder);
    world
}

fn write_secret(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let mut file = fs::OpenOptions::new();
    let file = file.write(true).create(true).truncate(true).mode(0o600);
    let mut file = file.open(folder.join("hook")).unwrap();
    file.write_all(SECRET.as_bytes()).unwrap();
}

/// Waits until the webhook is known, so that what is ordered then is told.
fn standing(world: &World) -> WebhookList {
    loop {
        let list: WebhookList = world.operator().get("/v1/webhooks").read();
        if list.webhooks.first().is_some_and(|hook| hook.told > 0) {
            return list;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_signed(told: &Told) {
    let header = told.header("groundstate-signature");
    let (time, hex) = header.split_once(",v1=").unwrap();
    let time = time.strip_prefix("t=").unwrap();
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", SECRET, "-hex"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = openssl.stdin.take().unwrap();
    stdin.write_all(format!("{time}.").as_bytes()).unwrap();
    stdin.write_all(&told.body).unwrap();
    drop(stdin);
    let said = openssl.wait_with_output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    assert_eq!(said.trim().rsplit(' ').next().unwrap(), hex);
}

#[test]
fn events_come_signed_in_order_and_again_until_they_are_taken() {
    let (port, tells) = receiver(&["500 Oops", "302 Found"]);
    let world = world(format!("http://127.0.0.1:{port}/hook"), &[]);
    let begun = standing(&world).webhooks[0].told;
    let operator = world.operator();
    operator.post("/v1/nodes/node-1/provision", &json!({})).ok();
    let first = tells.recv_timeout(WAIT).unwrap();
    is_signed(&first);
    assert_eq!(first.header("groundstate-webhook"), "fabric");
    assert_eq!(first.numbers()[0], begun + 1);
    let again = tells.recv_timeout(WAIT).unwrap();
    assert_eq!(again.numbers()[0], begun + 1, "a failure is tried again");
    operator.post("/v1/nodes/node-2/provision", &json!({})).ok();
    let mut numbers = Vec::new();
    let page: EventPage = operator.get(&format!("/v1/events?after={begun}")).read();
    let all: Vec<u64> = page.events.iter().map(|event| event.number).collect();
    while numbers.len() < all.len() {
        let told = tells.recv_timeout(WAIT).unwrap();
        is_signed(&told);
        numbers.extend(told.numbers());
    }
    assert_eq!(
        numbers, all,
        "the redirect was not taken for an answer either"
    );
    let (answer, _) = operator.call("GET", "/v1/webhooks", &[], "");
    assert!(!answer.text.contains(SECRET));
}

#[test]
fn the_list_names_the_webhooks_of_the_site_in_force_from_the_moment_of_its_apply() {
    let (port, tells) = receiver(&[]);
    let world = World::new();
    write_secret(&world.dir.path().join("credentials"));
    let operator = world.operator();
    let names = || -> Vec<String> {
        let list: WebhookList = operator.get("/v1/webhooks").read();
        list.webhooks.into_iter().map(|hook| hook.name).collect()
    };
    assert_eq!(names(), [] as [&str; 0]);
    let mut site = hooked(format!("http://127.0.0.1:{port}/"), &["run-ordered"]);
    operator.put("/v1/site", Some("*"), &site).ok();
    let list: WebhookList = operator.get("/v1/webhooks").read();
    assert_eq!(list.webhooks.len(), 1);
    assert_eq!(list.webhooks[0].told, list.webhooks[0].newest);
    // What is ordered once it is listed is told.
    operator.post("/v1/nodes/node-1/provision", &json!({})).ok();
    let first = tells.recv_timeout(WAIT).unwrap();
    assert!(first.numbers()[0] > list.webhooks[0].told);
    site.webhooks[0].name = "pager".into();
    operator.put("/v1/site", Some("*"), &site).ok();
    assert_eq!(names(), ["pager"]);
    site.webhooks.clear();
    operator.put("/v1/site", Some("*"), &site).ok();
    assert_eq!(names(), [] as [&str; 0]);
}

#[test]
fn what_is_sent_again_is_the_same_whatever_has_happened_since() {
    let (port, tells) = receiver(&["500 Oops"]);
    let world = world(format!("http://127.0.0.1:{port}/hook"), &[]);
    standing(&world);
    let order = |node: &str| {
        let path = format!("/v1/nodes/{node}/provision");
        world.operator().post(&path, &json!({})).ok();
    };
    order("node-1");
    let first = tells.recv_timeout(WAIT).unwrap();
    order("node-2");
    let again = tells.recv_timeout(WAIT).unwrap();
    is_signed(&again);
    let delivery = |told: &Told| told.header("groundstate-delivery").to_owned();
    assert_eq!(delivery(&again), delivery(&first));
    assert_eq!(again.numbers(), first.numbers());
    // What has happened since comes behind it.
    let next = tells.recv_timeout(WAIT).unwrap();
    assert!(next.numbers()[0] > first.numbers()[first.numbers().len() - 1]);
}

#[test]
fn a_webhook_goes_on_where_it_was_after_a_restart_and_hears_its_kinds_only() {
    let (port, tells) = receiver(&[]);
    let url = format!("http://127.0.0.1:{port}/");
    let world = world(url.clone(), &["run-ordered"]);
    standing(&world);
    let order = |world: &World, node: &str| {
        let path = format!("/v1/nodes/{node}/provision");
        world.operator().post(&path, &json!({})).ok();
    };
    order(&world, "node-1");
    let first = tells.recv_timeout(WAIT).unwrap();
    assert_eq!(first.numbers().len(), 1);
    let text = String::from_utf8(first.body.clone()).unwrap();
    assert!(text.contains("run-ordered") && !text.contains("phase-changed"));
    let told = first.numbers()[0];
    let world = loop {
        let list = standing(&world);
        if list.webhooks[0].told >= told {
            break world.restart_as(hooked(url, &["run-ordered"]));
        }
    };
    order(&world, "node-2");
    let second = tells.recv_timeout(WAIT).unwrap();
    assert!(
        second.numbers()[0] > told,
        "what was taken does not come again"
    );
}

#[test]
fn what_is_not_for_a_webhook_is_passed_over_without_a_write() {
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = writes.clone();
    let site = hooked("http://127.0.0.1:1/".into(), &["braked"]);
    let world = World::over(tempfile::tempdir().unwrap(), site, move |journal| {
        Box::new(Hooked::over(journal).before(move |write| {
            if matches!(write, Write::Document) {
                counted.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        }))
    });
    standing(&world);
    let before = writes.load(Ordering::SeqCst);
    let operator = world.operator();
    for number in 0..30 {
        let remark = json!({"text": format!("{number}")});
        operator.post("/v1/nodes/node-1/remarks", &remark).ok();
        // Each is passed over by itself.
        while standing(&world).webhooks[0].told < *world.ours.follow().borrow() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    let more = writes.load(Ordering::SeqCst) - before;
    assert!(more < 5, "{more} documents were written");
}

#[test]
fn addresses_that_are_nobodys_business_are_not_spoken_to() {
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/",
        "http://192.0.2.1/",
    ] {
        let world = world(url.to_owned(), &[]);
        standing(&world);
        world
            .operator()
            .post("/v1/nodes/node-1/provision", &json!({}))
            .ok();
        let failing = loop {
            let list: WebhookList = world.operator().get("/v1/webhooks").read();
            if let Some(reason) = &list.webhooks[0].failing {
                break format!("{reason:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(failing.contains("is not spoken to"), "{failing}");
    }
}
