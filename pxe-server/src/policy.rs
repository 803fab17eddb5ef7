// SPDX-License-Identifier: Apache-2.0
//! The boot policy of a boot service without a provisioner: rules, and the files that lie in its folder.

use crate::{BootDir, BootPolicy};
use groundstate_api::boot::{BootAnswer, BootQuestion};
use pxe_core::rules::{Decision, Rules};
use std::sync::{Arc, PoisonError, RwLock};

/// Rules over a folder. The rules can be replaced while machines ask.
#[derive(Debug)]
pub struct FolderPolicy {
    rules: RwLock<Arc<Rules>>,
    folder: Arc<BootDir>,
}

impl FolderPolicy {
    /// These rules, over this folder.
    #[must_use]
    pub fn new(rules: Rules, folder: Arc<BootDir>) -> Self {
        Self {
            rules: RwLock::new(Arc::new(rules)),
            folder,
        }
    }

    /// Other rules from now on.
    pub fn replace(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// What a machine would be answered, and why.
    #[must_use]
    pub fn explain(&self, question: &BootQuestion) -> Decision {
        self.rules()
            .explain(question, &|name| self.folder.has(name))
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl BootPolicy for FolderPolicy {
    fn ask(&self, question: &BootQuestion) -> BootAnswer {
        // A machine asks several times within seconds; what was dropped in meanwhile is there the next time.
        self.folder.look_behind();
        self.rules().ask(question, &|name| self.folder.has(name))
    }
}
