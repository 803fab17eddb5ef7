// SPDX-License-Identifier: Apache-2.0
//! Asks an NVMe disk who it is and how it is, by admin commands on its block device.

use crate::disk::path::{AdminPath, Fault, Over, admin, noted, optional};
use crate::ioctl::Admin;
use hw_core::disk::DiskFacts;
use hw_core::disk::facts::Protocol;
use hw_core::nvme::{
    ALL_NAMESPACES, CNS_CONTROLLER, Controller, ERROR_ENTRIES_MAX, ERROR_ENTRY, GET_LOG_PAGE,
    IDENTIFY, IDENTIFY_LENGTH, LOG_ERRORS, LOG_LENGTH, LOG_SELF_TEST, LOG_SMART, LOG_SUPPORTED,
    SELF_TEST_LENGTH, SUPPORTED_LENGTH, errors, fill_smart, identify_controller, lists_page,
    log_page_dw10, self_test_log,
};

/// Fills the facts as far as the disk answers; `so_far` sees them after each step.
pub(crate) fn gather(
    path: &impl AdminPath,
    facts: &mut DiskFacts,
    so_far: &mut dyn FnMut(&DiskFacts),
) -> Result<(), Over> {
    facts.protocol = Protocol::Nvme;
    let controller = noted(facts, identity(path))?;
    match &controller {
        Some(Some(controller)) => controller.fill(facts),
        Some(None) => facts
            .missed
            .push("Identify Controller returned nothing".to_owned()),
        None => {}
    }
    let controller = controller.flatten();
    so_far(facts);
    if let Some(log) = noted(facts, log(path, LOG_SMART, LOG_LENGTH))? {
        fill_smart(facts, &log);
    }
    so_far(facts);
    logs(path, facts, controller.as_ref())
}

/// Identify Controller.
pub(crate) fn identity(path: &impl AdminPath) -> Result<Option<Controller>, Fault> {
    let command = Admin {
        opcode: IDENTIFY,
        nsid: 0,
        cdw10: CNS_CONTROLLER,
    };
    let data = admin(path, "Identify Controller", command, IDENTIFY_LENGTH)?;
    Ok(identify_controller(&data))
}

/// The logs that the controller keeps: it lists them, or its capabilities name them.
fn logs(
    path: &impl AdminPath,
    facts: &mut DiskFacts,
    controller: Option<&Controller>,
) -> Result<(), Over> {
    let listed = match controller {
        Some(controller) if controller.lists_log_pages => {
            optional(log(path, LOG_SUPPORTED, SUPPORTED_LENGTH))?
        }
        _ => None,
    };
    let lists = |page| listed.as_deref().and_then(|log| lists_page(log, page));
    // Every controller keeps the error log (NVM Express Base 2.0, figure 198).
    if lists(LOG_ERRORS).unwrap_or(true) {
        let entries = controller.map_or(1, |c| c.error_entries.min(ERROR_ENTRIES_MAX));
        let length = usize::from(entries) * ERROR_ENTRY;
        if let Some(log) = noted(facts, log(path, LOG_ERRORS, length))? {
            facts.nvme.get_or_insert_default().errors = errors(&log);
        }
    }
    let able = controller.is_some_and(|c| c.self_test);
    if lists(LOG_SELF_TEST).unwrap_or(able)
        && let Some(log) = noted(facts, log(path, LOG_SELF_TEST, SELF_TEST_LENGTH))?
    {
        facts.self_tests = self_test_log(&log, controller);
    }
    Ok(())
}

/// Get Log Page of the controller.
pub(crate) fn log(path: &impl AdminPath, page: u8, length: usize) -> Result<Vec<u8>, Fault> {
    let name = format!("Get Log Page {page:02x}h");
    let Some(cdw10) = log_page_dw10(page, length) else {
        return Err(Fault::Refused(format!(
            "{name}: {length} bytes are too many"
        )));
    };
    let command = Admin {
        opcode: GET_LOG_PAGE,
        nsid: ALL_NAMESPACES,
        cdw10,
    };
    admin(path, name, command, length)
}

#[cfg(test)]
mod tests;
