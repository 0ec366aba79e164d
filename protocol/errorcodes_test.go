// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// Every code that errors.go declares has its row in the reference, once.
func TestErrorCodesAreAllListed(t *testing.T) {
	listed := map[string]int{}
	for _, c := range ErrorCodes {
		listed[c.Code]++
	}
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if declared++; listed[code] != 1 {
			t.Errorf("%s is listed %d times", code, listed[code])
		}
		return true
	})
	if declared != len(ErrorCodes) {
		t.Errorf("%d codes are declared and %d listed", declared, len(ErrorCodes))
	}
}
