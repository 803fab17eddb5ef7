// SPDX-License-Identifier: Apache-2.0
//! What the screen shows: state and news in, state out. It asks nobody, knows no clock and draws nothing.

use crate::client::nodes::{Place, natural_key, places};
use groundstate_api::event::{Event, Happened};
use groundstate_api::fleet::{Eta, FleetView};
use groundstate_api::run::StepState;
use groundstate_api::text::inert;
use groundstate_api::view::{NodeReport, NodeView, Phase};
use groundstate_api::{Bytes, Millis, NodeId};
use std::collections::{BTreeMap, HashMap};

/// The newest events that are kept of the chosen node.
pub(super) const EVENTS_MAX: usize = 200;

/// What is told to the screen.
#[derive(Debug)]
pub(super) enum News {
    /// Every node.
    Nodes(Vec<NodeView>),
    /// One node, asked for by itself.
    Node(Box<NodeView>),
    Fleet(Box<FleetView>),
    /// The chosen node in full, and its newest events.
    Report(Box<NodeReport>, Vec<Event>),
    /// What happened, by rising number.
    Events(Vec<Event>),
    /// The provisioner does not answer.
    Lost(String),
    /// It answers.
    Live,
}

/// How the provisioner answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Live,
    Lost { since: Millis, why: String },
}

/// What fills the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Site,
    Node,
    Help,
}

/// The order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Name,
    Rack,
    Phase,
    Since,
}

impl Sort {
    pub(super) const fn says(self) -> &'static str {
        match self {
            Self::Name => "by name",
            Self::Rack => "by rack",
            Self::Phase => "by phase",
            Self::Since => "longest there first",
        }
    }

    const fn next(self) -> Self {
        match self {
            Self::Name => Self::Rack,
            Self::Rack => Self::Phase,
            Self::Phase => Self::Since,
            Self::Since => Self::Name,
        }
    }
}

/// A node in the list.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) view: NodeView,
    pub(super) place: Option<Place>,
    /// Bytes in a second, from two looks at a running step.
    pub(super) rate: Option<Bytes>,
    /// When the step was seen as it is.
    looked: Millis,
    key: String,
}

/// A unit of a rack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Empty,
    Node(String),
    Switch,
    Pdu,
}

/// A rack: its units from the bottom.
#[derive(Clone, Debug)]
pub(super) struct Rack {
    pub(super) name: String,
    pub(super) units: Vec<Unit>,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct State {
    pub(super) now: Millis,
    pub(super) link: Link,
    pub(super) fleet: FleetView,
    pub(super) racks: Vec<Rack>,
    pub(super) counts: BTreeMap<Phase, usize>,
    pub(super) newest: u64,
    pub(super) page: Page,
    pub(super) show_racks: bool,
    pub(super) sort: Sort,
    pub(super) only: Option<Phase>,
    pub(super) search: String,
    /// Whether what is typed goes into the search.
    pub(super) typing: bool,
    pub(super) report: Option<Box<NodeReport>>,
    pub(super) events: Vec<Event>,
    /// First row of the list on the screen, and of the node's page.
    pub(super) top: usize,
    pub(super) scroll: u16,
    /// Rows of the list on the screen, for Page Down.
    pub(super) rows_on_screen: usize,
    rows: HashMap<String, Row>,
    etas: HashMap<NodeId, Eta>,
    shown: Vec<String>,
    chosen: usize,
}

impl State {
    pub(super) fn new(now: Millis) -> Self {
        Self {
            now,
            link: Link::Live,
            fleet: FleetView::default(),
            racks: Vec::new(),
            counts: BTreeMap::new(),
            newest: 0,
            page: Page::Site,
            show_racks: true,
            sort: Sort::Name,
            only: None,
            search: String::new(),
            typing: false,
            report: None,
            events: Vec::new(),
            top: 0,
            scroll: 0,
            rows_on_screen: 1,
            rows: HashMap::new(),
            etas: HashMap::new(),
            shown: Vec::new(),
            chosen: 0,
        }
    }

