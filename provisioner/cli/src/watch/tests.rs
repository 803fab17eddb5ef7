// SPDX-License-Identifier: Apache-2.0
//! Golden screens: state and news in, cells out, without a terminal.

use super::draw::draw;
use super::keys::{After, press};
use super::model::{Link, News, Page, State};
use super::theme::Theme;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use expect_test::expect;
use groundstate_api::event::{Event, Happened};
use groundstate_api::fleet::{Eta, EtaFrom, FleetView, Need, RackView, SlotView};
use groundstate_api::plan::Step;
use groundstate_api::run::StepState;
use groundstate_api::text::printable;
use groundstate_api::view::{NodeView, Phase};
use groundstate_api::{Bytes, MacAddr, Millis, Part, Reason, ReasonCode};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

/// 2024-10-04 12:00:00 UTC.
const NOON: u64 = 20_000 * 86_400_000 + 43_200_000;

fn reason() -> Reason {
    Reason::new(
        ReasonCode::DimmMissing,
        "the DIMM in slot DIMM_B1 is missing",
        "power the machine off and reseat the DIMM in slot DIMM_B1",
    )
    .about(Part::Dimm {
        slot: "DIMM_B1".into(),
        serial: Some("D-0002".into()),
        size: Some("16 GiB".into()),
    })
    .seen("SMBIOS says slot DIMM_B1 is empty")
}

fn view(name: &str, phase: Phase, version: u64) -> NodeView {
    NodeView {
        node: name.parse().unwrap(),
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        phase,
        since: Millis(NOON - 300_000),
        reason: (phase == Phase::Held).then(reason),
        run: None,
        step: (phase == Phase::Provisioning).then_some((
            Step::Image,
            StepState::Running {
                done: Bytes::gib(1),
                total: Bytes::gib(4),
            },
        )),
        boot: None,
        last_heard: None,
        version,
    }
}

fn need(name: &str, phase: Phase) -> Need {
    Need {
        node: name.parse().unwrap(),
        rack: None,
        unit: None,
        phase,
        since: Millis(NOON),
        code: ReasonCode::PowerNeeded,
        what: "waiting for the machine to boot".into(),
        next_step: "switch the machine on".into(),
    }
}

fn slot(unit: u16, name: &str, kind: &str) -> SlotView {
    SlotView {
        unit,
        height: if kind == "switch" { 2 } else { 1 },
        name: name.into(),
        kind: kind.into(),
        phase: None,
        why: None,
    }
}

/// Three racks of 42 units; in each some nodes and a switch.
fn site(racks: u16, nodes: u16) -> State {
    let phases = [
        Phase::Ready,
        Phase::Provisioning,
        Phase::Ready,
        Phase::Held,
        Phase::Enrolled,
        Phase::Suspect,
    ];
    let mut state = State::new(Millis(NOON));
    let mut views = Vec::new();
    let mut fleet = FleetView {
        site: "lab".into(),
        site_version: 3,
        machines: 2,
        leader: Some("prov-1".into()),
        newest: 4_321,
        ..FleetView::default()
    };
    for rack in 1..=racks {
        let mut slots = vec![slot(41, "sw", "switch"), slot(1, "pdu", "pdu")];
        for node in 1..=nodes {
            let name = format!("r{rack}-{node}");
            let phase = phases[usize::from(rack * 5 + node) % phases.len()];
            slots.push(slot(node * 2, &name, "node"));
            views.push(view(&name, phase, 1));
        }
        fleet.racks.push(RackView {
            name: format!("r{rack}"),
            fault_domain: format!("r{rack}"),
            place: String::new(),
            units: 42,
            slots,
        });
    }
    let held = views.iter().filter(|view| view.phase == Phase::Held);
    fleet.needs = held
        .map(|view| need(view.node.as_str(), view.phase))
        .collect();
    let under_way = views
        .iter()
        .filter(|view| view.phase == Phase::Provisioning);
    fleet.etas = under_way
        .map(|view| Eta {
            node: view.node.clone(),
            at: Millis(NOON + 240_000),
            from: EtaFrom::Image,
            runs: 12,
        })
        .collect();
    state.take(News::Nodes(views));
    state.take(News::Fleet(Box::new(fleet)));
    state
}

