// SPDX-License-Identifier: Apache-2.0
//! The repair ticket as text: what a technician needs at the rack.

use super::show::moment;
use groundstate_api::text::inert;
use groundstate_api::ticket::{Ticket, TicketMachine, TicketPart};

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
    lines.push(format!("WHERE:  {}", inert(&place(machine))));
    let known = [
        inert(&machine.model).into_owned(),
        format!("serial {}", inert(&machine.serial)),
        format!("MAC {}", machine.mac),
    ];
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let known = known.iter().copied().filter(|one| !one.is_empty());
    lines.push(format!("        {}", known.collect::<Vec<_>>().join(", ")));
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

/// `rack r1, units 4 to 5, bay 2; hall 1, row A`, as far as the site file says.
fn place(machine: &TicketMachine) -> String {
    let Some(rack) = &machine.rack else {
        return "the site file does not say (the node has no slot)".to_owned();
    };
    let units = machine.unit.map(|unit| match machine.height {
        0 | 1 => format!(", unit {unit}"),
        height => format!(", units {unit} to {}", unit.saturating_add(height - 1)),
    });
    let bay = machine.bay.map(|bay| format!(", bay {bay}"));
    let stands = match machine.place.trim() {
        "" => String::new(),
        place => format!("; {place}"),
    };
    format!(
        "rack {rack}{}{}{stands}",
        units.unwrap_or_default(),
        bay.unwrap_or_default()
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_said_as_far_as_it_is_known() {
        let mut machine = TicketMachine {
            rack: None,
            place: String::new(),
            unit: None,
            height: 1,
            bay: None,
            power: Vec::new(),
            port: None,
            model: String::new(),
            serial: "S1".into(),
            mac: groundstate_api::MacAddr([2, 0, 0, 0, 0, 1]),
        };
        assert!(place(&machine).starts_with("the site file does not say"));
        machine.rack = Some("r1".into());
        assert_eq!(place(&machine), "rack r1");
        machine.unit = Some(4);
        assert_eq!(place(&machine), "rack r1, unit 4");
        machine.height = 2;
        machine.bay = Some(1);
        machine.place = " hall 1, row A ".into();
        assert_eq!(
            place(&machine),
            "rack r1, units 4 to 5, bay 1; hall 1, row A"
        );
    }
}
