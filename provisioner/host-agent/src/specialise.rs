// SPDX-License-Identifier: Apache-2.0
//! Makes this host its own machine, once: the order of the steps, what is noted before and after each, and the end.
//!
//! Every step is noted before it acts and after it has acted, so that a power cut at any point is made good by running
//! again, and the report still says what was there before the first attempt. What a step does stands in `step`.

use crate::documents::{Begun, SPECIALISING_PATH, Specialised, Specialising};
use crate::error::AgentError;
use crate::host::Host;
use crate::root::Root;
use crate::step::{Step, Surroundings};
use groundstate_api::host::{Change, HostSeed, SEED_PATH, SPECIALISED_PATH};
use groundstate_api::{BootId, SCHEMA};

/// One host on its way to being specialised. Each [`Specialisation::advance`] makes one durable move.
#[derive(Debug)]
pub struct Specialisation<'a, H> {
    surroundings: Surroundings<'a, H>,
    boot_id: BootId,
    steps: Vec<Step>,
    notes: Specialising,
}

/// One move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// What was there before this step is noted.
    Noted(String),
    /// The step acted.
    Acted(String),
    /// What is there after it is noted.
    Done(Change),
    /// Everything is done; nothing is left to do.
    Complete(Specialised),
}

impl<'a, H: Host> Specialisation<'a, H> {
    /// Takes up the work where it stands.
    ///
    /// # Errors
    /// The seed is missing or cannot be understood.
    pub fn take_up(root: &'a Root, host: &'a H, boot_id: BootId) -> Result<Self, AgentError> {
        let seed = read_seed(root)?;
        let notes = root
            .read_json::<Specialising>(SPECIALISING_PATH)?
            .filter(|notes| notes.schema == SCHEMA && notes.plan == seed.plan)
            .unwrap_or_else(|| Specialising {
                schema: SCHEMA,
                plan: seed.plan.clone(),
                steps: Vec::new(),
            });
        let steps = Step::all(&seed)?;
        Ok(Self {
            surroundings: Surroundings { root, host, seed },
            boot_id,
            steps,
            notes,
        })
    }

    /// Who the host is, and where it reports.
    pub fn seed(&self) -> &HostSeed {
        &self.surroundings.seed
    }

    /// Makes the next move.
    ///
    /// # Errors
    /// The move failed; the same move is made again the next time.
    pub fn advance(&mut self) -> Result<Moment, AgentError> {
        let root = self.surroundings.root;
        if let Some(done) = self.already()? {
            root.remove(SPECIALISING_PATH)?;
            return Ok(Moment::Complete(done));
        }
        let open = self.steps.iter().find(|step| {
            let noted = self
                .notes
                .steps
                .iter()
                .find(|begun| begun.what == step.what());
            noted.is_none_or(|begun| begun.after.is_none())
        });
        let Some(step) = open.cloned() else {
            return self.complete();
        };
        let what = step.what();
        let Some(begun) = self.notes.steps.iter_mut().find(|begun| begun.what == what) else {
            let before = step.observe(&self.surroundings)?;
            let goal = step.goal()?;
            self.notes.steps.push(Begun {
                what: what.clone(),
                before,
                goal,
                after: None,
            });
            root.write_json(SPECIALISING_PATH, &self.notes)?;
            return Ok(Moment::Noted(what));
        };
        if !step.is_reached(&self.surroundings, begun.goal.as_deref())? {
            step.act(&mut self.surroundings, begun.goal.as_deref())?;
            return Ok(Moment::Acted(what));
        }
        let after = step.observe(&self.surroundings)?;
        begun.after = Some(after.clone());
        let change = Change {
            what,
            before: begun.before.clone(),
            after,
        };
        root.write_json(SPECIALISING_PATH, &self.notes)?;
        Ok(Moment::Done(change))
    }

    /// Moves on to the end.
    ///
    /// # Errors
    /// A move failed; what was done stays done.
    pub fn run(mut self, mut saw: impl FnMut(&Moment)) -> Result<Specialised, AgentError> {
        loop {
            let moment = self.advance()?;
            saw(&moment);
            if let Moment::Complete(done) = moment {
                return Ok(done);
            }
        }
    }

    fn already(&self) -> Result<Option<Specialised>, AgentError> {
        let done = self
            .surroundings
            .root
            .read_json::<Specialised>(SPECIALISED_PATH)?;
        Ok(done.filter(|done| done.schema == SCHEMA && done.plan == self.surroundings.seed.plan))
    }

    fn complete(&mut self) -> Result<Moment, AgentError> {
        let seed = &self.surroundings.seed;
        let changes = self.notes.steps.iter().filter_map(|begun| {
            let after = begun.after.clone().filter(|after| *after != begun.before)?;
            Some(Change {
                what: begun.what.clone(),
                before: begun.before.clone(),
                after,
            })
        });
        let done = Specialised {
            schema: SCHEMA,
            node: seed.node.clone(),
            run: seed.run.clone(),
            plan: seed.plan.clone(),
            boot_id: self.boot_id.clone(),
            changes: changes.collect(),
        };
        self.surroundings.root.write_json(SPECIALISED_PATH, &done)?;
        self.surroundings.root.remove(SPECIALISING_PATH)?;
        Ok(Moment::Complete(done))
    }
}

/// The first-boot data.
pub(crate) fn read_seed(root: &Root) -> Result<HostSeed, AgentError> {
    let path = root.at(SEED_PATH);
    let missing = || AgentError::Document {
        path: path.clone(),
        what: "it is not there: this host was not made by Groundstate".into(),
    };
    let seed: HostSeed = root.read_json(SEED_PATH)?.ok_or_else(missing)?;
    if seed.schema == SCHEMA {
        Ok(seed)
    } else {
        let what = format!("its schema is {}, this agent knows {SCHEMA}", seed.schema);
        Err(AgentError::Document { path, what })
    }
}
