// SPDX-License-Identifier: Apache-2.0

package console

import (
	"strings"

	"github.com/pilotregistry/pilotregistry/identity"
	"github.com/pilotregistry/pilotregistry/protocol"
)

type identityData struct {
	IDP *protocol.GetIDPConfigReply
	// Checked is what a token is worth that was looked at, Refused why it was not.
	Checked *protocol.ValidateTokenReply
	Refused *protocol.Error
	// Steps are the checks of the token, each with what came of it.
	Steps []identity.Step
}

func (c *Console) identityPage(v *visit) (*content, *protocol.Error) {
	idp, e := ask[protocol.GetIDPConfigReply](v, "get_idp_config", nil)
	if e != nil {
		return nil, e
	}
	return &content{Template: "identity", Title: "Who vouches for people?", Data: &identityData{IDP: idp}, Command: "pilotctl idp show"}, nil
}

// checkToken says what an identity token is worth. It is kept nowhere.
func (c *Console) checkToken(v *visit) (*content, *protocol.Error) {
	page, e := c.identityPage(v)
	if e != nil {
		return nil, e
	}
	d := page.Data.(*identityData)
	token := strings.TrimSpace(v.r.PostFormValue("token"))
	d.Checked, d.Refused = ask[protocol.ValidateTokenReply](v, "validate_token", map[string]any{"token": token})
	if d.Refused != nil && d.Refused.Code == protocol.CodeAdminToken {
		return nil, d.Refused
	}
	d.Steps = c.cfg.ExplainToken(protocol.Secret(token))
	page.Command = "pilotctl idp validate --token-file ./token.jwt"
	return page, nil
}
