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
