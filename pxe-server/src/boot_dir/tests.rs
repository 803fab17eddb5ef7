// SPDX-License-Identifier: Apache-2.0
//! What a folder serves and what it does not, and what happens when it changes.

use super::*;
use pxe_core::names::LOCAL_DISK;
use std::fs;
use std::os::unix::fs::symlink;

fn text(content: &Content) -> String {
    let mut bytes = vec![0; usize::try_from(content.length()).unwrap()];
    content.read_at(0, &mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join("boot").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

/// The folder as if it had been looked at long ago.
fn later(boot: &BootDir) {
    let then = Instant::now().checked_sub(2 * FRESH).unwrap();
    *boot.looked.lock().unwrap() = then;
    for opened in boot.open.lock().unwrap().values_mut() {
        opened.checked = then;
    }
}

#[test]
fn every_regular_file_has_its_relative_name_and_nothing_else_has_one() {
    let dir = folder(&[
        ("a.efi", "a"),
        ("sub/dir/b c", "b"),
        (LOCAL_DISK, "no"),
        ("../outside", "secret"),
    ]);
    let root = dir.path().join("boot");
    symlink("a.efi", root.join("inside")).unwrap();
    symlink("../a.efi", root.join("sub/up")).unwrap();
    symlink("../outside", root.join("out")).unwrap();
    symlink("/etc/passwd", root.join("absolute")).unwrap();
    symlink("..", root.join("parent")).unwrap();
    symlink("sub", root.join("folder")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    fs::write(root.join("two\nlines"), "x").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("pipe"),
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .unwrap();
    let deep = format!("deep/{}x", "d/".repeat(DEPTH_MAX));
    let path = root.join(&deep);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
    let boot = BootDir::open(&root).unwrap();
    assert_eq!(boot.names(), ["a.efi", "inside", "sub/dir/b c", "sub/up"]);
    let left_out = LeftOut {
        links: 5,
        special: 1,
        names: 1,
        folders: 1,
    };
    assert_eq!(boot.left_out(), left_out);
    let [hidden] = &boot.hidden()[..] else {
        panic!("{:?}", boot.hidden());
    };
    assert!(hidden.starts_with("local-disk is never served"), "{hidden}");
    for name in ["a.efi", "/a.efi", "//a.efi", "inside", "sub/up"] {
        assert_eq!(text(&boot.file(name).unwrap()), "a", "{name}");
    }
    assert_eq!(text(&boot.file("sub//dir/b c").unwrap()), "b");
    for name in [
        "",
        "/",
        ".",
        "..",
        "../outside",
        "sub/../a.efi",
        "./a.efi",
        "out",
        "absolute",
        "parent/outside",
        "folder/dir/b c",
        "dangling",
        "pipe",
        "two\nlines",
        "a.efi\0",
        "A.EFI",
        LOCAL_DISK,
        &deep,
    ] {
        let found = boot.file(name).map(|content| text(&content));
        assert_eq!(found, None, "{name:?}");
    }
}

#[test]
fn a_name_that_means_something_else_is_told_by_name_and_the_file_is_had_elsewhere() {
    let script = "ipxe/52-54-00-12-34-56.ipxe";
    let files = [
        ("metrics", "m"),
        ("boot/metrics", "mm"),
        (script, "s"),
        ("boot/local-disk", "no"),
        ("boot/a", "below"),
        ("a", "a"),
        ("boot/b", "b"),
    ];
    let dir = folder(&files);
    let boot = BootDir::open(&dir.path().join("boot")).unwrap();
    let told = boot.hidden();
    let told: Vec<_> = told
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let names = [
        "boot/local-disk",
        "boot/a",
        "boot/metrics",
        script,
        "metrics",
    ];
    assert_eq!(told, names, "what is never served comes first");
    for (name, content) in files {
        let found = boot.file(name).map(|content| text(&content));
        let expected = (name != "boot/local-disk").then_some(content);
        assert_eq!(found.as_deref(), expected, "{name}");
    }
    // Where a file of another origin has the name below, the folder's is told as well.
    assert!(!boot.hidden().iter().any(|line| line.starts_with("boot/b")));
    let among = boot.hidden_among(&|name| name == "b");
    assert!(
        among
            .iter()
            .any(|line| line.starts_with("boot/b is not at"))
    );
}

#[test]
fn a_file_that_is_replaced_goes_out_as_it_was_and_the_next_one_as_it_is() {
    let dir = folder(&[("a", "old"), ("b", "b")]);
    let root = dir.path().join("boot");
    let boot = BootDir::open(&root).unwrap();
    let old = boot.file("a").unwrap();
    fs::write(root.join("new"), "newer").unwrap();
    fs::rename(root.join("new"), root.join("a")).unwrap();
    fs::remove_file(root.join("b")).unwrap();
    later(&boot);
    assert_eq!(text(&boot.file("a").unwrap()), "newer");
    assert_eq!(text(&old), "old");
    assert!(boot.file("b").is_none());
    // The whole folder is replaced by another.
    fs::rename(&root, dir.path().join("before")).unwrap();
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a"), "other").unwrap();
    later(&boot);
    assert_eq!(text(&boot.file("a").unwrap()), "other");
    // A name that became a link out of the folder between two looks is not followed.
    fs::remove_file(root.join("a")).unwrap();
    symlink("/etc/hostname", root.join("a")).unwrap();
    for opened in boot.open.lock().unwrap().values_mut() {
        opened.checked = Instant::now().checked_sub(2 * FRESH).unwrap();
    }
    assert!(boot.file("a").is_none());
}

#[test]
fn a_file_that_is_dropped_in_is_found_by_the_next_look() {
    let dir = folder(&[("a", "a")]);
    let root = dir.path().join("boot");
    let boot = BootDir::open(&root).unwrap();
    assert!(boot.file("late").is_none());
    fs::write(root.join("late"), "late").unwrap();
    later(&boot);
    assert_eq!(text(&boot.file("late").unwrap()), "late");
    // Within the same second the folder is not looked at again, whatever is asked for.
    fs::write(root.join("later"), "later").unwrap();
    let looked = *boot.looked.lock().unwrap();
    for n in 0..1_000 {
        assert!(boot.file(&format!("no such file {n}")).is_none());
    }
    if looked.elapsed() < FRESH {
        assert_eq!(*boot.looked.lock().unwrap(), looked);
    }
    let changes = boot.look_again().unwrap();
    assert_eq!(changes.went, Vec::<String>::new());
    fs::remove_file(root.join("late")).unwrap();
    assert_eq!(boot.look_again().unwrap().went, ["late"]);
    // A folder that is gone is said, and what was found is kept for when it comes back.
    fs::rename(&root, dir.path().join("gone")).unwrap();
    assert!(boot.look_again().unwrap_err().to_string().contains("boot"));
    assert_eq!(boot.names(), ["a", "later"]);
}

#[test]
fn open_files_are_bounded() {
    let names: Vec<String> = (0..OPEN_MAX + 20).map(|n| format!("f{n}")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let dir = folder(&files);
    let boot = BootDir::open(&dir.path().join("boot")).unwrap();
    for name in &names {
        assert!(boot.file(name).is_some());
    }
    assert_eq!(boot.open.lock().unwrap().len(), OPEN_MAX);
}

proptest::proptest! {
    #[test]
    fn no_name_reads_anything_but_a_file_of_that_name(name in "(\\.\\./|\\./|/|outside|a|sub/|%2e|\\\\|\\PC){1,12}") {
        let dir = folder(&[("a", "a"), ("sub/a", "a"), ("../outside", "secret")]);
        let boot = BootDir::open(&dir.path().join("boot")).unwrap();
        if let Some(content) = boot.file(&name) {
            proptest::prop_assert_eq!(text(&content), "a");
            let plain = plain(&name).unwrap();
            proptest::prop_assert!(plain == "a" || plain == "sub/a", "{}", name);
        }
    }
}
