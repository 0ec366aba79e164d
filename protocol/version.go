// SPDX-License-Identifier: Apache-2.0

package protocol

// Version is the version of both programs and of the SDK (semver.org). The
// commit that changes it is the first of the next version: a release is the
// last commit that says its number, see deploy/release-binaries.sh.
const Version = "0.1.0"
