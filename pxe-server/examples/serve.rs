// SPDX-License-Identifier: Apache-2.0
//! Serves a folder of boot assets on an interface and prints what it sees: the boot service by itself, to try it.
//!
//! `serve INTERFACE ADDRESS/PREFIX FIRST LAST ASSETS_DIR maintenance-os|local-disk|refuse`

use groundstate_api::boot::{BootAnswer, BootConfig, BootQuestion, BootSighting};
use groundstate_api::site::Network;
use groundstate_api::{MacAddr, Reason, ReasonCode, SCHEMA};
use pxe_server::{Assets, BootPolicy, Config, Sightings, assemble, serve};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

struct Same(BootAnswer);

impl BootPolicy for Same {
    fn ask(&self, _: &BootQuestion) -> BootAnswer {
        self.0.clone()
    }
}

struct Print(Instant);

impl Sightings for Print {
    fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        println!(
            "{:>7.1} s  {mac}  {sighting:?}",
            self.0.elapsed().as_secs_f32()
        );
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [interface, address, first, last, assets, answer] = arguments.as_slice() else {
        return Err(
            "serve INTERFACE ADDRESS/PREFIX FIRST LAST ASSETS_DIR maintenance-os|local-disk|refuse"
                .into(),
        );
    };
    let (address, prefix) = address.split_once('/').ok_or("ADDRESS/PREFIX")?;
    let answer = match answer.as_str() {
        "maintenance-os" => BootAnswer::MaintenanceOs,
        "local-disk" => BootAnswer::LOCAL_DISK,
        "refuse" => BootAnswer::Refuse {
            reason: Reason::new(
                ReasonCode::UnknownMachine,
                "refused by hand",
                "start again with another answer",
            ),
        },
        other => return Err(format!("{other} is no answer").into()),
    };
    let network = Network {
        address: address.parse()?,
        prefix: prefix.parse()?,
        pool_first: first.parse()?,
        pool_last: last.parse()?,
        router: None,
        dns: Vec::new(),
        lease_secs: 3_600,
        http_port: 80,
        https_port: 8_443,
    };
    let site = BootConfig {
        schema: SCHEMA,
        site: "try".to_owned(),
        provisioner: format!("https://{address}:8443"),
        ca_pem: String::new(),
    };
    let out: PathBuf = std::env::temp_dir().join("groundstate-serve");
    let files = assemble(&Assets::read(Path::new(assets))?, &site, &out)?;
    let config = Config::of_site(interface, &network, &out);
    let (_keep, stop) = tokio::sync::watch::channel(false);
    println!("serving on {interface}; end with Ctrl-C");
    serve(
        config,
        files,
        Arc::new(Same(answer)),
        Arc::new(Print(Instant::now())),
        stop,
    )
    .await?;
    Ok(())
}
