// SPDX-License-Identifier: Apache-2.0
//! Every page: good to look at, to hear and to use with a keyboard, on a large screen, a small one and on paper.

use crate::driver::{Browser, there_is_a_browser};
use crate::world::World;

/// Opens a page and checks what holds for all of them.
pub(crate) fn sound(browser: &Browser, world: &World, path: &str) {
    browser.open(&world.at(path));
    let wrong = browser.problems();
    assert!(wrong.is_empty(), "{path}:\n{}", wrong.join("\n"));
}

/// Nothing was complained of, and nothing was asked of anybody else.
pub(crate) fn clean(browser: &Browser, world: &World) {
    let said = browser.console();
    assert!(said.is_empty(), "{}", said.join("\n"));
    let asked = browser.asked();
    assert!(!asked.is_empty());
    let strange = asked
        .iter()
        .filter(|at| !at.starts_with(&world.address) && !at.starts_with("data:"));
    assert_eq!(strange.count(), 0, "{asked:?}");
}

#[test]
fn a_thousand_nodes_fit_on_the_front_page() {
    if !there_is_a_browser() {
        return;
    }
    let (world, browser) = (World::large(), Browser::new());
    sound(&browser, &world, "/");
    browser.picture("front.png", false);
    browser.picture("front-whole.png", true);
    let cells = browser.run("return document.querySelectorAll('.u a').length");
    assert_eq!(cells, 1_000);
    // Each cell has its phase as a word.
    let silent = browser.run("return [...document.querySelectorAll('.u a')].filter((a) => !a.parentElement.querySelector('.ph').textContent).length");
    assert_eq!(silent, 0);
    let text = browser.text();
    for says in [
        "Needs a person now",
        "a memory module is not there",
        "In no rack",
        "sw-07",
        "pdu-07",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    browser.dark(true);
    sound(&browser, &world, "/");
    browser.picture("front-dark.png", false);
    browser.screen(400, 800);
    sound(&browser, &world, "/");
    browser.picture("front-400.png", false);
    browser.dark(false);
    for path in [
        "/needs",
        "/racks/r05",
        "/racks/-",
        "/nodes",
        "/nodes?phase=held",
        "/nodes?q=CZ30",
        "/machines",
        "/actions",
    ] {
        sound(&browser, &world, path);
    }
    browser.screen(1_400, 1_000);
    for path in ["/needs", "/nodes", "/machines"] {
        sound(&browser, &world, path);
    }
    sound(&browser, &world, "/racks/r05");
    browser.picture("rack.png", true);
    // A whole name leads to its node.
    browser.open(&world.at("/nodes?q=r05-n07"));
    let at = browser.run("return location.pathname");
    assert_eq!(at, "/nodes/r05-n07");
    clean(&browser, &world);
}

#[test]
fn a_node_shows_its_run_its_disks_and_what_to_do() {
    if !there_is_a_browser() {
        return;
    }
    let (world, browser) = (World::small(), Browser::new());
    for (node, picture, says) in [
        (
            "r01-n01",
            "provisioning",
            &[
                "writing",
                "vm-0.vhd to vm-99.vhd: 100 VHDs",
                "The whole log as text",
            ][..],
        ),
        (
            "r01-n02",
            "held",
            &[
                "missing",
                "DIMM_B2",
                "do now",
                "put a module of 32 GiB",
                "Repair ticket",
            ],
        ),
        ("r01-n03", "ready", &["Debian GNU/Linux 12", "machine-id"]),
        (
            "r01-n04",
            "suspect",
            &["failing", "1,431 sectors were reallocated", "by itself"],
        ),
        ("r01-n05", "enrolled", &["This node has no run yet"]),
    ] {
        let path = format!("/nodes/{node}");
        sound(&browser, &world, &path);
        browser.picture(&format!("node-{picture}.png"), true);
        let text = browser.text();
        for says in says {
            assert!(text.contains(says), "{node}: {says}: {text}");
        }
        browser.screen(400, 800);
        browser.dark(true);
        sound(&browser, &world, &path);
        browser.picture(&format!("node-{picture}-400-dark.png"), false);
        browser.screen(1_400, 1_000);
        sound(&browser, &world, &path);
        browser.dark(false);
    }
    sound(&browser, &world, "/nodes/r01-n01/history");
    assert!(browser.text().contains("inventory: disks 4"));
    clean(&browser, &world);
}

#[test]
fn a_repair_ticket_is_one_sheet_of_paper() {
    if !there_is_a_browser() {
        return;
    }
    let (world, browser) = (World::small(), Browser::new());
    sound(&browser, &world, "/nodes/r01-n04/ticket");
    browser.picture("ticket.png", true);
    let text = browser.text();
    for says in [
        "Do this",
        "slot 2",
        "PHYF2002",
        "volume gs-data-2",
        "Do not touch",
        "carries the host's boot partition",
        "After the repair",
        "rebuild-disk",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    assert_eq!(browser.print("ticket.pdf"), 1);
    sound(&browser, &world, "/nodes/r01-n02/ticket");
    assert!(browser.text().contains("DIMM_B2"));
    assert_eq!(browser.print("ticket-dimm.pdf"), 1);
    browser.screen(400, 800);
    browser.dark(true);
    sound(&browser, &world, "/nodes/r01-n04/ticket");
    clean(&browser, &world);
    // A node that is well has none.
    browser.open(&world.at("/nodes/r01-n05/ticket"));
    assert!(browser.text().contains("Nothing is to be repaired"));
}

#[test]
fn everything_is_reached_by_the_tab_key() {
    if !there_is_a_browser() {
        return;
    }
    let (world, browser) = (World::small(), Browser::new());
    for path in ["/", "/nodes/r01-n02"] {
        browser.open(&world.at(path));
        let count = "const all = [...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')]; return all.length";
        let all = browser.run(count).as_u64().unwrap();
        let note = "(window.seen ??= new Set()).add(document.activeElement); const box = document.activeElement.getBoundingClientRect(); const style = getComputedStyle(document.activeElement); return [document.activeElement.tagName, style.outlineStyle, box.width > 0 && box.height > 0, box.left >= 0]";
        browser.tab();
        let first = browser.run("return document.activeElement.className");
        assert_eq!(first, "skip", "{path}");
        for _ in 0..all {
            let at = browser.run(note);
            // What has the keyboard is seen, and is seen to have it.
            assert_eq!(
                (&at[1], &at[2], &at[3]),
                (&"solid".into(), &true.into(), &true.into()),
                "{path}: {at}"
            );
            browser.tab();
        }
        let missed = browser.run("return [...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')].filter((each) => !window.seen.has(each)).map((each) => each.outerHTML.slice(0, 120))");
        assert_eq!(missed.as_array().unwrap().len(), 0, "{path}: {missed}");
    }
    // The way past the top leads to the content.
    browser.open(&world.at("/"));
    browser.run("document.querySelector('.skip').click()");
    let at = browser.run("return document.activeElement.id");
    assert_eq!(at, "main");
}

#[test]
fn news_arrives_without_a_reload_and_a_broken_stream_is_said() {
    if !there_is_a_browser() {
        return;
    }
    let (mut world, browser) = (World::small(), Browser::new());
    let live = "return document.getElementById('live-state').parentElement.className === 'live on'";
    browser.open(&world.at("/nodes/r01-n05"));
    browser.until("the page is live", live);
    browser.run("window.same = true; document.querySelector('nav a[href=\"/nodes\"]').focus()");
    // What is read out is read out where it has changed, and not with every piece of news.
    browser.run("window.read = 0; new MutationObserver((all) => { window.read += all.length; }).observe(document.getElementById('live-state'), { childList: true, characterData: true, subtree: true })");
    world.order("r01-n05");
    browser.until(
        "the node is ordered",
        "return document.querySelector('h1 .phase').textContent === 'ordered'",
    );
    let same = browser.run("return window.same === true && document.activeElement.getAttribute('href') === '/nodes' && document.title.includes('ordered')");
    assert_eq!(same, true);
    assert!(browser.text().contains("boot from the network"));
    browser.until(
        "it says when it was renewed",
        "return document.getElementById('live-at').textContent.startsWith('Renewed ')",
    );
    assert_eq!(browser.run("return window.read"), 0);
    browser.open(&world.at("/"));
    browser.until("the front page is live", live);
    browser.run("window.same = true");
    world.order("r01-n05");
    clean(&browser, &world);
    world.end();
    browser.until("the page says that it is not live", "return document.getElementById('live-state').textContent.startsWith('Not live: the connection broke.')");
    // It is seen wherever the page is scrolled to.
    let seen = "const box = document.getElementById('live-state').getBoundingClientRect(); return box.height > 0 && box.top >= 0 && box.bottom <= window.innerHeight";
    assert_eq!(browser.run(seen), true);
    browser.picture("not-live.png", false);
    // What was there is there still.
    assert!(browser.text().contains("Needs a person now"));
}

#[test]
fn the_page_is_complete_without_scripts() {
    if !there_is_a_browser() {
        return;
    }
    let (world, browser) = (World::small(), Browser::new());
    for path in ["/", "/nodes/r01-n02", "/racks/r01", "/nodes/r01-n04/ticket"] {
        let words = |text: String| {
            let moving = |line: &&str| {
                !line.contains(" ago")
                    && !line.starts_with("for ")
                    && !line.contains("Live")
                    && !line.contains("Renewed")
                    && !line.contains("renews")
            };
            text.lines()
                .filter(moving)
                .map(ToOwned::to_owned)
                .collect::<Vec<_>>()
        };
        browser.scripts(true);
        browser.open(&world.at(path));
        let with = words(browser.text());
        browser.scripts(false);
        browser.open(&world.at(path));
        let without = words(browser.text());
        browser.scripts(true);
        assert!(with.len() > 10, "{path}");
        let missing: Vec<_> = with.iter().filter(|line| !without.contains(line)).collect();
        assert!(missing.len() <= with.len() / 20, "{path}: {missing:?}");
    }
    browser.scripts(false);
    browser.open(&world.at("/"));
    assert!(
        browser
            .text()
            .contains("This page renews itself every 10 seconds.")
    );
    browser.picture("front-without-scripts.png", false);
    // Who goes through it by keyboard lets it stand still, first of all.
    browser.open(&world.at("/"));
    browser.tab();
    browser.tab();
    browser.enter();
    browser.until(
        "the page stands still",
        "return document.body.innerText.includes('This page stands still.')",
    );
    assert!(!browser.text().contains("renews itself"));
}