    /// Takes news in.
    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Nodes(nodes) => self.take_nodes(nodes),
            News::Node(view) => {
                let moved = self.put(*view);
                self.settle(moved);
            }
            News::Fleet(fleet) => self.take_fleet(*fleet),
            News::Report(report, events) => self.take_report(report, events),
            News::Events(events) => self.take_events(events),
            News::Live => self.link = Link::Live,
            News::Lost(why) => {
                let since = match self.link {
                    Link::Live => self.now,
                    Link::Lost { since, .. } => since,
                };
                let why = inert(&why).into_owned();
                self.link = Link::Lost { since, why };
            }
        }
    }

    fn take_nodes(&mut self, nodes: Vec<NodeView>) {
        let mut moved = nodes.len() != self.rows.len();
        if moved
            || nodes
                .iter()
                .any(|view| !self.rows.contains_key(view.node.as_str()))
        {
            let names: std::collections::HashSet<&str> =
                nodes.iter().map(|view| view.node.as_str()).collect();
            self.rows.retain(|name, _| names.contains(name.as_str()));
            moved = true;
        }
        for view in nodes {
            moved |= self.put(view);
        }
        self.settle(moved);
    }

    /// Puts a node where it belongs, unless something newer is known; says whether the list changes by that.
    fn put(&mut self, view: NodeView) -> bool {
        let now = self.now;
        self.newest = self.newest.max(view.version);
        let Some(row) = self.rows.get_mut(view.node.as_str()) else {
            let row = Row {
                place: None,
                rate: None,
                looked: now,
                key: natural_key(view.node.as_str()),
                view,
            };
            self.rows.insert(row.view.node.to_string(), row);
            return true;
        };
        if view.version < row.view.version || view == row.view {
            return false;
        }
        let moved =
            row.view.phase != view.phase || row.view.since != view.since || !self.search.is_empty();
        row.rate = rate(&row.view, row.looked, &view, now)
            .or(row.rate)
            .filter(|_| running(&view).is_some());
        row.looked = now;
        row.view = view;
        moved
    }

    fn take_fleet(&mut self, fleet: FleetView) {
        let places = places(&fleet);
        let mut moved = false;
        for (name, row) in &mut self.rows {
            let place = places.get(name);
            if row.place.as_ref() != place {
                row.place = place.cloned();
                moved = true;
            }
        }
        self.racks = fleet.racks.iter().map(rack).collect();
        self.etas = fleet
            .etas
            .iter()
            .map(|eta| (eta.node.clone(), eta.clone()))
            .collect();
        self.newest = self.newest.max(fleet.newest);
        self.fleet = fleet;
        self.settle(moved);
    }

    fn take_report(&mut self, report: Box<NodeReport>, events: Vec<Event>) {
        let moved = self.put(report.view.clone());
        self.settle(moved);
        if self.chosen_name() == Some(report.view.node.as_str()) {
            self.events = events;
            self.keep_newest();
            self.report = Some(report);
        }
    }

    fn take_events(&mut self, events: Vec<Event>) {
        let chosen = self.chosen_name().map(str::to_owned);
        let mut moved = false;
        for event in events {
            self.newest = self.newest.max(event.number);
            let Some(node) = &event.node else { continue };
            if let Some(row) = self.rows.get_mut(node.as_str())
                && event.number > row.view.version
            {
                moved |= happened(&mut row.view, &event);
            }
            let last = self.events.last().map_or(0, |last| last.number);
            if chosen.as_deref() == Some(node.as_str()) && event.number > last {
                self.events.push(event);
            }
        }
        self.keep_newest();
        self.settle(moved);
    }

    fn keep_newest(&mut self) {
        let over = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..over);
    }

    /// Counts and sorts anew, and keeps the choice.
    fn settle(&mut self, moved: bool) {
        if !moved {
            return;
        }
        self.counts.clear();
        for row in self.rows.values() {
            *self.counts.entry(row.view.phase).or_default() += 1;
        }
        self.sort_anew();
    }

    fn sort_anew(&mut self) {
        let chosen = self.chosen_name().map(str::to_owned);
        let wanted = self.search.to_lowercase();
        let taken =
            |row: &&Row| self.only.is_none_or(|only| row.view.phase == only) && row.has(&wanted);
        let mut rows: Vec<&Row> = self.rows.values().filter(taken).collect();
        let sort = self.sort;
        rows.sort_by(|a, b| {
            let first = match sort {
                Sort::Name => std::cmp::Ordering::Equal,
                Sort::Rack => a.stands().cmp(&b.stands()),
                Sort::Phase => a.view.phase.cmp(&b.view.phase),
                Sort::Since => a.view.since.cmp(&b.view.since),
            };
            first.then_with(|| a.key.cmp(&b.key))
        });
        self.shown = rows.iter().map(|row| row.view.node.to_string()).collect();
        let at = chosen.and_then(|name| self.shown.iter().position(|shown| *shown == name));
        let at = at.unwrap_or(self.chosen.min(self.shown.len().saturating_sub(1)));
        self.choose(at);
    }

    /// Chooses a row of the list.
    pub(super) fn choose(&mut self, at: usize) {
        let before = self.chosen_name().map(str::to_owned);
        self.chosen = at.min(self.shown.len().saturating_sub(1));
        if self.chosen_name() != before.as_deref() || self.report_is_of_another() {
            self.report = None;
            self.events.clear();
            self.scroll = 0;
        }
    }

    fn report_is_of_another(&self) -> bool {
        let of = self.report.as_ref().map(|report| report.view.node.as_str());
        of.is_some() && of != self.chosen_name()
    }

    /// Chooses the next row whose node is so.
    pub(super) fn choose_next(&mut self, is: impl Fn(&Row) -> bool) {
        let count = self.shown.len();
        let next = (1..=count).map(|step| (self.chosen + step) % count);
        let found = next
            .into_iter()
            .find(|at| self.row_at(*at).is_some_and(&is));
        if let Some(at) = found {
            self.choose(at);
        }
    }

    /// Chooses a node in the rack beside the chosen one's: the one at about the same height.
    pub(super) fn choose_rack(&mut self, right: bool) {
        let place = self.chosen_row().and_then(|row| row.place.clone());
        let here = place
            .as_ref()
            .and_then(|place| self.racks.iter().position(|rack| rack.name == place.rack));
        let count = self.racks.len();
        if count == 0 {
            return;
        }
        let mut at = here.unwrap_or(0);
        let unit = place.map_or(1, |place| place.unit);
        for _ in 0..count {
            at = if right {
                (at + 1) % count
            } else {
                (at + count - 1) % count
            };
            let name = &self.racks[at].name;
            let in_rack = |shown: &(usize, &String)| {
                let row = self.rows.get(shown.1);
                row.and_then(|row| row.place.as_ref())
                    .is_some_and(|place| place.rack == *name)
            };
            let near = |(_, node): &(usize, &String)| {
                let row = self.rows.get(*node);
                row.and_then(|row| row.place.as_ref())
                    .map_or(u16::MAX, |place| place.unit.abs_diff(unit))
            };
            let found = self
                .shown
                .iter()
                .enumerate()
                .filter(in_rack)
                .min_by_key(near);
            if let Some((row, _)) = found {
                self.choose(row);
                return;
            }
        }
    }

    pub(super) fn sort_otherwise(&mut self) {
        self.sort = self.sort.next();
        self.sort_anew();
    }

    /// Only nodes of the next phase that has some, of the one before, or all.
    pub(super) fn filter(&mut self, forth: bool) {
        let mut there: Vec<Option<Phase>> = vec![None];
        there.extend(self.counts.keys().map(|phase| Some(*phase)));
        let at = there
            .iter()
            .position(|phase| *phase == self.only)
            .unwrap_or(0);
        let next = if forth { at + 1 } else { at + there.len() - 1 };
        self.set_filter(there[next % there.len()]);
    }

    pub(super) fn set_filter(&mut self, only: Option<Phase>) {
        self.only = only;
        self.sort_anew();
    }

    pub(super) fn set_search(&mut self, search: String) {
        self.search = search;
        self.sort_anew();
    }

    pub(super) fn shown(&self) -> usize {
        self.shown.len()
    }

    pub(super) fn all(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn chosen(&self) -> usize {
        self.chosen
    }

    pub(super) fn row_at(&self, at: usize) -> Option<&Row> {
        self.rows.get(self.shown.get(at)?)
    }

    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.get(name)
    }

    pub(super) fn chosen_row(&self) -> Option<&Row> {
        self.row_at(self.chosen)
    }

    pub(super) fn chosen_name(&self) -> Option<&str> {
        self.shown.get(self.chosen).map(String::as_str)
    }

    pub(super) fn eta(&self, node: &NodeId) -> Option<&Eta> {
        self.etas.get(node)
    }

    /// The nodes on the screen whose steps run: what they say of themselves is no event, so they are asked.
    pub(super) fn running_on_screen(&self) -> Vec<NodeId> {
        let rows = self.shown.iter().skip(self.top).take(self.rows_on_screen);
        let rows = rows.filter_map(|name| self.rows.get(name));
        let busy =
            rows.filter(|row| matches!(row.view.phase, Phase::Provisioning | Phase::Erasing));
        busy.map(|row| row.view.node.clone()).collect()
    }
}

