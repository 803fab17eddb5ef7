// SPDX-License-Identifier: Apache-2.0
//! A person is asked on a real terminal, and decides on what was shown.

use crate::tmux::{Tmux, is_there};
use crate::world::World;

fn shell(world: &World) -> String {
    let program = env!("CARGO_BIN_EXE_groundstate");
    let folder = std::path::Path::new(program).parent().unwrap();
    format!(
        "export PATH={}:$PATH GROUNDSTATE_SERVER={} GROUNDSTATE_CREDENTIAL={} XDG_CACHE_HOME={} PS1='ready> '; exec sh -i",
        folder.display(),
        world.server(),
        world.credential().display(),
        world.dir.path().join("cache").display()
    )
}

#[test]
fn another_word_orders_nothing_and_the_name_orders_what_was_seen() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let tmux = Tmux::run(world.dir.path(), 150, 40, &shell(&world));
    tmux.wait_for(&["ready>"]);
    let order = "groundstate node quarantine r1-03 --why noise --verbose; echo ended $?";
    tmux.keys(&["-l", order]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&[
        "until it is released",
        "Type the node's name to quarantine:",
    ]);
    tmux.keys(&["-l", "yes"]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["nothing was ordered", "ended 1"]);
    world.check(
        &["node", "list", "--phase", "quarantined", "--rack", "r1"],
        0,
        &["r1-04"],
    );
    // What moved in between was not what the person saw.
    tmux.keys(&["-l", &format!("clear; {order}")]);
    tmux.keys(&["Enter"]);
    tmux.wait_gone("ended");
    tmux.wait_for(&["Type the node's name"]);
    world.check(&["node", "remark", "r1-03", "wait"], 0, &[]);
    tmux.keys(&["-l", "r1-03"]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["If-Match: \"", "[precondition]", "ended 3"]);
    tmux.keys(&["-l", &format!("clear; {order}")]);
    tmux.keys(&["Enter"]);
    tmux.wait_gone("ended");
    tmux.wait_for(&["Type the node's name"]);
    tmux.keys(&["-l", "r1-03"]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["quarantined", "ended 0"]);
    // Several are counted, not named.
    tmux.keys(&[
        "-l",
        "clear; groundstate node repair --rack r1 --phase quarantined --why x; echo ended $?",
    ]);
    tmux.keys(&["Enter"]);
    tmux.wait_gone("ended");
    tmux.wait_for(&["r1-03", "r1-04", "Type 2, the number of nodes,"]);
    tmux.keys(&["-l", "2"]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["in-repair", "ended 0"]);
}

#[test]
fn what_will_happen_is_shown_before_a_person_is_asked_why() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let tmux = Tmux::run(world.dir.path(), 150, 40, &shell(&world));
    tmux.wait_for(&["ready>"]);
    let order = "clear; groundstate node quarantine r1-03; echo ended $?";
    tmux.keys(&["-l", order]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["until it is released", "Why? One line"]);
    tmux.keys(&["-l", "noise"]);
    tmux.keys(&["Enter"]);
    let said = tmux.wait_for(&["Type the node's name to quarantine:"]);
    assert_eq!(said.matches("until it is released").count(), 1, "{said}");
    tmux.keys(&["-l", "r1-03"]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["quarantined", "ended 0"]);
    // Where nothing is sent nobody is asked.
    tmux.keys(&[
        "-l",
        "clear; groundstate node quarantine r1-07 --dry-run; echo ended $?",
    ]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&["no reason given", "ended 0"]);
}

#[test]
fn a_terminal_without_a_size_is_told_what_to_do_and_cuts_nothing() {
    if !is_there() {
        return;
    }
    let world = World::new();
    let tmux = Tmux::run(world.dir.path(), 150, 40, &shell(&world));
    tmux.wait_for(&["ready>"]);
    let line = "stty rows 0 cols 0; groundstate watch; groundstate node list --phase held; stty rows 40 cols 150; echo ended $?";
    tmux.keys(&["-l", line]);
    tmux.keys(&["Enter"]);
    tmux.wait_for(&[
        "stty rows 24 cols 80, and again",
        "the DIMM in slot DIMM_B1 is missing [dimm-missing]",
        "ended 0",
    ]);
    // Who ends the question with Ctrl-D hears on a line of its own that nothing was ordered.
    tmux.keys(&[
        "-l",
        "clear; groundstate node quarantine r1-03 --why x; echo ended $?",
    ]);
    tmux.keys(&["Enter"]);
    tmux.wait_gone("ended");
    tmux.wait_for(&["Type the node's name"]);
    tmux.keys(&["C-d"]);
    tmux.wait_for(&["\ngroundstate: nothing was ordered", "ended 1"]);
}
