// SPDX-License-Identifier: Apache-2.0
//! The screen in a real terminal: drawn, steered, resized, without its server for a while, and left.

use crate::tmux::{Tmux, is_there, page, picture};
use crate::world::World;
use expect_test::expect;

fn shell(world: &World, before: &str) -> String {
    let program = env!("CARGO_BIN_EXE_groundstate");
    let cache = world.dir.path().join("cache");
    format!(
        "export GROUNDSTATE_SERVER={} GROUNDSTATE_CREDENTIAL={} XDG_CACHE_HOME={}; {before} {program} watch; \
         echo left with $?; stty -a | grep -o -e '-\\?icanon' -e '-\\?echo '; sleep 600",
        world.server(),
        world.credential().display(),
        cache.display()
    )
}

/// Moments and counts of events are of the day.
fn timeless(text: &str) -> String {
    let mut out = String::new();
    for line in text.trim_end().lines() {
        let line = match line.find("event ") {
            Some(at) if line.starts_with("groundstate lab") => &line[..at],
            _ => line,
        };
        let chars: Vec<char> = line.trim_end().chars().collect();
        for (at, c) in chars.iter().enumerate() {
            let near = |step: isize| {
                let at = at.checked_add_signed(step)?;
                chars.get(at).copied()
            };
            let of_moment = (-10..=10).any(|step| near(step) == Some('Z'))
                || (-4..=4).any(|step| near(step) == Some('-') && near(step + 3) == Some('-'));
            out.push(if c.is_ascii_digit() && of_moment {
                '0'
            } else {
                *c
            });
        }
        out.push('\n');
    }
    out.trim_end().to_owned()
}

