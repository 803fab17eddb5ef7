// SPDX-License-Identifier: Apache-2.0
//! What the command says of itself, word for word.

use crate::world::World;
use expect_test::expect_file;

#[test]
fn import_and_write_tell_how_they_are_used() {
    let world = World::new();
    let help = |line: &str| {
        let said = world.done(line);
        // Where the state is, is this test's folder.
        let state = world.path("state").display().to_string();
        said.replace(&state, "/STATE")
    };
    expect_file!["help/import.txt"].assert_eq(&help("import --help"));
    expect_file!["help/write.txt"].assert_eq(&help("write --help"));
    expect_file!["help/export.txt"].assert_eq(&help("export --help"));
}
