// SPDX-License-Identifier: Apache-2.0
//! UEFI load options and device paths (UEFI 2.10, sections 3.1.3 and 10.3).