impl Row {
    /// Whether the searched words are in what is shown of it.
    fn has(&self, wanted: &str) -> bool {
        let rack = self.place.as_ref().map(|place| place.rack.as_str());
        let reason = self.view.reason.as_ref();
        let why = reason
            .map(|reason| reason.what.to_lowercase())
            .unwrap_or_default();
        let code = reason.map_or("", |reason| reason.code.as_str());
        wanted.is_empty()
            || self.view.node.as_str().contains(wanted)
            || rack.is_some_and(|rack| rack == wanted)
            || self.view.phase.as_str() == wanted
            || code.contains(wanted)
            || why.contains(wanted)
    }

    /// By rack, and within it from the top; what stands in none comes last.
    fn stands(&self) -> (bool, String, std::cmp::Reverse<u16>) {
        let place = self.place.as_ref();
        let rack = place
            .map(|place| natural_key(&place.rack))
            .unwrap_or_default();
        let unit = place.map_or(0, |place| place.unit);
        (place.is_none(), rack, std::cmp::Reverse(unit))
    }
}

fn rack(view: &groundstate_api::fleet::RackView) -> Rack {
    let mut units = vec![Unit::Empty; usize::from(view.units)];
    for slot in view.slots.iter().filter(|slot| slot.unit > 0) {
        let first = usize::from(slot.unit) - 1;
        for unit in units
            .iter_mut()
            .skip(first)
            .take(usize::from(slot.height.max(1)))
        {
            *unit = match slot.kind.as_str() {
                "node" => Unit::Node(slot.name.clone()),
                "pdu" => Unit::Pdu,
                _ => Unit::Switch,
            };
        }
    }
    Rack {
        name: inert(&view.name).into_owned(),
        units,
    }
}

