package protocol

import "testing"

// Whoever asks for a managed network does not get a plain one that looks like it.
func TestManagedNetworkIsNotSilentlyPlain(t *testing.T) {
	for fields, refused := range map[string]bool{
		`"rules":"{\"links\":3}"`:       true,
		`"rules":{"links":3}`:           true,
		`"expr_policy":{"version":1}`:   true,
		`"rules":null,"expr_policy":""`: false,
		`"enterprise":true`:             false,
	} {
		req, err := ParseRequest([]byte(`{"type":"create_network","node_id":1,"name":"mesh",` + fields + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if e := req.Body.Validate(); (e != nil) != refused {
			t.Errorf("%s: %v", fields, e)
		}
	}
}
