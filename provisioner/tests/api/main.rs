// SPDX-License-Identifier: Apache-2.0
//! The real server over loopback TLS, called as nodes, hosts, operators and strangers call it; curl among them.

mod access;
mod enrolment;
mod follow;
mod way;
mod world;
