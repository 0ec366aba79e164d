// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"slices"
	"strings"
)

// settingCommands are the rows of commands.go about this subject.
var settingCommands = []Command{
	{Code: 120, Name: "set_setting", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeWrite, RefusesUnknown: true, Events: []string{EventSettingChanged},
		newBody: body[SetSetting](), newReply: reply[SetSettingReply](), Doc: "change a replicated setting of the registry"},
	{Code: 121, Name: "list_settings", Group: GroupCluster, Auth: AuthAdmin, Mode: ModeRead,
		newBody: body[ListSettings](), newReply: reply[ListSettingsReply](), Doc: "list the replicated settings of the registry"},
}

// Setting is a choice about the whole registry that is part of its replicated
// state: one administrator makes it, on any member, and all members keep to it.
type Setting struct {
	Name string
	// Values are the choices; the first is the default.
	Values []string
	Doc    string
}

// Names and values of settings.
const (
	SettingTrustMode  = "trust.mode"
	TrustCompatible   = "compatible"
	TrustMutual       = "mutual"
	SettingExternalID = "privacy.external_id"
	ShownOpen         = "open"
	ShownMembers      = "members"
	ShownAdmin        = "admin"
)

// Settings is the one list of replicated settings. Its order is kept in the
// state: append only, values too.
var Settings = []Setting{
	{SettingTrustMode, []string{TrustCompatible, TrustMutual},
		"what makes two nodes trust each other: with compatible the word of one of them, with mutual nothing before both have reported, accepted or asked"},
	{SettingExternalID, []string{ShownOpen, ShownMembers, ShownAdmin},
		"who sees the external ids of nodes in lookup and list_nodes: everybody, signers that share a network with the node, or administrators"},
}

// FindSetting finds a setting by its name; nil when there is none.
func FindSetting(name string) *Setting {
	for i := range Settings {
		if Settings[i].Name == name {
			return &Settings[i]
		}
	}
	return nil
}

// SetSetting changes a replicated setting.
type SetSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Validate names what there is to choose.
func (r *SetSetting) Validate() *Error {
	s := FindSetting(r.Name)
	if s == nil {
		names := make([]string, len(Settings))
		for i := range Settings {
			names[i] = Settings[i].Name
		}
		return Errorf(CodeInvalid, "invalid name %s: want one of %s", Quote(r.Name), strings.Join(names, ", "))
	}
	if !slices.Contains(s.Values, r.Value) {
		return Errorf(CodeInvalid, "invalid value %s of %s: want one of %s", Quote(r.Value), s.Name, strings.Join(s.Values, ", "))
	}
	return nil
}

// SetSettingReply answers set_setting.
type SetSettingReply struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

// ListSettings asks for all replicated settings.
type ListSettings struct{ noFields }

// ListSettingsReply answers list_settings.
type ListSettingsReply struct {
	Settings []SettingValue `json:"settings"`
	Type     string         `json:"type"`
}

// SettingValue is a setting with its value.
type SettingValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	// Values are the choices, the default first.
	Values []string `json:"values"`
}
