// SPDX-License-Identifier: Apache-2.0
//! The repair ticket as text: what a technician needs at the rack.

use super::show::moment;
use groundstate_api::text::inert;
use groundstate_api::ticket::{Ticket, TicketPart};

/// The ticket, narrow enough for any printer.
pub(crate) fn page(ticket: &Ticket) -> String {
    let mut lines = vec![
        format!(
            "REPAIR TICKET  {}  site {}",
            ticket.node,
            inert(&ticket.site)
        ),
        format!(
            "written {}, the node is {}",
            moment(ticket.at),
            ticket.phase.as_str()
        ),
        String::new(),
        format!("DO:     {}", inert(&ticket.do_this)),
        format!("WHY:    {} [{}]", inert(&ticket.what), ticket.code),
    ];
    let machine = &ticket.machine;
    let unit = machine
        .unit
        .map_or_else(String::new, |unit| format!(", unit {unit}"));
    let rack = machine
        .rack
        .as_deref()
        .unwrap_or("no rack in the site file");
    lines.push(format!(
        "WHERE:  {}{unit}  {}",
        inert(rack),
        inert(&machine.place)
    ));
    lines.push(format!(
        "        {}, serial {}, MAC {}",
        inert(&machine.model),
        inert(&machine.serial),
        machine.mac
    ));
    let mut add = |name: &str, words: &[String]| {
        for (at, word) in words.iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            lines.push(format!("{name:<7} {}", inert(word)));
        }
    };
    add("POWER:", &machine.power);
    add("PORT:", machine.port.as_slice());
    if let Some(part) = &ticket.part {
        add("PART:", &[part_line(part)]);
    }
    add("SEEN:", &ticket.evidence);
    add("ON IT:", &ticket.data);
    add("LEAVE:", &ticket.leave_alone);
    add("AFTER:", &ticket.after);
    add("ALSO:", &ticket.also);
    lines.join("\n")
}

/// What it is, where, and how to know it.
fn part_line(part: &TicketPart) -> String {
    let place = &part.place;
    let size = place.size.map(|size| size.to_string()).unwrap_or_default();
    let words = [
        &part.kind,
        &part.device,
        &place.slot,
        &place.vendor,
        &place.model,
        &place.part_number,
        &size,
    ];
    let words = words.into_iter().map(String::as_str);
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let serial = if place.serial.is_empty() {
        String::new()
    } else {
        format!(", serial {}", place.serial)
    };
    format!("{}{serial}", words.join(" "))
}
