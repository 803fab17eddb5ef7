// SPDX-License-Identifier: Apache-2.0
//! Erases of simulated drives: honest ones, and those that lie.
