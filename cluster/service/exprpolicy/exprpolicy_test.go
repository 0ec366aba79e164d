// SPDX-License-Identifier: Apache-2.0

package exprpolicy_test

import (
	"fmt"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/pilotregistry/pilotregistry/cluster/service/exprpolicy"
	"github.com/pilotregistry/pilotregistry/protocol"
)

func rule(fields string) string { return `{"version":1,"rules":[{` + fields + `}]}` }

func match(expression string) string {
	return rule(fmt.Sprintf(`"name":"web","on":"connect","match":%q,"actions":[{"type":"allow"}]`, expression))
}

// What every daemon would refuse is refused, with the reason, before anybody loads it.
func TestPolicyThatNoDaemonLoadsIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                            "expr_policy: invalid JSON: it ends too early; was it cut off?",
		`[]`:                           "expr_policy: invalid JSON: it wants an object, not a list",
		`{"version":2,"rules":[{}]}`:   "expr_policy: unsupported version 2 (want 1)",
		`{}`:                           "expr_policy: unsupported version 0 (want 1)",
		`{"version":1}`:                "expr_policy: at least one rule is required",
		`{"version":1,"rules":[]}`:     "expr_policy: at least one rule is required",
		`{"version":1,"rules":null}`:   "expr_policy: at least one rule is required",
		`{"version":1,"rules":[{}]}`:   "expr_policy: rule 1 has no name",
		rule(`"name":"a","on":"fly"`):  `expr_policy: rule "a": invalid on "fly": want one of connect, dial, datagram, cycle, join, leave`,
		rule(`"name":"a","on":"join"`): `expr_policy: rule "a" has no match`,
		rule(`"name":"a","on":"join","match":"true"`):          `expr_policy: rule "a" has no actions`,
		`{"version":1,"default_verdict":"maybe","rules":[{}]}`: `expr_policy: invalid default_verdict "maybe": want allow or deny`,
		match("port =="):     `expr_policy: rule "web": match cannot be read: unexpected token EOF`,
		match("port = 80"):   `expr_policy: rule "web": match cannot be read: unexpected token Operator("=")`,
		match("has_tag(\"a"): `expr_policy: rule "web": match cannot be read: literal not terminated`,
		strings.Repeat("a", protocol.MaxExprPolicyBytes+1):  "expr_policy: too long: 61441 bytes as replies write it (max 61440)",
		match(`"` + strings.Repeat("&", 11000) + `" == ""`): "expr_policy: too long: 66105 bytes as replies write it (max 61440)",
	} {
		if e := exprpolicy.Check(text); e == nil || e.Text != want {
			t.Errorf("%.60s: got %v, want %s", text, e, want)
		}
	}
	twice := `{"version":1,"rules":[{"name":"a","on":"join","match":"true","actions":[{"type":"allow"}]},{"name":"a","on":"join","match":"true","actions":[{"type":"allow"}]}]}`
	if e := exprpolicy.Check(twice); e == nil || e.Text != `expr_policy: two rules have the name "a"` {
		t.Errorf("a name twice: %v", e)
	}
}

func TestPoliciesOfDaemonsAreTaken(t *testing.T) {
	for _, expression := range []string{
		"port == 80", "true", `has_tag("gpu") && peer_age_s > 3600`, `"eu" in peer_tags or members < 5`, "any(peer_tags, # startsWith 'eu')",
		`direction == "in" ? size < 1000 : true`, "since(last_seen) > duration(\"5m\")", "(sender_rating ?? 0) >= 3", "not (peer_id in [1, 2, 3])",
	} {
		if e := exprpolicy.Check(match(expression)); e != nil {
			t.Errorf("%s: %v", expression, e)
		}
	}
	if e := exprpolicy.Check(`{"version":1,"default_verdict":"deny","fail_closed":true,"config":{"cycle":"1h","max_peers":5},"more":[1],` +
		`"rules":[{"name":"a","on":"cycle","match":"cycle_num % 2 == 0","actions":[{"type":"prune","params":{"count":1,"by":"age"}}]}]}`); e != nil {
		t.Error(e)
	}
}

// A stranger's policy full of brackets must not take a member's memory, nor its
// stack, which ends the process.
func TestDeepPolicyTakesNoMemory(t *testing.T) {
	defer debug.SetMaxStack(debug.SetMaxStack(4 << 20)) // beyond it the process ends
	for _, step := range []string{"(", "[", "{a:", "!", "-", "+ ", "not ", "a?", "a ?: ", "a ? b : ", "f(", "a[", "a[1:", "a.b(", "any(a, ", "any(a, {", "#[", "2**", "2^", "a ?? ",
		"a|f(", "let a=1; ", "if a {", "if a {1} else if ", "a and (", "a not in (", "- -", "!(", "1; ", "a.b", "a?.b", "1 + ", "a or "} {
		text := match(strings.Repeat(step, 40_000/len(step)) + "1")
		if e := exprpolicy.Check(text); e != nil && e.Code != protocol.CodeInvalid {
			t.Errorf("%.10s: %v", step, e)
		}
	}
	for _, shallow := range []string{strings.Repeat("(a and b) or ", 1000) + "c", strings.Repeat("[1] == a and ", 1000) + "b", strings.Repeat("(", 150) + "1" + strings.Repeat(")", 150),
		strings.Repeat("not (a) and (-1 < b) or ", 500) + "c", "[" + strings.Repeat("-1, not a, ", 500) + "1]", "x in {" + strings.Repeat("a: b ? 1 : 2, ", 300) + "c: 1}", strings.Repeat("1 - ", 500) + "1"} {
		if e := exprpolicy.Check(match(shallow)); e != nil {
			t.Errorf("%.40s: %v", shallow, e)
		}
	}
}

// FuzzCheck: any text is a policy or is refused with a text, and no text takes
// a stack to speak of.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{rule(`"name":"a","on":"join","match":"true"`), match("port == 80 ? [1, {a: -2}] : not (any(tags, # == 'x') ?? false)"), match("let a = 1; if a { 2 } else { 3 ** 4 }"), match("a[1:2]|f(1)")} {
		f.Add(seed, "x == 1")
	}
	debug.SetMaxStack(16 << 20)
	f.Fuzz(func(t *testing.T, text, expression string) {
		for _, text := range []string{text, match(expression)} {
			if e := exprpolicy.Check(text); e != nil && (e.Text == "" || e.Code == "") {
				t.Errorf("%q: %+v", text, e)
			}
		}
	})
}
