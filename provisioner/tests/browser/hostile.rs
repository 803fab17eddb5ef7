// SPDX-License-Identifier: Apache-2.0
//! Texts that machines and files say, as somebody hostile would have them say: they stay texts, in every place.

use crate::driver::{Browser, there_is_a_browser};
use crate::pages::{clean, sound};
use crate::world::World;

/// Closes every kind of context, steers a terminal, turns the line around, and is long.
fn said() -> String {
    let wide = "W".repeat(400);
    format!(
        "\"'></title></style></svg></script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>{{{{7*7}}}}${{7*7}}\u{1b}[2J\u{202e}evil\u{0} javascript:alert(1) {wide}"
    )
}

#[test]
fn what_a_machine_says_is_never_more_than_text() {
    if !there_is_a_browser() {
        return;
    }
    let (world, browser) = (World::hostile(&said()), Browser::new());
    let rack = browser_path(&said());
    for path in [
        "/",
        "/needs",
        "/nodes",
        "/nodes?q=%22%3E%3Cscript%3Ewindow.pwned%3D1%3C%2Fscript%3E&phase=%22%3E%3Cb%3E",
        "/nodes/r01-n01",
        "/nodes/r01-n01/history",
        "/nodes/r01-n01/ticket",
        &rack,
    ] {
        for width in [1_400, 400] {
            browser.screen(width, 900);
            sound(&browser, &world, path);
            let scripts = browser.run("return [window.pwned === undefined, document.scripts.length <= 1, document.images.length, [...document.querySelectorAll('a')].every((a) => a.protocol === 'http:')]");
            assert_eq!(scripts, serde_json::json!([true, true, 0, true]), "{path}");
            let steers = browser
                .run("return /[\\u001b\\u202e\\u0000]/.test(document.documentElement.outerHTML)");
            assert_eq!(steers, false, "{path}");
        }
        let shows = browser.text().contains("window.pwned=1") || path.contains("q=%22");
        assert!(shows || path == "/nodes", "{path}: {}", browser.text());
    }
    browser.screen(1_400, 1_000);
    browser.open(&world.at("/nodes/r01-n01"));
    browser.picture("node-hostile.png", true);
    browser.open(&world.at("/nodes/r01-n01/log"));
    assert!(browser.text().contains("window.pwned=1"));
    assert_eq!(browser.run("return document.scripts.length"), 0);
    clean(&browser, &world);
}

fn browser_path(rack: &str) -> String {
    let part: String = rack.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("/racks/{part}")
}
