// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

const goodRules = `{"links":8,"cycle":"1h","prune":2,"prune_by":"score","fill":2,"fill_how":"random"}`

func createNetwork(t *testing.T, fields string) *CreateNetwork {
	t.Helper()
	req, err := ParseRequest([]byte(`{"type":"create_network","node_id":1,"name":"mesh",` + fields + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return req.Body.(*CreateNetwork)
}

// Whoever asks for a managed network does not get a plain one that looks like it.
func TestManagedNetworkIsNotSilentlyPlain(t *testing.T) {
	want := &NetworkRules{Links: 8, Cycle: "1h", Prune: 2, PruneBy: "score", Fill: 2, FillHow: "random"}
	for _, fields := range []string{`"rules":` + goodRules, fmt.Sprintf(`"rules":%q`, goodRules)} {
		r := createNetwork(t, fields)
		if e := r.Validate(); e != nil || !reflect.DeepEqual(r.Rules, want) {
			t.Errorf("%s: %+v, %v", fields, r.Rules, e)
		}
	}
	for _, fields := range []string{`"rules":null,"expr_policy":""`, `"rules":"","expr_policy":null`, `"rules":"null","expr_policy":"null"`} {
		r := createNetwork(t, fields)
		if e := r.Validate(); e != nil || r.Rules != nil || r.ExprPolicy != nil {
			t.Errorf("%s: %+v, %v", fields, r, e)
		}
	}
	for _, value := range []string{`1`, `true`, `["a"]`, `"nonsense"`, `"[]"`, `{"links":"8"}`, `{"links":1.5}`} {
		if e := createNetwork(t, `"rules":`+value).Validate(); e == nil || !strings.HasPrefix(e.Text, "rules: invalid JSON: ") {
			t.Errorf("rules %s: %v", value, e)
		}
	}
	for _, value := range []string{`1`, `false`, `["a"]`} {
		if e := createNetwork(t, `"expr_policy":`+value).Validate(); e == nil || e.Text != "expr_policy: invalid JSON: want an object, or one as text" {
			t.Errorf("expr_policy %s: %v", value, e)
		}
	}
}

func TestRulesThatNoDaemonCanKeepAreRefused(t *testing.T) {
	for change, want := range map[string]string{
		`"links":0`:      "links must be >= 1 (got 0)",
		`"cycle":""`:     "cycle is required",
		`"cycle":"soon"`: `invalid cycle duration "soon": time: invalid duration "soon"`,
		`"cycle":"59s"`:  "cycle must be >= 1m (got 59s)",
		`"cycle":"` + strings.Repeat("1", 65) + `"`: `invalid cycle duration "` + strings.Repeat("1", 65) + `": too long (max 64 bytes)`,
		`"prune":-1`:        "prune must be >= 0 (got -1)",
		`"fill":-1`:         "fill must be >= 0 (got -1)",
		`"prune":9`:         "prune (9) cannot exceed links (8)",
		`"fill":9`:          "fill (9) cannot exceed links (8)",
		`"prune_by":""`:     "prune_by is required",
		`"prune_by":"luck"`: `unknown prune_by strategy "luck" (want score|age|activity)`,
		`"fill_how":""`:     "fill_how is required",
		`"fill_how":"luck"`: `unknown fill_how strategy "luck" (want random)`,
		`"grace":"-1s"`:     "grace must be >= 0",
		`"grace":"long"`:    `invalid grace duration "long": time: invalid duration "long"`,
	} {
		rules := strings.TrimSuffix(goodRules, "}") + "," + change + "}" // the last of two counts
		if e := createNetwork(t, `"rules":`+rules).Validate(); e == nil || e.Text != "rules: "+want {
			t.Errorf("%s: got %v, want %s", change, e, want)
		}
	}
}

// A document comes as text or as an object; what is neither changes nothing.
func TestExprPolicyIsTextOrObject(t *testing.T) {
	for value, want := range map[string]*string{
		`"{}"`: new("{}"), `{"version":1}`: new(`{"version":1}`), `""`: new(""), `"null"`: new(""),
		`null`: nil, `7`: nil, `true`: nil, `["x"]`: nil,
	} {
		req, err := ParseRequest([]byte(`{"type":"set_expr_policy","network_id":3,"expr_policy":` + value + `}`))
		if err != nil {
			t.Fatal(err)
		}
		r := req.Body.(*SetExprPolicy)
		if !reflect.DeepEqual(r.ExprPolicy, want) {
			t.Errorf("%s is read as %v", value, r.ExprPolicy)
		}
		if e := r.Check(); (e != nil) != (want == nil) {
			t.Errorf("%s: %v", value, e)
		}
	}
	if e := new(SetExprPolicy).Check(); e == nil || !strings.HasPrefix(e.Text, "expr_policy field is required") {
		t.Errorf("without the field: %v", e)
	}
}

func TestBlueprintHasAnExprPolicyAsObjectOrText(t *testing.T) {
	for value, want := range map[string]PolicyDocument{`{"a":1}`: `{"a":1}`, `"{\"a\":1}"`: `{"a":1}`, `""`: "", `null`: ""} {
		var b Blueprint
		if err := json.Unmarshal([]byte(`{"name":"x","expr_policy":`+value+`}`), &b); err != nil || b.ExprPolicy != want {
			t.Errorf("%s is read as %q, %v", value, b.ExprPolicy, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"expr_policy":7}`), new(Blueprint)); err == nil {
		t.Error("a number is a policy")
	}
}