fn screen(state: &mut State, columns: u16, rows: u16, theme: Theme) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw(frame, state, theme)).unwrap();
    terminal
}

fn text(state: &mut State, columns: u16, rows: u16) -> String {
    let terminal = screen(state, columns, rows, Theme::new(true));
    let buffer = terminal.backend().buffer();
    let lines = (0..rows).map(|y| {
        let line: String = (0..columns).map(|x| buffer[(x, y)].symbol()).collect();
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn key(state: &mut State, code: KeyCode) -> After {
    press(state, KeyEvent::new(code, KeyModifiers::NONE))
}

fn keys(state: &mut State, keys: &str) {
    for c in keys.chars() {
        key(state, KeyCode::Char(c));
    }
}

#[test]
fn eighty_by_twenty_four() {
    let mut state = site(3, 6);
    keys(&mut state, "n");
    expect![[r#"
        groundstate lab  18 nodes  live  brake off  led by prov-1  2 machines wait
        H held 3  ? suspect 3  P provisioning 3  R ready 6  e enrolled 3
        ┌ racks ────────┐┌ nodes by name 4/18 ─────────────────────────────────────────┐
        │   r1  r2  r3  ││  NODE PHASE        STEP       DONE       ETA                │
        │42 ==. ==. ==. ││R r1-1 ready                                                 │
        │39 ... ... ... ││P r1-2 provisioning image      #..... 25% in 4 min           │
        │36 ... ... ... ││R r1-3 ready                                                 │
        │33 ... ... ... ││H r1-4 held                                                  │
        │30 ... ... ... ││e r1-5 enrolled                                              │
        │27 ... ... ... ││? r1-6 suspect                                               │
        │24 ... ... ... ││? r2-1 suspect                                               │
        │21 ... ... ... ││R r2-2 ready                                                 │
        │18 ... ... ... │└─────────────────────────────────────────────────────────────┘
        │15 ... ... ... │┌ r1-4 ───────────────────────────────────────────────────────┐
        │12 ?.e e.H H.R ││r1-4 is held: the DIMM in slot DIMM_B1 is missing            │
        │ 9 .H. .R. .P. ││  [dimm-missing]                                             │
        │ 6 R.P P.R R.? ││  do now:    power the machine off and reseat the DIMM in    │
        │ 3 .R# .?# .e# ││             slot DIMM_B1                                    │
        │               ││  part:      DIMM DIMM_B1, 16 GiB, serial D-0002             │
        │= switch       ││  since:     2024-10-04 11:55:00Z (5 min ago)                │
        │# PDU          ││  seen:      SMBIOS says slot DIMM_B1 is empty               │
        │               ││  deadline:  none                                            │
        └───────────────┘└─────────────────────────────────────────────────────────────┘
        arrows  Enter: node  /: find  f: phase  s: order  n: needs you  ?: help  q: out"#]]
    .assert_eq(&text(&mut state, 80, 24));
}

#[test]
fn where_a_reason_is_long_what_to_do_is_not_what_falls_below_the_edge() {
    let mut state = site(3, 6);
    keys(&mut state, "n");
    let name = state.chosen_name().unwrap().to_owned();
    let mut held = view(&name, Phase::Held, 2);
    let mut long = reason();
    for line in 1..=9 {
        long = long.seen(format!(
            "line {line} of what was seen in the slot, and more of it"
        ));
    }
    held.reason = Some(long);
    state.take(News::Node(Box::new(held)));
    let screen = text(&mut state, 80, 24);
    let at = |words: &str| screen.find(words).unwrap_or(usize::MAX);
    assert!(
        at("do now:    power the machine off") < at("part:"),
        "{screen}"
    );
    assert!(at("part:") < at("seen:"), "{screen}");
}

#[test]
fn a_wide_screen_shows_more() {
    let mut state = site(3, 6);
    keys(&mut state, "jj");
    expect![[r#"
        groundstate lab  18 nodes  live  brake off  led by prov-1  2 machines wait  event 4321
        H held 3  ? suspect 3  P provisioning 3  R ready 6  e enrolled 3
        ┌ racks ─────┐┌ nodes by name 3/18 ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┐
        │   r1 r2 r3 ││  NODE PHASE        PLACE    STEP       DONE       ETA       FOR       WHY                                                                      │
        │42 =  =  =  ││R r1-1 ready        r1/2                                     5 min                                                                              │
        │41 =  =  =  ││P r1-2 provisioning r1/4     image      #..... 25% in 4 min  5 min                                                                              │
        │40 .  .  .  ││R r1-3 ready        r1/6                                     5 min                                                                              │
        │39 .  .  .  ││H r1-4 held         r1/8                                     5 min     the DIMM in slot DIMM_B1 is missing [dimm-missing]                       │
        │38 .  .  .  ││e r1-5 enrolled     r1/10                                    5 min                                                                              │
        │37 .  .  .  ││? r1-6 suspect      r1/12                                    5 min     its host is silent or reports trouble [host-trouble]                     │
        │36 .  .  .  ││? r2-1 suspect      r2/2                                     5 min     its host is silent or reports trouble [host-trouble]                     │
        │35 .  .  .  ││R r2-2 ready        r2/4                                     5 min                                                                              │
        │34 .  .  .  ││P r2-3 provisioning r2/6     image      #..... 25% in 4 min  5 min                                                                              │
        │33 .  .  .  ││R r2-4 ready        r2/8                                     5 min                                                                              │
        │32 .  .  .  ││H r2-5 held         r2/10                                    5 min     the DIMM in slot DIMM_B1 is missing [dimm-missing]                       │
        │31 .  .  .  ││e r2-6 enrolled     r2/12                                    5 min                                                                              │
        │30 .  .  .  ││e r3-1 enrolled     r3/2                                     5 min                                                                              │
        │29 .  .  .  ││? r3-2 suspect      r3/4                                     5 min     its host is silent or reports trouble [host-trouble]                     │
        │28 .  .  .  ││R r3-3 ready        r3/6                                     5 min                                                                              │
        │27 .  .  .  ││P r3-4 provisioning r3/8     image      #..... 25% in 4 min  5 min                                                                              │
        │26 .  .  .  ││R r3-5 ready        r3/10                                    5 min                                                                              │
        │25 .  .  .  ││H r3-6 held         r3/12                                    5 min     the DIMM in slot DIMM_B1 is missing [dimm-missing]                       │
        │24 .  .  .  ││                                                                                                                                                │
        │23 .  .  .  ││                                                                                                                                                │
        │22 .  .  .  ││                                                                                                                                                │
        │21 .  .  .  ││                                                                                                                                                │
        │20 .  .  .  ││                                                                                                                                                │
        │19 .  .  .  ││                                                                                                                                                │
        │18 .  .  .  ││                                                                                                                                                │
        │17 .  .  .  ││                                                                                                                                                │
        │16 .  .  .  ││                                                                                                                                                │
        │15 .  .  .  ││                                                                                                                                                │
        │14 .  .  .  ││                                                                                                                                                │
        │13 .  .  .  ││                                                                                                                                                │
        │12 ?  e  H  │└────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
        │11 .  .  .  │┌ r1-3 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┐
        │10 e  H  R  ││r1-3 is ready: its host runs and calls; nothing is waited for [under-way]                                                                       │
        │ 9 .  .  .  ││  since:     2024-10-04 11:55:00Z (5 min ago)                                                                                                   │
        │ 8 H  R  P  ││  deadline:  none                                                                                                                               │
        │ 7 .  .  .  ││  by itself: nothing; it becomes suspect when it falls silent or reports trouble                                                                │
        │ 6 R  P  R  ││  do now:    no action needed                                                                                                                   │
        │ 5 .  .  .  ││                                                                                                                                                │
        │ 4 P  R  ?  ││                                                                                                                                                │
        │ 3 .  .  .  ││                                                                                                                                                │
        │ 2 R  ?  e  ││                                                                                                                                                │
        │ 1 #  #  #  ││                                                                                                                                                │
        │            ││                                                                                                                                                │
        │            ││                                                                                                                                                │
        └────────────┘└────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┘
        arrows  Enter: node  /: find  f: phase  s: order  n: needs you  ?: help  q: out"#]].assert_eq(&text(&mut state, 160, 50));
}

#[test]
fn a_node_alone() {
    let mut state = site(3, 6);
    keys(&mut state, "n");
    key(&mut state, KeyCode::Enter);
    let node = state.chosen_row().unwrap().view.node.clone();
    let told = [
        Happened::NodeAdded,
        Happened::Remarked {
            by: "operator:ana".into(),
            text: "\x1b[2Jthe fan\nis loud".into(),
        },
    ];
    let events = (4_400..).zip(told).map(|(number, what)| Event {
        number,
        at: Millis(NOON - 5_000),
        node: Some(node.clone()),
        what,
    });
    state.take(News::Events(events.collect()));
    expect![[r#"
        groundstate lab  18 nodes  live  brake off  led by prov-1  2 machines wait
        H held 3  ? suspect 3  P provisioning 3  R ready 6  e enrolled 3
        ┌ r1-4, 02:00:00:00:00:01 ─────────────────────────────────────────────────────┐
        │r1-4 is held: the DIMM in slot DIMM_B1 is missing [dimm-missing]              │
        │  part:      DIMM DIMM_B1, 16 GiB, serial D-0002                              │
        │  since:     2024-10-04 11:55:00Z (5 min ago)                                 │
        │  seen:      SMBIOS says slot DIMM_B1 is empty                                │
        │  deadline:  none                                                             │
        │  by itself: nothing: it waits for a person                                   │
        │  do now:    power the machine off and reseat the DIMM in slot DIMM_B1        │
        │                                                                              │
        │Newest events:                                                                │
        │11:59:55Z remark of operator:ana: �[2Jthe fan�is loud                         │
        │11:59:55Z added from the site file                                            │
        │                                                                              │
        │                                                                              │
        │                                                                              │
        │                                                                              │
        │                                                                              │
        │                                                                              │
        │                                                                              │
        │                                                                              │
        └──────────────────────────────────────────────────────────────────────────────┘
        Up Down scroll  n next that needs a person  Esc back  ? help  q out"#]]
    .assert_eq(&text(&mut state, 80, 24));
    key(&mut state, KeyCode::Esc);
    assert_eq!(state.page, Page::Site);
}

#[test]
fn the_next_that_needs_a_person_is_one_that_the_fleet_names() {
    let mut state = site(2, 6);
    let before = state.chosen_name().map(str::to_owned);
    let mut fleet = state.fleet.clone();
    fleet.needs.clear();
    state.take(News::Fleet(Box::new(fleet)));
    keys(&mut state, "n");
    assert_eq!(state.chosen_name(), before.as_deref(), "nobody is named");
    // An ordered machine that nobody can switch on; held ones that are ordered again by themselves are not named.
    let mut fleet = state.fleet.clone();
    fleet.needs = vec![need("r2-5", Phase::Ordered)];
    state.take(News::Fleet(Box::new(fleet)));
    keys(&mut state, "n");
    assert_eq!(state.chosen_name(), Some("r2-5"));
}

#[test]
fn the_keys_and_letters() {
    let mut state = site(1, 1);
    keys(&mut state, "?");
    expect![[r#"
        groundstate lab  1 node  live  brake off  led by prov-1  2 machines wait
        R ready 1
        ┌ keys and letters ────────────────────────────────────────────────────────────┐
        │ arrows h j k l           choose a node; left and right choose a rack         │
        │ Page Up, Down, Home, End go far                                              │
        │ Enter                    the node alone: explanation and events; Esc: back   │
        │ /                        find by name, rack, phase, words of why; Esc: all   │
        │ f F, 0                   only nodes of the next phase, the one before; all   │
        │ s                        another order                                       │
        │ n                        the next node that needs a person                   │
        │ r                        racks or none                                       │
        │ q, Ctrl-C                out                                                 │
        │                                                                              │
        │ e enrolled         o ordered          b booting          c checking          │
        │ p planned          P provisioning     X erasing          h handed-over       │
        │ R ready            ? suspect          d draining         Q quarantined       │
        │ W in-repair        H held             S rescue           - retired           │
        │ = switch           # PDU              . empty unit                           │
        │                                                                              │
        │ This screen only looks: no key orders anything.                              │
        │                                                                              │
        │                                                                              │
        └──────────────────────────────────────────────────────────────────────────────┘
        any key: back"#]]
    .assert_eq(&text(&mut state, 80, 24));
}

#[test]
fn a_provisioner_that_does_not_answer_is_said_and_so_is_the_brake() {
    let mut state = site(1, 3);
    state.take(News::Lost("https://192.0.2.1:8443 does not answer".into()));
    state.now = Millis(NOON + 61_000);
    state.take(News::Lost("still".into()));
    let mut fleet = state.fleet.clone();
    fleet.brake.on = true;
    state.take(News::Fleet(Box::new(fleet)));
    let page = text(&mut state, 80, 24);
    let first = page.lines().next().unwrap();
    assert!(
        first.contains("NO ANSWER for 61 s") && first.contains("BRAKE ON"),
        "{first}"
    );
    assert!(page.ends_with("asking again: still"), "{page}");
    state.take(News::Live);
    assert_eq!(state.link, Link::Live);
}

#[test]
fn without_colours_letters_and_weight_say_the_same() {
    let mut state = site(2, 6);
    let terminal = screen(&mut state, 80, 24, Theme::new(false));
    let cells = &terminal.backend().buffer().content;
    assert!(
        cells
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    assert!(
        cells
            .iter()
            .any(|cell| cell.modifier.contains(Modifier::REVERSED))
    );
    assert!(
        cells
            .iter()
            .any(|cell| cell.modifier.contains(Modifier::BOLD))
    );
    let sixteen = screen(&mut state, 80, 24, Theme::new(true));
    let cells = &sixteen.backend().buffer().content;
    assert!(
        !cells
            .iter()
            .any(|cell| matches!(cell.fg, Color::Rgb(..) | Color::Indexed(_)))
    );
    assert!(cells.iter().any(|cell| cell.fg == Color::Red));
}

#[test]
fn an_event_moves_a_node_and_older_news_do_not_move_it_back() {
    let mut state = site(1, 6);
    let name = state.chosen_name().unwrap().to_owned();
    let at = |state: &State| state.row(&name).unwrap().view.phase;
    let before = at(&state);
    state.take(News::Events(vec![Event {
        number: 5_000,
        at: Millis(NOON),
        node: Some(name.parse().unwrap()),
        what: Happened::PhaseChanged {
            from: before,
            to: Phase::Quarantined,
            reason: Some(reason()),
        },
    }]));
    assert_eq!(at(&state), Phase::Quarantined);
    assert_eq!(
        (state.counts[&Phase::Quarantined], state.newest),
        (1, 5_000)
    );
    state.take(News::Node(Box::new(view(&name, before, 4_999))));
    assert_eq!(at(&state), Phase::Quarantined);
    assert_eq!(state.counts.values().sum::<usize>(), 6);
}

#[test]
fn two_looks_at_a_step_make_a_rate() {
    let mut state = site(1, 6);
    let row = state.running_on_screen().pop();
    assert_eq!(row, None, "nothing is on the screen before it is drawn");
    text(&mut state, 80, 24);
    let node = state.running_on_screen().pop().unwrap();
    state.now = Millis(NOON + 2_000);
    let mut later = state.row(node.as_str()).unwrap().view.clone();
    later.step = Some((
        Step::Image,
        StepState::Running {
            done: Bytes::gib(2),
            total: Bytes::gib(4),
        },
    ));
    state.take(News::Node(Box::new(later)));
    assert_eq!(
        state.row(node.as_str()).unwrap().rate,
        Some(Bytes::mib(512))
    );
}

#[test]
fn finding_filtering_and_sorting_keep_the_choice() {
    let mut state = site(3, 6);
    keys(&mut state, "jjj");
    let chosen = state.chosen_name().unwrap().to_owned();
    keys(&mut state, "s");
    assert_eq!(state.chosen_name(), Some(chosen.as_str()));
    keys(&mut state, "/held");
    key(&mut state, KeyCode::Enter);
    assert!(state.shown() > 0 && state.shown() < state.all());
    assert!((0..state.shown()).all(|at| state.row_at(at).unwrap().view.phase == Phase::Held));
    key(&mut state, KeyCode::Esc);
    assert_eq!(state.shown(), state.all());
    for _ in 0..=state.counts.len() {
        keys(&mut state, "f");
        let only = state.only;
        assert!(
            (0..state.shown()).all(|at| only.is_none_or(|only| state
                .row_at(at)
                .unwrap()
                .view
                .phase
                == only))
        );
    }
    assert_eq!((state.only, state.shown()), (None, state.all()));
    keys(&mut state, "l");
    let rack = |state: &State| state.chosen_row().unwrap().place.clone().unwrap().rack;
    let here = rack(&state);
    keys(&mut state, "l");
    assert_ne!(rack(&state), here);
    keys(&mut state, "h");
    assert_eq!(rack(&state), here);
    assert_eq!(key(&mut state, KeyCode::Char('q')), After::Out);
}

#[test]
fn ten_thousand_nodes_make_as_many_cells_as_the_screen_has() {
    let mut state = site(250, 40);
    assert_eq!(state.all(), 10_000);
    key(&mut state, KeyCode::End);
    let page = text(&mut state, 80, 24);
    assert!(page.contains("10000/10000"), "{page}");
    assert!(page.contains("left, 0 right"), "{page}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_size_and_any_keys_make_a_screen(
        columns in 1_u16..130, rows in 1_u16..45, pressed in "[jkhlfFsnr0?/a-c ]{0,20}", enter in any::<bool>(),
    ) {
        let mut state = site(3, 6);
        keys(&mut state, &pressed);
        if enter {
            key(&mut state, KeyCode::Enter);
        }
        text(&mut state, columns, rows);
        state.take(News::Nodes(vec![view("r1-1", Phase::Ready, 9)]));
        text(&mut state, rows, columns);
        state.take(News::Nodes(Vec::new()));
        text(&mut state, columns, rows);
    }

    #[test]
    fn nothing_that_a_terminal_obeys_stands_in_a_cell(said in "(\\PC|\\x1b|\\x07|\u{9b}|\u{202e}|\n|\0|\u{feff}){0,60}") {
        let mut state = site(1, 3);
        let mut hostile = view("r1-1", Phase::Held, 9_000);
        hostile.reason = Some(Reason::new(ReasonCode::Internal, said.clone(), said.clone()).seen(said.clone()).then(said.clone()));
        state.take(News::Node(Box::new(hostile)));
        let mut fleet = state.fleet.clone();
        fleet.site = said.clone();
        fleet.leader = Some(said.clone());
        fleet.racks[0].name = said.clone();
        state.take(News::Fleet(Box::new(fleet)));
        state.take(News::Lost(said.clone()));
        for page in ["", "n"] {
            keys(&mut state, page);
            let terminal = screen(&mut state, 100, 30, Theme::new(true));
            for cell in &terminal.backend().buffer().content {
                prop_assert!(cell.symbol().chars().all(printable), "{:?}", cell.symbol());
            }
            key(&mut state, KeyCode::Enter);
        }
    }
}