fn running(view: &NodeView) -> Option<(Bytes, Bytes)> {
    match &view.step {
        Some((_, StepState::Running { done, total })) => Some((*done, *total)),
        _ => None,
    }
}

/// Bytes in a second, by two looks at the same step.
fn rate(before: &NodeView, then: Millis, view: &NodeView, now: Millis) -> Option<Bytes> {
    let step = |view: &NodeView| view.step.as_ref().map(|(step, _)| *step);
    let (old, new) = (running(before)?.0, running(view)?.0);
    let took = now.since(then).0;
    (step(before) == step(view) && took > 0 && new > old)
        .then(|| Bytes((new.0 - old.0).saturating_mul(1_000) / took))
}

/// What an event says of the node's row; whether the list changes by it.
fn happened(view: &mut NodeView, event: &Event) -> bool {
    view.version = event.number;
    match &event.what {
        Happened::PhaseChanged { to, reason, .. } => {
            view.phase = *to;
            view.since = event.at;
            view.reason.clone_from(reason);
            true
        }
        Happened::RunOrdered { run, .. } => {
            view.run = Some(run.clone());
            view.step = None;
            false
        }
        Happened::StepMoved { step, state, .. } => {
            view.step = Some((*step, state.clone()));
            false
        }
        // Nothing of the others stands in the list.
        _ => false,
    }
}
