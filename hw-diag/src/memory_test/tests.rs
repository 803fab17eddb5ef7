// SPDX-License-Identifier: Apache-2.0
//! Cells that are stuck are found by every pattern; good memory gives no finding; limits hold.

use super::patterns::Pattern;
use super::*;

fn order(passes: u32) -> Order {
    Order {
        passes: Some(passes),
        until: None,
        seed: 7,
    }
}

fn test_words(words: &mut [u64], disturb: &(dyn Fn(Pattern, &mut [u64]) + Sync)) -> Outcome {
    let chunk = Chunk { row: 3, words };
    let never = AtomicBool::new(false);
    worker::run(chunk, &order(1), &Shared::default(), &never, disturb)
}

/// A word whose bit is stuck reads back wrong under each pattern that writes the other value there.
#[test]
fn a_stuck_bit_is_found_by_its_patterns() {
    let at = 70_001usize;
    let mut found: Vec<&str> = Vec::new();
    for bit in [0u32, 17, 40, 63] {
        for stuck_at_one in [false, true] {
            let mut words = vec![0u64; 200_000];
            let outcome = test_words(&mut words, &|_, words| {
                let mask = 1u64 << bit;
                if stuck_at_one {
                    words[at] |= mask;
                } else {
                    words[at] &= !mask;
                }
            });
            assert_eq!(outcome.passes, 1);
            assert!(outcome.wrong >= 3, "bit {bit}: {}", outcome.wrong);
            for mismatch in &outcome.mismatches {
                assert_eq!(mismatch.offset, 3 * 4_096 + 70_001 * 8);
                assert_eq!(mismatch.bits(), 1 << bit);
                assert_eq!(mismatch.again, mismatch.got);
                found.push(mismatch.pattern);
            }
            // Inversions write both values to every cell, so they find every stuck bit by themselves.
            let inversions = Pattern::MovingInversions.name();
            assert!(outcome.mismatches.iter().any(|m| m.pattern == inversions));
        }
    }
    for pattern in PATTERNS {
        assert!(found.contains(&pattern.name()), "{}", pattern.name());
    }
}

/// Two addresses that are one cell: the word written later shows at the earlier one.
#[test]
fn a_dead_address_line_is_found() {
    let mut words = vec![0u64; 1 << 18];
    let outcome = test_words(&mut words, &|_, words| {
        words[4_096] = words[4_096 + (1 << 17)]
    });
    let own = Pattern::OwnAddress.name();
    assert!(outcome.mismatches.iter().any(|m| m.pattern == own));
    // Outcomes of several threads: the least of what each did, the sum of what each found.
    let other = Outcome {
        passes: 9,
        ..Outcome::default()
    };
    let wrong = outcome.wrong;
    let all = Outcome::of_all(vec![outcome, other]);
    assert_eq!((all.passes, all.patterns, all.wrong), (1, 0, wrong));
}

#[test]
fn mismatches_are_kept_up_to_a_limit_and_counted_beyond() {
    let mut words = vec![0u64; 10_000];
    let outcome = test_words(&mut words, &|_, words| words.fill(0x55));
    assert_eq!(outcome.mismatches.len(), MISMATCHES_MAX);
    assert!(outcome.wrong > 50_000);
}

fn small(passes: Option<u32>, time: Option<Duration>) -> MemoryTest {
    MemoryTest {
        amount: Amount::Bytes(LEAST),
        passes,
        time,
        threads: Some(2),
    }
}

#[test]
fn real_memory_is_tested_and_its_report_is_ok() {
    let mut seen = Vec::new();
    let report = run(
        &small(Some(1), None),
        &mut |progress| seen.push(progress),
        &AtomicBool::new(false),
    )
    .unwrap();
    assert_eq!((report.tested, report.passes), (LEAST, 1));
    assert_eq!((report.wrong_words, report.ended), (0, Ended::Done));
    // Seven patterns write and read once; moving inversions twice more.
    assert_eq!(report.patterns, 7);
    assert_eq!(report.moved.0, LEAST.0 * 18);
    let last = seen.last().unwrap();
    assert_eq!(
        (last.moved, last.passes, last.pass),
        (report.moved, Some(1), 1)
    );
    let reports = report.reports(&[], &hw_core::memory::Details::default());
    assert_eq!(reports[0].verdict.as_str(), "ok");
}

#[test]
fn a_test_that_is_called_off_or_has_no_time_left_says_so() {
    let quiet = &mut |_: Progress| {};
    let report = run(&small(None, None), quiet, &AtomicBool::new(true)).unwrap();
    assert_eq!((report.passes, report.ended), (0, Ended::Cancelled));
    let none = small(None, Some(Duration::ZERO));
    let report = run(&none, quiet, &AtomicBool::new(false)).unwrap();
    assert_eq!((report.passes, report.ended), (0, Ended::TimeUp));
}

#[test]
fn the_reserve_stays() {
    let root = tempfile::tempdir().unwrap();
    let tree = Tree::at(root.path());
    let quiet = &mut |_: Progress| {};
    let never = AtomicBool::new(false);
    let mut with = |meminfo: &str, amount: Amount| {
        std::fs::create_dir_all(root.path().join("proc")).unwrap();
        std::fs::write(root.path().join("proc/meminfo"), meminfo).unwrap();
        let test = MemoryTest {
            amount,
            ..small(Some(1), None)
        };
        run_at(&tree, &test, quiet, &never).map(|report| report.tested)
    };
    let all = Amount::Percent(100);
    assert_eq!(with("", all), Err(MemoryTestError::NotSaid));
    let error = with("MemAvailable: 131072 kB\n", all).unwrap_err();
    assert_eq!(
        error.to_string(),
        "128 MiB of memory are available, 128 MiB of it must stay for the system, and a test needs 8 MiB"
    );
    assert_eq!(with("MemAvailable: 145000 kB\n", all), Ok(Bytes::mib(13)));
    let half = Amount::Percent(50);
    assert!(with("MemAvailable: 32768 kB\n", half).is_err());
    assert_eq!(reserve(Bytes::gib(64)), Bytes::gib(2));
}

/// Growing stops where the system needs the rest, and a physical address is told to root alone.
#[test]
fn a_region_grows_as_long_as_there_is_enough() {
    let mut notes = Vec::new();
    let mut region = Region::new(Bytes::mib(192), &|| false, &mut notes).unwrap();
    assert_eq!(region.bytes(), 64 << 20);
    assert_eq!(region.words().len(), 8 << 20);
    match pagemap::physical(region.address(8)) {
        Ok(address) => assert_eq!(address % 4_096, 8),
        Err(why) => assert!(!why.is_empty()),
    }
    assert_eq!(region.locked(), notes.is_empty());
}
