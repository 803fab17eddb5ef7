// SPDX-License-Identifier: Apache-2.0
//! Actions without a BMC, with one, and after a restart.
