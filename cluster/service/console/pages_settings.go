// SPDX-License-Identifier: Apache-2.0

package console

import (
	"github.com/pilotregistry/pilotregistry/fsm"
	"github.com/pilotregistry/pilotregistry/protocol"
)

type settingsData struct {
	Settings []settingRow
	Features []featureRow
	// Level is the cluster's, Known the highest that this version knows.
	Level, Known uint32
	Access       []tokenRow
	Tokens       *protocol.ClusterJoinTokenListReply
	// Chosen are the settings of this member that somebody set, Standard the others.
	Chosen, Standard []Setting
	Member           string
}

type settingRow struct {
	protocol.SettingValue
	Meaning string
	// Standard says that the value is the default.
	Standard bool
}

type featureRow struct {
	protocol.Feature
	On bool
}

// tokenRow is a token by its name.
type tokenRow struct {
	Name, For  string
	Generation uint32
	Ends       int64
}

func (c *Console) settingsPage(v *visit) (*content, *protocol.Error) {
	list, e := ask[protocol.ListSettingsReply](v, "list_settings", nil)
	if e != nil {
		return nil, e
	}
	status := c.status(v.r.Context())
	d := &settingsData{Level: status.FeatureLevel, Member: status.MemberID}
	for _, s := range list.Settings {
		row := settingRow{SettingValue: s, Standard: len(s.Values) > 0 && s.Value == s.Values[0]}
		if known := protocol.FindSetting(s.Name); known != nil {
			row.Meaning = known.Doc
		}
		d.Settings = append(d.Settings, row)
	}
	for _, f := range protocol.Features {
		d.Known = max(d.Known, f.Level)
		d.Features = append(d.Features, featureRow{f, f.Level <= d.Level})
	}
	for _, s := range c.cfg.Settings {
		if s.Source != "" {
			d.Chosen = append(d.Chosen, s)
		} else {
			d.Standard = append(d.Standard, s)
		}
	}
	for _, t := range c.cfg.Inspect().Tokens() {
		row := tokenRow{Name: t.Name, For: "administration", Generation: t.Generation, Ends: t.Expires}
		if t.Kind == fsm.TokenReplication {
			row.For = "following the state"
		}
		d.Access = append(d.Access, row)
	}
	if d.Tokens, e = ask[protocol.ClusterJoinTokenListReply](v, "cluster_join_token_list", nil); e != nil {
		return nil, e
	}
	return &content{Template: "settings", Title: "What is the registry set to?", Data: d, Command: "pilotctl setting list"}, nil
}
