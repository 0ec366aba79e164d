// SPDX-License-Identifier: Apache-2.0

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
	"github.com/expr-lang/expr/parser/lexer"

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
		if deep(r.Match) {
			return protocol.Errorf(protocol.CodeInvalid, "expr_policy: rule %s: match cannot be read: it is nested more than %d deep", protocol.Quote(r.Name), maxDepth)
		}
		if _, err := parser.Parse(r.Match); err != nil {
			return protocol.Errorf(protocol.CodeInvalid, "expr_policy: rule %s: match cannot be read: %s", protocol.Quote(r.Name), explain(err))
		}
	}
	return nil
}

// maxDepth bounds how deep expressions may be nested. The parser calls itself for
// each step, and a text full of brackets would have it take a hundred megabytes.
const maxDepth = 200

// deep reports whether an expression may be nested too deeply: in brackets, and
// by operators that have what follows inside of them. What cannot be split into
// tokens is for the parser to refuse.
func deep(expression string) bool {
	tokens, err := lexer.Lex(file.NewSource(expression))
	if err != nil {
		return false
	}
	open, depth := []level{{}}, 0
	begins := true // what comes next begins an operand
	for _, t := range tokens {
		top := &open[len(open)-1]
		switch kind := nesting(t, begins); {
		case t.Kind == lexer.Bracket && strings.Contains("([{", t.Value):
			open, depth = append(open, level{}), depth+1
		case t.Kind == lexer.Bracket && len(open) > 1:
			open, depth = open[:len(open)-1], depth-1-top.signs-top.others
		case kind == sign:
			top.signs, depth = top.signs+1, depth+1
		case kind == other:
			top.others, depth = top.others+1, depth+1
		case t.Value == ",": // what was begun in these brackets has ended
			depth -= top.signs + top.others
			*top = level{}
		case kind == joins:
			depth, top.signs = depth-top.signs, 0
		}
		if depth > maxDepth {
			return true
		}
		begins = t.Kind == lexer.Operator || t.Kind == lexer.Bracket && strings.Contains("([{", t.Value)
	}
	return false
}

// level counts what is open within one pair of brackets: signs, which reach as
// far as the next "and" or "or", and operators that reach further.
type level struct{ signs, others int }

const (
	sign = iota + 1
	other
	joins
)

// nesting says how an operator nests; 0 for none.
func nesting(t lexer.Token, begins bool) int {
	if t.Kind != lexer.Operator {
		return 0
	}
	switch t.Value {
	case "!", "not":
		return sign
	case "-", "+":
		if begins {
			return sign
		}
	case "and", "or", "&&", "||":
		return joins
	case "?", "?:", "**", "^", "??", "let", "if", "else":
		return other
	}
	return 0
}

// explain leaves out the picture of the place, which has several lines.
func explain(err error) string {
	if at, ok := errors.AsType[*file.Error](err); ok {
		return at.Message
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}
