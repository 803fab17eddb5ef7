// SPDX-License-Identifier: Apache-2.0
//! `groundstate plan site.toml` and `groundstate apply site.toml`. What a person agreed to is what is applied: the site is
//! replaced only if nobody has changed it since it was shown.

use super::{ApplyArgs, PlanSiteArgs, file, page};
use crate::End;
use crate::client::paper::Paper;
use crate::client::said::{document, say, tell};
use crate::client::{Client, Connect, Fetched, Terms, Verb};
use crate::refusal::{Failed, NOT_AGREED};
use anyhow::{Result, bail};
use groundstate_api::paths;
use groundstate_api::site::Site;
use groundstate_api::site_plan::SitePlan;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

pub(super) fn plan(args: &PlanSiteArgs) -> Result<End> {
    let site = file::read(&args.file)?;
    let plan = match &args.against {
        Some(other) => prov_core::site_diff::plan(Some((0, &file::read(other)?)), &site, None)?,
        None => planned(&args.connect, &site)?.plan,
    };
    show(&plan, args.json)?;
    Ok(end_of(&plan))
}

pub(super) fn apply(args: &ApplyArgs) -> Result<End> {
    let (site, beside) = file::read_all(&args.file)?;
    let planned = planned(&args.connect, &site)?;
    let plan = &planned.plan;
    if args.dry_run || plan.is_empty() || plan.is_refused() {
        show(plan, args.json)?;
        return Ok(end_of(plan));
    }
    if !args.yes {
        tell(&page::plan(plan, Paper::of_terminal()));
        if !agreed()? {
            return Err(Failed::new(
                NOT_AGREED,
                "nothing was applied",
                "y or yes applies it; run it again to be asked again",
            )
            .into());
        }
    }
    let terms = Terms {
        if_match: Some(planned.tag),
        ..Terms::fresh()
    };
    // The files first: a site that names what nobody has is refused.
    for (digest, bytes) in &beside {
        let path = paths::SITE_FILE.replace("{digest}", &digest.hex());
        let fresh = Terms::fresh();
        planned
            .client
            .order(Verb::Put, &path, Some(bytes), &fresh)?;
    }
    let text = planned
        .client
        .order(Verb::Put, paths::SITE, Some(&site), &terms)?;
    if args.json {
        document(&text)?;
    } else {
        let done: SitePlan = planned.client.parse(paths::SITE, &text)?;
        if args.yes {
            say(&page::plan(&done, Paper::of_terminal()))?;
        }
        say(&format!(
            "applied: version {} of the site is in force",
            done.from + 1
        ))?;
    }
    Ok(End::Done)
}

/// What the provisioner says to a site, and which version it compared it with.
struct Planned {
    client: Client,
    plan: SitePlan,
    tag: String,
}

fn planned(connect: &Connect, site: &Site) -> Result<Planned> {
    let client = Client::new(connect)?;
    let Fetched::New(_, Some(tag)) = client.get_tagged::<Site>(paths::SITE, None)? else {
        bail!("the provisioner does not say the version of its site");
    };
    let terms = Terms {
        if_match: Some(tag.clone()),
        ..Terms::fresh()
    };
    let path = format!("{}?dry_run=true", paths::SITE);
    let text = client.order(Verb::Put, &path, Some(site), &terms)?;
    let plan = client.parse(paths::SITE, &text)?;
    Ok(Planned { client, plan, tag })
}

fn show(plan: &SitePlan, json: bool) -> Result<()> {
    if json {
        return document(&serde_json::to_string(plan)?);
    }
    say(&page::plan(plan, Paper::of_terminal()))
}

fn end_of(plan: &SitePlan) -> End {
    if plan.is_refused() {
        End::Held
    } else {
        End::Done
    }
}

fn agreed() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Failed::new(
            NOT_AGREED,
            "nobody is there to be asked",
            "--yes applies without asking, --dry-run applies nothing",
        )
        .into());
    }
    let mut out = std::io::stderr().lock();
    write!(out, "Apply this? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
