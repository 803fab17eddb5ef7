// SPDX-License-Identifier: Apache-2.0
//! Serves a folder on an interface and prints what it sees: the boot service as a library, in a page.
//!
//! `serve INTERFACE ADDRESS/PREFIX FIRST LAST FOLDER`

use groundstate_api::MacAddr;
use groundstate_api::boot::BootSighting;
use groundstate_api::site::Network;
use pxe_core::rules::Rules;
use pxe_core::script::CommandLine;
use pxe_server::{BootDir, BootFiles, Config, FolderPolicy, Sightings, serve};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

struct Print(Instant);

impl Sightings for Print {
    fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        println!(
            "{:>7.1} s  {mac}  {sighting:?}",
            self.0.elapsed().as_secs_f32()
        );
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [interface, address, first, last, folder] = arguments.as_slice() else {
        return Err("serve INTERFACE ADDRESS/PREFIX FIRST LAST FOLDER".into());
    };
    let (address, prefix) = address.split_once('/').ok_or("ADDRESS/PREFIX")?;
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
        pools: Vec::new(),
    };
    let folder = Arc::new(BootDir::open(Path::new(folder))?);
    let policy = FolderPolicy::new(Rules::default(), Arc::clone(&folder));
    let files = BootFiles::of_folder(folder, CommandLine::default());
    let state = std::env::temp_dir().join("groundstate-serve");
    let config = Config::of_site(interface, &network, &state);
    let (_keep, stop) = tokio::sync::watch::channel(false);
    println!("serving on {interface}; end with Ctrl-C");
    let told = Arc::new(Print(Instant::now()));
    serve(config, files, Arc::new(policy), told, stop).await?;
    Ok(())
}
