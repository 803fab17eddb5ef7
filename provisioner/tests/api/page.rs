// SPDX-License-Identifier: Apache-2.0
//! The page as text, for who reads it without scripts.

use crate::world::World;
use serde_json::json;

const RENEWS: &str = "http-equiv=\"refresh\"";

#[test]
fn a_page_renews_itself_until_it_is_told_to_stand_still() {
    let world = World::new();
    for path in [
        "/",
        "/needs",
        "/nodes",
        "/nodes/node-1",
        "/machines",
        "/actions",
    ] {
        let page = world.page(path);
        let still = format!("{path}?still=1");
        let link = format!("<a href=\"{still}\">Let it stand still</a>");
        assert!(page.contains(RENEWS) && page.contains(&link), "{path}");
        let page = world.page(&still);
        let link = format!("<a href=\"{path}\">Let it renew itself</a>");
        assert!(!page.contains(RENEWS) && page.contains(&link), "{path}");
    }
    // What was looked for is looked for still.
    let page = world.page("/nodes?q=node&phase=enrolled&still=1");
    assert!(
        page.contains("href=\"/nodes?q=node&#38;phase=enrolled\""),
        "{page}"
    );
    // A history is over, and so is never renewed.
    let page = world.page("/nodes/node-1/history");
    assert!(!page.contains(RENEWS) && !page.contains("stand still"));
}

#[test]
fn the_first_heading_is_the_pages_own_also_where_the_brake_is_on() {
    let world = World::new();
    let brake = json!({"on": true, "why": "a switch is replaced"});
    world.operator().post("/v1/brake", &brake).ok();
    let page = loop {
        let page = world.page("/");
        if page.contains("id=\"h-brake\"") {
            break page;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let first = page.find("<h1>").unwrap();
    assert!(first < page.find("<h2").unwrap());
}

#[test]
fn on_loopback_only_who_names_this_machine_reads_the_page() {
    let world = World::new();
    let asked = |host: &str| {
        let url = format!("http://127.0.0.1:{}/", world.page_port);
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = agent.build().new_agent();
        let mut answer = agent.get(url).header("host", host).call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), text)
    };
    for own in ["127.0.0.1", "localhost:8080", "[::1]:8080"] {
        assert_eq!(asked(own).0, 200, "{own}");
    }
    // A name of somebody else that leads to loopback: a page of theirs in a browser here.
    let (status, said) = asked("rebound.example:8080");
    assert_eq!(status, 421);
    assert!(said.contains("localhost"), "{said}");
    assert!(!said.contains("node-1"), "{said}");
}

#[test]
fn where_no_rack_has_units_none_are_drawn() {
    let page = World::new().page("/racks/-");
    assert!(page.contains("node-1"), "{page}");
    assert!(page.contains("class=\"units beside\""), "{page}");
    assert!(!page.contains("class=\"units\""), "{page}");
}
