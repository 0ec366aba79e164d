// SPDX-License-Identifier: Apache-2.0

package protocol

// blueprintFormats are the formats of the audit export that blueprints know.
var blueprintFormats = []string{FormatJSON, FormatSplunk, FormatCEF}

func badBlueprint(format string, args ...any) *Error {
	return Errorf(CodeInvalid, "invalid blueprint: "+format, args...)
}

// inBlueprint says that a refusal is about a part of the blueprint.
func inBlueprint(e *Error) *Error {
	if e != nil {
		e.Text = "invalid blueprint: " + e.Text
	}
	return e
}
