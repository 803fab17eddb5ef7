// SPDX-License-Identifier: Apache-2.0
//! Comparisons with the tools that people would use instead, as ratios.
//!
//! `figure` is the language between the program `compare`, which measures, and `cargo xtask bench`, which builds it,
//! runs it and judges. What measures is built with the feature `compare` only: it links the product.
//!
//! Nothing here is a test: no figure makes one fail. But each timed run is checked for what it should have done, and one
//! that did not do it is no figure.

mod figure;

#[cfg(feature = "compare")]
mod allocation;
#[cfg(feature = "compare")]
mod convert;
#[cfg(feature = "compare")]
mod datagrams;
#[cfg(feature = "compare")]
mod dhcp;
#[cfg(feature = "compare")]
mod dhcp_load;
#[cfg(feature = "compare")]
mod dhcp_servers;
#[cfg(feature = "compare")]
mod dynamic;
#[cfg(feature = "compare")]
mod first_write;
#[cfg(feature = "compare")]
mod fleet;
#[cfg(feature = "compare")]
mod ground;
#[cfg(feature = "compare")]
mod http;
#[cfg(feature = "compare")]
mod image_client;
#[cfg(feature = "compare")]
mod image_content;
#[cfg(feature = "compare")]
mod image_deploy;
#[cfg(feature = "compare")]
mod image_disk;
#[cfg(feature = "compare")]
mod image_fan_out;
#[cfg(feature = "compare")]
mod image_publish;
#[cfg(feature = "compare")]
mod image_serve;
#[cfg(feature = "compare")]
mod machine;
#[cfg(feature = "compare")]
mod shelf;
#[cfg(feature = "compare")]
mod slow_disk;
#[cfg(feature = "compare")]
mod storm;
#[cfg(feature = "compare")]
mod tftp;
#[cfg(feature = "compare")]
mod wire;

pub use figure::{Figure, Goal, Line, Side, Spread, Verdict, ratios};

#[cfg(feature = "compare")]
pub use allocation::{MAKE_ONE, fixed, make_one, many};
#[cfg(feature = "compare")]
pub use convert::convert_raw;
#[cfg(feature = "compare")]
pub use dhcp::{dhcp_100k, dhcp_500, dhcp_burst, dhcp_max, dhcp_memory, dhcp_overload};
#[cfg(feature = "compare")]
pub use dynamic::dynamic;
#[cfg(feature = "compare")]
pub use first_write::first_writes;
#[cfg(feature = "compare")]
pub use fleet::fleet;
#[cfg(feature = "compare")]
pub use ground::Ground;
#[cfg(feature = "compare")]
pub use http::http;
#[cfg(feature = "compare")]
pub use image_deploy::{DEPLOY_IMAGE, deploy_image, image_deploy};
#[cfg(feature = "compare")]
pub use image_fan_out::{RECEIVE_IMAGE, image_fan_out, receive_image};
#[cfg(feature = "compare")]
pub use image_publish::image_publish;
#[cfg(feature = "compare")]
pub use image_serve::{SERVE_IMAGES, image_serve, serve_images};
#[cfg(feature = "compare")]
pub use shelf::shelf;
#[cfg(feature = "compare")]
pub use storm::{storm, storm_with_loss};
#[cfg(feature = "compare")]
pub use tftp::{TFTP_FLOOR, tftp_500, tftp_floor, tftp_loss, tftp_memory, tftp_one};
