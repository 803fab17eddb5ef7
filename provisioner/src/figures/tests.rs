// SPDX-License-Identifier: Apache-2.0
//! The page as a scraper reads it.

use super::*;
use groundstate_api::metrics::PROVISIONER;
use groundstate_api::{Millis, Reason, ReasonCode};

fn figures() -> Figures {
    let figures = Figures::default();
    let row = Route::row("GET", "/v1/nodes/{node}");
    figures.answered(row, 200, Duration::from_millis(3));
    figures.answered(row, 404, Duration::from_secs(60));
    let event = |what| Event {
        number: 1,
        at: Millis(1),
        node: None,
        what,
    };
    let changed = Happened::PhaseChanged {
        from: Phase::Ordered,
        to: Phase::Held,
        reason: None,
    };
    let ended = |outcome| Happened::ActionEnded {
        id: groundstate_api::action::ActionId(1),
        outcome,
    };
    let done = |by: &str| Outcome::Done {
        by: by.to_owned(),
        facts: Vec::new(),
    };
    let failed = Outcome::Failed {
        reason: Reason::new(ReasonCode::ActionFailed, "it", "do"),
    };
    let events = [
        event(changed),
        event(ended(done("ipmi"))),
        event(ended(done("evil\n\"label\""))),
        event(ended(failed)),
    ];
    figures.wrote(&events, Duration::from_micros(1_500));
    figures.webhook("delivered");
    figures
}

#[test]
fn every_line_belongs_to_a_metric_that_is_described_and_named() {
    let text = figures().text(&[("groundstate_events", vec![Sample::of(Vec::new(), 7)])]);
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.'), "{line}");
            assert!(
                PROVISIONER.iter().any(|(known, _, _)| *known == name),
                "{name}"
            );
            assert!(!text.contains(&format!("# HELP {name} \n")));
            current = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            assert!(rest.starts_with(&current), "{line}");
        } else {
            assert!(line.starts_with(&current), "{line} under {current}");
            let value = line.rsplit_once(' ').unwrap().1;
            value.parse::<f64>().unwrap();
        }
    }
    for wanted in [
        "groundstate_events 7",
        "groundstate_api_request_seconds_bucket{method=\"GET\",route=\"/v1/nodes/{node}\",le=\"0.005\"} 1",
        "groundstate_api_request_seconds_bucket{method=\"GET\",route=\"/v1/nodes/{node}\",le=\"30\"} 1",
        "groundstate_api_request_seconds_bucket{method=\"GET\",route=\"/v1/nodes/{node}\",le=\"+Inf\"} 2",
        "groundstate_api_request_seconds_sum{method=\"GET\",route=\"/v1/nodes/{node}\"} 60.003",
        "groundstate_api_answers_total{method=\"GET\",route=\"/v1/nodes/{node}\",status=\"4xx\"} 1",
        "groundstate_transitions_total{to=\"held\"} 1",
        "groundstate_transitions_total{to=\"ready\"} 0",
        "groundstate_actions_ended_total{outcome=\"done\",way=\"ipmi\"} 1",
        "groundstate_actions_ended_total{outcome=\"done\",way=\"other\"} 1",
        "groundstate_actions_ended_total{outcome=\"failed\",way=\"none\"} 1",
        "groundstate_journal_write_seconds_sum 0.0015",
        "groundstate_webhook_deliveries_total{outcome=\"delivered\"} 1",
    ] {
        assert!(
            text.lines().any(|line| line == wanted),
            "{wanted} in\n{text}"
        );
    }
    assert!(!text.contains("evil"));
}

#[test]
fn what_stands_beside_comes_after() {
    let figures = Figures::default();
    figures.beside(|| "image 1\n".to_owned());
    assert!(figures.text(&[]).ends_with("\nimage 1\n"));
}
