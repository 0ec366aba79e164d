// SPDX-License-Identifier: Apache-2.0

package fsm

import (
	"slices"

	"github.com/pilotregistry/pilotregistry/protocol"
)

// settingNames are the replicated settings, as protocol.Settings lists them.
var settingNames = [...]string{protocol.SettingTrustMode, protocol.SettingExternalID}

// setting is the value of a replicated setting.
func (st *clusterStore) setting(name string) string {
	i := slices.Index(settingNames[:], name)
	return protocol.Settings[i].Values[st.config().chosen[i]]
}

func decideSetSetting(v *view, c *invocation) (effect, *protocol.Error) {
	r := c.body.(*protocol.SetSetting)
	if e := v.admin(c); e != nil {
		return nil, e
	}
	old := v.cluster.setting(r.Name)
	reply := &protocol.SetSettingReply{Type: "set_setting_ok", Name: r.Name, Value: r.Value}
	if old == r.Value {
		return c.unchanged(reply)
	}
	return func(x *txn) any {
		i := slices.Index(settingNames[:], r.Name)
		value := slices.Index(protocol.Settings[i].Values, r.Value)
		x.reconfigured(func(s *settings) { s.chosen[i] = uint8(value) })
		x.begin(protocol.EventSettingChanged).str("name", r.Name).str("old", old).str("new", r.Value).end()
		return reply
	}, nil
}

func readSettingsList(v *view, c *invocation) (any, *protocol.Error) {
	if e := v.admin(c); e != nil {
		return nil, e
	}
	reply := &protocol.ListSettingsReply{Type: "list_settings_ok"}
	for i := range protocol.Settings {
		s := &protocol.Settings[i]
		reply.Settings = append(reply.Settings, protocol.SettingValue{Name: s.Name, Value: v.cluster.setting(s.Name), Values: s.Values})
	}
	return reply, nil
}