#[test]
fn the_screen_is_drawn_and_steered() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let tmux = Tmux::run(world.dir.path(), 110, 32, &shell(&world, ""));
    tmux.wait_for(&["groundstate lab", "16 nodes", "live", "r1-01"]);
    tmux.keys(&["n"]);
    let text = tmux.wait_for(&["r1-04 is quarantined", "do now:", "checking -> quarantined"]);
    expect![[r#"
        groundstate lab  16 nodes  live  brake off
        Q quarantined 2  W in-repair 2  H held 2  ? suspect 2  P provisioning 2  R ready 4  e enrolled 2
        ┌ racks ──┐┌ nodes by name 4/16 ─────────────────────────────────────────────────────────────────────────────┐
        │   r1 r2 ││  NODE  PHASE        PLACE    STEP       DONE       FOR       WHY                                │
        │20 =  .  ││P r1-01 provisioning r1/2     image      #..... 25% 5 min                                        │
        │19 .  .  ││R r1-02 ready        r1/4                           5 min                                        │
        │18 .  .  ││e r1-03 enrolled     r1/6                           5 min                                        │
        │17 .  .  ││Q r1-04 quarantined  r1/8                           5 min     it is out of use [quarantined]     │
        │16 H  P  ││? r1-05 suspect      r1/10                          5 min     its host is silent or reports tro… │
        │15 .  .  ││W r1-06 in-repair    r1/12                          5 min     a person works at it [in-repair]   │
        │14 R  H  ││R r1-07 ready        r1/14                          5 min                                        │
        │13 .  .  ││H r1-08 held         r1/16                          5 min     the DIMM in slot DIMM_B1 is missi… │
        │12 W  R  ││R r2-01 ready        r2/2                           5 min                                        │
        │11 .  .  ││e r2-02 enrolled     r2/4                           5 min                                        │
        │10 ?  W  ││Q r2-03 quarantined  r2/6                           5 min     it is out of use [quarantined]     │
        │ 9 .  .  ││? r2-04 suspect      r2/8                           5 min     its host is silent or reports tro… │
        │ 8 Q  ?  │└─────────────────────────────────────────────────────────────────────────────────────────────────┘
        │ 7 .  .  │┌ r1-04 ──────────────────────────────────────────────────────────────────────────────────────────┐
        │ 6 e  Q  ││r1-04 is quarantined: it is out of use [quarantined]                                             │
        │ 5 .  .  ││  since:     0000-00-00 00:00:00Z (0 min ago)                                                    │
        │ 4 R  e  ││  deadline:  none                                                                                │
        │ 3 .  .  ││  by itself: nothing: it waits for a person                                                      │
        │ 2 P  R  ││  do now:    repair it (groundstate node repair r1-04) or let it out (groundstate node release   │
        │ 1 .  #  ││             r1-04)                                                                              │
        │         ││                                                                                                 │
        │= switch ││00:00:00Z added from the site file                                                               │
        │# PDU    ││00:00:00Z run r0-00-001-1 ordered                                                                │
        │         ││00:00:00Z enrolled -> ordered                                                                    │
        │         ││00:00:00Z ordered -> checking                                                                    │
        │         ││00:00:00Z checking -> quarantined                                                                │
        └─────────┘└─────────────────────────────────────────────────────────────────────────────────────────────────┘
        arrows  Enter: node  /: find  f: phase  s: order  n: needs you  ?: help  q: out"#]].assert_eq(&timeless(&text));
    let html = page(&tmux.coloured());
    assert!(
        html.contains("#e05561") && html.contains("#7bc275"),
        "colours are there"
    );
    picture("watch", &html, 1_120, 680);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["Newest events:", "52:54:00:00:01:04"]);
    picture("watch-node", &page(&tmux.coloured()), 1_120, 680);
    tmux.keys(&["Escape"]);
    tmux.wait_for(&["nodes by name"]);
}

#[test]
fn it_finds_resizes_goes_on_without_its_server_and_leaves_the_terminal_as_it_was() {
    if !is_there() {
        return;
    }
    let mut world = World::new();
    let tmux = Tmux::run(world.dir.path(), 110, 32, &shell(&world, ""));
    tmux.wait_for(&["groundstate lab", "16 nodes", "live", "r1-01"]);
    tmux.keys(&["/"]);
    tmux.keys(&["-l", "r2-0"]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["with \"r2-0\"", "/8"]);
    tmux.resize(80, 24);
    let text = tmux.wait_for(&["?: help  q: out"]);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    // An order of somebody else shows by itself.
    world.check(
        &["node", "quarantine", "r2-02", "--why", "noise", "--yes"],
        0,
        &[],
    );
    tmux.wait_for(&["Q quarantined 3"]);
    // The provisioner goes away and comes back.
    world.stop();
    tmux.wait_for(&["NO ANSWER", "asking again"]);
    world.start();
    tmux.wait_for(&["live"]);
    tmux.keys(&["q"]);
    let after = tmux.wait_for(&["left with 0"]);
    assert!(
        !after.contains("groundstate lab"),
        "the screen before is there again: {after}"
    );
    tmux.wait_for(&["icanon", "echo"]);
    let after = tmux.text();
    assert!(
        !after.contains("-icanon") && !after.contains("-echo"),
        "{after}"
    );
}

/// The smallest screen that it is made for, and a large one: nothing is cut off at the side, and both are kept as pictures.
#[test]
fn a_small_screen_and_a_large_one_are_filled() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let tmux = Tmux::run(world.dir.path(), 80, 24, &shell(&world, ""));
    tmux.wait_for(&["groundstate lab", "16 nodes", "live", "r1-01"]);
    tmux.keys(&["n"]);
    let text = tmux.wait_for(&["r1-04 is quarantined", "do now:", "q: out"]);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    picture("watch-80", &page(&tmux.coloured()), 820, 520);
    tmux.resize(200, 60);
    // What is on the small screen, too, does not say that the large one is drawn: its longest line does.
    let wide = "─".repeat(150);
    let text = tmux.wait_for(&[
        &wide,
        "r1-04 is quarantined",
        "= switch",
        "# PDU",
        "Q quarantined 2",
    ]);
    let wide = text
        .lines()
        .map(|line| line.trim_end().chars().count())
        .max();
    assert_eq!(wide, Some(200), "{text}");
    picture("watch-200", &page(&tmux.coloured()), 2_000, 1_240);
}

#[test]
fn without_colours_and_with_a_signal() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let tmux = Tmux::run(world.dir.path(), 80, 24, &shell(&world, "NO_COLOR=1"));
    tmux.wait_for(&["groundstate lab", "r1-01", "live"]);
    let coloured = tmux.coloured();
    let colours = coloured.split("\u{1b}[").skip(1).filter(|part| {
        let codes = part.split('m').next().unwrap_or_default();
        codes
            .split(';')
            .any(|code| matches!(code.parse(), Ok(30_u32..=38 | 40..=48 | 90..=107)))
    });
    assert_eq!(colours.count(), 0, "{coloured:?}");
    // Whoever ends it from afar leaves the terminal as it was, too.
    let server = world.server();
    let mine = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.unwrap().path();
        let id: i32 = path.file_name()?.to_str()?.parse().ok()?;
        let line = std::fs::read(path.join("cmdline")).ok()?;
        let environment = std::fs::read(path.join("environ")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        (line.ends_with("groundstate\0watch\0") && environment.contains(&server)).then_some(id)
    });
    let mine: Vec<i32> = mine.collect();
    let [id] = mine.as_slice() else {
        panic!("{mine:?}");
    };
    let id = nix::unistd::Pid::from_raw(*id);
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
    let after = tmux.wait_for(&["left with 0", "icanon"]);
    assert!(!after.contains("-icanon"), "{after}");
}

#[test]
fn it_wants_a_terminal() {
    let world = World::new();
    world.check(
        &["watch"],
        1,
        &["watch needs a terminal", "groundstate fleet"],
    );
}
