// SPDX-License-Identifier: Apache-2.0
//! A script says what was written and nothing else, whatever was written (C5, T9).

use super::*;
use alloc::string::ToString as _;
use alloc::vec;
use core::net::Ipv4Addr;

const BASE: HttpBase = HttpBase {
    address: std::net::IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)),
    port: 80,
};

fn render(recipe: &BootRecipe) -> Result<String, RecipeError> {
    Ok(Recipe::read(recipe)?.script(BASE).render())
}

#[test]
fn a_kernel_a_program_and_a_script_of_the_users_own() {
    let kernel = BootRecipe {
        name: "rescue".to_owned(),
        kernel: Some("rescue/vmlinuz".to_owned()),
        initrd: vec!["rescue/base.img".to_owned(), "site.img".to_owned()],
        command_line: " root=live   console=ttyS0,115200 ".to_owned(),
        ..BootRecipe::default()
    };
    expect_test::expect![[r"
        #!ipxe
        kernel http://10.77.0.1/boot/rescue/vmlinuz initrd=base.img initrd=site.img root=live console=ttyS0,115200
        initrd http://10.77.0.1/boot/rescue/base.img
        initrd http://10.77.0.1/boot/site.img
        boot
    "]]
    .assert_eq(&render(&kernel).unwrap());
    let program = BootRecipe {
        file: Some("menu.ipxe".to_owned()),
        ..BootRecipe::default()
    };
    assert_eq!(
        render(&program).unwrap(),
        "#!ipxe\nchain http://10.77.0.1/boot/menu.ipxe\n"
    );
    assert!(render(&BootRecipe::default()).is_err());
}

/// Strings that somebody would try: pieces that mean something to iPXE, the kernel, a shell, a terminal or a URL.
fn hostile(seed: u32) -> String {
    const PIECES: [&str; 32] = [
        "\n",
        "\r\n",
        "\0",
        "${net0/mac}",
        "$",
        ";",
        "&&",
        "||",
        "|",
        "`id`",
        "$(id)",
        "\"",
        "'",
        "\\",
        " ",
        "\t",
        "#!ipxe",
        "#",
        "%0a",
        "%2e%2e/",
        "../",
        "\u{202e}",
        "\u{2028}",
        "\u{feff}",
        "é",
        "initrd=x",
        "--name",
        "init=/bin/sh",
        "console=ttyS0",
        "a.b_c,d:e=f/g@h+i-j",
        "vmlinuz",
        "x",
    ];
    let mut state = seed.wrapping_mul(2_654_435_769) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        usize::try_from(state).unwrap()
    };
    if seed.is_multiple_of(97) {
        return "x".repeat(65_536);
    }
    let pieces = 1 + next() % 4;
    (0..pieces).map(|_| PIECES[next() % PIECES.len()]).collect()
}

/// Reads a script as iPXE does: a command a line, words between blanks.
fn words(script: &str) -> Vec<Vec<&str>> {
    script
        .lines()
        .map(|line| line.split(' ').collect())
        .collect()
}

fn name_of(url: &str) -> &str {
    url.strip_prefix("http://10.77.0.1/boot/").unwrap()
}

#[test]
fn two_thousand_hostile_strings_in_every_field_become_themselves_or_nothing() {
    let (mut said, mut refused) = (0, 0);
    for seed in 0..2_000 {
        let text = hostile(seed);
        let good = || "plain".to_owned();
        for field in 0..5 {
            let pick = |n: usize| if n == field { text.clone() } else { good() };
            let recipe = BootRecipe {
                name: pick(0),
                file: (field == 1).then(|| text.clone()),
                kernel: Some(pick(2)),
                initrd: vec![pick(3)],
                command_line: pick(4),
            };
            let Ok(script) = render(&recipe) else {
                refused += 1;
                continue;
            };
            said += 1;
            let script = words(&script);
            let tokens: Vec<&str> = recipe.command_line.split_ascii_whitespace().collect();
            if let Some(file) = &recipe.file {
                assert_eq!(script.len(), 2, "{recipe:?}");
                assert_eq!(script[1][0], "chain");
                assert_eq!(name_of(script[1][1]), file);
                continue;
            }
            let [first, kernel, initrd, boot] = script.as_slice() else {
                panic!("{recipe:?}: {script:?}");
            };
            assert_eq!(
                (first.as_slice(), boot.as_slice()),
                (["#!ipxe"].as_slice(), ["boot"].as_slice())
            );
            assert_eq!(
                (kernel[0], name_of(kernel[1])),
                ("kernel", recipe.kernel.as_deref().unwrap())
            );
            assert_eq!(
                kernel[2],
                format!("initrd={}", last_part(&recipe.initrd[0]))
            );
            assert_eq!(kernel[3..], tokens, "{recipe:?}");
            assert_eq!(
                (initrd[0], name_of(initrd[1])),
                ("initrd", recipe.initrd[0].as_str())
            );
        }
    }
    assert!(
        said > 2_000 && refused > 2_000,
        "{said} said, {refused} refused"
    );
}

#[test]
fn every_refusal_names_the_recipe_and_what_is_wrong() {
    let kernel = |kernel: &str, initrd: &[&str], command_line: &str| BootRecipe {
        name: "r".to_owned(),
        kernel: Some(kernel.to_owned()),
        initrd: initrd.iter().map(|name| (*name).to_owned()).collect(),
        command_line: command_line.to_owned(),
        ..BootRecipe::default()
    };
    for (recipe, says) in [
        (kernel("a b", &[], ""), "\"a b\""),
        (kernel("", &[], ""), "\"\""),
        (kernel("k", &["a/x", "b/x"], ""), "\"x\""),
        (kernel("k", &["i"; 17], ""), "17 initramfs files"),
        (kernel("k", &[], "initrd=x"), "must not name an initrd"),
        (kernel("k", &[], "a\nb"), "'\\n'"),
    ] {
        let error = render(&recipe).unwrap_err().to_string();
        assert!(error.contains("\"r\"") && error.contains(says), "{error}");
    }
}
