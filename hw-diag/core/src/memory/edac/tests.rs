// SPDX-License-Identifier: Apache-2.0
//! Counters with every kind of name.

use super::*;
use groundstate_api::inventory::Verdict;

fn dimm(slot: &str, bank: &str, gib: u64) -> Dimm {
    Dimm {
        slot: slot.into(),
        bank: bank.into(),
        size: (gib > 0).then(|| Bytes::gib(gib)),
        populated: gib > 0,
        kind: "DDR4".into(),
        speed: 0,
        manufacturer: String::new(),
        part_number: String::new(),
        serial: String::new(),
        errors: None,
    }
}

fn counter(index: usize, label: &str, gib: u64, corrected: u64, uncorrected: u64) -> Counter {
    Counter {
        name: format!("dimm{index}"),
        label: label.into(),
        location: format!("channel {index} slot 0"),
        size: Some(Bytes::gib(gib)),
        errors: MemoryErrors {
            corrected,
            uncorrected,
            since: None,
        },
    }
}

fn controller(counters: Vec<Counter>) -> Controller {
    let total = counters
        .iter()
        .fold(MemoryErrors::default(), |sum, c| plus(sum, c.errors));
    Controller {
        name: "mc0".into(),
        since: Some(Millis::secs(3_600)),
        total,
        counters,
    }
}

fn counted(dimms: &[Dimm]) -> Vec<Option<u64>> {
    dimms
        .iter()
        .map(|dimm| dimm.errors.map(|errors| errors.corrected))
        .collect()
}

#[test]
fn labels_that_are_slots_or_bank_and_slot() {
    let mut dimms = [
        dimm("DIMM 0", "P0", 16),
        dimm("DIMM 0", "P1", 16),
        dimm("A2", "", 16),
        dimm("A3", "", 0),
    ];
    let counters = vec![
        counter(0, "p1 DIMM 0", 16, 3, 0),
        counter(1, "a2", 16, 5, 0),
        // Several ranks of one module.
        counter(2, "A2", 16, 2, 0),
        // Two slots have this name, and one is empty.
        counter(3, "DIMM 0", 16, 9, 0),
        counter(4, "A3", 16, 0, 0),
    ];
    let assigned = assign(&mut dimms, &[controller(counters)]);
    assert_eq!(counted(&dimms), [None, Some(3), Some(7), None]);
    assert_eq!(dimms[1].errors.unwrap().since, Some(Millis::secs(3_600)));
    let names: Vec<&str> = assigned
        .unplaced
        .iter()
        .map(|report| report.device.as_str())
        .collect();
    assert_eq!(names, ["mc0 dimm3"]);
    assert!(
        assigned.unplaced[0].findings[0]
            .evidence
            .iter()
            .any(|line| line.contains("it may be DIMM 0")),
        "{:?}",
        assigned.unplaced[0]
    );
}

#[test]
fn sizes_of_a_kind_place_a_counter_and_equal_ones_do_not() {
    let label = |n: usize| format!("CPU_SrcID#0_MC#0_Chan#{n}_DIMM#0");
    let mut dimms = [dimm("A1", "", 8), dimm("B1", "", 16), dimm("C1", "", 0)];
    let counters = vec![
        counter(0, &label(0), 16, 4, 0),
        counter(1, &label(1), 8, 0, 0),
    ];
    let assigned = assign(&mut dimms, &[controller(counters)]);
    assert_eq!(counted(&dimms), [Some(0), Some(4), None]);
    assert_eq!(assigned.unplaced, []);

    let mut dimms = [dimm("A1", "", 16), dimm("B1", "", 16), dimm("C1", "", 8)];
    let counters = vec![
        counter(0, &label(0), 16, 4, 1),
        counter(1, &label(1), 16, 0, 0),
        counter(2, &label(2), 8, 0, 0),
    ];
    let assigned = assign(&mut dimms, &[controller(counters)]);
    assert_eq!(counted(&dimms), [None, None, Some(0)]);
    let report = &assigned.unplaced[0];
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(
        report.place.slot,
        "CPU_SrcID#0_MC#0_Chan#0_DIMM#0, channel 0 slot 0"
    );
    assert_eq!(report.figures["uncorrected_errors"], 1);
    expect_test::expect![[r#"
        FAIL    DIMM mc0 dimm0: CPU_SrcID#0_MC#0_Chan#0_DIMM#0, channel 0 slot 0, 16 GiB
          the module that the driver calls mc0 dimm0 had 1 error that could not be corrected [dimm-uncorrected-errors]
            seen:     the memory controller counted 4 corrected and 1 uncorrected errors in 1 hour
            seen:     the memory controller's driver calls it CPU_SrcID#0_MC#0_Chan#0_DIMM#0, channel 0 slot 0
            seen:     SMBIOS does not tell which slot that is; it may be A1 or B1
            seen:     one error that could not be corrected is data that was lost, and the next one may stop the machine
            how sure: certain
            do now:   power the machine off, replace the module that the driver calls mc0 dimm0, and order the run again
          the module that the driver calls mc0 dimm0 had 4 errors that were corrected [dimm-few-corrected-errors]
            seen:     the memory controller counted 4 corrected and 1 uncorrected errors in 1 hour
            seen:     the memory controller's driver calls it CPU_SrcID#0_MC#0_Chan#0_DIMM#0, channel 0 slot 0
            seen:     SMBIOS does not tell which slot that is; it may be A1 or B1
            seen:     single corrected errors happen to good modules
            how sure: a hint
            do now:   look at the counters again tomorrow; when they grow, reseat the module that the driver calls mc0 dimm0, then replace it"#]]
    .assert_eq(&report.lines().join("\n"));
}

#[test]
fn counters_at_zero_say_that_nothing_was_counted_on_any_module() {
    let mut dimms = [dimm("A1", "", 16), dimm("B1", "", 16), dimm("C1", "", 0)];
    let counters = vec![counter(0, "x", 16, 0, 0), counter(1, "y", 16, 0, 0)];
    let assigned = assign(&mut dimms, &[controller(counters)]);
    assert_eq!(counted(&dimms), [Some(0), Some(0), None]);
    assert_eq!(assigned.unplaced, []);
    // Without a driver nobody counts.
    let mut dimms = [dimm("A1", "", 16)];
    assert_eq!(assign(&mut dimms, &[]), Assigned::default());
    assert_eq!(dimms[0].errors, None);
}

#[test]
fn errors_that_the_controller_could_not_place() {
    let mut dimms = [dimm("A1", "", 16)];
    let mut mc = controller(vec![counter(0, "A1", 16, 1, 0)]);
    mc.total = MemoryErrors {
        corrected: 3,
        uncorrected: 2,
        since: None,
    };
    let assigned = assign(&mut dimms, &[mc]);
    assert_eq!(counted(&dimms), [Some(1)]);
    let [report] = &assigned.unplaced[..] else {
        panic!("{:?}", assigned.unplaced)
    };
    assert_eq!(
        (report.kind, report.verdict),
        (DeviceKind::Memory, Verdict::Fail)
    );
    assert_eq!(report.figures["corrected_errors"], 2);
    assert_eq!(assigned.since, Some(Millis::secs(3_600)));
}
