// SPDX-License-Identifier: Apache-2.0
//! handover executors.
