// SPDX-License-Identifier: Apache-2.0
//! Golden transcripts: whole runs by the product's own cores and printer, each in well under a second.
//!
//! `UPDATE_EXPECT=1 cargo test -p groundstate-tests --test transcripts` writes them anew; read the difference.

use expect_test::expect_file;
use groundstate_tests::world::{Trouble, transcript};

#[test]
fn two_disks_happy() {
    expect_file!["../golden/transcripts/two-disks-happy.txt"].assert_eq(&transcript(Trouble::None));
}

#[test]
fn dimm_missing() {
    expect_file!["../golden/transcripts/dimm-missing.txt"]
        .assert_eq(&transcript(Trouble::DimmMissing));
}

#[test]
fn smart_failing() {
    expect_file!["../golden/transcripts/smart-failing.txt"]
        .assert_eq(&transcript(Trouble::SmartFailing));
}

#[test]
fn wrong_disk() {
    expect_file!["../golden/transcripts/wrong-disk.txt"].assert_eq(&transcript(Trouble::WrongDisk));
}

#[test]
fn bad_chunk() {
    expect_file!["../golden/transcripts/bad-chunk.txt"].assert_eq(&transcript(Trouble::BadChunk));
}

#[test]
fn provisioner_away() {
    expect_file!["../golden/transcripts/provisioner-away.txt"]
        .assert_eq(&transcript(Trouble::ProvisionerAway));
}

#[test]
fn disk_breaks() {
    expect_file!["../golden/transcripts/disk-breaks.txt"]
        .assert_eq(&transcript(Trouble::DiskBreaks));
}

#[test]
fn second_key() {
    expect_file!["../golden/transcripts/second-key.txt"].assert_eq(&transcript(Trouble::SecondKey));
}

#[test]
fn window_expired() {
    expect_file!["../golden/transcripts/window-expired.txt"]
        .assert_eq(&transcript(Trouble::WindowExpired));
}

#[test]
fn power_cut_in_layout() {
    expect_file!["../golden/transcripts/power-cut-in-layout.txt"]
        .assert_eq(&transcript(Trouble::PowerCutInLayout));
}
