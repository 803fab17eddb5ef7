// SPDX-License-Identifier: Apache-2.0
//! VHDX virtual disks (Microsoft, "[MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format").
