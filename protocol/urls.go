package protocol

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// metadataHosts answer with the secrets of the machine they are asked from.
var metadataHosts = []string{"metadata.google.internal", "metadata.google.com", "ec2.internal", "instance-data-service.ec2.internal", "metadata.azure.com"}

// CheckURL refuses an address that the registry must not be told to call:
// anything but http and https, and hosts that only the machine itself reaches.
// What a name resolves to is looked at when it is called.
func CheckURL(field, raw string) *Error {
	bad := func(format string, args ...any) *Error { return Errorf(CodeInvalid, field+": "+format, args...) }
	u, err := url.Parse(raw)
	if err != nil {
		return bad("invalid URL: it cannot be parsed")
	}
	host := u.Hostname()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("URL must use http or https scheme, got %q", u.Scheme)
	case host == "":
		return bad("URL must have a host")
	case slices.Contains(metadataHosts, strings.TrimSuffix(strings.ToLower(host), ".")):
		return bad("URL cannot target cloud metadata endpoint %s", host)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip = ip.WithZone("").Unmap(); ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() {
			return bad("URL cannot target link-local address %s", host)
		}
	}
	return nil
}
