// SPDX-License-Identifier: Apache-2.0

package protocol

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// MaxURLBytes bounds the URLs that are stored and called.
const MaxURLBytes = 2048

// metadataHosts are names under which clouds hand credentials to whoever asks
// from inside.
var metadataHosts = map[string]bool{
	"metadata.google.internal": true, "metadata.google.com": true, "ec2.internal": true,
	"instance-data-service.ec2.internal": true, "metadata.azure.com": true,
}

// CheckURL refuses URLs that the registry must never be told to call, as far
// as the text alone shows it: a scheme other than http and https, no host,
// credentials, a link-local address or a cloud metadata host. What a name
// resolves to is checked when it is called. field, when it is not empty, names
// the setting in the refusal. The refusal quotes nothing but the host.
func CheckURL(field, raw string) *Error {
	_, e := ParseURL(field, raw)
	return e
}

// ParseURL is [CheckURL] and returns the parsed URL.
func ParseURL(field, raw string) (*url.URL, *Error) {
	u, e := ParseWebURL(field, raw)
	if e != nil {
		return nil, e
	}
	host := URLHost(u)
	if ip, err := netip.ParseAddr(host); err == nil && IsLinkLocal(ip) {
		return nil, refuseURL(field, "URL cannot target link-local address "+u.Hostname())
	}
	if IsMetadataHost(host) {
		return nil, refuseURL(field, "URL cannot target cloud metadata endpoint "+u.Hostname())
	}
	return u, nil
}

// ParseWebURL checks the form of an http or https URL without looking at what it targets.
func ParseWebURL(field, raw string) (*url.URL, *Error) {
	if len(raw) > MaxURLBytes {
		return nil, refuseURL(field, "URL too long (max "+strconv.Itoa(MaxURLBytes)+" bytes)")
	}
	u, err := url.Parse(raw)
	if err != nil {
		// The error of the parser quotes the URL, which may carry a secret.
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, refuseURL(field, "invalid URL: "+err.Error())
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, refuseURL(field, "URL must use http or https scheme, got "+strconv.Quote(u.Scheme))
	}
	host := URLHost(u)
	if host == "" {
		return nil, refuseURL(field, "URL must have a host")
	}
	if u.User != nil {
		return nil, refuseURL(field, "invalid URL: it must not contain a user name or password; URLs are shown and logged")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, refuseURL(field, "invalid URL: port "+port+" does not exist")
		}
	}
	if _, err := netip.ParseAddr(host); err != nil && endsInNumber(host) {
		// Some resolvers read 2130706433, 0x7f.1 and 127.1 as addresses.
		return nil, refuseURL(field, "invalid URL: host "+u.Hostname()+" is neither a name nor an IP address")
	}
	return u, nil
}

func refuseURL(field, text string) *Error {
	if field != "" {
		text = field + ": " + text
	}
	return &Error{Code: CodeURLRefused, Text: text}
}

// URLHost is the host of a URL in the form in which hosts are compared: lower
// case, without the zone of an address and without the dot of the root.
func URLHost(u *url.URL) string {
	host, _, _ := strings.Cut(strings.ToLower(u.Hostname()), "%")
	return strings.TrimSuffix(host, ".")
}

// IsMetadataHost reports whether a host in the form of [URLHost] is a cloud's metadata service.
func IsMetadataHost(host string) bool { return metadataHosts[host] }

// IsLinkLocal reports whether an address is link-local, unicast or multicast,
// including IPv4-mapped IPv6 addresses.
func IsLinkLocal(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast()
}

// endsInNumber reports whether the last label of a host is a number, decimal,
// octal or hexadecimal: no top-level domain is.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	_, err := strconv.ParseUint(last, 0, 64)
	if err != nil && errors.Is(err, strconv.ErrRange) {
		return true
	}
	if err != nil {
		_, err = strconv.ParseUint(last, 10, 64) // 08 is a number to some
	}
	return err == nil
}
