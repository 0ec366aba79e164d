// Package exprpolicy says whether daemons could load an expression policy. It
// is the one place that knows the language of the expressions: the state
// machine stores documents and never looks into them, so that members of
// different versions agree on what is stored.
package exprpolicy

import (
	"errors"
	"strings"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// Check refuses a document that daemons could not load. Names and types in
// expressions are not looked at: a daemon may know more than we do.
func Check(text string) *protocol.Error {
	policy, e := protocol.ParseExprPolicy(text)
	if e != nil {
		return e
	}
	for _, r := range policy.Rules {
		if _, err := parser.Parse(r.Match); err != nil {
			return protocol.Errorf(protocol.CodeInvalid, "expr_policy: rule %s: match cannot be read: %s", protocol.Quote(r.Name), explain(err))
		}
	}
	return nil
}

// explain leaves out the picture of the place, which has several lines.
func explain(err error) string {
	if at, ok := errors.AsType[*file.Error](err); ok {
		return at.Message
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}
